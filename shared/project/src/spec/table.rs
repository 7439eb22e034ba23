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
    /// Replace those with the same key, and add the others.
    Upsert,
    /// Replace those in the same partitions, and add the others.
    ReplacePartitions,
}

impl WriteMode {
    /// The word that a project writes for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::ReplacePartitions => "replace_partitions",
        }
    }

    /// Whether rows of earlier runs stay where the new ones do not replace them.
    pub fn keeps_rows(self) -> bool {
        self != Self::Overwrite
    }
}

/// Files that a stage's rows are written to besides its table, after each commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its name, which no other of the stage has.
    pub name: String,
    /// What writes it: a format (`parquet`, `csv`, `json`, `arrow`), or the name of a saver of the program that runs the
    /// project.
    pub saver: String,
    /// Path or URL of the folder.
    pub location: String,
    /// What else the saver is told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// The formats that files can be exported in.
pub const FILE_FORMATS: [&str; 4] = ["parquet", "csv", "json", "arrow"];

impl Export {
    /// Whether it is files of a format, and not what a saver of the program makes of it.
    pub fn is_files(&self) -> bool {
        FILE_FORMATS.contains(&self.saver.as_str())
    }
}

/// Whether a stage's table is brought up to date from the changes of its inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incremental {
    /// Every run that has something to do computes all rows.
    #[default]
    Off,
    /// From the changes where that is possible, else all rows; the plan says why.
    Auto,
    /// From the changes, or the project is refused.
    Strict,
}

impl Incremental {
    /// The word that a project writes for it.
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
    /// Files with replaced rows are written anew without them.
    Rewrite,
    /// Replaced rows are marked in deletion vectors. The table gets the feature when it is created.
    DeletionVectors,
    /// Deletion vectors where the table has the feature and few rows of a file change, else rewriting.
    #[default]
    Auto,
}

impl MergeWrite {
    /// The word that a project writes for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::DeletionVectors => "deletion_vectors",
            Self::Auto => "auto",
        }
    }
}

/// What happens to the rows that a stage's former definition made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDefinitionChange {
    /// All rows are computed again.
    #[default]
    Rebuild,
    /// The run is refused until someone asks for a full refresh of the stage.
    Refuse,
}

impl OnDefinitionChange {
    /// The word that a project writes for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Refuse => "refuse",
        }
    }
}

/// The Delta table of a stage: where it is and what is demanded of its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSettings {
    /// Path or URL; `None` is `<home>/tables/<stage>`.
    pub location: Option<String>,
    /// How the rows of a run meet those that are there.
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
    /// The columns that identify a row. They hold no null where `incremental` is on.
    pub key: Vec<String>,
    /// Whether the table is brought up to date from the changes of its inputs.
    pub incremental: Incremental,
    /// How rows that change are replaced.
    pub merge: MergeWrite,
    /// What happens to rows of a former definition.
    pub on_definition_change: OnDefinitionChange,
    /// Where else the rows go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
}
