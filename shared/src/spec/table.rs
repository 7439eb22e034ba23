//! How a stage is materialised, and what its Delta table is to look like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What becomes of a stage's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialize {
    /// Inlined into its readers; nothing is written.
    View,
    /// A Delta table.
    #[default]
    Table,
    /// Written once for this run and dropped at its end.
    Cache,
}

/// How a run's rows meet those that a table already has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// Replace them all.
    #[default]
    Overwrite,
    /// Add to them.
    Append,
}

/// The Delta table of a stage: where it is and what is demanded of its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSettings {
    /// Path or URL; `None` is `<home>/tables/<stage>`.
    pub location: Option<String>,
    /// Overwrite or append.
    pub mode: WriteMode,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Columns that must not hold null.
    pub not_null: Vec<String>,
    /// SQL conditions that every row must meet, by name (`delta.constraints.<name>`).
    pub constraints: BTreeMap<String, String>,
    /// Delta table properties given at creation, such as `delta.enableChangeDataFeed`.
    pub properties: BTreeMap<String, String>,
    /// Bytes a data file should come to; `None` is 128 MiB.
    pub target_file_bytes: Option<u64>,
    /// The columns that identify a row.
    pub key: Vec<String>,
}
