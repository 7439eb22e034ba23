//! The common interface of errors: a stable code, help, and whether a retry may succeed.

use std::collections::BTreeSet;
use std::fmt;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize};

use crate::engine_terms::without_engine_terms;
use crate::secrets::without_secrets;

/// A stable error code such as `WL0201`; docs/errors.md has a paragraph on each.
///
/// The first two digits identify the subject: 01 project files, 02 graph and selection, 03 sessions, sources and SQL,
/// 04 Delta tables, 05 the cluster, 06 runs and state, 07 the command, 08 the API, 09 the settings of the servers,
/// 10 contracts, expectations and fixtures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(pub &'static str);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Codes received from other processes. Each is stored once, and only ten thousand are possible, so this cannot grow
/// without bounds.
static RECEIVED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl ErrorCode {
    /// The code with that text, which this version may not know. `None` if it is not a well-formed code.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("WL")?;
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut received = RECEIVED.lock();
        let known = received.get(text).copied();
        Some(Self(known.unwrap_or_else(|| {
            let kept: &'static str = String::leak(text.to_owned());
            received.insert(kept);
            kept
        })))
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an error code")))
    }
}

/// An error that its reader can act upon. [`coded!`](crate::coded!) implements it with a table.
pub trait Coded: std::error::Error {
    /// The stable code.
    fn code(&self) -> ErrorCode;

    /// What to do about it, in one or two sentences.
    fn help(&self) -> Option<String>;

    /// Whether a retry with nothing changed may succeed.
    fn is_retryable(&self) -> bool;

    /// The error as a value that can be stored and sent.
    fn to_failure(&self) -> Failure {
        Failure {
            code: self.code().to_string(),
            message: full_message(self),
            help: self.help(),
            retryable: self.is_retryable(),
        }
    }
}

/// A [`Coded`] error as a value: what run logs, bundles and the API carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The stable code, such as `WL0401`.
    pub code: String,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether a retry with nothing changed may succeed.
    pub retryable: bool,
}

impl Coded for Failure {
    fn code(&self) -> ErrorCode {
        ErrorCode::parse(&self.code).unwrap_or(ErrorCode("WL0800"))
    }

    fn help(&self) -> Option<String> {
        self.help.clone()
    }

    fn is_retryable(&self) -> bool {
        self.retryable
    }

    fn to_failure(&self) -> Failure {
        self.clone()
    }
}

/// What [`coded!`](crate::coded!) takes as the help of a row.
pub trait HelpText {
    /// The help, owned.
    fn into_help(self) -> Option<String>;
}

impl HelpText for &str {
    fn into_help(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl HelpText for String {
    fn into_help(self) -> Option<String> {
        Some(self)
    }
}

impl<T: HelpText> HelpText for Option<T> {
    fn into_help(self) -> Option<String> {
        self.and_then(T::into_help)
    }
}

impl<T: HelpText + Clone> HelpText for &T {
    fn into_help(self) -> Option<String> {
        self.clone().into_help()
    }
}

/// So that code inside a task can raise it and the scheduler receives code and help intact.
impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

/// The error's message followed by those of its sources that the message does not already contain, without the engine's
/// terms and with credentials masked.
pub fn full_message<E: std::error::Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    without_secrets(&without_engine_terms(&text)).into_owned()
}
