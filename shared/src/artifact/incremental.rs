//! How a stage's rows came about when not all of them were computed again, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, TableVersion};

/// The way in which a run brings a stage's table up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The stage's rows for inserted rows of its sources are added.
    Append,
    /// What changed rows of the sources become, row by row, is deleted and upserted by key.
    RowWise,
    /// The keys that changes can have touched are found, and their rows are computed again.
    AffectedKeys,
    /// As affected keys, with whole partitions replaced, since the key is made of partition columns.
    PartitionReplace,
    /// What changed files of a source of files become replaces what their former content had become.
    ChangedFiles,
    /// All rows are computed again.
    Full,
}

impl Strategy {
    /// The strategy as JSON and the command write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::RowWise => "row_wise",
            Self::AffectedKeys => "affected_keys",
            Self::PartitionReplace => "partition_replace",
            Self::ChangedFiles => "changed_files",
            Self::Full => "full",
        }
    }
}

/// What of one source a stage has to take in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceChange {
    /// The source or stage that is read.
    pub source: NodeName,
    /// The last version that the stage's table has taken in: its cursor; none for files without versions.
    #[serde(default)]
    pub from: Option<TableVersion>,
    /// The version that the run reads; none if a stage of the same run has yet to make it, and for files.
    #[serde(default)]
    pub to: Option<TableVersion>,
    /// Files that the changes are in, as the log tells; 0 if that is not known yet.
    #[serde(default)]
    pub files: u64,
    /// Rows in those files, an upper bound of the changed rows; none if the log does not count them.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Bytes of those files.
    #[serde(default)]
    pub bytes: u64,
}

/// Whether a stage's table could be used as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReuseVerdict {
    /// Whether it was used as it is.
    pub hit: bool,
    /// What had changed, if it was not: `code`, `table`, or `data of <source>`, each with what is known of it.
    #[serde(default)]
    pub missed: Vec<String>,
}

/// How much of a table changes touched, where that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedRows {
    /// Rows of the table as it was that the changes can have touched.
    pub rows: u64,
    /// Rows of the table as it was.
    pub of: u64,
    /// Whether they were so many that all rows were computed, and those written that were others than before.
    pub all_computed: bool,
}
