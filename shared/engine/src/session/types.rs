//! The Arrow types of the column types in project files.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use windlass_project::contract::ContractType;
use windlass_project::spec::column_type::ColumnType;

/// The Arrow type in which the engine reads and writes a column of this type.
pub(super) fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::String => DataType::Utf8,
        ColumnType::Long => DataType::Int64,
        ColumnType::Integer => DataType::Int32,
        ColumnType::Short => DataType::Int16,
        ColumnType::Byte => DataType::Int8,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Binary => DataType::Binary,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::TimestampNtz => DataType::Timestamp(TimeUnit::Microsecond, None),
        // A scale is at most 38, so it fits.
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0)),
    }
}

/// The nullable field of a declared column.
pub(super) fn field((name, column_type): &(String, ColumnType)) -> Field {
    Field::new(name, data_type(*column_type), true)
}

/// The Arrow type of a column with this contract type.
pub fn contract_data_type(contract_type: &ContractType) -> DataType {
    match contract_type {
        ContractType::Primitive(primitive) => data_type(*primitive),
        ContractType::Array(item) => DataType::new_list(contract_data_type(item), true),
        ContractType::Map(key, value) => {
            let key = Field::new("key", contract_data_type(key), false);
            let value = Field::new("value", contract_data_type(value), true);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(vec![key, value].into()), false)), false)
        }
        ContractType::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| Field::new(name, contract_data_type(of), true));
            DataType::Struct(fields.collect())
        }
    }
}
