//! Parses numbers exactly or not at all.

/// The number `text` times ten to the power of `scale`, if that is an integer of at most 38 digits: `12.30` at scale 1
/// is 123, `12.34` is nothing.
pub fn scaled(text: &str, scale: u32) -> Option<i128> {
    let parts = Parts::of(text)?;
    let digits = || parts.whole.bytes().chain(parts.fraction.bytes()).map(|digit| digit - b'0');
    let total = i64::try_from(parts.whole.len() + parts.fraction.len()).ok()?;
    // How many digits precede the point after shifting it.
    let before = i64::try_from(parts.whole.len()).ok()? + parts.exponent + i64::from(scale);
    let mut value: i128 = 0;
    for (place, digit) in (0..).zip(digits()) {
        if place < before {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else if digit != 0 {
            return None;
        }
    }
    if value != 0 {
        for _ in total..before {
            value = value.checked_mul(10)?;
        }
    }
    (value <= MOST).then_some(if parts.negative { -value } else { value })
}

/// The largest number of 38 digits.
const MOST: i128 = 10i128.pow(38) - 1;

/// The double that is nearest to `text`. An integer without point or exponent must be one exactly, and a number that is
/// beyond all doubles is none; `NaN` and `inf` are.
pub fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let exact = |digits: &str| digits.len() <= 15 || format!("{:.0}", value.abs()) == digits;
    is_near(text, value.is_finite(), exact).then_some(value)
}

/// The float of 32 bits that is nearest to `text`, as [`double`].
pub fn float(text: &str) -> Option<f32> {
    let value: f32 = text.parse().ok()?;
    let exact = |digits: &str| digits.len() <= 7 || format!("{:.0}", value.abs()) == digits;
    is_near(text, value.is_finite(), exact).then_some(value)
}

/// Whether a float represents `text`: `exact` checks the digits of integers.
fn is_near(text: &str, is_finite: bool, exact: impl Fn(&str) -> bool) -> bool {
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    if !is_finite {
        return !has_digits;
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !is_whole(digits) || exact(digits.trim_start_matches('0'))
}

/// Whether `digits` only has ASCII digits.
pub fn is_whole(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` is a number in digits, with a point or an exponent if need be: not `NaN`, and not `inf`.
pub fn is_number(text: &str) -> bool {
    Parts::of(text).is_some()
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?.into()),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let some = !whole.is_empty() || !fraction.is_empty();
        (all_digits && some).then_some(Self { negative, whole, fraction, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_exactly_or_not_at_all() {
        for (text, scale, value) in [
            ("12.30", 1, Some(123)),
            ("12.34", 1, None),
            ("1.9", 0, None),
            ("1.000", 0, Some(1)),
            ("1e3", 0, Some(1000)),
            ("1.5e1", 0, Some(15)),
            ("15e-1", 0, None),
            ("150e-1", 0, Some(15)),
            ("-.5", 1, Some(-5)),
            ("5.", 0, Some(5)),
            ("007", 0, Some(7)),
            ("0e99999", 0, Some(0)),
            ("1e99999", 0, None),
            ("1e-99999", 0, None),
            ("99999999999999999999999999999999999999", 0, Some(MOST)),
            ("100000000000000000000000000000000000000", 0, None),
            ("999999999999999999999999999999999999999999", 0, None),
            ("", 0, None),
            (".", 0, None),
            ("-", 0, None),
            ("1 ", 0, None),
            ("0x10", 0, None),
            ("NaN", 0, None),
        ] {
            assert_eq!(scaled(text, scale), value, "{text} at scale {scale}");
        }
    }

    #[test]
    fn floats_are_the_nearest_and_whole_numbers_exact() {
        assert_eq!(double("0.1"), Some(0.1));
        assert_eq!(double("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(double("9007199254740993"), None);
        assert_eq!(double("-100000000000000000000"), Some(-1e20));
        assert_eq!(double("1e400"), None);
        assert_eq!(double("-inf"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").is_some_and(f64::is_nan));
        assert_eq!(double("one"), None);
        assert_eq!(float("16777217"), None);
        assert_eq!(float("0016777216"), Some(16_777_216.0));
        assert_eq!(float("1e39"), None);
        assert!(is_number("-1.5e3") && !is_number("inf") && !is_number("1e"));
    }
}
