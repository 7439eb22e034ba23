//! Parses durations: `7d`, and as Delta's table properties have them, `interval 7 days`.

use std::time::Duration;

/// The units that [`parse_duration`] accepts, with their seconds.
pub const TIME_UNITS: [(&str, u64); 5] = [("w", 7 * DAY), ("d", DAY), ("h", 60 * 60), ("m", 60), ("s", 1)];

/// The longest duration that a project may give: 100 years.
pub const LONGEST: Duration = Duration::from_secs(36_500 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// The duration in a text such as `7d`: a whole number and a unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, seconds) = TIME_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(*seconds)?))
}

/// The duration in a text such as `interval 7 days`.
pub fn parse_interval(text: &str) -> Option<Duration> {
    let [word, number, unit]: [&str; 3] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let unit = match unit.trim_end_matches('s') {
        "week" => "w",
        "day" => "d",
        "hour" => "h",
        "minute" => "m",
        "second" => "s",
        _ => return None,
    };
    if word == "interval" { parse_duration(&format!("{number}{unit}")) } else { None }
}

/// A duration as [`parse_duration`] reads it, in the largest unit up to days that gives a whole number. Parts of a second
/// count as a whole one.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    let fits = |unit: &&(&str, u64)| unit.0 != "w" && seconds > 0 && seconds.is_multiple_of(unit.1);
    let (unit, of_unit) = TIME_UNITS.iter().find(fits).copied().unwrap_or(("s", 1));
    format!("{}{unit}", seconds / of_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let cases = [("7d", 7 * DAY), ("12h", 12 * 3_600), ("30m", 1_800), ("0s", 0), ("90s", 90), ("36h", 36 * 3_600)];
        for (text, seconds) in cases {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(duration_text(duration), text);
        }
        assert_eq!(parse_duration("2 w"), Some(Duration::from_secs(14 * DAY)));
        assert_eq!(duration_text(Duration::from_millis(1_500)), "2s");
        for text in ["", "7", "d", "-1d", "1.5d", "7D", "1d12h", "18446744073709551615w", "interval 7 days"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_are_read() {
        let cases = [
            ("interval 1 week", 7 * DAY),
            ("interval 30 days", 30 * DAY),
            ("interval 1 hours", 3_600),
            ("interval 5 minutes", 300),
            ("interval 0 seconds", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_interval(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["7 days", "interval days", "interval 7 fortnights", "interval  7 days", "interval -1 days", "7d"] {
            assert_eq!(parse_interval(text), None, "{text}");
        }
    }
}
