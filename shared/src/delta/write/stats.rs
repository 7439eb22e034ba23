//! The statistics of a data file: row count, minima, maxima and null counts, from its Parquet footer.
//!
//! Delta protocol, "Per-file Statistics". A minimum is never above, a maximum never below any value: texts are cut
//! by the Parquet writer so that this holds, timestamps are rounded down and up to milliseconds (all that some
//! readers parse), and a float column that holds NaN gets neither, since readers order NaN differently.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, DecimalType, Float32Type, Float64Type};
use datafusion::parquet::basic::{LogicalType, TimeUnit};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::ColumnDescriptor;
use serde_json::value::Value;

/// A longer maximum is left out: it is a text that could not be cut.
const LONGEST_TEXT: usize = 256;

/// What the footer does not tell, gathered while rows are written.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Float columns, by their path, that hold NaN.
    nan: HashSet<Vec<String>>,
    /// Nulls of top-level lists and maps.
    nested_nulls: BTreeMap<String, u64>,
}

impl Observed {
    /// Takes note of a batch.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if matches!(field.data_type(), DataType::List(_) | DataType::Map(_, _)) {
                *self.nested_nulls.entry(field.name().clone()).or_default() += column.logical_null_count() as u64;
            }
            self.find_nan(&mut vec![field.name().clone()], column.as_ref());
        }
    }

    fn find_nan(&mut self, path: &mut Vec<String>, array: &dyn Array) {
        let found = match array.data_type() {
            DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().any(|value| value.is_nan()),
            DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().any(|value| value.is_nan()),
            DataType::Struct(fields) => {
                for (field, child) in fields.iter().zip(array.as_struct().columns()) {
                    path.push(field.name().clone());
                    self.find_nan(path, child.as_ref());
                    path.pop();
                }
                false
            }
            _ => false,
        };
        if found {
            self.nan.insert(path.clone());
        }
    }
}

/// A tree of columns, each with the JSON text of its value.
#[derive(Debug)]
enum Node {
    Value(String),
    Columns(Vec<(String, Node)>),
}

impl Node {
    fn insert(&mut self, path: &[String], text: String) {
        let (Self::Columns(columns), Some((name, rest))) = (self, path.split_first()) else { return };
        if rest.is_empty() {
            columns.push((name.clone(), Self::Value(text)));
            return;
        }
        let place = columns.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            columns.push((name.clone(), Self::Columns(Vec::new())));
            columns.len() - 1
        });
        columns[place].1.insert(rest, text);
    }

    fn render(&self, out: &mut String) {
        match self {
            Self::Value(text) => out.push_str(text),
            Self::Columns(columns) => {
                out.push('{');
                for (index, (name, node)) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(name));
                    out.push(':');
                    node.render(out);
                }
                out.push('}');
            }
        }
    }
}

/// The statistics of a file, as the log's JSON text. The first `limit` leaf columns are covered.
pub(super) fn stats_json(footer: &ParquetMetaData, observed: &Observed, limit: u32) -> String {
    let descriptor = footer.file_metadata().schema_descr();
    let [mut minima, mut maxima, mut nulls] = [(); 3].map(|()| Node::Columns(Vec::new()));
    let mut nested_done = HashSet::new();
    for (index, column) in descriptor.columns().iter().enumerate().take(limit as usize) {
        let path = column.path().parts();
        if column.max_rep_level() > 0 {
            let top = path.first().filter(|top| nested_done.insert((*top).clone()));
            if let Some((top, count)) = top.and_then(|top| observed.nested_nulls.get_key_value(top)) {
                nulls.insert(std::slice::from_ref(top), count.to_string());
            }
            continue;
        }
        let groups: Option<Vec<&Statistics>> =
            footer.row_groups().iter().map(|group| group.column(index).statistics()).collect();
        let Some(groups) = groups else { continue };
        if let Some(count) = groups.iter().map(|group| group.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(path, count.to_string());
        }
        if observed.nan.contains(path) {
            continue;
        }
        let bounds: Vec<(Bound, Bound)> = groups.iter().filter_map(|group| bounds_of(group, column)).collect();
        let empty_groups =
            groups.iter().filter(|group| group.min_bytes_opt().is_none()).count() + bounds.len() == groups.len();
        if !empty_groups {
            continue;
        }
        let least = bounds.iter().map(|(min, _)| min).reduce(|a, b| if b.below(a) { b } else { a });
        let most = bounds.iter().map(|(_, max)| max).reduce(|a, b| if a.below(b) { b } else { a });
        if let Some(text) = least.and_then(|bound| bound.json(column, false)) {
            minima.insert(path, text);
        }
        if let Some(text) = most.and_then(|bound| bound.json(column, true)) {
            maxima.insert(path, text);
        }
    }
    let mut out = format!("{{\"numRecords\":{}", footer.file_metadata().num_rows());
    for (name, node) in [("minValues", minima), ("maxValues", maxima), ("nullCount", nulls)] {
        out.push_str(&format!(",\"{name}\":"));
        node.render(&mut out);
    }
    out.push('}');
    out
}

/// A minimum or maximum of a row group.
#[derive(Debug)]
enum Bound {
    Boolean(bool),
    Integer(i128),
    Float(f64, String),
    Text(String),
}

impl Bound {
    fn below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a < b,
            (Self::Integer(a), Self::Integer(b)) => a < b,
            (Self::Float(a, _), Self::Float(b, _)) => a < b,
            (Self::Text(a), Self::Text(b)) => a < b,
            _ => false,
        }
    }

    /// The bound as JSON; `None` if JSON or the calendar has no such value.
    fn json(&self, column: &ColumnDescriptor, is_max: bool) -> Option<String> {
        match self {
            Self::Boolean(value) => Some(value.to_string()),
            Self::Float(value, text) => value.is_finite().then(|| text.clone()),
            Self::Text(text) => (text.len() <= LONGEST_TEXT).then(|| quoted(text)),
            Self::Integer(value) => match column.logical_type_ref() {
                Some(LogicalType::Date) => {
                    let seconds = i64::try_from(*value).ok()?.checked_mul(86_400)?;
                    let day = DateTime::<Utc>::from_timestamp(seconds, 0)?;
                    four_digit_year(day).then(|| quoted(&day.format("%Y-%m-%d").to_string()))
                }
                Some(LogicalType::Timestamp(timestamp)) => {
                    let per_milli = match timestamp.unit {
                        TimeUnit::MILLIS => 1,
                        TimeUnit::MICROS => 1_000,
                        TimeUnit::NANOS => 1_000_000,
                    };
                    let millis = value.div_euclid(per_milli) + i128::from(is_max && value.rem_euclid(per_milli) != 0);
                    let time = DateTime::<Utc>::from_timestamp_millis(i64::try_from(millis).ok()?)?;
                    let zone = if timestamp.is_adjusted_to_u_t_c { "Z" } else { "" };
                    four_digit_year(time).then(|| quoted(&format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.3f"))))
                }
                Some(LogicalType::Decimal(decimal)) => {
                    let precision = u8::try_from(decimal.precision).ok()?;
                    let scale = i8::try_from(decimal.scale).ok()?;
                    Some(Decimal128Type::format_decimal(*value, precision, scale))
                }
                _ => Some(value.to_string()),
            },
        }
    }
}

/// The bounds of a row group; `None` if it has no values or values without an order in Delta (binary).
fn bounds_of(group: &Statistics, column: &ColumnDescriptor) -> Option<(Bound, Bound)> {
    let logical = column.logical_type_ref();
    match group {
        Statistics::Boolean(s) => Some((Bound::Boolean(*s.min_opt()?), Bound::Boolean(*s.max_opt()?))),
        Statistics::Int32(s) => Some((Bound::Integer((*s.min_opt()?).into()), Bound::Integer((*s.max_opt()?).into()))),
        Statistics::Int64(s) => Some((Bound::Integer((*s.min_opt()?).into()), Bound::Integer((*s.max_opt()?).into()))),
        Statistics::Float(s) => {
            let bound = |value: f32| Some(Bound::Float(value.into(), serde_json::to_string(&value).ok()?));
            Some((bound(*s.min_opt()?)?, bound(*s.max_opt()?)?))
        }
        Statistics::Double(s) => {
            let bound = |value: f64| Some(Bound::Float(value, serde_json::to_string(&value).ok()?));
            Some((bound(*s.min_opt()?)?, bound(*s.max_opt()?)?))
        }
        Statistics::ByteArray(s) if matches!(logical, Some(LogicalType::String)) => {
            let bound = |bytes: &[u8]| Some(Bound::Text(std::str::from_utf8(bytes).ok()?.to_owned()));
            Some((bound(s.min_bytes_opt()?)?, bound(s.max_bytes_opt()?)?))
        }
        Statistics::FixedLenByteArray(s) if matches!(logical, Some(LogicalType::Decimal(_))) => {
            Some((Bound::Integer(big_endian(s.min_bytes_opt()?)?), Bound::Integer(big_endian(s.max_bytes_opt()?)?)))
        }
        _ => None,
    }
}

/// A two's complement number of up to 16 bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first()? & 0x80 != 0;
    let mut wide = if negative { [0xff; 16] } else { [0; 16] };
    wide.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

fn four_digit_year(time: DateTime<Utc>) -> bool {
    use chrono::Datelike;
    (0..=9999).contains(&time.year())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
