//! Literals of rows in project files, and their conversion to a column type.

use super::cell::Cell;
use super::number;
use super::timestamp::{ParsedTimestamp, date};
use crate::contract::ContractType;
use crate::spec::column_type::ColumnType;
use crate::spec::{Span, Spanned};

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    /// Where it is.
    pub span: Span,
    /// The value.
    pub value: LiteralValue,
}

/// The syntactic kind of a [`Literal`].
#[derive(Debug, Clone, PartialEq)]
pub enum LiteralValue {
    /// Nothing.
    Null,
    /// `true` or `false` without quotes.
    Boolean(bool),
    /// A number without quotes, as written.
    Number(String),
    /// Text.
    Text(String),
    /// An unquoted value of a CSV file, which may be of any type.
    Loose(String),
    /// A list.
    List(Vec<Literal>),
    /// A mapping.
    Map(Vec<(Spanned<String>, Literal)>),
}

/// Why a value does not have a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The value's span.
    pub span: Span,
    /// What is wrong, such as "`x` is not a long".
    pub message: String,
    /// How to write it.
    pub help: Option<String>,
}

impl Literal {
    /// The value converted exactly to a column type.
    ///
    /// # Errors
    /// [`Mismatch`] if it is not a value of the type, or if a digit would be lost; unquoted numbers and booleans are
    /// not text.
    pub fn to_cell(&self, wanted: &ContractType) -> Result<Cell, Mismatch> {
        if self.value == LiteralValue::Null {
            return Ok(Cell::Null);
        }
        match (wanted, &self.value) {
            (ContractType::Primitive(primitive), _) => self.primitive(*primitive),
            (ContractType::Array(item), LiteralValue::List(items)) => {
                items.iter().map(|literal| literal.to_cell(item)).collect::<Result<_, _>>().map(Cell::List)
            }
            (ContractType::Map(of_key, of_value), LiteralValue::Map(entries)) => {
                let pair = |(key, value): &(Spanned<String>, Self)| {
                    let key = Self { span: key.span.clone(), value: LiteralValue::Loose(key.value.clone()) };
                    Ok((key.to_cell(of_key)?, value.to_cell(of_value)?))
                };
                entries.iter().map(pair).collect::<Result<_, _>>().map(Cell::Map)
            }
            (ContractType::Struct(fields), LiteralValue::Map(entries)) => {
                if let Some((name, _)) =
                    entries.iter().find(|(name, _)| !fields.iter().any(|(field, _)| *field == name.value))
                {
                    let message = format!("`{}` is not a field of {wanted}", name.value);
                    return Err(Mismatch { span: name.span.clone(), message, help: None });
                }
                let field = |(name, of): &(String, ContractType)| {
                    let given = entries.iter().find(|(other, _)| other.value == *name);
                    Ok((name.clone(), given.map_or(Ok(Cell::Null), |(_, value)| value.to_cell(of))?))
                };
                fields.iter().map(field).collect::<Result<_, _>>().map(Cell::Struct)
            }
            _ => Err(self.mismatch(wanted, None)),
        }
    }

    fn primitive(&self, wanted: ColumnType) -> Result<Cell, Mismatch> {
        use ColumnType as T;
        let of_type = ContractType::Primitive(wanted);
        let fail = |help: Option<&str>| Err(self.mismatch(&of_type, help));
        let (text, is_number) = match &self.value {
            LiteralValue::Boolean(value) => {
                return match wanted {
                    T::Boolean => Ok(Cell::Boolean(*value)),
                    T::String => fail(Some("quote it to make it text")),
                    _ => fail(None),
                };
            }
            LiteralValue::Number(text) => (text.as_str(), true),
            LiteralValue::Loose(text) | LiteralValue::Text(text) => (text.as_str(), false),
            _ => return fail(None),
        };
        let is_loose = matches!(self.value, LiteralValue::Loose(_));
        let number = match is_number {
            true => Some(plain(text)),
            false => is_loose.then(|| text.to_owned()),
        };
        let number = number.as_deref();
        let found = match wanted {
            T::String if is_number => return fail(Some("quote it to make it text")),
            T::String => Some(Cell::Text(text.to_owned())),
            T::Boolean if is_loose => text.parse().ok().map(Cell::Boolean),
            T::Long => whole(number, i64::MIN, i64::MAX),
            T::Integer => whole(number, i32::MIN.into(), i32::MAX.into()),
            T::Short => whole(number, i16::MIN.into(), i16::MAX.into()),
            T::Byte => whole(number, i8::MIN.into(), i8::MAX.into()),
            T::Float => not_a_number(text).or_else(|| number::float(number?).map(f64::from)).map(Cell::Float),
            T::Double => not_a_number(text).or_else(|| number::double(number?)).map(Cell::Float),
            T::Decimal { precision, scale } => decimal(number.unwrap_or(text), precision, scale),
            T::Binary => bytes(text).map(Cell::Bytes),
            T::Date => date(text).map(Cell::Date),
            T::Timestamp => {
                ParsedTimestamp::parse_or_midnight(text).and_then(|time| time.utc_micros()).map(Cell::Timestamp)
            }
            T::TimestampNtz => {
                ParsedTimestamp::parse_or_midnight(text).and_then(|time| time.local_micros()).map(Cell::TimestampNtz)
            }
            _ => None,
        };
        let help = match wanted {
            T::Date => Some("write a date as 2026-01-31"),
            T::Timestamp => Some("write a time as 2026-01-31T12:00:00Z, no finer than microseconds"),
            T::TimestampNtz => Some("write a time as 2026-01-31T12:00:00, no finer than microseconds"),
            T::Float | T::Double if number.is_some_and(number::is_number) => {
                Some("it would lose digits: declare `long`, `decimal(p,s)` or `string`")
            }
            T::Binary => Some("write bytes as 0x00ff"),
            _ => None,
        };
        found.ok_or_else(|| self.mismatch(&of_type, help))
    }

    fn mismatch(&self, wanted: &ContractType, help: Option<&str>) -> Mismatch {
        let message = format!("{} is not a value of type {wanted}", self.describe());
        Mismatch { span: self.span.clone(), message, help: help.map(str::to_owned) }
    }

    fn describe(&self) -> String {
        match &self.value {
            LiteralValue::Null => "nothing".to_owned(),
            LiteralValue::Boolean(value) => format!("`{value}`"),
            LiteralValue::Number(text) => format!("the number `{text}`"),
            LiteralValue::Text(text) | LiteralValue::Loose(text) => {
                const SHOWN: usize = 40;
                let short: String = text.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                format!("the text `{short}{more}`")
            }
            LiteralValue::List(_) => "a list".to_owned(),
            LiteralValue::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A YAML number in plain notation.
pub(super) fn plain(number: &str) -> String {
    number.strip_prefix('+').unwrap_or(number).replace('_', "")
}

fn whole(number: Option<&str>, least: i64, most: i64) -> Option<Cell> {
    let value = i64::try_from(number::scaled(number?, 0)?).ok()?;
    (least..=most).contains(&value).then_some(Cell::Integer(value))
}

/// The values of words such as `NaN`.
fn not_a_number(text: &str) -> Option<f64> {
    match text {
        "NaN" | ".nan" => Some(f64::NAN),
        "Infinity" | ".inf" => Some(f64::INFINITY),
        "-Infinity" | "-.inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A number that fits without losing a digit.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<Cell> {
    let unscaled = number::scaled(text, scale.into())?;
    let fits = unscaled.unsigned_abs() < 10_u128.checked_pow(precision.into())?;
    fits.then_some(Cell::Decimal { unscaled, scale })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.is_ascii() && digits.len().is_multiple_of(2))?;
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The value from a CSV file or from YAML, converted to a column type.
    fn cell(value: LiteralValue, of: &str) -> Option<Cell> {
        let literal = Literal { span: Span::new(&Arc::from("a.csv"), 0, 1), value };
        literal.to_cell(&ContractType::parse(of).unwrap()).ok()
    }

    #[test]
    fn a_declared_type_accepts_only_exact_values() {
        for (text, of, expected) in [
            ("1.0", "long", Some(Cell::Integer(1))),
            ("1.9", "long", None),
            ("9223372036854775808", "long", None),
            ("007", "integer", Some(Cell::Integer(7))),
            ("16777216", "float", Some(Cell::Float(16_777_216.0))),
            ("16777217", "float", None),
            ("0.5", "float", Some(Cell::Float(0.5))),
            ("9007199254740993", "double", None),
            ("1e400", "double", None),
            ("-Infinity", "double", Some(Cell::Float(f64::NEG_INFINITY))),
            ("1.230", "decimal(10,2)", Some(Cell::Decimal { unscaled: 123, scale: 2 })),
            ("1.239", "decimal(10,2)", None),
            ("100", "decimal(4,2)", None),
            ("1970-01-01T00:00:01.5Z", "timestamp", Some(Cell::Timestamp(1_500_000))),
            ("1970-01-01T00:00:00.000000001Z", "timestamp", None),
            ("1970-01-01 00:00:00.000000001", "timestamp_ntz", None),
            ("1970-01-01T00:00:00Z", "timestamp_ntz", None),
            ("1970-01-02", "timestamp", Some(Cell::Timestamp(86_400_000_000))),
        ] {
            assert_eq!(cell(LiteralValue::Loose(text.to_owned()), of), expected, "{text} as {of}");
        }
        let number = |text: &str| LiteralValue::Number(text.to_owned());
        assert_eq!(cell(number("+1_000"), "long"), Some(Cell::Integer(1000)));
        assert_eq!(cell(number("9007199254740993"), "double"), None);
        assert_eq!(cell(LiteralValue::Text("1".to_owned()), "long"), None);
    }
}
