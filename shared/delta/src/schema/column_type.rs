//! Arrow types as Delta has them.
//!
//! Delta protocol, "Schema Serialization Format". Unsigned integers become the next wider signed type (64 bits stay
//! 64, checked when values are cast), nanoseconds are cut to microseconds, time zones become UTC.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, TimeUnit};

use crate::error::WriteError;

/// Characters that no column of a table without column mapping may have in its name.
const FORBIDDEN: &str = " ,;{}()\n\t=";

/// The type in which a column is stored. Everything inside nested types is nullable, except keys of maps.
///
/// # Errors
/// [`WriteError::ColumnType`] for a type without a counterpart.
pub(crate) fn delta_type(column: &str, data_type: &DataType) -> Result<DataType, WriteError> {
    let refuse = |reason: &str| {
        Err(WriteError::ColumnType {
            column: column.to_owned(),
            data_type: data_type.to_string(),
            reason: reason.to_owned(),
        })
    };
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let fits = *precision <= DECIMAL128_MAX_PRECISION && *scale >= 0 && scale.unsigned_abs() <= *precision;
            if !fits {
                return refuse("Delta has decimals of up to 38 digits, none to all of them after the decimal point");
            }
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            let item = delta_type(&format!("{column}.element"), item.data_type())?;
            DataType::List(Arc::new(Field::new("element", item, true)))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let data_type = delta_type(&format!("{column}.{}", field.name()), field.data_type())?;
                Ok(Field::new(field.name(), data_type, true))
            });
            DataType::Struct(fields.collect::<Result<Vec<_>, WriteError>>()?.into())
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return refuse("its entries are not pairs") };
            let [key, value] = pair.as_ref() else { return refuse("its entries are not pairs") };
            let key = Field::new("key", delta_type(&format!("{column}.key"), key.data_type())?, false);
            let value = Field::new("value", delta_type(&format!("{column}.value"), value.data_type())?, true);
            let pair = DataType::Struct(vec![key, value].into());
            DataType::Map(Arc::new(Field::new("key_value", pair, false)), false)
        }
        DataType::Dictionary(_, value) => delta_type(column, value)?,
        DataType::RunEndEncoded(_, value) => delta_type(column, value.data_type())?,
        DataType::Null => return refuse("it is null in every row, so it has no type"),
        DataType::Time32(_) | DataType::Time64(_) => return refuse("Delta has no type for times of day"),
        DataType::Duration(_) | DataType::Interval(_) => return refuse("Delta has no type for intervals"),
        DataType::Union(_, _) => return refuse("Delta has no type for unions"),
    })
}

/// A type by the name that Delta gives it.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "byte".to_owned(),
        DataType::Int16 => "short".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(item) => format!("array<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let names = pair.iter().map(|field| type_name(field.data_type()));
                format!("map<{}>", names.collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// The columns of `schema` as they are stored.
///
/// # Errors
/// [`WriteError::ColumnName`] or [`WriteError::ColumnType`], naming the column.
pub(crate) fn delta_fields(schema: &Schema, not_null: &[String]) -> Result<Vec<Field>, WriteError> {
    let refuse = |column: &str, reason: String| Err(WriteError::ColumnName { column: column.to_owned(), reason });
    if schema.fields().is_empty() {
        return refuse("", "a table needs at least one column".to_owned());
    }
    if let Some(unknown) = not_null.iter().find(|name| schema.index_of(name).is_err()) {
        return Err(WriteError::NoSuchColumn { setting: "not_null", column: unknown.clone() });
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        check_names(name, field.data_type())?;
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return refuse(
                name,
                format!("there is also `{other}`, and Delta does not distinguish upper and lower case"),
            );
        }
        fields.push(Field::new(name, delta_type(name, field.data_type())?, !not_null.contains(name)));
    }
    Ok(fields)
}

fn check_names(name: &str, data_type: &DataType) -> Result<(), WriteError> {
    let refuse = |reason: String| Err(WriteError::ColumnName { column: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("its name is empty".to_owned());
    }
    if let Some(character) = name.chars().find(|&character| FORBIDDEN.contains(character)) {
        return refuse(format!("{character:?} is not allowed in a name, nor is any other of {FORBIDDEN:?}"));
    }
    let inner: Vec<&Field> = match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                check_names(field.name(), field.data_type())?;
            }
            Vec::new()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => vec![item],
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => pair.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    inner.into_iter().try_for_each(|field| check_names("element", field.data_type()))
}

/// Whether a column of this type can partition a table.
fn can_partition(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Utf8
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Decimal128(_, _)
    )
}

/// Checks that `fields` can be partitioned by `partition_by`.
pub(crate) fn check_partitioning(fields: &[Field], partition_by: &[String]) -> Result<(), WriteError> {
    let refuse = |column: &str, reason: String| Err(WriteError::PartitionColumn { column: column.to_owned(), reason });
    for (place, name) in partition_by.iter().enumerate() {
        let Some(field) = fields.iter().find(|field| field.name() == name) else {
            return Err(WriteError::NoSuchColumn { setting: "partition_by", column: name.clone() });
        };
        if !can_partition(field.data_type()) {
            return refuse(name, format!("its type is {}", type_name(field.data_type())));
        }
        if partition_by[..place].contains(name) {
            return refuse(name, "it is named twice".to_owned());
        }
    }
    match partition_by.last().filter(|_| partition_by.len() == fields.len()) {
        Some(last) => refuse(last, "at least one column must be left for the data files".to_owned()),
        None => Ok(()),
    }
}
