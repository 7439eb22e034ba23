//! Rows written in a project's files, in YAML or CSV: parsed as literals, then converted to the types of their columns.
//!
//! ```text
//! YAML list, CSV file ─→ RowsSpec of Literal ─┬ columns_of: inferred types     ─┐
//!                                             └─────────────────────────────────┴ rows_of ─→ Row of Cell
//! ```

mod cell;
mod csv;
mod infer_types;
mod literal;
pub mod number;
mod spec;
pub mod timestamp;
mod typed_rows;
pub mod value_kind;

use crate::contract::ContractType;

pub use cell::Cell;
pub(crate) use csv::parse as parse_csv;
pub use literal::{Literal, LiteralValue, Mismatch};
pub use spec::{RowSpec, RowsSpec};
pub(crate) use typed_rows::{check_complete, check_name, columns_of, report_mismatch, rows_of};

/// A row, one cell per column.
pub type Row = Vec<Cell>;

/// Columns with their types.
pub type Columns = Vec<(String, ContractType)>;
