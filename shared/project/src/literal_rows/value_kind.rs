//! Infers the type of a value from its text: one rule for rows of a project and for text files.

use super::number::{double, is_number, is_whole};
use super::timestamp::{ParsedTimestamp, date};

/// Digits that the widest decimal holds.
const MAX_DIGITS: usize = 38;

/// The common kind of all values so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value yet.
    Nothing,
    /// `true` and `false`.
    Boolean,
    /// Integers of 64 bits that doubles hold too.
    Whole,
    /// Integers of 64 bits.
    Long,
    /// Integers of up to 38 digits.
    Huge,
    /// Other numbers, `NaN` and the infinities.
    Double,
    /// Dates.
    Date,
    /// Times without a zone.
    Time,
    /// Times without a zone, finer than microseconds.
    FineTime,
    /// Times with a zone.
    ZonedTime,
    /// Anything else.
    Text,
}

impl Kind {
    /// The kind of the value `text`. A number with a leading zero is text: it is a code, not a number.
    pub fn of_text(text: &str) -> Self {
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Self::Boolean;
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        match digits.as_bytes() {
            [b'0', b'0'..=b'9', ..] | [] => return Self::of_timestamp(text),
            [b'0'..=b'9' | b'.', ..] => {}
            [b'n' | b'N' | b'i' | b'I', ..] if digits.len() <= 8 && double(text).is_some() => return Self::Double,
            _ => return Self::Text,
        }
        match Self::of_number(text) {
            Self::Text => Self::of_timestamp(text),
            number => number,
        }
    }

    /// The kind of a number that is written as `text`.
    pub fn of_number(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if is_whole(digits) {
            return match text.parse::<i64>() {
                Ok(value) if (value as f64) as i128 == i128::from(value) => Self::Whole,
                Ok(_) => Self::Long,
                Err(_) if digits.len() <= MAX_DIGITS => Self::Huge,
                Err(_) => Self::Text,
            };
        }
        if is_number(text) && double(text).is_some() { Self::Double } else { Self::Text }
    }

    fn of_timestamp(text: &str) -> Self {
        if date(text).is_some() {
            return Self::Date;
        }
        match ParsedTimestamp::parse(text) {
            Some(moment) if moment.has_zone() && moment.utc_micros().is_some() => Self::ZonedTime,
            Some(moment) if moment.local_micros().is_some() => Self::Time,
            Some(moment) if moment.local_nanos().is_some() => Self::FineTime,
            _ => Self::Text,
        }
    }

    /// The common kind of both. A number becomes a double only if that loses nothing.
    pub fn and(self, other: Self) -> Self {
        use Kind::{Boolean, Date, Double, FineTime, Huge, Long, Nothing, Text, Time, Whole, ZonedTime};
        match (self, other) {
            (one, another) if one == another => one,
            (Nothing, kind) | (kind, Nothing) => kind,
            (Whole, Long) | (Long, Whole) => Long,
            (Whole | Long, Huge) | (Huge, Whole | Long) => Huge,
            (Whole, Double) | (Double, Whole) => Double,
            (Time, FineTime) | (FineTime, Time) => FineTime,
            (Boolean | Whole | Long | Huge | Double | Date | Time | FineTime | ZonedTime | Text, _) => Text,
        }
    }

    /// Whether values of this kind are numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Long | Self::Huge | Self::Double)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_kind_that_they_look_like() {
        for (text, kind) in [
            ("true", Kind::Boolean),
            ("False", Kind::Boolean),
            ("0", Kind::Whole),
            ("-7", Kind::Whole),
            ("007", Kind::Text),
            ("9007199254740993", Kind::Long),
            ("18446744073709551615", Kind::Huge),
            ("123456789012345678901234567890123456789", Kind::Text),
            ("0.5", Kind::Double),
            (".5", Kind::Double),
            ("1e3", Kind::Double),
            ("-1.50E-3", Kind::Double),
            ("1e400", Kind::Text),
            ("NaN", Kind::Double),
            ("-inf", Kind::Double),
            ("information", Kind::Text),
            ("Nadia", Kind::Text),
            ("1.2.3", Kind::Text),
            ("2026-01-31", Kind::Date),
            ("0026-01-31", Kind::Date),
            ("2026-02-31", Kind::Text),
            ("2026-01-31T12:00:00", Kind::Time),
            ("2026-01-31 12:00:00.000001", Kind::Time),
            ("2026-01-31 12:00:00.0000001", Kind::FineTime),
            ("2026-01-31T12:00:00Z", Kind::ZonedTime),
            ("2026-01-31T12:00:00.0000001Z", Kind::Text),
            ("+1", Kind::Text),
            (" 1", Kind::Text),
            ("-", Kind::Text),
            (".", Kind::Text),
            ("1e", Kind::Text),
        ] {
            assert_eq!(Kind::of_text(text), kind, "{text}");
        }
    }

    #[test]
    fn kinds_combine_without_losing_anything() {
        assert_eq!(Kind::Whole.and(Kind::Double), Kind::Double);
        assert_eq!(Kind::Long.and(Kind::Double), Kind::Text);
        assert_eq!(Kind::Huge.and(Kind::Whole), Kind::Huge);
        assert_eq!(Kind::Boolean.and(Kind::Whole), Kind::Text);
        assert_eq!(Kind::Date.and(Kind::Time), Kind::Text);
        assert_eq!(Kind::Nothing.and(Kind::Date), Kind::Date);
        assert_eq!(Kind::Text.and(Kind::Nothing), Kind::Text);
    }
}
