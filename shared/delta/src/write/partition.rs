//! Rows apart by their partition values, and those values as the log writes them.
//!
//! Delta protocol, "Partition Value Serialization".

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::compute::{cast, take_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result;

use super::check::{external, row_text};
use super::{WriteError, WriteSpec};
use crate::schema::delta_type;
use crate::values::normalised;

/// The values of a file's partition columns, in the order of the columns; `None` is null.
pub(crate) type PartitionValues = Vec<Option<String>>;

/// Splits batches of the table's columns, and of others behind them, into one batch for each combination of partition
/// values, without the partition columns.
pub(crate) struct Splitter {
    /// Where the partition columns are.
    keys: Vec<usize>,
    rows: RowConverter,
}

impl Splitter {
    /// A splitter for the table of `spec`.
    ///
    /// # Errors
    /// The engine's, if a partition column's type has no order.
    pub(crate) fn new(spec: &WriteSpec) -> Result<Self> {
        let keys = spec.partition_by.iter().map(|name| spec.schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let fields = keys.iter().map(|&place| SortField::new(spec.schema.field(place).data_type().clone()));
        let rows = RowConverter::new(fields.collect())?;
        Ok(Self { keys, rows })
    }

    /// The parts of `batch` in the order in which their values first come up. Rows keep their order.
    ///
    /// # Errors
    /// [`WriteError::PartitionValue`] for a value that the log cannot hold, and the engine's own.
    pub(crate) fn split(&self, batch: &RecordBatch, spec: &WriteSpec) -> Result<Vec<(PartitionValues, RecordBatch)>> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.keys.is_empty() {
            return Ok(vec![(Vec::new(), batch.clone())]);
        }
        let columns: Vec<ArrayRef> = self.keys.iter().map(|&place| batch.column(place).clone()).collect();
        let rows = self.rows.convert_columns(&columns)?;
        let mut places = HashMap::new();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (index, row) in (0u32..).zip(rows.iter()) {
            let place = *places.entry(row).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(index);
        }
        let data: Vec<usize> = (0..batch.num_columns()).filter(|place| !self.keys.contains(place)).collect();
        let data = batch.project(&data)?;
        let whole = groups.len() == 1;
        groups
            .into_iter()
            .map(|group| {
                let first = group.first().map_or(0, |&row| row as usize);
                let values = values_of(&columns, first).map_err(|(place, reason)| {
                    external(WriteError::PartitionValue {
                        table: spec.table.clone(),
                        column: spec.partition_by[place].clone(),
                        reason,
                        row: row_text(batch, first),
                    })
                })?;
                let part = if whole { data.clone() } else { take_record_batch(&data, &UInt32Array::from(group))? };
                Ok((values, part))
            })
            .collect()
    }
}

/// The values of `columns` in the rows of `batch`, as the log writes the partition values of files. Rows with a value that
/// the log cannot hold are left out: there is no such partition.
///
/// # Errors
/// [`WriteError::NoSuchColumn`] for a column that `batch` does not have, [`WriteError::ColumnType`] or
/// [`WriteError::CastValue`] for one that no Delta table can be partitioned by.
pub fn partition_values(batch: &RecordBatch, columns: &[String]) -> Result<Vec<Vec<Option<String>>>, WriteError> {
    let column = |name: &String| {
        let missing = || WriteError::NoSuchColumn { setting: "partition_by", column: name.clone() };
        let array = batch.column_by_name(name).ok_or_else(missing)?;
        let data_type = delta_type(name, array.data_type())?;
        cast(array, &data_type).and_then(|array| normalised(&array)).map_err(|error| WriteError::CastValue {
            table: String::new(),
            column: name.clone(),
            data_type: data_type.to_string(),
            reason: error.to_string(),
        })
    };
    let arrays = columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows()).filter_map(|row| values_of(&arrays, row).ok()).collect())
}

/// A partition value of `data_type` as this writer would put it into the log: others write `1.0` for `1`, or a time in
/// another form. What cannot be read stays as it is.
pub(crate) fn canonical_value(text: &str, data_type: &DataType) -> String {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let value = cast(&texts, data_type).and_then(|value| normalised(&value)).ok().filter(|value| value.is_valid(0));
    value.and_then(|value| value_text(&value, 0)).unwrap_or_else(|| text.to_owned())
}

/// The values of one row; the error is the place of the column that holds what the log cannot, and what that is.
fn values_of(columns: &[ArrayRef], row: usize) -> Result<PartitionValues, (usize, &'static str)> {
    columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            if column.is_null(row) {
                return Ok(None);
            }
            match value_text(column, row) {
                Some(text) if text.is_empty() => Err((place, "an empty text, which Delta would read back as null")),
                Some(text) => Ok(Some(text)),
                None => Err((place, "a date or time outside the calendar")),
            }
        })
        .collect()
}

/// A value as the log writes it. `None` outside the calendar, or for a type that cannot partition a table.
fn value_text(column: &ArrayRef, row: usize) -> Option<String> {
    Some(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => float_text(f64::from(column.as_primitive::<Float32Type>().value(row)), || {
            column.as_primitive::<Float32Type>().value(row).to_string()
        }),
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            float_text(value, || value.to_string())
        }
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Date32 => {
            let days = i64::from(column.as_primitive::<Date32Type>().value(row));
            DateTime::<Utc>::from_timestamp(days * 86_400, 0)?.format("%Y-%m-%d").to_string()
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let format = if zone.is_some() { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%d %H:%M:%S%.6f" };
            DateTime::<Utc>::from_timestamp_micros(micros)?.format(format).to_string()
        }
        DataType::Decimal128(_, _) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => return None,
    })
}

/// A float as Java and Rust readers both take it.
fn float_text(value: f64, finite: impl FnOnce() -> String) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        finite()
    }
}

/// The folder of a file with these values: `column=value/…`, for people only (readers take values from the log).
/// Characters that stores or URLs treat specially become `_`, so that paths never need escaping.
pub(super) fn folder(columns: &[String], values: &[Option<String>]) -> String {
    const LONGEST: usize = 60;
    let plain = |text: &str| -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        text.chars().take(LONGEST).map(safe).collect()
    };
    let mut path = String::new();
    for (column, value) in columns.iter().zip(values) {
        let value = value.as_deref().map_or_else(|| "__HIVE_DEFAULT_PARTITION__".to_owned(), plain);
        path.push_str(&format!("{}={value}/", plain(column)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_values_of_others_are_understood() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (theirs, data_type, ours) in [
            ("1.0", DataType::Float64, "1"),
            ("-0.0", DataType::Float64, "0"),
            ("inf", DataType::Float32, "Infinity"),
            ("NaN", DataType::Float64, "NaN"),
            ("1.5", DataType::Decimal128(10, 2), "1.50"),
            ("2026-01-02 03:04:05", micros(Some("UTC")), "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04:05.5Z", micros(Some("UTC")), "2026-01-02T03:04:05.500000Z"),
            ("2026-01-02 03:04:05", micros(None), "2026-01-02 03:04:05.000000"),
            ("a b", DataType::Utf8, "a b"),
            ("no date", DataType::Date32, "no date"),
        ] {
            assert_eq!(canonical_value(theirs, &data_type), ours, "{theirs} as {data_type}");
        }
    }
}
