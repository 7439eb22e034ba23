//! How a stage's table was brought up to date when not all of its rows were computed again, and why.

use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, TableVersion};

/// The changes of one source that a stage has to apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceChange {
    /// The source or stage that is read.
    pub source: NodeName,
    /// The last version that the stage's table has applied: its cursor; none for files without versions.
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReuseVerdict {
    /// Whether it was used as it is.
    pub hit: bool,
    /// What had changed, if it was not: `code`, `table`, or `data of <source>`, each with what is known of it.
    #[serde(default)]
    pub missed: Vec<String>,
}

/// How much of a table changes touched, where that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TouchedRows {
    /// Rows of the table as it was that the changes can have touched.
    pub rows: u64,
    /// Rows of the table as it was.
    pub of: u64,
    /// Whether they were so many that all rows were computed, and those written that were others than before.
    pub all_computed: bool,
}
