//! What the log says about the rows of each file: counts, bounds and nulls, as arrays with an element a file.
//!
//! Delta protocol, "Per-file Statistics". Three things make the bounds less than they seem:
//!
//! * Text may be cut short (the lower bound stays below, the upper is raised above), and times are cut to
//!   milliseconds: bounds of these are true but not exact, and an upper bound in time is raised by what was cut.
//! * Writers differ over NaN: some leave it out of the upper bound. Since the engine orders NaN above every number, an
//!   upper bound of a float proves nothing and is never used to skip a file. It also orders -0.0 below 0.0, and writers differ
//!   over that too: a lower bound of zero is taken for -0.0.
//! * Decimals of more than 15 digits may have gone through a float on their way into the log; their bounds are widened.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;

/// Microseconds that may have been cut off a time in the log.
const CUT_MICROS: i64 = 999;

/// Digits that survive a double.
const DOUBLE_DIGITS: u8 = 15;

/// The statistics of a table's files.
#[derive(Debug, Clone)]
pub(super) struct FileStatistics {
    schema: SchemaRef,
    /// Rows in a file before deletion vectors; null where unknown.
    rows: UInt64Array,
    /// By column of `schema`.
    columns: Vec<ColumnBounds>,
}

/// One column's bounds and null counts, an element a file; null where unknown.
#[derive(Debug, Clone)]
struct ColumnBounds {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: UInt64Array,
    /// Whether a bound is a value that occurs.
    exact: bool,
}

impl FileStatistics {
    /// Parses the JSON texts of `stats`, whose columns go by `physical` names (in the order of `schema`). Partition
    /// columns, which the log leaves out, are added by [`FileStatistics::with_partition`].
    pub(super) fn parse(schema: &SchemaRef, physical: &[String], stats: &[StringArray]) -> Result<Self, ArrowError> {
        let counts = parse_all(stats, &counts_schema(schema, physical))?;
        let bounds = parse_all(stats, &bounds_schema(schema, physical))?;
        let total = counts.num_rows();
        let nested = |batch: &RecordBatch, group: &str, name: &str| -> Option<ArrayRef> {
            let values = batch.column_by_name(group)?.as_struct_opt()?;
            let column = values.column_by_name(name)?;
            // A null struct hides whatever its children hold.
            match values.nulls() {
                None => Some(Arc::clone(column)),
                Some(nulls) => {
                    datafusion::arrow::compute::nullif(column, &BooleanArray::new(!nulls.inner(), None)).ok()
                }
            }
        };
        let columns = schema
            .fields()
            .iter()
            .zip(physical)
            .map(|(field, name)| ColumnBounds {
                min: nested(&bounds, "minValues", name).map(|array| lowered(&array)),
                max: nested(&bounds, "maxValues", name).map(|array| raised(&array)),
                nulls: nested(&counts, "nullCount", name)
                    .map_or_else(|| UInt64Array::new_null(total), |a| to_counts(&a)),
                exact: bounds_are_values(field.data_type()),
            })
            .collect();
        let rows = counts.column_by_name("numRecords").map_or_else(|| UInt64Array::new_null(total), to_counts);
        Ok(Self { schema: Arc::clone(schema), rows, columns })
    }

    /// Sets column `index` to the partition `values`, one a file: each is the only value of its file.
    pub(super) fn with_partition(mut self, index: usize, values: &ArrayRef) -> Self {
        let nulls = (0..values.len())
            .map(|file| if values.is_valid(file) { Some(0) } else { self.rows_before_deletes(file) })
            .collect();
        self.columns[index] =
            ColumnBounds { min: Some(Arc::clone(values)), max: Some(Arc::clone(values)), nulls, exact: true };
        self
    }

    /// The same files in the order of `indices`.
    pub(super) fn reordered(self, indices: &UInt32Array) -> Result<Self, ArrowError> {
        let reorder = |array: &ArrayRef| take(array, indices, None);
        let columns = self
            .columns
            .iter()
            .map(|column| {
                Ok(ColumnBounds {
                    min: column.min.as_ref().map(reorder).transpose()?,
                    max: column.max.as_ref().map(reorder).transpose()?,
                    nulls: take(&column.nulls, indices, None)?.as_primitive().clone(),
                    exact: column.exact,
                })
            })
            .collect::<Result<_, ArrowError>>()?;
        Ok(Self { schema: self.schema, rows: take(&self.rows, indices, None)?.as_primitive().clone(), columns })
    }

    /// The rows in `file` before its deletion vector, if the log counts them.
    pub(super) fn rows_before_deletes(&self, file: usize) -> Option<u64> {
        self.rows.is_valid(file).then(|| self.rows.value(file))
    }

    /// What is known of the rows of `files` together. `deleted` is how many of a file's rows its deletion vector
    /// removes; with any, nothing is exact. Columns are in the order of `order`, which indexes the table's columns.
    pub(super) fn summary(
        &self,
        files: &[usize],
        order: &[usize],
        bytes: u64,
        deleted: impl Fn(usize) -> Option<u64>,
    ) -> Result<Statistics> {
        let mut rows = Some(0u64);
        let mut exact = true;
        for file in files {
            let gone = deleted(*file);
            exact &= gone.is_none();
            rows = rows
                .zip(self.rows_before_deletes(*file))
                .map(|(sum, rows)| sum + rows.saturating_sub(gone.unwrap_or_default()));
        }
        let precise =
            |count: u64| if exact { Precision::Exact(count as usize) } else { Precision::Inexact(count as usize) };
        let indices = UInt32Array::from_iter_values(files.iter().map(|file| *file as u32));
        let column_statistics = order
            .iter()
            .map(|column| self.column_summary(*column, files, &indices, exact))
            .collect::<Result<Vec<_>>>()?;
        Ok(Statistics {
            num_rows: rows.map_or(Precision::Absent, precise),
            // The bytes of compressed files stand for the size of the rows, for want of better.
            total_byte_size: Precision::Inexact(bytes as usize),
            column_statistics,
        })
    }

    fn column_summary(
        &self,
        column: usize,
        files: &[usize],
        indices: &UInt32Array,
        exact: bool,
    ) -> Result<ColumnStatistics> {
        let bounds = &self.columns[column];
        let nulls = files
            .iter()
            .map(|file| bounds.nulls.is_valid(*file).then(|| bounds.nulls.value(*file)))
            .sum::<Option<u64>>();
        // A file without bounds is no hole if all of its rows are null.
        let all_null = |file: usize| {
            bounds.nulls.is_valid(file) && Some(bounds.nulls.value(file)) == self.rows_before_deletes(file)
        };
        let overall =
            |array: &Option<ArrayRef>, pick: fn(&ArrayRef) -> Result<ScalarValue>| -> Result<Precision<ScalarValue>> {
                let Some(array) = array else { return Ok(Precision::Absent) };
                if files.iter().any(|file| array.is_null(*file) && !all_null(*file)) {
                    return Ok(Precision::Absent);
                }
                let value = pick(&take(array, indices, None)?)?;
                Ok(match (value.is_null(), exact && bounds.exact) {
                    (true, _) => Precision::Absent,
                    (false, true) => Precision::Exact(value),
                    (false, false) => Precision::Inexact(value),
                })
            };
        let mut summary = ColumnStatistics::new_unknown();
        summary.null_count = match nulls {
            None => Precision::Absent,
            Some(count) if exact => Precision::Exact(count as usize),
            Some(count) => Precision::Inexact(count as usize),
        };
        summary.min_value = overall(&bounds.min, least)?;
        summary.max_value = overall(&bounds.max, greatest)?;
        Ok(summary)
    }

    /// How many different values column `column`, a partition column, has in `files`.
    pub(super) fn distinct_partition_values(&self, column: usize, files: &[usize]) -> Result<usize> {
        let Some(values) = &self.columns[column].min else { return Ok(0) };
        let distinct: HashSet<ScalarValue> = files
            .iter()
            .filter(|file| values.is_valid(**file))
            .map(|file| ScalarValue::try_from_array(values, *file))
            .collect::<Result<_>>()?;
        Ok(distinct.len())
    }

    fn column(&self, column: &Column) -> Option<(&Field, &ColumnBounds)> {
        let index = self.schema.index_of(column.name()).ok()?;
        Some((self.schema.field(index), &self.columns[index]))
    }
}

impl PruningStatistics for FileStatistics {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column)?.1.min.clone()
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let (field, bounds) = self.column(column)?;
        if field.data_type().is_floating() && !bounds.exact {
            return None;
        }
        bounds.max.clone()
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.column(column)?.1.nulls.clone()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

fn least(values: &ArrayRef) -> Result<ScalarValue> {
    let mut least = MinAccumulator::try_new(values.data_type())?;
    least.update_batch(std::slice::from_ref(values))?;
    least.evaluate()
}

fn greatest(values: &ArrayRef) -> Result<ScalarValue> {
    let mut greatest = MaxAccumulator::try_new(values.data_type())?;
    greatest.update_batch(std::slice::from_ref(values))?;
    greatest.evaluate()
}

/// Whether the log's bounds of a column of this type are values that occur in it.
fn bounds_are_values(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => *precision <= DOUBLE_DIGITS,
        other => other.is_signed_integer() || matches!(other, DataType::Date32),
    }
}

fn has_bounds(data_type: &DataType) -> bool {
    data_type.is_signed_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Utf8
                | DataType::Date32
                | DataType::Decimal128(_, _)
                | DataType::Timestamp(TimeUnit::Microsecond, _)
        )
}

fn has_null_count(data_type: &DataType) -> bool {
    has_bounds(data_type) || matches!(data_type, DataType::Boolean | DataType::Binary)
}

fn counts_schema(schema: &Schema, physical: &[String]) -> SchemaRef {
    let nulls = fields_of(schema, physical, has_null_count, |_| DataType::Int64);
    Arc::new(Schema::new(vec![
        Field::new("numRecords", DataType::Int64, true),
        Field::new("nullCount", DataType::Struct(nulls.into()), true),
    ]))
}

fn bounds_schema(schema: &Schema, physical: &[String]) -> SchemaRef {
    let bounds = fields_of(schema, physical, has_bounds, DataType::clone);
    let bounds = DataType::Struct(bounds.into());
    Arc::new(Schema::new(vec![Field::new("minValues", bounds.clone(), true), Field::new("maxValues", bounds, true)]))
}

fn fields_of(
    schema: &Schema,
    physical: &[String],
    wanted: fn(&DataType) -> bool,
    as_type: fn(&DataType) -> DataType,
) -> Vec<Field> {
    schema
        .fields()
        .iter()
        .zip(physical)
        .filter(|(field, _)| wanted(field.data_type()))
        .map(|(field, name)| Field::new(name, as_type(field.data_type()), true))
        .collect()
}

/// The records of `stats` as rows of `schema`; a text that does not fit is a row of nulls.
fn parse_all(stats: &[StringArray], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut parts = Vec::with_capacity(stats.len());
    for texts in stats {
        let part = match parse_texts(texts, schema) {
            Ok(part) => part,
            Err(_) => {
                let rows = (0..texts.len())
                    .map(|row| {
                        parse_texts(&texts.slice(row, 1), schema)
                            .or_else(|_| parse_texts(&StringArray::new_null(1), schema))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                concat_structs(&rows, schema)?
            }
        };
        parts.push(part);
    }
    concat_structs(&parts, schema).map(RecordBatch::from)
}

fn concat_structs(parts: &[StructArray], schema: &SchemaRef) -> Result<StructArray, ArrowError> {
    if parts.is_empty() {
        return Ok(new_null_array(&DataType::Struct(schema.fields().clone()), 0).as_struct().clone());
    }
    let parts: Vec<&dyn Array> = parts.iter().map(|part| part as &dyn Array).collect();
    Ok(concat(&parts)?.as_struct().clone())
}

fn parse_texts(texts: &StringArray, schema: &SchemaRef) -> Result<StructArray, ArrowError> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(texts.len().max(1)).build_decoder()?;
    for text in texts {
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}");
        if decoder.decode(text.as_bytes())? != text.len() {
            return Err(ArrowError::JsonError("more than one record for a file".to_owned()));
        }
    }
    let batch = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)));
    if batch.num_rows() == texts.len() {
        Ok(StructArray::from(batch))
    } else {
        Err(ArrowError::JsonError("not one record a file".to_owned()))
    }
}

fn to_counts(array: &ArrayRef) -> UInt64Array {
    array.as_primitive::<Int64Type>().iter().map(|count| count.and_then(|count| u64::try_from(count).ok())).collect()
}

/// A lower bound that holds despite what the log may have lost.
fn lowered(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Decimal128(precision, _) if *precision > DOUBLE_DIGITS => {
            widened_decimals(array, |value, slack| value.saturating_sub(slack))
        }
        // A lower bound that holds for either zero; NaN is none.
        DataType::Float32 => {
            let below = |least: f32| (!least.is_nan()).then_some(if least == 0.0 { -0.0 } else { least });
            Arc::new(array.as_primitive::<Float32Type>().unary_opt::<_, Float32Type>(below))
        }
        DataType::Float64 => {
            let below = |least: f64| (!least.is_nan()).then_some(if least == 0.0 { -0.0 } else { least });
            Arc::new(array.as_primitive::<Float64Type>().unary_opt::<_, Float64Type>(below))
        }
        _ => Arc::clone(array),
    }
}

/// An upper bound that holds despite what the log may have lost.
fn raised(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Decimal128(precision, _) if *precision > DOUBLE_DIGITS => {
            widened_decimals(array, i128::saturating_add)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let raised: TimestampMicrosecondArray =
                array.as_primitive::<TimestampMicrosecondType>().unary(|micros| micros.saturating_add(CUT_MICROS));
            Arc::new(raised.with_timezone_opt(zone.clone()))
        }
        _ => Arc::clone(array),
    }
}

fn widened_decimals(array: &ArrayRef, widen: fn(i128, i128) -> i128) -> ArrayRef {
    let widened: Decimal128Array =
        array.as_primitive::<Decimal128Type>().unary(|value| widen(value, (value.abs() >> 50) + 1));
    Arc::new(widened.with_data_type(array.data_type().clone()))
}
