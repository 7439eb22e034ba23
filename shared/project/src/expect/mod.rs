//! Expectations: data quality rules for the rows of a stage, and what happens on a violation.
//!
//! ```text
//! stage header ─→ Expectation ─┬─ on single rows: a SQL condition                (condition)
//!                              ├─ on several rows: unique, references
//!                              └─ on all rows: their number, the newest value
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_base::count::{count, counted};
use windlass_base::ids::NodeName;

use crate::spec::Span;
use crate::tag::Tags;

/// What the name and the location of a quarantine end with, behind those of its stage's table.
pub const QUARANTINE_SUFFIX: &str = "__quarantine";

/// A data quality rule for the rows of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Its name, unique within the stage.
    pub name: String,
    /// What is expected.
    pub rule: Rule,
    /// What happens on a violation.
    pub severity: Severity,
    /// Its tags, in addition to those of its stage.
    pub tags: Tags,
    /// Where the value of each tag is written.
    pub tag_places: BTreeMap<String, Span>,
    /// Where it is written.
    pub span: Span,
}

/// What happens when an expectation is violated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A warning is logged, and the rows are committed.
    Warn,
    /// The stage fails, and its table is unchanged.
    #[default]
    Fail,
    /// Violating rows go to a separate table; the others are committed.
    Quarantine,
}

impl Severity {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
        }
    }
}

/// What is expected. Except for [`Rule::NotNull`] and [`Rule::Sql`], a null is not a violation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No null in these columns.
    NotNull {
        /// The columns.
        columns: Vec<String>,
    },
    /// No two rows with the same values in these columns.
    Unique {
        /// The columns.
        columns: Vec<String>,
    },
    /// One of some values.
    AcceptedValues {
        /// The column.
        column: String,
        /// The values as SQL literals.
        values: Vec<String>,
    },
    /// No value below `min` or above `max`.
    Range {
        /// The column.
        column: String,
        /// The smallest value, as a SQL literal.
        min: Option<String>,
        /// The largest value, as a SQL literal.
        max: Option<String>,
    },
    /// Text that a regular expression matches.
    Matches {
        /// The column.
        column: String,
        /// The expression, in Rust's syntax.
        pattern: String,
    },
    /// A row of another source or stage has the same values.
    References {
        /// The columns.
        columns: Vec<String>,
        /// The other node.
        to: NodeName,
        /// Its columns, in the same order.
        key: Vec<String>,
    },
    /// A SQL condition on the row; null counts as false.
    Sql {
        /// The condition.
        condition: String,
    },
    /// The number of rows, if all rows are computed.
    RowCount {
        /// The minimum.
        min: Option<u64>,
        /// The maximum.
        max: Option<u64>,
    },
    /// The largest value of a column of times is not older than this.
    Freshness {
        /// The column.
        column: String,
        /// Seconds before the run began.
        within_seconds: u64,
    },
}

impl Rule {
    /// The key that a project writes for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotNull { .. } => "not_null",
            Self::Unique { .. } => "unique",
            Self::AcceptedValues { .. } => "accepted_values",
            Self::Range { .. } => "range",
            Self::Matches { .. } => "matches",
            Self::References { .. } => "references",
            Self::Sql { .. } => "sql",
            Self::RowCount { .. } => "row_count",
            Self::Freshness { .. } => "freshness",
        }
    }

    /// Whether it is about rows, alone or in relation to each other, so that violating rows can be quarantined.
    pub fn is_about_rows(&self) -> bool {
        !matches!(self, Self::RowCount { .. } | Self::Freshness { .. })
    }

    /// The columns that it uses, except those that only occur in SQL.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::NotNull { columns } | Self::Unique { columns } | Self::References { columns, .. } => {
                columns.iter().map(String::as_str).collect()
            }
            Self::AcceptedValues { column, .. }
            | Self::Range { column, .. }
            | Self::Matches { column, .. }
            | Self::Freshness { column, .. } => vec![column],
            Self::Sql { .. } | Self::RowCount { .. } => Vec::new(),
        }
    }

    /// The SQL condition that is true for every valid row, for rules about single rows.
    pub fn condition(&self) -> Option<String> {
        match self {
            Self::NotNull { columns } => Some(
                columns
                    .iter()
                    .map(|column| format!("{} IS NOT NULL", quoted(column)))
                    .collect::<Vec<_>>()
                    .join(" AND "),
            ),
            Self::AcceptedValues { column, values } => {
                let column = quoted(column);
                Some(format!("{column} IS NULL OR {column} IN ({})", values.join(", ")))
            }
            Self::Range { column, min, max } => {
                let column = quoted(column);
                let bound =
                    |sign: &str, bound: &Option<String>| bound.as_ref().map(|bound| format!("{column} {sign} {bound}"));
                let bounds: Vec<String> = [bound(">=", min), bound("<=", max)].into_iter().flatten().collect();
                Some(format!("{column} IS NULL OR ({})", bounds.join(" AND ")))
            }
            Self::Matches { column, pattern } => {
                let column = quoted(column);
                Some(format!("{column} IS NULL OR regexp_like({column}, '{}')", pattern.replace('\'', "''")))
            }
            Self::Sql { condition } => Some(condition.clone()),
            Self::Unique { .. } | Self::References { .. } | Self::RowCount { .. } | Self::Freshness { .. } => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |columns: &[String]| columns.join(", ");
        match self {
            Self::NotNull { columns } => write!(f, "no null in {}", list(columns)),
            Self::Unique { columns } => write!(f, "no two rows with one ({})", list(columns)),
            Self::AcceptedValues { column, values } => write!(f, "{column} is one of {}", values.join(", ")),
            Self::Range { column, min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "{column} is from {min} to {max}"),
                (Some(min), None) => write!(f, "{column} is at least {min}"),
                (None, Some(max)) => write!(f, "{column} is at most {max}"),
                (None, None) => write!(f, "{column} is anything"),
            },
            Self::Matches { column, pattern } => write!(f, "{column} matches `{pattern}`"),
            Self::References { columns, to, key } => {
                write!(f, "({}) is a ({}) of `{to}`", list(columns), list(key))
            }
            Self::Sql { condition } => f.write_str(condition),
            Self::RowCount { min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "from {} to {}", count(*min), counted(*max, "row")),
                (Some(min), None) => write!(f, "at least {}", counted(*min, "row")),
                (None, Some(max)) => write!(f, "at most {}", counted(*max, "row")),
                (None, None) => write!(f, "any number of rows"),
            },
            Self::Freshness { column, within_seconds } => {
                write!(f, "the newest {column} is at most {within_seconds} s old")
            }
        }
    }
}

/// A column's name in SQL.
fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}
