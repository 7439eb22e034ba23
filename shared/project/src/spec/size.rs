//! Parses sizes in bytes, such as `512MiB`, `1.5GB`, `4096`.

/// The units that [`parse_bytes`] accepts.
pub const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The number of bytes in `text`: a number and an optional unit, case-insensitive.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor = if unit.is_empty() {
        1
    } else {
        UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)?
    };
    let number = number.replace('_', "");
    match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(factor),
        Some((whole, fraction)) => {
            if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 || factor == 1 {
                return None;
            }
            let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
            let value = whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(fraction.parse().ok()?)?;
            u64::try_from(value.checked_mul(u128::from(factor))? / scale).ok()
        }
    }
}
