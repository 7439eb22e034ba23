//! The columns that a change feed has besides those of its table. Delta protocol, "Change Data Files".

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

/// The column that says what happened to a row: `insert`, `delete`, `update_preimage` or `update_postimage`.
pub const CHANGE_TYPE: &str = "_change_type";
/// The column that says in which version it happened.
pub const COMMIT_VERSION: &str = "_commit_version";
/// The column that says when that version was committed.
pub const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

/// Names that no column of a table with a change feed may have.
pub(crate) const FEED_COLUMNS: [&str; 3] = [CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP];

/// The columns of a table with those that its change feed adds.
pub fn with_change_columns(columns: &[FieldRef]) -> SchemaRef {
    let added = [change_type(CHANGE_TYPE), commit_version(), commit_timestamp()];
    Arc::new(Schema::new(columns.iter().cloned().chain(added.map(Arc::new)).collect::<Vec<_>>()))
}

pub(crate) fn change_type(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

pub(crate) fn commit_version() -> Field {
    Field::new(COMMIT_VERSION, DataType::Int64, true)
}

pub(crate) fn commit_timestamp() -> Field {
    Field::new(COMMIT_TIMESTAMP, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
}
