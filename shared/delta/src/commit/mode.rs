//! What a commit does to the rows that a table has.

use serde::{Deserialize, Serialize};

use crate::merge::Replacement;

/// What a commit does to the rows that a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitMode {
    /// The staged files replace all that the table has when it commits.
    Overwrite,
    /// The staged files are added.
    Append,
    /// The staged files are added, and rows are taken from others. Only against the version that the rows' positions
    /// are of, which [`BaseExpectation::version`](super::BaseExpectation) must give.
    Merge(Replacement),
    /// The staged files replace all files of some partitions. Only against the version that the rows were computed
    /// from, which [`BaseExpectation::version`](super::BaseExpectation) must give.
    ReplacePartitions {
        /// The columns that tell the partitions apart: some or all of the table's partition columns.
        by: Vec<String>,
        /// The values of the partitions to replace, in the order of `by`, as
        /// [`partition_values`](crate::write::partition_values) renders them. A staged file with other values
        /// is refused.
        values: Vec<Vec<Option<String>>>,
    },
    /// No file is added or removed: only transactions are recorded. Nothing may be staged. Only against the version that
    /// was looked at, which [`BaseExpectation::version`](super::BaseExpectation) must give: what the transactions say must
    /// be true of the rows that are there.
    Touch,
}

impl CommitMode {
    /// Whether rows that the table had may be missing afterwards.
    pub(super) fn replaces(&self) -> bool {
        match self {
            Self::Overwrite | Self::Merge(_) | Self::ReplacePartitions { .. } => true,
            Self::Append | Self::Touch => false,
        }
    }

    /// Whether it makes sense for one version of the table alone.
    pub(super) fn needs_version(&self) -> bool {
        matches!(self, Self::Merge(_) | Self::ReplacePartitions { .. } | Self::Touch)
    }

    /// Files that it brings besides those that are staged.
    pub(super) fn replacement(&self) -> Option<&Replacement> {
        match self {
            Self::Merge(replacement) => Some(replacement),
            _ => None,
        }
    }
}
