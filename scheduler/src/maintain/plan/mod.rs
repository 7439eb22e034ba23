//! What is done with a table, and why: decided from its facts, its policy and what keeps its versions. Pure: no engine, no
//! store, no clock.

use chrono::{DateTime, Utc};
use windlass_base::ids::TableVersion;
use windlass_delta::maintenance::{Retained, TableFacts};
use windlass_evidence::artifact::{KeptVersion, MaintenanceAction};
use windlass_project::maintenance::MaintenancePolicy;

/// What is known of a table when it is decided about.
#[derive(Debug, Clone)]
pub struct MaintenanceFacts<'f> {
    /// The table.
    pub table: &'f TableFacts,
    /// Its policy.
    pub policy: &'f MaintenancePolicy,
    /// What keeps versions of it besides the policy's own retention and versions.
    pub held: &'f [KeptVersion],
    /// Bytes that the stage's writer aims at with a file.
    pub target_file_bytes: u64,
    /// When its folder was last listed for files that no log names; `None` if it never was.
    pub last_full_vacuum: Option<DateTime<Utc>>,
    /// How many bytes may still be rewritten in this turn; `None` is without a limit.
    pub budget: Option<u64>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What is done with a table, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TablePlan {
    /// Every action that there is, those that are not due too.
    pub steps: Vec<PlannedAction>,
    /// What keeps versions that the retention alone would let go, oldest version first.
    pub kept: Vec<KeptVersion>,
}

/// An action, with what it works on if it is due.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedAction {
    /// What is reported of it.
    pub action: MaintenanceAction,
    /// What it works on; `None` if it is not due.
    pub work: Option<Work>,
}

/// What an action works on.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Data files that are written again.
    Rewrite(Rewrite),
    /// A checkpoint of a version.
    Checkpoint(TableVersion),
    /// Files that are removed unless they are retained.
    Vacuum(Vacuum),
    /// Commits and checkpoints of the log before this version, which has a checkpoint.
    CleanLog(TableVersion),
}

/// Data files that are written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The files, by bin: those of a bin are of one partition, are read by one task and written as few files.
    pub bins: Vec<Bin>,
    /// The columns by which the rows of each bin are laid out; empty to leave them in their order.
    pub zorder: Vec<String>,
    /// Bytes that a written file should come to.
    pub target_file_bytes: u64,
}

/// Files that one task writes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bin {
    /// The paths of the files, as the log has them.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// Files that are removed unless they are retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacuum {
    /// What must stay.
    pub retained: Retained,
    /// Whether the folder is listed for files that no commit names, which are removed if they are older than this.
    pub unnamed_before: Option<DateTime<Utc>>,
}
