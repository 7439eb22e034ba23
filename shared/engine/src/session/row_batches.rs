//! Converts inline rows to batches of the engine, and back.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, new_empty_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use windlass_project::contract::ContractType;
use windlass_project::literal_rows::{Cell, Row};

use super::types::contract_data_type;

/// The schema of columns that may all be null.
pub fn schema_of(columns: &[(String, ContractType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, of)| Field::new(name, contract_data_type(of), true));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Rows as a batch of that schema.
///
/// # Errors
/// The engine's, if a cell is not of its column's type.
pub fn batch_of(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let columns = schema.fields().iter().enumerate().map(|(place, field)| {
        let cells: Vec<&Cell> = rows.iter().map(|row| row.get(place).unwrap_or(&Cell::Null)).collect();
        array_of(&cells, field.data_type())
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_>>()?, &options)?)
}

fn array_of(cells: &[&Cell], data_type: &DataType) -> Result<ArrayRef> {
    let nulls = || Some(NullBuffer::from_iter(cells.iter().map(|cell| **cell != Cell::Null)));
    match data_type {
        DataType::List(item) => {
            let lists = cells.iter().map(|cell| if let Cell::List(items) = cell { items.as_slice() } else { &[] });
            let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[Cell]>::len));
            let values = array_of(&lists.flatten().collect::<Vec<_>>(), item.data_type())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls())?))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(DataFusionError::Internal("a map without pairs".to_owned()));
            };
            let maps = cells.iter().map(|cell| if let Cell::Map(pairs) = cell { pairs.as_slice() } else { &[] });
            let offsets = OffsetBuffer::from_lengths(maps.clone().map(<[(Cell, Cell)]>::len));
            let (keys, values): (Vec<&Cell>, Vec<&Cell>) = maps.flatten().map(|(key, value)| (key, value)).unzip();
            let arrays = vec![array_of(&keys, pair[0].data_type())?, array_of(&values, pair[1].data_type())?];
            let pairs = StructArray::try_new(pair.clone(), arrays, None)?;
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls(), *sorted)?))
        }
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| {
                let values: Vec<&Cell> = cells.iter().map(|cell| field_of(cell, field.name())).collect();
                array_of(&values, field.data_type())
            };
            let arrays = fields.iter().map(field).collect::<Result<_>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, nulls())?))
        }
        _ if cells.is_empty() => Ok(new_empty_array(data_type)),
        _ => {
            let values = cells.iter().map(|cell| scalar_of(cell, data_type)).collect::<Result<Vec<_>>>()?;
            ScalarValue::iter_to_array(values)
        }
    }
}

fn field_of<'c>(cell: &'c Cell, name: &str) -> &'c Cell {
    let Cell::Struct(fields) = cell else { return &Cell::Null };
    fields.iter().find(|(field, _)| field == name).map_or(&Cell::Null, |(_, value)| value)
}

/// A cell that is not a list, map or struct, as a value of that type.
///
/// # Errors
/// The engine's, if it is of another type.
pub fn scalar_of(cell: &Cell, data_type: &DataType) -> Result<ScalarValue> {
    let plain = match cell {
        Cell::Null => return ScalarValue::try_from(data_type),
        Cell::Boolean(value) => ScalarValue::from(*value),
        Cell::Integer(value) => ScalarValue::from(*value),
        Cell::Float(value) => ScalarValue::from(*value),
        Cell::Decimal { unscaled, .. } => {
            let DataType::Decimal128(precision, scale) = data_type else {
                return Err(DataFusionError::Internal(format!("{cell} in a column of type {data_type}")));
            };
            return Ok(ScalarValue::Decimal128(Some(*unscaled), *precision, *scale));
        }
        Cell::Text(text) => ScalarValue::from(text.as_str()),
        Cell::Bytes(bytes) => ScalarValue::Binary(Some(bytes.clone())),
        Cell::Date(days) => ScalarValue::Date32(Some(*days)),
        Cell::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into())),
        Cell::TimestampNtz(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Cell::List(_) | Cell::Struct(_) | Cell::Map(_) => {
            return Err(DataFusionError::NotImplemented(format!("rows cannot be found by the nested value {cell}")));
        }
    };
    plain.cast_to(data_type)
}

/// A column in its Delta type, as cells.
///
/// # Errors
/// Arrow's, if the column cannot be cast to that type.
pub fn cells_of(array: &ArrayRef, of: &ContractType) -> Result<Vec<Cell>, ArrowError> {
    let array = cast(array, &contract_data_type(of))?;
    Ok((0..array.len()).map(|row| cell_at(&array, row)).collect())
}

fn cell_at(array: &ArrayRef, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    let all = |items: &ArrayRef| (0..items.len()).map(|item| cell_at(items, item)).collect::<Vec<_>>();
    match array.data_type() {
        DataType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Integer(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Cell::Integer(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Cell::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            scale: u8::try_from(*scale).unwrap_or(0),
        },
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date32 => Cell::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(_, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Cell::Timestamp(micros) } else { Cell::TimestampNtz(micros) }
        }
        DataType::List(_) => Cell::List(all(&array.as_list::<i32>().value(row))),
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            Cell::Map(all(pairs.column(0)).into_iter().zip(all(pairs.column(1))).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Cell::Struct(columns.map(|(field, column)| (field.name().clone(), cell_at(column, row))).collect())
        }
        // Contract types are always read unchanged.
        other => Cell::Text(format!("a value of type {other}")),
    }
}
