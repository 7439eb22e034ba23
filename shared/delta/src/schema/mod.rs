//! The schema of a table: Arrow types as Delta has them, and the columns that a change feed adds.
//!
//! ```text
//! columns of a result ─column_type→ the types in which they are stored, and by what names     (column_type)
//!     ─contract→ as contracts name them                                                       (contract)
//!     ─schema_json→ the Delta schema text of a table's metadata                               (schema_json)
//! columns of a table ─change_feed→ those of its changes                                       (change_feed)
//! ```

pub(crate) mod change_feed;
mod column_type;
mod contract;
pub(crate) mod schema_json;

use datafusion::arrow::datatypes::DataType;

pub(crate) use column_type::{check_partitioning, delta_fields, delta_type, type_name};
pub use contract::contract_columns;

use crate::error::WriteError;

/// The type in which a Delta table holds values of `data_type`.
///
/// # Errors
/// [`WriteError::ColumnType`] for a type without a counterpart.
pub fn stored_type(data_type: &DataType) -> Result<DataType, WriteError> {
    delta_type("", data_type)
}
