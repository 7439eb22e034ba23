//! Compares two versions of a contract: what has changed, and whether it breaks readers or writers of the table.

use std::fmt;

use serde::Serialize;

use super::{Contract, ContractColumn, Evolution};

/// One difference between two versions of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ContractChange {
    /// The affected column, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What has changed.
    pub what: String,
    /// Whether users of the older version have to react.
    pub breaking: bool,
}

impl fmt::Display for ContractChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.breaking { "breaking" } else { "fine" };
        match &self.column {
            Some(column) => write!(f, "{mark}: {column}: {}", self.what),
            None => write!(f, "{mark}: {}", self.what),
        }
    }
}

/// Every difference between two versions, in the order of the columns. A dropped column, a type that is not wider, and
/// new nulls break readers; a different key breaks consumers of changes.
pub fn compare(old: &Contract, new: &Contract) -> Vec<ContractChange> {
    let mut changes = Vec::new();
    let mut note = |column: Option<&str>, breaking: bool, what: String| {
        changes.push(ContractChange { column: column.map(str::to_owned), what, breaking });
    };
    for before in &old.columns {
        match new.column(&before.name) {
            None => note(Some(&before.name), true, format!("was removed, it was {}", before.data_type)),
            Some(after) => compare_column(before, after, &mut note),
        }
    }
    for added in new.columns.iter().filter(|column| old.column(&column.name).is_none()) {
        let null = if added.nullable { "" } else { " not null" };
        note(Some(&added.name), false, format!("is new: {}{null}", added.data_type));
    }
    let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    if old.key != new.key {
        note(None, true, format!("the key was {}, and is {}", list(&old.key), list(&new.key)));
    }
    if old.partition_by != new.partition_by {
        let (before, after) = (list(&old.partition_by), list(&new.partition_by));
        note(None, false, format!("it was partitioned by {before}, and is by {after}"));
    }
    if old.evolution != new.evolution {
        let stays = new.evolution == Evolution::Exact;
        note(None, !stays, format!("the policy was `{}`, and is `{}`", old.evolution, new.evolution));
    }
    changes
}

fn compare_column(before: &ContractColumn, after: &ContractColumn, note: &mut impl FnMut(Option<&str>, bool, String)) {
    let name = Some(before.name.as_str());
    if before.data_type != after.data_type {
        let wider = before.data_type.widens_to(&after.data_type);
        let how = if wider { ", which is wider" } else { "" };
        note(name, !wider, format!("was {}, and is {}{how}", before.data_type, after.data_type));
    }
    match (before.nullable, after.nullable) {
        (false, true) => note(name, true, "was never null, and may be null now".to_owned()),
        (true, false) => note(name, false, "may not be null any more".to_owned()),
        _ => {}
    }
    if before.semantic_type != after.semantic_type {
        let text = |semantic: &Option<String>| semantic.clone().unwrap_or_else(|| "nothing in particular".to_owned());
        let (before, after) = (text(&before.semantic_type), text(&after.semantic_type));
        note(name, true, format!("meant {before}, and means {after}"));
    }
}
