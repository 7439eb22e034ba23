//! Values of rows, independent of any engine.

use std::fmt;

use chrono::{DateTime, Days, NaiveDate};
use serde::{Serialize, Serializer};
use serde_json::{Number, Value, json};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer of any size that a column can have.
    Integer(i64),
    /// A float of either size.
    Float(f64),
    /// A fixed-point number: `unscaled` times ten to the minus `scale`.
    Decimal {
        /// All digits.
        unscaled: i128,
        /// The number of digits after the point.
        scale: u8,
    },
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    /// Microseconds since 1970 without a time zone.
    TimestampNtz(i64),
    /// A list.
    List(Vec<Cell>),
    /// Named fields.
    Struct(Vec<(String, Cell)>),
    /// Keys with values, in any order.
    Map(Vec<(Cell, Cell)>),
}

impl Cell {
    /// A text that is the same for two cells of a column if and only if they are equal. All NaNs are equal, as are both
    /// zeros, and the order of a map does not matter.
    pub fn canonical(&self) -> String {
        match self {
            Self::Float(value) if value.is_nan() => "Float(NaN)".to_owned(),
            Self::Float(value) => format!("Float({:?})", value + 0.0),
            Self::List(items) => format!("List[{}]", joined(items.iter().map(Self::canonical))),
            Self::Struct(fields) => {
                let fields = fields.iter().map(|(name, value)| format!("{name:?}: {}", value.canonical()));
                format!("Struct[{}]", joined(fields))
            }
            Self::Map(pairs) => {
                let pair = |(key, value): &(Self, Self)| format!("{}: {}", key.canonical(), value.canonical());
                let mut pairs: Vec<String> = pairs.iter().map(pair).collect();
                pairs.sort_unstable();
                format!("Map[{}]", joined(pairs.into_iter()))
            }
            plain => format!("{plain:?}"),
        }
    }

    /// Whether two cells are equal, floats up to `tolerance`.
    pub fn is_near(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => (a - b).abs() <= tolerance || self.canonical() == other.canonical(),
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_near(b, tolerance))
            }
            (Self::Struct(a), Self::Struct(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((name, a), (other, b))| name == other && a.is_near(b, tolerance))
            }
            (Self::Map(a), Self::Map(b)) => {
                let matches = |(key, a): &(Self, Self)| {
                    let key = key.canonical();
                    b.iter().any(|(other, b)| other.canonical() == key && a.is_near(b, tolerance))
                };
                a.len() == b.len() && a.iter().all(matches)
            }
            _ => self.canonical() == other.canonical(),
        }
    }

    /// The cell as JSON: decimals, dates, timestamps, bytes and non-finite floats as text.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Float(value) => Number::from_f64(*value).map_or_else(|| json!(value.to_string()), Value::Number),
            Self::Text(text) => json!(text),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Struct(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
            Self::Map(pairs) => pairs.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect(),
            plain => json!(plain.to_string()),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// In human-readable form. Text is quoted where it would otherwise be ambiguous.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Decimal { unscaled, scale } => f.write_str(&decimal(*unscaled, *scale)),
            Self::Text(text) if is_unambiguous(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Date(days) => match date(*days) {
                Some(date) => date.fmt(f),
                None => write!(f, "day {days}"),
            },
            Self::Timestamp(micros) => write!(f, "{}Z", timestamp(*micros)),
            Self::TimestampNtz(micros) => f.write_str(&timestamp(*micros)),
            Self::List(items) => write!(f, "[{}]", joined(items.iter().map(ToString::to_string))),
            Self::Struct(fields) => {
                write!(f, "{{{}}}", joined(fields.iter().map(|(name, value)| format!("{name}: {value}"))))
            }
            Self::Map(pairs) => {
                write!(f, "{{{}}}", joined(pairs.iter().map(|(key, value)| format!("{key}: {value}"))))
            }
        }
    }
}

/// Whether a text cannot be mistaken for a value of another type, and its end is clear.
fn is_unambiguous(text: &str) -> bool {
    let edges = text.chars().next().is_some_and(|c| c.is_alphabetic() || "_/.@*".contains(c))
        && !text.ends_with(char::is_whitespace);
    edges && !["null", "true", "false", "NaN", "inf"].contains(&text) && !text.contains(char::is_control)
}

/// A fixed-point number with all digits after the point.
fn decimal(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

fn date(days: i32) -> Option<NaiveDate> {
    let since = Days::new(u64::from(days.unsigned_abs()));
    let first = NaiveDate::default();
    if days < 0 { first.checked_sub_days(since) } else { first.checked_add_days(since) }
}

fn timestamp(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        None => format!("{micros} µs"),
    }
}
