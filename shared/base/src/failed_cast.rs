//! What the engine says of a value that it cannot convert, in the words of other messages.

use crate::engine_terms::with_sql_types;

/// A value or a type that cannot be converted to a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCast {
    /// What is wrong, as in `the text 'x' cannot be cast to INT`.
    pub message: String,
    /// The value as the query or the data have it, if it is known.
    pub value: Option<String>,
    /// What to write instead, unless that depends on where the value is from.
    pub help: Option<&'static str>,
}

const OF_INTERVALS: &str = "intervals are written `INTERVAL '1 day'` or `INTERVAL '2 hours 30 minutes'`";
const OF_TYPES: &str = "nothing converts between these types: compute the value in another way";
const OF_NUMBERS: &str = "cast it to a wider type, or use TRY_CAST, which gives null for what does not fit";

impl FailedCast {
    /// What to write instead of a text that is no date or time.
    pub const OF_DATES: &str = "dates are written 2026-01-31: read others with `to_date(x, '%d.%m.%Y')`, or use TRY_CAST, which \
                                gives null for what does not fit";

    /// The failure that `message` of the engine is about; the message has no names of error classes any more.
    pub fn of(message: &str) -> Option<Self> {
        let message = message.trim_end_matches('.');
        text_as_type(message).or_else(|| number(message)).or_else(|| time(message)).or_else(|| types(message))
    }

    fn of_text(value: &str, data_type: &str, reason: &str) -> Self {
        let data_type = with_sql_types(data_type);
        let help = match data_type.as_str() {
            "INTERVAL" => Some(OF_INTERVALS),
            other => (other == "DATE" || other.starts_with("TIMESTAMP")).then_some(Self::OF_DATES),
        };
        let message = format!("the text '{value}' cannot be cast to {data_type}{reason}");
        Self { message, value: Some(value.to_owned()), help }
    }
}

fn text_as_type(message: &str) -> Option<FailedCast> {
    let rest = message.strip_prefix("Cannot cast string '").or_else(|| message.strip_prefix("Cannot cast value '"))?;
    let (value, data_type) = rest.strip_suffix(" type")?.rsplit_once("' to value of ")?;
    Some(FailedCast::of_text(value, data_type, ""))
}

fn number(message: &str) -> Option<FailedCast> {
    let (value, data_type) = message.strip_prefix("Can't cast value ")?.rsplit_once(" to type ")?;
    let message = format!("the value {value} does not fit into {}", with_sql_types(data_type));
    Some(FailedCast { message, value: Some(value.to_owned()), help: Some(OF_NUMBERS) })
}

fn time(message: &str) -> Option<FailedCast> {
    if let Some(rest) = message.strip_prefix("Error parsing timestamp from '") {
        let (value, reason) = rest.rsplit_once("': ")?;
        return Some(FailedCast::of_text(value, "TIMESTAMP", &format!(": {reason}")));
    }
    let value = message.strip_prefix("Invalid input syntax for type interval: \"")?.strip_suffix('"')?;
    Some(FailedCast::of_text(value, "INTERVAL", ""))
}

/// No value of one type can be converted to the other.
fn types(message: &str) -> Option<FailedCast> {
    let message = message.strip_prefix("not supported: ").unwrap_or(message);
    let (from, to) = message.strip_prefix("Unsupported CAST from ")?.split_once(" to ")?;
    let message = format!("{} cannot be cast to {}", with_sql_types(from), with_sql_types(to));
    Some(FailedCast { message, value: None, help: Some(OF_TYPES) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_that_fail_are_told_alike() {
        let cases = [
            ("Cannot cast string 'x' to value of Int32 type", "the text 'x' cannot be cast to INT"),
            ("Cannot cast value 'Utf8' to value of Boolean type", "the text 'Utf8' cannot be cast to BOOLEAN"),
            ("Can't cast value 300 to type Int8", "the value 300 does not fit into TINYINT"),
            (
                "Error parsing timestamp from 'it's': timestamp must contain at least 10 characters",
                "the text 'it's' cannot be cast to TIMESTAMP: timestamp must contain at least 10 characters",
            ),
            ("Invalid input syntax for type interval: \"x\"", "the text 'x' cannot be cast to INTERVAL"),
            ("not supported: Unsupported CAST from List(Int64) to Int32", "BIGINT[] cannot be cast to INT"),
        ];
        for (engine, plain) in cases {
            assert_eq!(FailedCast::of(engine).map(|cast| cast.message).as_deref(), Some(plain));
        }
        assert_eq!(FailedCast::of("division by zero"), None);
        let help = |data_type: &str| {
            FailedCast::of(&format!("Cannot cast string 'x' to value of {data_type} type")).unwrap().help
        };
        assert_eq!(help("Date32"), Some(FailedCast::OF_DATES));
        assert_eq!(help("Interval(MonthDayNano)"), Some(OF_INTERVALS));
        assert_eq!(help("Int64"), None);
    }
}
