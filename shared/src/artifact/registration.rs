//! `registrations.json`: every table as the session came to know it.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, TableVersion};

/// Every registration of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationsRecord {
    /// The registrations, in the order in which they were made.
    pub tables: Vec<RegistrationRecord>,
}

/// One table as it was registered: the same facts in the same order, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRecord {
    /// The table's name in SQL.
    pub name: NodeName,
    /// Its kind: `delta`, `listing`, `text_files`, `view`, `cache`.
    pub kind: String,
    /// Where it lies, without credentials; none for views.
    #[serde(default)]
    pub location: Option<String>,
    /// The format of its files: `parquet`, `csv`, `json`, `avro`, `arrow`, `text`.
    #[serde(default)]
    pub format: Option<String>,
    /// Its Delta version.
    #[serde(default)]
    pub version: Option<TableVersion>,
    /// Its columns, partition columns last.
    pub schema: Vec<ColumnRecord>,
    /// The columns that come from paths or partition values.
    #[serde(default)]
    pub partition_columns: Vec<PartitionColumnRecord>,
    /// The order in which its files are declared to be sorted.
    #[serde(default)]
    pub sort_order: Vec<SortColumnRecord>,
    /// Data files, if they were counted.
    #[serde(default)]
    pub files: Option<u64>,
    /// Their bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// The hash of everything about the scan that can change its rows or its plan.
    #[serde(default)]
    pub scan_identity: Option<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Its name.
    pub name: String,
    /// Its Arrow type, as DataFusion prints it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// A partition column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionColumnRecord {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A column of a sort order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumnRecord {
    /// The column or expression.
    pub expression: String,
    /// From great to small.
    pub descending: bool,
    /// Nulls before everything else.
    pub nulls_first: bool,
}
