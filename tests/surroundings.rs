//! What tests need of the machine that they run on: where it is missing a test is skipped and says so, unless
//! `WINDLASS_REQUIRE` names it, and then the test fails.

/// The variable that names what must not be missing, separated by commas.
const REQUIRE: &str = "WINDLASS_REQUIRE";

/// What a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// Tables that Spark and other engines wrote, with the rows that they must read back to.
    Golden,
    /// A server of the S3 protocol.
    S3,
    /// A container engine, and the images of docker/compose.yaml.
    Compose,
    /// Programs of others that read Delta tables.
    Readers,
}

impl Surroundings {
    const ALL: [Self; 4] = [Self::Golden, Self::S3, Self::Compose, Self::Readers];

    /// The name in `WINDLASS_REQUIRE`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::S3 => "s3",
            Self::Compose => "compose",
            Self::Readers => "readers",
        }
    }
}

/// Says that a test is skipped because `lacking` is.
///
/// # Panics
/// If `WINDLASS_REQUIRE` names what is lacking, or something that no test needs.
pub fn skip(lacking: Surroundings, why: &str) {
    let required = std::env::var(REQUIRE).unwrap_or_default();
    let refused = refused(&required, lacking);
    assert!(refused.is_none(), "{}: {why}", refused.unwrap_or_default());
    println!("skipped: {why}");
}

/// Why a test may not be skipped where `lacking` is and `required` is asked for.
fn refused(required: &str, lacking: Surroundings) -> Option<String> {
    let names: Vec<&str> = required.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let known = Surroundings::ALL.map(Surroundings::as_str);
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Some(format!("{REQUIRE} names `{unknown}`; it may name {}", known.join(", "))),
        None => names.contains(&lacking.as_str()).then(|| format!("{REQUIRE} names `{}`", lacking.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_is_not_skipped_and_what_nobody_knows_is_told() {
        for required in ["", "s3", "s3,", " s3 , compose"] {
            assert_eq!(refused(required, Surroundings::Golden), None, "{required}");
        }
        for required in ["golden", "s3, golden"] {
            assert_eq!(refused(required, Surroundings::Golden).as_deref(), Some("WINDLASS_REQUIRE names `golden`"));
        }
        let unknown = refused("gold", Surroundings::Golden).unwrap_or_default();
        assert!(unknown.contains("`gold`") && unknown.contains("golden, s3, compose, readers"), "{unknown}");
    }
}
