//! `maintenance/<turn>.json`: what a turn of maintenance decided about each table, why, and what came of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, PipelineName, RunId, TableVersion};

/// The format of [`MaintenanceRecord`].
pub const MAINTENANCE_FORMAT: u32 = 1;

/// A turn of maintenance over the tables of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MaintenanceRecord {
    /// [`MAINTENANCE_FORMAT`].
    pub format: u32,
    /// The turn's id: like that of a run, and ordered by time.
    pub turn: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Whether it was only planned.
    pub dry_run: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none if it was cut off.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether it was stopped before it had looked at all tables: by hand, by a run, or because a lease was lost.
    #[serde(default)]
    pub stopped: bool,
    /// The tables, in the order of the project.
    pub tables: Vec<TableMaintenance>,
}

/// What became of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableMaintenance {
    /// The stage, or the name of its quarantine.
    pub table: NodeName,
    /// Where the table is.
    pub location: String,
    /// The table before.
    pub before: TableSize,
    /// The table afterwards; none if nothing was done.
    pub after: Option<TableSize>,
    /// What was decided, in the order in which it is done.
    pub actions: Vec<MaintenanceAction>,
    /// What keeps versions that the retention alone would let go, oldest version first.
    pub kept: Vec<KeptVersion>,
    /// Why the table was not looked at, if it was not.
    pub failure: Option<Failure>,
}

/// The size of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableSize {
    /// Its newest version.
    pub version: TableVersion,
    /// Data files of that version.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files with a deletion vector.
    pub with_deletion_vector: u64,
    /// Commits in the log.
    pub commits: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// Something that maintenance can do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceKind {
    /// Writes small files, and files with deleted rows, as fewer and larger ones.
    Compact,
    /// Lays rows out along a Z-order curve.
    Zorder,
    /// Makes a checkpoint of the log.
    Checkpoint,
    /// Removes data files that versions of the past needed.
    Vacuum,
    /// As [`MaintenanceKind::Vacuum`], and files that no version ever named.
    FullVacuum,
    /// Removes commits and checkpoints of the log.
    CleanLog,
}

impl MaintenanceKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Compact, Self::Zorder, Self::Checkpoint, Self::Vacuum, Self::FullVacuum, Self::CleanLog];

    /// Its name in output and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Zorder => "zorder",
            Self::Checkpoint => "checkpoint",
            Self::Vacuum => "vacuum",
            Self::FullVacuum => "full_vacuum",
            Self::CleanLog => "clean_log",
        }
    }

    /// Whether it removes files rather than writes any.
    pub fn removes(self) -> bool {
        matches!(self, Self::Vacuum | Self::FullVacuum | Self::CleanLog)
    }

    /// Whether somebody who asks for this kind of action gets `other`: a vacuum is a full one when that is due.
    pub fn includes(self, other: Self) -> bool {
        self == other || (self == Self::Vacuum && other == Self::FullVacuum)
    }
}

/// One action: decided, and possibly done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MaintenanceAction {
    /// What.
    pub kind: MaintenanceKind,
    /// Whether it is to be done.
    pub due: bool,
    /// Why, or why not, as a sentence without a stop.
    pub reason: String,
    /// Files that it would read or remove.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What came of it; none if it was not tried.
    pub outcome: Option<ActionOutcome>,
}

/// What came of an action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ActionOutcome {
    /// The version that it committed; none if it changes no version.
    pub version: Option<TableVersion>,
    /// Files that are not part of the newest version any more, or were deleted.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Files that were written.
    pub files_added: u64,
    /// Their bytes.
    pub bytes_added: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it did not succeed, if it did not; what was done before stands.
    pub failure: Option<Failure>,
}

/// A version that something keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeptVersion {
    /// The version; with `and_later`, it and all that follow.
    pub version: TableVersion,
    /// Whether the changes of all later versions stay too.
    pub and_later: bool,
    /// What keeps it.
    pub by: PinHolder,
}

/// What keeps a version of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PinHolder {
    /// A run that is active.
    ActiveRun {
        /// The run.
        run: RunId,
    },
    /// A run that has ended, whose bundle is kept.
    KeptRun {
        /// The run.
        run: RunId,
    },
    /// The cursor of a stage, whose next run applies what follows.
    Cursor {
        /// The stage.
        stage: NodeName,
    },
    /// A pin that somebody set.
    Pin {
        /// Its name.
        name: String,
    },
    /// A tag.
    Tag {
        /// Its name.
        name: String,
    },
    /// The policy names the version.
    Policy,
}

/// A version of a table that somebody keeps by hand: a pin, or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VersionMark {
    /// Its name, unique in the home.
    pub name: String,
    /// Whether it is a tag, which stays until it is removed by name.
    pub tag: bool,
    /// The stage or quarantine whose table it is.
    pub table: NodeName,
    /// Where the table is.
    pub location: String,
    /// The version.
    pub version: TableVersion,
    /// When it was set.
    pub created_at: DateTime<Utc>,
    /// Until when it counts; none is until it is released. Tags have none.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Option<String>,
    /// Who set it: a user on a host.
    pub by: String,
}

/// A version of a table that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMark {
    /// Its name, unique among the pins and tags of the home.
    pub name: String,
    /// Whether it is a tag, which never expires; otherwise it is a pin.
    pub tag: bool,
    /// The stage, or the name under which its quarantine is read.
    pub table: NodeName,
    /// The version; `None` is the newest.
    pub version: Option<TableVersion>,
    /// Until when it is kept; `None` is until the pin is released.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Option<String>,
}

/// What a turn of maintenance tells while it works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MaintenanceEvent {
    /// A table was looked at.
    Planned {
        /// The table.
        table: NodeName,
        /// How many actions are due.
        due: u64,
    },
    /// An action begins.
    Started {
        /// The table.
        table: NodeName,
        /// The action.
        action: MaintenanceKind,
        /// Files that it works on.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// An action is under way.
    Progress {
        /// The table.
        table: NodeName,
        /// The action.
        action: MaintenanceKind,
        /// Parts that are done.
        done: u64,
        /// Parts that there are.
        of: u64,
    },
    /// An action has ended.
    Ended {
        /// The table.
        table: NodeName,
        /// The action.
        action: MaintenanceKind,
        /// What came of it.
        outcome: ActionOutcome,
    },
}
