//! How a stage is materialized, and the settings of its Delta table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a stage's rows are materialized.
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

/// How a run's rows are combined with the existing rows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// Replace them all.
    #[default]
    Overwrite,
    /// Add to them.
    Append,
    /// Replace those with the same key, and add the others.
    Upsert,
    /// Replace those in the same partitions, and add the others.
    ReplacePartitions,
}

impl WriteMode {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::ReplacePartitions => "replace_partitions",
        }
    }

    /// Whether rows of earlier runs are kept unless the new ones replace them.
    pub fn keeps_rows(self) -> bool {
        self != Self::Overwrite
    }
}

/// Files that a stage's rows are written to in addition to its table, after each commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its name, unique within the stage.
    pub name: String,
    /// The saver: a format (`parquet`, `csv`, `json`, `arrow`), or the name of a custom saver.
    pub saver: String,
    /// Path or URL of the folder.
    pub location: String,
    /// Options for the saver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// The formats that files can be exported in.
pub const FILE_FORMATS: [&str; 4] = ["parquet", "csv", "json", "arrow"];

impl Export {
    /// Whether it uses a standard format and not a custom saver.
    pub fn is_files(&self) -> bool {
        FILE_FORMATS.contains(&self.saver.as_str())
    }
}

/// Whether a stage's table is updated from the changes of its inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incremental {
    /// Every run that has something to do computes all rows.
    #[default]
    Off,
    /// From the changes if possible, else all rows; the plan gives the reason.
    Auto,
    /// From the changes, or the project is refused.
    Strict,
}

impl Incremental {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Strict => "strict",
        }
    }
}

/// How rows that change are replaced in a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeWrite {
    /// Rewrites files without the replaced rows.
    Rewrite,
    /// Marks replaced rows in deletion vectors. The feature is enabled when the table is created.
    DeletionVectors,
    /// Uses deletion vectors if the table has the feature and few rows of a file change, else rewrites.
    #[default]
    Auto,
}

impl MergeWrite {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::DeletionVectors => "deletion_vectors",
            Self::Auto => "auto",
        }
    }
}

/// What happens to rows of a stage's former definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDefinitionChange {
    /// Recomputes all rows.
    #[default]
    Rebuild,
    /// The run is refused until a full refresh of the stage is requested.
    Refuse,
}

impl OnDefinitionChange {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Refuse => "refuse",
        }
    }
}

/// The Delta table of a stage: its location and the requirements for its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSettings {
    /// Path or URL; `None` is `<home>/tables/<stage>`.
    pub location: Option<String>,
    /// How the rows of a run are combined with the existing ones.
    pub mode: WriteMode,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Columns that must not be null.
    pub not_null: Vec<String>,
    /// SQL conditions that every row must satisfy, by name (`delta.constraints.<name>`).
    pub constraints: BTreeMap<String, String>,
    /// Delta table properties given at creation, such as `delta.enableChangeDataFeed`.
    pub properties: BTreeMap<String, String>,
    /// The target size of data files in bytes; `None` is 128 MiB.
    pub target_file_bytes: Option<u64>,
    /// The columns that identify a row. They must not be null with `incremental`.
    pub key: Vec<String>,
    /// Whether the table is updated from the changes of its inputs.
    pub incremental: Incremental,
    /// How rows that change are replaced.
    pub merge: MergeWrite,
    /// What happens to rows of a former definition.
    pub on_definition_change: OnDefinitionChange,
    /// The exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
}
