//! What is done with a table, and why: decided from its facts, its policy and what keeps its versions. Pure: no engine, no
//! store, no clock.
//!
//! ```text
//! files by partition ─→ bins to lay out, bins to compact, within a budget         (files, bins, zorder, compact)
//! holds, retention ─→ what must stay ─→ what vacuum and the log's cleaning spare  (kept, vacuum, log)
//! ```

mod bins;
mod compact;
mod files;
mod kept;
mod log;
mod text;
mod vacuum;
mod zorder;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use windlass_base::ids::TableVersion;
use windlass_delta::maintenance::{Retained, TableFacts};
use windlass_evidence::artifact::{KeptVersion, MaintenanceAction, MaintenanceKind};
use windlass_project::maintenance::MaintenancePolicy;

use self::bins::Budget;
use self::files::Partitions;
use self::kept::Needs;

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
    /// What keeps versions that the retention alone would let go, oldest version first; also those that the log cannot
    /// rebuild any more, of which nothing is left to keep.
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

impl PlannedAction {
    /// An action that is not due.
    fn not_due(kind: MaintenanceKind, reason: impl Into<String>) -> Self {
        let action = MaintenanceAction { kind, due: false, reason: reason.into(), files: 0, bytes: 0, outcome: None };
        Self { action, work: None }
    }

    /// An action that is due; what it is estimated to read or remove can be added.
    fn due(kind: MaintenanceKind, reason: impl Into<String>, work: Work) -> Self {
        let action = MaintenanceAction { kind, due: true, reason: reason.into(), files: 0, bytes: 0, outcome: None };
        Self { action, work: Some(work) }
    }

    /// The action with what it is estimated to read or remove.
    fn with_estimate(mut self, files: u64, bytes: u64) -> Self {
        (self.action.files, self.action.bytes) = (files, bytes);
        self
    }
}

/// Decides what is done with a table, and says why. The same facts always give the same plan. What the rewrites of a plan
/// leave is not rewritten again, unless a budget has put some off or files come out smaller than estimated.
///
/// An action that is due has its work, and one that is not has none. What vacuum removes is known only when the log is
/// read, so its estimate is zero. Two checkpoints can be due: the one that cleaning the log stands on comes first.
pub fn plan(facts: &MaintenanceFacts<'_>) -> TablePlan {
    let partitions = Partitions::of(facts);
    let mut budget = Budget::of(facts);
    let (zorder, laid_out) = zorder::plan(facts, &partitions, &mut budget);
    let compact = compact::plan(facts, &partitions, &laid_out, &mut budget);

    let needs = Needs::of(facts);
    let checkpoint = log::checkpoint(facts);
    let vacuum = vacuum::plan(facts, &needs);
    let (base, clean) = log::clean(facts, &needs, &checkpoint);

    let mut steps = vec![zorder, compact];
    match base {
        Some(base) if checkpoint.action.due => steps.extend([base, checkpoint]),
        Some(base) => steps.push(base),
        None => steps.push(checkpoint),
    }
    steps.extend([vacuum, clean]);
    TablePlan { steps, kept: needs.kept }
}
