//! Requirements of tests on their machine: a test whose requirement is missing is skipped with a message, or fails if
//! `WINDLASS_REQUIRE` names the requirement.

/// The variable that lists the requirements that must not be missing, separated by commas.
const REQUIRE: &str = "WINDLASS_REQUIRE";

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Tables written by Spark and other engines, with their expected rows.
    Golden,
    /// A server of the S3 protocol.
    S3,
    /// The program `etcd`.
    Etcd,
    /// A container engine, and the images of docker/compose.yaml.
    Compose,
    /// Independent programs that read Delta tables.
    Readers,
}

impl Requirement {
    const ALL: [Self; 5] = [Self::Golden, Self::S3, Self::Etcd, Self::Compose, Self::Readers];

    /// The name in `WINDLASS_REQUIRE`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::S3 => "s3",
            Self::Etcd => "etcd",
            Self::Compose => "compose",
            Self::Readers => "readers",
        }
    }
}

/// Prints that a test is skipped because `missing` is missing.
///
/// # Panics
/// If `WINDLASS_REQUIRE` names it, or something that no test needs.
pub fn skip(missing: Requirement, why: &str) {
    let required = std::env::var(REQUIRE).unwrap_or_default();
    let refused = refused(&required, missing);
    assert!(refused.is_none(), "{}: {why}", refused.unwrap_or_default());
    println!("skipped: {why}");
}

/// Why a test that lacks `missing` may not be skipped if `required` is set; `None` if it may.
fn refused(required: &str, missing: Requirement) -> Option<String> {
    let names: Vec<&str> = required.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let known = Requirement::ALL.map(Requirement::as_str);
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Some(format!("{REQUIRE} names `{unknown}`; it may name {}", known.join(", "))),
        None => names.contains(&missing.as_str()).then(|| format!("{REQUIRE} names `{}`", missing.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_tests_are_not_skipped_and_unknown_names_are_reported() {
        for required in ["", "s3", "s3,", " s3 , compose"] {
            assert_eq!(refused(required, Requirement::Golden), None, "{required}");
        }
        for required in ["golden", "s3, golden"] {
            assert_eq!(refused(required, Requirement::Golden).as_deref(), Some("WINDLASS_REQUIRE names `golden`"));
        }
        let unknown = refused("gold", Requirement::Golden).unwrap_or_default();
        assert!(unknown.contains("`gold`") && unknown.contains("golden, s3, etcd, compose, readers"), "{unknown}");
    }
}
