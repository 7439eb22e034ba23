//! Parses dates and times.

use chrono::{NaiveDate, NaiveTime};

const MICROS_A_SECOND: i64 = 1_000_000;

/// A parsed date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedTimestamp {
    /// Seconds since 1970 in local time.
    seconds: i64,
    nanos: u32,
    /// The UTC offset in seconds, if the text has one.
    zone: Option<i64>,
}

impl ParsedTimestamp {
    /// Reads `2026-01-31 12:00:00.5+01:00`: a `T` or a space between date and time, up to nine digits of a second, and a zone
    /// or none.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, rest) = text.split_at_checked(10)?;
        let days = i64::from(date(day)?);
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit() && !b":.".contains(&byte)).unwrap_or(rest.len());
        let (time, zone) = rest.split_at(end);
        let (time, fraction) = match time.split_once('.') {
            Some((time, fraction)) => (time, Some(fraction)),
            None => (time, None),
        };
        let mut parts = time.split(':');
        let mut next = || parts.next().and_then(two_digits);
        let (hour, minute, second) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return None;
        }
        NaiveTime::from_hms_opt(hour, minute, second)?;
        let nanos = match fraction {
            None => 0,
            Some(digits) if (1..=9).contains(&digits.len()) => {
                digits.parse::<u32>().ok()? * 10u32.pow(9 - digits.len() as u32)
            }
            Some(_) => return None,
        };
        let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
        Some(Self { seconds, nanos, zone: self::zone(zone)? })
    }

    /// Parses a timestamp, or a date as its midnight without a zone.
    pub fn parse_or_midnight(text: &str) -> Option<Self> {
        let midnight = || date(text).map(|days| Self { seconds: i64::from(days) * 86_400, nanos: 0, zone: None });
        Self::parse(text).or_else(midnight)
    }

    /// Whether the text has a zone.
    pub fn has_zone(&self) -> bool {
        self.zone.is_some()
    }

    /// Whether it is finer than a microsecond.
    pub fn is_fine(&self) -> bool {
        !self.nanos.is_multiple_of(1000)
    }

    /// Microseconds since 1970 in local time; `None` if the time is finer, or if the text has a zone.
    pub fn local_micros(&self) -> Option<i64> {
        if self.zone.is_some() { None } else { self.micros_at(self.seconds) }
    }

    /// Microseconds since 1970 in UTC, which is the default zone; `None` if the time is finer.
    pub fn utc_micros(&self) -> Option<i64> {
        self.micros_at(self.seconds - self.zone.unwrap_or_default())
    }

    /// Nanoseconds since 1970 in local time.
    pub fn local_nanos(&self) -> Option<i64> {
        if self.zone.is_some() {
            return None;
        }
        self.seconds.checked_mul(1000 * MICROS_A_SECOND)?.checked_add(i64::from(self.nanos))
    }

    fn micros_at(&self, seconds: i64) -> Option<i64> {
        if self.is_fine() {
            return None;
        }
        seconds.checked_mul(MICROS_A_SECOND)?.checked_add(i64::from(self.nanos / 1000))
    }
}

/// Days since 1970 of a date such as `2026-01-31`.
pub fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let well_formed = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !well_formed {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?)?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn two_digits(text: &str) -> Option<u32> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Seconds ahead of UTC of `Z`, `+01`, `+0130` or `-01:30`; `Some(None)` if there is no zone.
fn zone(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if text == "Z" || text == "z" {
        return Some(Some(0));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours <= 18 && minutes < 60).then(|| Some(sign * i64::from(hours * 3600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1969-12-31"), Some(-1));
        for wrong in ["2026-02-30", "2026-1-01", "26-01-01", "2026-01-01 ", "2026/01/01", "", "äöü-01-01"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn timestamps_keep_their_zone_and_every_digit() {
        let utc = |text: &str| ParsedTimestamp::parse(text).and_then(|moment| moment.utc_micros());
        assert_eq!(utc("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(utc("1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(utc("1970-01-01 01:30:00+01:30"), Some(0));
        assert_eq!(utc("1970-01-01 01:00:00+01"), Some(0));
        assert_eq!(utc("1969-12-31T23:00:00.000001-0100"), Some(1));
        assert_eq!(utc("1970-01-01T00:00:00.000000001"), None);
        for wrong in
            ["1970-01-01", "1970-01-01T24:00:00", "1970-01-01T00:00", "1970-01-01T00:00:00.", "1970-01-01T00:00:00 CET"]
        {
            assert_eq!(ParsedTimestamp::parse(wrong), None, "{wrong}");
        }
        let fine = ParsedTimestamp::parse("1970-01-01T00:00:00.000000001").unwrap();
        assert!(fine.is_fine() && !fine.has_zone());
        assert_eq!((fine.local_nanos(), fine.local_micros()), (Some(1), None));
        assert_eq!(ParsedTimestamp::parse("1970-01-01T00:00:00Z").unwrap().local_micros(), None);
        assert_eq!(ParsedTimestamp::parse_or_midnight("1970-01-02").unwrap().local_micros(), Some(86_400_000_000));
    }
}
