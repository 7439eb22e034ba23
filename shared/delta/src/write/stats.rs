//! The statistics of a data file: row count, minima, maxima and null counts, mostly from its Parquet footer.
//!
//! Delta protocol, "Per-file Statistics". A minimum is never above, a maximum never below any value: texts are cut
//! by the Parquet writer so that this holds, and timestamps are rounded down and up to milliseconds (all that some
//! readers parse).
//!
//! Floats are counted here while rows are written, and have no statistics in the footer. There they would leave NaN
//! out, and a reader that orders NaN above all numbers, as this engine does, would skip files and row groups that
//! hold it.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, DecimalType, Field, Float32Type, Float64Type};
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
    /// Float columns by their path.
    floats: BTreeMap<Vec<String>, Floats>,
    /// Nulls of top-level lists and maps.
    nested_nulls: BTreeMap<String, u64>,
}

/// The values of a float column.
#[derive(Debug, Default)]
struct Floats {
    bounds: Option<(f64, f64)>,
    nulls: u64,
    nan: bool,
    /// Whether they are of 32 bits, which have shorter texts.
    single: bool,
}

impl Floats {
    /// Takes note of values; those at nulls do not count.
    fn add(&mut self, values: impl ExactSizeIterator<Item = f64>, nulls: Option<&NullBuffer>) {
        self.nulls += nulls.map_or(0, NullBuffer::null_count) as u64;
        for (index, value) in values.enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(index)) {
                continue;
            }
            if value.is_nan() {
                self.nan = true;
                continue;
            }
            let (min, max) = self.bounds.unwrap_or((value, value));
            let min = if value.total_cmp(&min).is_lt() { value } else { min };
            let max = if value.total_cmp(&max).is_gt() { value } else { max };
            self.bounds = Some((min, max));
        }
    }

    /// The texts of the minimum and the maximum, where JSON has them.
    fn texts(&self) -> (Option<String>, Option<String>) {
        let text = |value: f64| match (value.is_finite(), self.single) {
            (false, _) => None,
            (true, true) => serde_json::to_string(&(value as f32)).ok(),
            (true, false) => serde_json::to_string(&value).ok(),
        };
        match self.bounds.filter(|_| !self.nan) {
            Some((min, max)) => (text(min), text(max)),
            None => (None, None),
        }
    }
}

impl Observed {
    /// Takes note of a batch.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if matches!(field.data_type(), DataType::List(_) | DataType::Map(_, _)) {
                *self.nested_nulls.entry(field.name().clone()).or_default() += column.logical_null_count() as u64;
            }
            self.add_floats(&mut vec![field.name().clone()], column.as_ref(), None);
        }
    }

    fn add_floats(&mut self, path: &mut Vec<String>, array: &dyn Array, parents: Option<&NullBuffer>) {
        let nulls = NullBuffer::union(parents, array.nulls());
        match array.data_type() {
            DataType::Float32 => {
                let floats = self.floats.entry(path.clone()).or_insert(Floats { single: true, ..Floats::default() });
                let values = array.as_primitive::<Float32Type>().values();
                floats.add(values.iter().map(|&value| f64::from(value)), nulls.as_ref());
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                self.floats.entry(path.clone()).or_default().add(values.iter().copied(), nulls.as_ref());
            }
            DataType::Struct(fields) => {
                for (field, child) in fields.iter().zip(array.as_struct().columns()) {
                    path.push(field.name().clone());
                    self.add_floats(path, child.as_ref(), nulls.as_ref());
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// The paths of the float columns among `fields`, whose statistics are not to be in the footer.
pub(super) fn float_paths<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for field in fields {
        match field.data_type() {
            DataType::Float32 | DataType::Float64 => paths.push(vec![field.name().clone()]),
            DataType::Struct(inner) => {
                let inner = float_paths(inner.iter().map(AsRef::as_ref)).into_iter();
                paths.extend(inner.map(|path| [vec![field.name().clone()], path].concat()));
            }
            _ => {}
        }
    }
    paths
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
        if let Some(floats) = observed.floats.get(path) {
            nulls.insert(path, floats.nulls.to_string());
            let (min, max) = floats.texts();
            min.into_iter().for_each(|text| minima.insert(path, text));
            max.into_iter().for_each(|text| maxima.insert(path, text));
            continue;
        }
        let groups: Option<Vec<&Statistics>> =
            footer.row_groups().iter().map(|group| group.column(index).statistics()).collect();
        let Some(groups) = groups else { continue };
        if let Some(count) = groups.iter().map(|group| group.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(path, count.to_string());
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
    Text(String),
}

impl Bound {
    fn below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a < b,
            (Self::Integer(a), Self::Integer(b)) => a < b,
            (Self::Text(a), Self::Text(b)) => a < b,
            _ => false,
        }
    }

    /// The bound as JSON; `None` if JSON or the calendar has no such value.
    fn json(&self, column: &ColumnDescriptor, is_max: bool) -> Option<String> {
        match self {
            Self::Boolean(value) => Some(value.to_string()),
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
