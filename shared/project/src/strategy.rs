//! The ways in which a table is updated: fixtures expect one of them, runs choose one, bundles record it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The way in which a run updates a stage's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Adds the rows derived from inserted rows of the sources.
    Append,
    /// Deletes and upserts, by key, the rows derived from changed rows of the sources.
    RowWise,
    /// Finds the keys that changes can affect, and recomputes their rows.
    AffectedKeys,
    /// As affected keys, but replaces whole partitions, because the key consists of partition columns.
    PartitionReplace,
    /// Replaces the rows derived from the former content of changed files.
    ChangedFiles,
    /// Recomputes all rows.
    Full,
}

impl Strategy {
    /// The strategy's name in JSON and in the command's output.
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
