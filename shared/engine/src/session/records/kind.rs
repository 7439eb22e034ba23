//! The column types of value kinds.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
pub(super) use windlass_project::literal_rows::value_kind::Kind;

/// The column type of a kind.
pub(super) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Nothing | Kind::Text => DataType::Utf8,
        Kind::Boolean => DataType::Boolean,
        Kind::Whole | Kind::Long => DataType::Int64,
        Kind::Huge => DataType::Decimal128(38, 0),
        Kind::Double => DataType::Float64,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::FineTime => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Kind::ZonedTime => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}
