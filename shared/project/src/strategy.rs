//! The ways in which a table is brought up to date: fixtures expect one of them, runs choose one, bundles record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
