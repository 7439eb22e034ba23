//! The answer to a question about lineage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, RunId, TableVersion};

use crate::artifact::ColumnUse;

/// What a table or column was made of, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lineage {
    /// The table or source that was asked about.
    pub table: NodeName,
    /// Its column, if one was asked about.
    pub column: Option<String>,
    /// The tables and sources, from the nearest to the farthest.
    pub tables: Vec<LineageTable>,
    /// Which of them was made of which.
    pub edges: Vec<LineageEdge>,
    /// Which columns depend on which, if a column was asked about.
    pub columns: Vec<ColumnEdge>,
}

/// A table or source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineageTable {
    /// Its name.
    pub name: NodeName,
    /// On which side of the question it is.
    pub side: Side,
    /// How many steps away it is.
    pub distance: u32,
    /// Its version, if it has versions: the newest one of a table, of a source the one that the newest run has read.
    pub version: Option<TableVersion>,
    /// The run that made this version; none of a source.
    pub run_id: Option<RunId>,
    /// Where it is, for a table.
    pub location: Option<String>,
}

/// On which side of a question something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It was asked about.
    Asked,
    /// What was asked about was made of it.
    Upstream,
    /// It was made of what was asked about.
    Downstream,
}

impl Side {
    /// The side as JSON and tables write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

/// A version that was made of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineageEdge {
    /// What was read.
    pub from: NodeName,
    /// At which version, if it has versions.
    pub from_version: Option<TableVersion>,
    /// What was made of it.
    pub to: NodeName,
    /// The version that was made.
    pub to_version: Option<TableVersion>,
    /// The run that made it.
    pub run_id: Option<RunId>,
}

/// A column that depends on another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ColumnEdge {
    /// What was read.
    pub from: NodeName,
    /// Its column.
    pub from_column: String,
    /// What was made of it.
    pub to: NodeName,
    /// Its column; none if the rows of the whole table depend on it.
    pub to_column: Option<String>,
    /// What was done with it.
    pub how: ColumnUse,
    /// Whether values were made of it; otherwise it only decided about them.
    pub direct: bool,
}
