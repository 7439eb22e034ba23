//! Column lineage: on which columns of what a stage has read each column of its result depends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::ids::NodeName;

/// What the columns of a result depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnLineage {
    /// Its columns, in order.
    pub columns: Vec<ColumnOrigins>,
    /// What decides which rows there are, and their order: this affects every column. All uses are indirect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<ColumnOrigin>,
}

/// What one column depends on, besides what decides which rows there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnOrigins {
    /// The column.
    pub name: String,
    /// What its values are made of, and what decides about them; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<ColumnOrigin>,
}

/// A column of what was read, and what was done with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnOrigin {
    /// The source or stage.
    pub table: NodeName,
    /// Its column.
    pub column: String,
    /// What was done with it.
    pub how: ColumnUse,
}

/// What a query does with a column. The later of two that follow each other stands for both: the direct uses come first, by how
/// much they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnUse {
    /// Direct: the value as it is, perhaps as another type.
    Identity,
    /// Direct: the argument of an expression, or a list whose elements become rows.
    Transformation,
    /// Direct: the argument of an aggregate.
    Aggregation,
    /// Indirect: in the condition of a `CASE`.
    Conditional,
    /// Indirect: decides which rows are taken.
    Filter,
    /// Indirect: in the condition of a join.
    Join,
    /// Indirect: rows are grouped by it, or duplicates are found with it.
    GroupBy,
    /// Indirect: rows are ordered by it.
    Sort,
    /// Indirect: a window is partitioned or ordered by it.
    Window,
}

impl ColumnUse {
    /// Whether values are made of the column; otherwise it only decides about them.
    pub fn is_direct(self) -> bool {
        self <= Self::Aggregation
    }

    /// `direct` or `indirect`.
    pub fn kind(self) -> &'static str {
        if self.is_direct() { "direct" } else { "indirect" }
    }

    /// The use as JSON and SQL write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Transformation => "transformation",
            Self::Aggregation => "aggregation",
            Self::Conditional => "conditional",
            Self::Filter => "filter",
            Self::Join => "join",
            Self::GroupBy => "group_by",
            Self::Sort => "sort",
            Self::Window => "window",
        }
    }
}
