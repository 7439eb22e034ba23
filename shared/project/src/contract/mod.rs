//! Schema contracts: the required columns of a table, independent of the query that computes them.
//!
//! ```text
//! contracts/*.yaml ─→ Contract ─┬─ project: the columns of a query ─→ the written columns           (check)
//!                               ├─ check_evolution: the existing table ─→ may it become this?  (check)
//!                               └─ compare: another version ─→ changes, breaking or not        (diff)
//! ```

mod check;
mod data_type;
mod diff;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use check::{Column, ContractProjection, ProjectedColumn, Rule, Violation};
pub use data_type::{ContractType, TYPE_HELP};
pub use diff::{ContractChange, compare};
pub use yaml::to_yaml;

/// How the actual columns may differ from those of a contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evolution {
    /// Not at all.
    #[default]
    Exact,
    /// Additional columns are kept. A table may gain columns and wider types, and lose nothing.
    Additive,
    /// Additional columns are dropped. A table may gain columns and wider types, and lose nothing.
    IgnoreExtra,
}

impl Evolution {
    /// Its name in a contract file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Additive => "additive",
            Self::IgnoreExtra => "ignore_extra",
        }
    }
}

impl fmt::Display for Evolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The required columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Contract {
    /// The name, which several versions share.
    pub name: String,
    /// The version, from 1.
    pub version: u32,
    /// What the table is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How the actual columns may differ.
    pub evolution: Evolution,
    /// The columns in order.
    pub columns: Vec<ContractColumn>,
    /// The columns that identify a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The partition columns, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
}

/// A column of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContractColumn {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub data_type: ContractType,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The meaning of its values beyond their type, such as `email` or `currency.eur`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic_type: Option<String>,
}

impl Contract {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ContractColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that must not be null.
    pub fn not_null(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str())
    }

    /// Name and version, as a stage refers to it.
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// A hash of what the contract requires of rows, in 32 hexadecimal digits. It excludes descriptions, semantic
    /// types, the name and the version.
    pub fn identity(&self) -> String {
        let columns = self.columns.iter().map(|column| (&column.name, &column.data_type, column.nullable));
        let asked = serde_json::json!({
            "evolution": self.evolution,
            "columns": columns.collect::<Vec<_>>(),
            "key": self.key,
            "partition_by": self.partition_by,
        });
        blake3::hash(asked.to_string().as_bytes()).to_hex()[..32].to_owned()
    }
}

/// The contracts of a project, by name and version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contracts(pub BTreeMap<String, BTreeMap<u32, Contract>>);

impl Contracts {
    /// The contract that `reference` names: `orders` is the newest version, `orders@1` that one.
    pub fn find(&self, reference: &str) -> Option<&Contract> {
        match reference.split_once('@') {
            Some((name, version)) => self.0.get(name)?.get(&version.parse().ok()?),
            None => self.0.get(reference)?.values().next_back(),
        }
    }

    /// All valid references.
    pub fn names(&self) -> Vec<String> {
        let versions = |(name, versions): (&String, &BTreeMap<u32, Contract>)| -> Vec<String> {
            let pinned = versions.keys().map(|version| format!("{name}@{version}"));
            [name.clone()].into_iter().chain(pinned).collect()
        };
        self.0.iter().flat_map(versions).collect()
    }

    /// Every contract, by name, older versions first.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.0.values().flat_map(BTreeMap::values)
    }
}
