//! Validates ids and paths received from other processes before they are used.
//!
//! They become parts of file paths, so nothing is sanitized or decoded: a text is used unchanged, or refused.

use crate::coded;

/// The maximum length of ids and paths, in bytes.
const MAX_ID: usize = 128;
const MAX_PATH: usize = 1024;
/// The maximum number of bytes shown of a refused text.
const SHOWN: usize = 100;

/// Why a text from another process is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not a valid {what}: {reason}")]
pub struct Refused {
    what: &'static str,
    shown: String,
    reason: &'static str,
}

impl Refused {
    /// `text` is not a valid `what`, because of `reason`.
    pub fn new(what: &'static str, text: &str, reason: &'static str) -> Self {
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        // Quoted as in code, so that control characters do no harm in a log.
        Self { what, shown: format!("{shown:?}"), reason }
    }
}

coded! {
    struct Refused => "WL0536",
        "no scheduler or client of Windlass sends this: make this process's ports reachable for them alone";
}

/// Checks that a text is a valid id: only ASCII letters, digits, `_` and `-`, so that it is the name of one file or
/// folder on every system.
///
/// # Errors
/// What is wrong with it.
pub fn check_id(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > MAX_ID {
        return Err("it is empty or too long");
    }
    match text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        true => Ok(()),
        false => Err("it contains characters other than ASCII letters, digits, `_` and `-`"),
    }
}

/// Checks that a path stays below its folder on every operating system.
///
/// # Errors
/// What is wrong with it.
pub fn check_relative_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err("it is empty or too long");
    }
    if path.starts_with('/') || path.contains('\\') || path.contains(':') {
        return Err("it is absolute or not separated by `/`");
    }
    if path.chars().any(char::is_control) {
        return Err("it holds control characters");
    }
    match path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        true => Err("it leads out of its folder or is not in its shortest form"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;
    use crate::ids::{EngineJobId, PipelineName, RunId};

    /// Texts that escape the folder in various ways.
    const FOREIGN: [&str; 21] = [
        "",
        ".",
        "..",
        "/",
        "/etc",
        "../x",
        "../../x",
        "a/..",
        "a/../../b",
        "./a",
        "a//b",
        "a/",
        "%2e%2e",
        "%2e%2e%2fx",
        "..%2fx",
        ".\t.",
        "a\0b",
        "C:\\x",
        "C:x",
        "\\\\host\\x",
        "..\\x",
    ];

    #[test]
    fn ids_are_the_name_of_one_folder() {
        for text in FOREIGN {
            assert!(EngineJobId::parse(text).is_err(), "{text:?}");
            assert!(PipelineName::parse(text).is_err(), "{text:?}");
            assert!(RunId::parse(text).is_err(), "{text:?}");
        }
        for text in ["a b", "größe", "a.b", "~", "$HOME", "a\nb", &"x".repeat(129)] {
            assert!(EngineJobId::parse(text).is_err(), "{text:?}");
        }
        EngineJobId::parse("0S3D81CKG4000").unwrap();
        PipelineName::parse("code_graph").unwrap();
        let run = RunId::generate();
        assert_eq!(RunId::parse(run.as_str()), Ok(run.clone()));
        assert!(RunId::parse(&run.as_str().to_uppercase()).is_err());
    }

    #[test]
    fn paths_stay_below_their_folder() {
        for path in FOREIGN.iter().filter(|path| !path.contains('%')) {
            assert!(check_relative_path(path).is_err(), "{path:?}");
        }
        for path in ["a", "a/b.sql", "stages/..x.sql", "a%2f..", "größe/a b"] {
            check_relative_path(path).unwrap();
        }
    }

    #[test]
    fn refused_text_is_shown_escaped() {
        let error = Refused::new("id of a job", &format!("\u{1b}[2J{}", "x".repeat(500)), "it is empty or too long");
        let text = error.to_string();
        assert!(text.len() < 200 && !text.contains('\u{1b}'), "{text}");
        assert_eq!(error.code().0, "WL0536");
    }
}
