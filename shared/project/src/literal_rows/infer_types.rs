//! The types of columns inferred from their values.

use super::literal::{Literal, LiteralValue, plain};
use super::value_kind::Kind;
use crate::contract::ContractType;
use crate::spec::Span;
use crate::spec::column_type::ColumnType;

/// Digits of the widest decimal.
const MAX_DIGITS: u8 = 38;

/// What is known of a column's type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum InferredType {
    /// Nothing: all values are null.
    Unknown,
    Primitive(Kind),
    /// Unquoted values of a CSV file that look like this, but may be text.
    Loose(Kind),
    List(Box<InferredType>),
    Struct(Vec<(String, InferredType)>),
}

/// Why values have no common type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypeConflict {
    /// They have several types.
    Several,
    /// A number, with its span if known, would lose digits.
    Digits(Option<Span>),
}

impl InferredType {
    /// The type of one value.
    pub(super) fn of(literal: &Literal) -> Result<Self, TypeConflict> {
        Ok(match &literal.value {
            LiteralValue::Null => Self::Unknown,
            LiteralValue::Boolean(_) => Self::Primitive(Kind::Boolean),
            LiteralValue::Number(text) => {
                let kind = Kind::of_text(&plain(text));
                // A code such as 007, or a number that fits no type.
                if !kind.is_number() {
                    return Err(TypeConflict::Digits(Some(literal.span.clone())));
                }
                Self::Primitive(kind)
            }
            LiteralValue::Text(_) => Self::Primitive(Kind::Text),
            LiteralValue::Loose(text) => Self::Loose(unquoted_kind(text)),
            LiteralValue::List(items) => Self::List(Box::new(Self::of_all(items.iter())?)),
            LiteralValue::Map(entries) => {
                let fields = entries.iter().map(|(name, value)| Ok((name.value.clone(), Self::of(value)?)));
                Self::Struct(fields.collect::<Result<_, TypeConflict>>()?)
            }
        })
    }

    /// The common type of several values.
    ///
    /// # Errors
    /// [`TypeConflict`] if they have no common type.
    pub(super) fn of_all<'l>(mut literals: impl Iterator<Item = &'l Literal>) -> Result<Self, TypeConflict> {
        literals.try_fold(Self::Unknown, |known, literal| {
            known.merge(Self::of(literal)?).map_err(|apart| match apart {
                TypeConflict::Digits(None) => TypeConflict::Digits(Some(literal.span.clone())),
                apart => apart,
            })
        })
    }

    /// The common type of both. Unquoted CSV values become text if nothing else fits.
    fn merge(self, other: Self) -> Result<Self, TypeConflict> {
        Ok(match (self, other) {
            (Self::Unknown, guess) | (guess, Self::Unknown) => guess,
            (Self::Primitive(a), Self::Primitive(b)) => match a.and(b) {
                Kind::Text if a.is_number() && b.is_number() => return Err(TypeConflict::Digits(None)),
                Kind::Text if a != b => return Err(TypeConflict::Several),
                kind => Self::Primitive(kind),
            },
            (Self::Loose(a), Self::Loose(b)) => Self::Loose(a.and(b)),
            (Self::Loose(_), Self::Primitive(Kind::Text)) | (Self::Primitive(Kind::Text), Self::Loose(_)) => {
                Self::Loose(Kind::Text)
            }
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.merge(*b)?)),
            (Self::Struct(mut fields), Self::Struct(others)) => {
                for (name, guess) in others {
                    match fields.iter_mut().find(|(field, _)| *field == name) {
                        Some((_, known)) => *known = std::mem::replace(known, Self::Unknown).merge(guess)?,
                        None => fields.push((name, guess)),
                    }
                }
                Self::Struct(fields)
            }
            _ => return Err(TypeConflict::Several),
        })
    }

    /// The type; `None` if a part of it is unknown.
    pub(super) fn into_contract_type(self) -> Option<ContractType> {
        Some(match self {
            Self::Unknown => return None,
            Self::Primitive(kind) | Self::Loose(kind) => ContractType::Primitive(column_type(kind)),
            Self::List(item) => ContractType::Array(Box::new(item.into_contract_type()?)),
            Self::Struct(fields) => {
                let fields = fields.into_iter().map(|(name, guess)| Some((name, guess.into_contract_type()?)));
                ContractType::Struct(fields.collect::<Option<_>>()?)
            }
        })
    }
}

/// The kind of an unquoted CSV value: a number in digits, a YAML boolean, or text. Dates, and words such as NaN, are
/// text, so that they are kept as written.
fn unquoted_kind(text: &str) -> Kind {
    match Kind::of_text(text) {
        Kind::Boolean if text == "true" || text == "false" => Kind::Boolean,
        kind if kind.is_number() && text.bytes().any(|byte| byte.is_ascii_digit()) => kind,
        _ => Kind::Text,
    }
}

fn column_type(kind: Kind) -> ColumnType {
    match kind {
        Kind::Boolean => ColumnType::Boolean,
        Kind::Whole | Kind::Long => ColumnType::Long,
        Kind::Huge => ColumnType::Decimal { precision: MAX_DIGITS, scale: 0 },
        Kind::Double => ColumnType::Double,
        Kind::Nothing | Kind::Date | Kind::Time | Kind::FineTime | Kind::ZonedTime | Kind::Text => ColumnType::String,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The type of a column of such values; each stands at its place in the list.
    fn inferred(values: &[LiteralValue]) -> Result<String, TypeConflict> {
        let file: Arc<str> = Arc::from("a.csv");
        let literal =
            |(at, value): (usize, &LiteralValue)| Literal { span: Span::new(&file, at, at + 1), value: value.clone() };
        let literals: Vec<Literal> = values.iter().enumerate().map(literal).collect();
        InferredType::of_all(literals.iter()).map(|guess| guess.into_contract_type().unwrap().to_string())
    }

    #[test]
    fn values_of_a_csv_file_become_numbers_where_no_digit_is_lost() {
        let huge = "9".repeat(30);
        let cases: [(&[&str], &str); 12] = [
            (&["1", "2.5"], "double"),
            (&["9007199254740993", "1"], "long"),
            (&["9007199254740993", "1.5"], "string"),
            (&["1.5", "9007199254740993", "1"], "string"),
            (&["9223372036854775808", "1"], "decimal(38,0)"),
            (&[&huge, "-1"], "decimal(38,0)"),
            (&[&huge, "1.5"], "string"),
            (&["1e400"], "string"),
            (&["007", "12"], "string"),
            (&["+1", "1_000"], "string"),
            (&["true", "false"], "boolean"),
            (&["True", "NaN", "2026-01-31"], "string"),
        ];
        for (texts, expected) in cases {
            let values: Vec<_> = texts.iter().map(|text| LiteralValue::Loose((*text).to_owned())).collect();
            assert_eq!(inferred(&values).as_deref(), Ok(expected), "{texts:?}");
        }
    }

    #[test]
    fn numbers_of_yaml_are_what_their_text_says_or_refused_with_their_place() {
        let number = |text: &str| LiteralValue::Number(text.to_owned());
        assert_eq!(inferred(&[number("1_000"), number("+2.5")]).as_deref(), Ok("double"));
        assert_eq!(inferred(&[number("18446744073709551615")]).as_deref(), Ok("decimal(38,0)"));
        let beyond = "9".repeat(39);
        let cases: [(&[&str], usize); 4] =
            [(&["9007199254740993", "2.5"], 1), (&["1", "1e400"], 1), (&["007"], 0), (&[&beyond], 0)];
        for (texts, wrong) in cases {
            let values: Vec<_> = texts.iter().map(|text| number(text)).collect();
            let place = Span::new(&Arc::from("a.csv"), wrong, wrong + 1);
            assert_eq!(inferred(&values), Err(TypeConflict::Digits(Some(place))), "{texts:?}");
        }
        assert_eq!(inferred(&[number("1"), LiteralValue::Boolean(true)]), Err(TypeConflict::Several));
        let text = LiteralValue::Text("a".to_owned());
        assert_eq!(inferred(&[text.clone(), text]).as_deref(), Ok("string"));
    }
}
