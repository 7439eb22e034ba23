//! One way in which a table and what is to be written to it differ.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One way in which a table and what is to be written to it differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// The table does not have the column.
    NewColumn(String),
    /// The table has a column that is not written.
    MissingColumn(String),
    /// The column's types differ.
    ColumnType {
        /// The column.
        column: String,
        /// The type to be written.
        wanted: String,
        /// The type that the table has.
        found: String,
    },
    /// Only one of both forbids nulls in the column.
    Nullability {
        /// The column.
        column: String,
        /// Whether nulls are to be forbidden.
        wanted_not_null: bool,
    },
    /// The partition columns differ.
    PartitionColumns {
        /// Those of the definition.
        wanted: Vec<String>,
        /// Those of the table.
        found: Vec<String>,
    },
    /// The table lacks a constraint or has another condition for it.
    Constraint {
        /// The constraint.
        name: String,
        /// The definition's condition.
        wanted: String,
        /// The table's condition.
        found: Option<String>,
    },
}

impl Difference {
    /// Whether the table merely demands more of a row than the definition does. Rows that meet the demand, which is
    /// checked, fit the table as it is.
    pub(crate) fn is_stricter_table(&self) -> bool {
        matches!(self, Self::Nullability { wanted_not_null: false, .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewColumn(column) => write!(f, "the table has no column `{column}`"),
            Self::MissingColumn(column) => write!(f, "the table's column `{column}` is missing from the rows"),
            Self::ColumnType { column, wanted, found } => {
                write!(f, "column `{column}` is {wanted}, but {found} in the table")
            }
            Self::Nullability { column, wanted_not_null: true } => {
                write!(f, "column `{column}` is to be NOT NULL, but the table allows nulls")
            }
            Self::Nullability { column, wanted_not_null: false } => {
                write!(f, "column `{column}` is NOT NULL in the table, but not in the definition")
            }
            Self::PartitionColumns { wanted, found } => {
                write!(
                    f,
                    "it is to be partitioned by ({}), but the table is by ({})",
                    wanted.join(", "),
                    found.join(", ")
                )
            }
            Self::Constraint { name, wanted, found: Some(found) } => {
                write!(f, "constraint `{name}` is `{wanted}`, but `{found}` in the table")
            }
            Self::Constraint { name, wanted, found: None } => {
                write!(f, "the table has no constraint `{name}` (`{wanted}`)")
            }
        }
    }
}
