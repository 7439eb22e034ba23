//! How runs, stages, attempts and commits end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::ids::TableVersion;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// Every stage has committed.
    Succeeded,
    /// A stage failed.
    Failed,
    /// Stopped on request.
    Cancelled,
    /// The process that drove it is gone and none has taken it up: shown by readers, never written.
    Interrupted,
}

impl RunStatus {
    /// Whether the run has ended and its bundle will not change any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The status as JSON and the log write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Where a stage stands, as a reader of the bundle needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// Not started.
    Pending,
    /// Under way, or waiting to be tried again.
    Running,
    /// Its table has the new version.
    Committed,
    /// Failed for good.
    Failed,
    /// Never started, because a stage that it needs failed.
    Skipped,
    /// Stopped, or not started, because the run was wound up.
    Cancelled,
}

impl StageStatus {
    /// The status as JSON and the log write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Committed => "committed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How one attempt at a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Under way.
    Running,
    /// Its result was committed.
    Committed,
    /// Its execution or its commit failed.
    Failed,
    /// Stopped, or its result dropped.
    Cancelled,
    /// The process that drove it ended meanwhile.
    Interrupted,
}

/// Whether this run's commit made the version, or found that it was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CommitOutcome")]
pub enum ReceiptOutcome {
    /// The commit made the version.
    Committed,
    /// An earlier attempt of the same run had committed already; nothing was written again.
    AlreadyCommitted,
    /// There was nothing to write: the table is used as it is.
    Reused,
}

/// The outcome of a stage's commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageReceipt {
    /// The version of the stage's table.
    pub version: TableVersion,
    /// Rows written: those of the added files, among them rows that stay as they were in files that are rewritten.
    pub rows: u64,
    /// Rows that were inserted, updated or deleted; none if all or whole partitions were replaced, where nobody counts
    /// which rows have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_rows: Option<u64>,
    /// Rows of the table at this version; none if its log does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_rows: Option<u64>,
    /// Bytes of data files written.
    pub bytes: u64,
    /// Data files written.
    pub files: u64,
    /// Whether this commit made the version.
    pub outcome: ReceiptOutcome,
}
