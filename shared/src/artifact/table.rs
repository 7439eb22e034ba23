//! Tables as they are now, and how far each has come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, NodeName, PipelineName, RunId, RunSequence, TableVersion};

/// A stage's table as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// The stage.
    pub name: NodeName,
    /// Where the table is.
    pub location: String,
    /// Its newest version; none if the table does not exist yet.
    pub version: Option<TableVersion>,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When that version was committed.
    pub committed_at: Option<DateTime<Utc>>,
}

/// How far a stage's table has come, by the transactions in its own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorStatus {
    /// The stage.
    pub stage: NodeName,
    /// The application id of its transactions.
    pub app_id: AppId,
    /// The number of the last run that committed; none if none did.
    pub last_run: Option<RunSequence>,
    /// The table's newest version.
    pub version: Option<TableVersion>,
}

/// What a run under way has pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinStatus {
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The source or stage that is read.
    pub name: NodeName,
    /// Where it is.
    pub location: String,
    /// The version; none for sources without versions.
    pub version: Option<TableVersion>,
}
