//! Numbers and lists in the sentences of verdicts.

use windlass_base::count::count;

/// Bytes in a suitable unit.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let (mut tenths, mut unit) = (u128::from(number) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Milliseconds as seconds or minutes.
pub(super) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// How many times `before` is in `after`: `2.0 times`, or the number itself if there was nothing before.
pub(super) fn times(before: u64, after: u64) -> String {
    if before == 0 {
        return format!("{} where there was nothing", count(after));
    }
    let tenths = u128::from(after) * 10 / u128::from(before);
    format!("{}.{} times", tenths / 10, tenths % 10)
}

/// Texts with commas and an `and` between them.
pub(super) fn list(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A long text cut to a readable length.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([bytes(0), bytes(1023), bytes(1536)], ["0 B", "1023 B", "1.5 KiB"]);
        assert_eq!([bytes(5 << 20), bytes(u64::MAX)], ["5.0 MiB", "16383.9 PiB"]);
        assert_eq!([milliseconds(5), milliseconds(1_250), milliseconds(61_000)], ["5 ms", "1.2 s", "1 min 01 s"]);
        assert_eq!([times(2, 5), times(0, 7)], ["2.5 times", "7 where there was nothing"]);
    }

    #[test]
    fn texts_are_joined_and_cut() {
        let texts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([list(&texts[..0]), list(&texts[..1]), list(&texts)], ["", "a", "a, b and c"]);
        assert_eq!(short("ä"), "ä");
        assert_eq!(short(&"ä".repeat(61)).chars().count(), 61);
    }
}
