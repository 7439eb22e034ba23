//! Tables as they are now, and how far each has come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::ids::{AppId, NodeName, PipelineName, RunId, RunSequence, TableVersion};

/// A stage's table, or its quarantine, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableStatus {
    /// The stage, or the name under which its quarantine is read.
    pub name: NodeName,
    /// Where the table is.
    pub location: String,
    /// Its newest version; none if the table does not exist yet.
    pub version: Option<TableVersion>,
    /// Rows of that version; none if its log does not count them.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When that version was committed.
    pub committed_at: Option<DateTime<Utc>>,
    /// The stage whose rows are here because they violated an expectation, if it is a quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_of: Option<NodeName>,
}

/// How far a stage's table has come, by the transactions in its own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CursorStatus {
    /// The stage.
    pub stage: NodeName,
    /// The application id of its transactions.
    pub app_id: AppId,
    /// The number of the last run that committed; none if none did.
    pub last_run: Option<RunSequence>,
    /// The table's newest version.
    pub version: Option<TableVersion>,
    /// What it has applied of each source, for incremental stages.
    #[serde(default)]
    pub sources: Vec<SourceCursor>,
}

/// What a stage's table has applied of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceCursor {
    /// The source or stage that is read.
    pub source: NodeName,
    /// The id of its Delta table now; none for files, and where there is no table.
    #[serde(default)]
    pub table_id: Option<String>,
    /// The last version applied, or the hash of the listing for files; -1 after a reset, none if there is no cursor for
    /// this table.
    #[serde(default)]
    pub version: Option<i64>,
    /// How many versions the source has that are not applied yet; none without a cursor, and for files.
    #[serde(default)]
    pub behind: Option<u64>,
}

/// A cursor that is to be set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorReset {
    /// The stage whose table has the cursor.
    pub stage: NodeName,
    /// The source or stage that it is to apply again; none for all that it reads.
    #[serde(default)]
    pub source: Option<NodeName>,
    /// The version that is to count as applied; none for nothing at all.
    #[serde(default)]
    pub to: Option<TableVersion>,
    /// Why, for the table's history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What a run under way has pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
