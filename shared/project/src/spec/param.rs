//! Parameters: the typed `$names` that a stage's SQL may use.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::column_type::ColumnType;
use super::span::Span;

/// A declared parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// The name, without the `$`.
    pub name: String,
    /// The type of its values.
    pub data_type: ColumnType,
    /// The default value; without one the parameter must be given.
    pub default: Option<ParamValue>,
    /// What it is for.
    pub description: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// The value of a parameter. Formatting it as text and parsing it with [`ParamValue::parse`] keeps every digit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "TypedText", try_from = "TypedText")]
pub enum ParamValue {
    /// UTF-8 text.
    String(String),
    /// 64-bit signed integer.
    Long(i64),
    /// 32-bit signed integer.
    Integer(i32),
    /// 16-bit signed integer.
    Short(i16),
    /// 8-bit signed integer.
    Byte(i8),
    /// 32-bit float.
    Float(f32),
    /// 64-bit float.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// A calendar date.
    Date(NaiveDate),
    /// A timestamp in UTC, with microseconds.
    Timestamp(DateTime<Utc>),
    /// A date and time of day without a zone, with microseconds.
    TimestampNtz(NaiveDateTime),
    /// Fixed-point number: `unscaled / 10^scale`.
    Decimal {
        /// The number times ten to the power of `scale`.
        unscaled: i128,
        /// Total number of digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
}

impl ParamValue {
    /// Reads a value of a type from text; the error says what the type expects.
    ///
    /// Dates are `2026-01-31`, timestamps RFC 3339 (`2026-01-31T12:00:00Z`), without the zone for `timestamp_ntz`.
    pub fn parse(data_type: ColumnType, text: &str) -> Result<Self, &'static str> {
        let trimmed = text.trim();
        match data_type {
            ColumnType::String => Ok(Self::String(text.to_owned())),
            ColumnType::Long => trimmed.parse().map(Self::Long).map_err(|_| "a whole number of 64 bits"),
            ColumnType::Integer => trimmed.parse().map(Self::Integer).map_err(|_| "a whole number of 32 bits"),
            ColumnType::Short => trimmed.parse().map(Self::Short).map_err(|_| "a whole number of 16 bits"),
            ColumnType::Byte => trimmed.parse().map(Self::Byte).map_err(|_| "a whole number from -128 to 127"),
            ColumnType::Float => finite(trimmed.parse::<f32>().ok(), f32::is_finite).map(Self::Float),
            ColumnType::Double => finite(trimmed.parse::<f64>().ok(), f64::is_finite).map(Self::Double),
            ColumnType::Boolean => match trimmed {
                "true" => Ok(Self::Boolean(true)),
                "false" => Ok(Self::Boolean(false)),
                _ => Err("`true` or `false`"),
            },
            ColumnType::Date => {
                NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").map(Self::Date).map_err(|_| "a date such as 2026-01-31")
            }
            ColumnType::Timestamp => DateTime::parse_from_rfc3339(trimmed)
                .map(|moment| Self::Timestamp(moment.with_timezone(&Utc)))
                .map_err(|_| "a date and time with a time zone, such as 2026-01-31T12:00:00Z"),
            ColumnType::TimestampNtz => parse_ntz(trimmed).map(Self::TimestampNtz),
            ColumnType::Decimal { precision, scale } => parse_decimal(trimmed, precision, scale)
                .map(|unscaled| Self::Decimal { unscaled, precision, scale })
                .ok_or("a number with no more digits than its type has"),
            ColumnType::Binary => Err("another type: a parameter cannot be binary"),
        }
    }

    /// The value's type.
    pub fn data_type(&self) -> ColumnType {
        match self {
            Self::String(_) => ColumnType::String,
            Self::Long(_) => ColumnType::Long,
            Self::Integer(_) => ColumnType::Integer,
            Self::Short(_) => ColumnType::Short,
            Self::Byte(_) => ColumnType::Byte,
            Self::Float(_) => ColumnType::Float,
            Self::Double(_) => ColumnType::Double,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Date(_) => ColumnType::Date,
            Self::Timestamp(_) => ColumnType::Timestamp,
            Self::TimestampNtz(_) => ColumnType::TimestampNtz,
            Self::Decimal { precision, scale, .. } => ColumnType::Decimal { precision: *precision, scale: *scale },
        }
    }
}

fn finite<F: Copy>(number: Option<F>, is_finite: fn(F) -> bool) -> Result<F, &'static str> {
    number.filter(|value| is_finite(*value)).ok_or("a finite number")
}

fn parse_ntz(text: &str) -> Result<NaiveDateTime, &'static str> {
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .ok_or("a date and time without a time zone, such as 2026-01-31T12:00:00")
}

/// The digits of `text` as `unscaled`, if they fit the type without rounding.
fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::from(scale);
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > scale || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let padded = format!("{whole}{fraction:0<scale$}");
    if padded.trim_start_matches('0').len() > usize::from(precision) {
        return None;
    }
    let unscaled: i128 = padded.parse().ok()?;
    Some(if negative { -unscaled } else { unscaled })
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(value) => f.write_str(value),
            Self::Long(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Short(value) => write!(f, "{value}"),
            Self::Byte(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Date(value) => write!(f, "{value}"),
            Self::Timestamp(value) => f.write_str(&value.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::TimestampNtz(value) => write!(f, "{}", value.format("%Y-%m-%dT%H:%M:%S%.f")),
            Self::Decimal { unscaled, scale, .. } => {
                let scale = usize::from(*scale);
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let sign = if *unscaled < 0 { "-" } else { "" };
                let point = if fraction.is_empty() { "" } else { "." };
                write!(f, "{sign}{whole}{point}{fraction}")
            }
        }
    }
}

/// How a [`ParamValue`] is stored and sent: its type's name and its text.
#[derive(Serialize, Deserialize)]
struct TypedText {
    r#type: ColumnType,
    value: String,
}

impl From<ParamValue> for TypedText {
    fn from(value: ParamValue) -> Self {
        Self { r#type: value.data_type(), value: value.to_string() }
    }
}

impl TryFrom<TypedText> for ParamValue {
    type Error = String;

    fn try_from(text: TypedText) -> Result<Self, Self::Error> {
        Self::parse(text.r#type, &text.value).map_err(|wanted| format!("`{}` is not {wanted}", text.value))
    }
}
