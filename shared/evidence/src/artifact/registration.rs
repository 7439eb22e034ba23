//! `registrations.json`: every table as the sessions of the run registered it.

use serde::{Deserialize, Serialize};
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::{NodeName, TableVersion};

/// Every registration of a run, each table once, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationsRecord {
    /// The registrations.
    pub tables: Vec<Registration>,
}

/// What was registered, in the same form whatever the kind of table: the evidence of what a run read, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The table's name in SQL.
    pub name: NodeName,
    /// What kind of table it is.
    pub kind: TableKind,
    /// Path or URL, without credentials; a view has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The format of the files: `parquet`, `csv`, `json`, `avro`, `arrow` or `text`; a view has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The pinned version of a Delta table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TableVersion>,
    /// The columns, partition columns last.
    pub columns: Vec<ColumnRecord>,
    /// The names of the partition columns, outermost first.
    pub partition_columns: Vec<String>,
    /// The order that every file's rows are declared to be in.
    pub sort_order: Vec<SortRecord>,
    /// How many files there are, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// The bytes of the files, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// A hash of the files' paths, sizes, modification times and what else their store knows of their content, as they were
    /// listed: two equal digests mean that nothing was added, removed or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_digest: Option<String>,
    /// How the table is read, as a hash.
    pub scan_identity: ScanIdentity,
}

impl Registration {
    /// A hash of the names, types and nullability of the columns, in 32 hexadecimal digits.
    pub fn schema_hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for column in &self.columns {
            for part in [column.name.as_str(), &column.data_type, if column.nullable { "null" } else { "not null" }] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// The kind of a registered table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A Delta table.
    Delta,
    /// A folder of files of one format.
    Listing,
    /// Text files, a row each.
    TextFiles,
    /// Rows that the project holds.
    Rows,
    /// What a loader of the program that runs the project made.
    Custom,
    /// A query that is inlined into its readers.
    View,
}

/// A column of a registered table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// The name.
    pub name: String,
    /// The Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// One column of a declared sort order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortRecord {
    /// The column.
    pub column: String,
    /// Whether the order is falling.
    pub descending: bool,
    /// Whether nulls come first.
    pub nulls_first: bool,
}
