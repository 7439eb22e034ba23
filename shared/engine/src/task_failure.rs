//! Transports a task's failure from an executor to the scheduler without loss.
//!
//! The engine reports a failed task as a text with debug formatting, and nests such texts. So the executor writes a
//! marker into the error that survives this formatting, and the scheduler extracts it.

use std::fmt::Write;

use windlass_base::error::Failure;
use windlass_base::secrets::without_secrets;

const START: &str = "<<windlass-task|";
const END: &str = ">>";
/// Longer messages are truncated, because they are sent with every status of the task.
const MAX_MESSAGE: usize = 16 * 1024;

/// The failure that code of Windlass has raised, wherever it is among the causes of `error`.
pub fn raised_in<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Failure> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// The kind of a task's failure, which determines what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFailureKind {
    /// The query fails on these data, wherever and whenever it runs.
    Execution,
    /// The task's code panicked.
    Panic,
    /// The memory pool or the spill folder was exhausted.
    OutOfResources,
    /// Reading or writing failed temporarily.
    Io,
    /// Code of Windlass raised an error with its own code and help.
    Raised,
}

impl TaskFailureKind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Execution, "execution"),
        (Self::Panic, "panic"),
        (Self::OutOfResources, "resources"),
        (Self::Io, "io"),
        (Self::Raised, "raised"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("execution", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == name).map(|(kind, _)| *kind)
    }
}

/// Why a task failed, as reported by its executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// What happened.
    pub kind: TaskFailureKind,
    /// The root message, without the layers of errors around it. Code and help are only set if the kind is
    /// [`TaskFailureKind::Raised`].
    pub failure: Failure,
}

impl TaskFailure {
    /// A failure without a code of its own.
    pub fn new(kind: TaskFailureKind, message: impl Into<String>) -> Self {
        let retryable = kind == TaskFailureKind::Io;
        let message = without_secrets(&message.into()).into_owned();
        Self { kind, failure: Failure { code: String::new(), message, help: None, retryable } }
    }

    /// A failure that code of Windlass raised with a code of its own.
    pub fn raised(failure: Failure) -> Self {
        Self { kind: TaskFailureKind::Raised, failure }
    }

    /// The text that survives repeated debug formatting.
    pub fn to_marker(&self) -> String {
        let mut text = START.to_owned();
        text.push_str(self.kind.name());
        let retryable = if self.failure.retryable { "retryable" } else { "final" };
        let help = self.failure.help.as_deref().unwrap_or_default();
        for field in [retryable, &self.failure.code, &self.failure.message, help] {
            text.push('|');
            escape(field, &mut text);
        }
        text.push_str(END);
        text
    }

    /// The first failure whose marker is in `text`.
    pub fn find_in(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(START)?;
        let (body, _) = rest.split_once(END)?;
        let mut fields = body.split('|');
        let kind = TaskFailureKind::parse(fields.next()?)?;
        let retryable = fields.next()? == "retryable";
        let code = unescape(fields.next()?);
        let message = unescape(fields.next()?);
        let help = unescape(fields.next()?);
        let help = (!help.is_empty()).then_some(help);
        Some(Self { kind, failure: Failure { code, message, help, retryable } })
    }
}

/// Appends `field` with every character escaped that formatting or the marker itself could change.
fn escape(field: &str, text: &mut String) {
    for character in field.chars().take(MAX_MESSAGE) {
        let plain = character.is_ascii() && !character.is_ascii_control() && !"%|<>\"'\\".contains(character);
        if plain {
            text.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{:X}%", u32::from(character));
        }
    }
}

fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut parts = field.split('%');
    text.push_str(parts.next().unwrap_or_default());
    // After the first part, escaped characters and plain text alternate.
    while let Some(code) = parts.next() {
        text.extend(u32::from_str_radix(code, 16).ok().and_then(char::from_u32));
        text.push_str(parts.next().unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_nested_debug_formatting() {
        let failure = Failure {
            code: "WL0431".to_owned(),
            message: "the check \"a > 0\" fails for 3 rows|50 % <of>\nthem: 'ü' \\ 漢".to_owned(),
            help: Some("fix the rows".to_owned()),
            retryable: false,
        };
        let failure = TaskFailure::raised(failure);
        let nested = format!("Job failed: {:?}", format!("Task failed: {:?}", failure.to_marker()));
        assert_eq!(TaskFailure::find_in(&nested), Some(failure));
    }

    #[test]
    fn a_text_without_a_marker_is_not_a_failure() {
        assert_eq!(TaskFailure::find_in("Job failed: <<windlass-task|unknown|final|||>>"), None);
        assert_eq!(TaskFailure::find_in("Job failed"), None);
    }
}
