//! Numbers, times and addresses as text.

use std::fmt::Write;

use chrono::{DateTime, Utc};
pub(crate) use windlass_base::count::{count, counted};
use windlass_base::ids::{NodeName, RunId};

/// What stands for a value that nobody knows.
pub(crate) const UNKNOWN: &str = "?";
/// What stands where there is no value.
pub(crate) const NONE: &str = "–";
/// As many characters of a run's id are shown: those of the time at which it began.
const SHOWN_ID: usize = 12;

/// Milliseconds in the unit that suits them.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// Nanoseconds in the unit that suits them.
pub(crate) fn nanoseconds(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        _ => duration(ns / 1_000_000),
    }
}

/// Bytes in the unit that suits them.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1_024 {
        return format!("{number} B");
    }
    // Tenths of a unit, rounded down: no float is needed.
    let (mut tenths, mut unit) = (u128::from(number) * 10 / 1_024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A time with its zone, UTC.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%F %TZ").to_string()
}

/// The time from `start` to `end`, 0 if they are the wrong way round.
pub(crate) fn elapsed_ms(start: DateTime<Utc>, end: DateTime<Utc>) -> u64 {
    u64::try_from((end - start).num_milliseconds()).unwrap_or_default()
}

/// A text, or [`NONE`].
pub(crate) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

/// A value, or [`UNKNOWN`].
pub(crate) fn or_unknown<T>(value: Option<T>, form: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), form)
}

/// A run's id, as short as lists show it.
pub(crate) fn short_id(run_id: &RunId) -> String {
    run_id.as_str().chars().take(SHOWN_ID).collect()
}

/// A text of at most `most` characters, with a sign that some are missing.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The address of a run's page.
pub(crate) fn run_href(run_id: &RunId) -> String {
    format!("/runs/{}", encoded(run_id.as_str()))
}

/// The address of the page of a run's stage.
pub(crate) fn stage_href(run_id: &RunId, stage: &NodeName) -> String {
    format!("{}/stages/{}", run_href(run_id), encoded(stage.as_str()))
}

/// The address of a table's page.
pub(crate) fn table_href(table: &NodeName) -> String {
    format!("/tables/{}", encoded(table.as_str()))
}

/// A text as one segment of an address, or as a value of its query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A segment of an address as text; none if it is not the encoding of one.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_suits_them() {
        let durations =
            [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (61_000, "1 min 01 s"), (3_660_000, "1 h 01 min")];
        for (ms, text) in durations {
            assert_eq!(duration(ms), text);
        }
        let sizes =
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (u64::MAX, "16383.9 PiB")];
        for (number, text) in sizes {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(nanoseconds(1_500), "1 µs");
        assert_eq!(nanoseconds(2_000_000), "2 ms");
    }

    #[test]
    fn any_name_is_one_segment_of_an_address() {
        for name in ["daily_totals", "größe", "a/b?c#d", "100%", "<script>", "a b+c"] {
            let segment = encoded(name);
            assert!(segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte)), "{segment}");
            assert_eq!(decoded(&segment).as_deref(), Some(name));
        }
        for wrong in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_long_text_says_that_it_is_shortened() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größe", 4), "grö…");
    }
}
