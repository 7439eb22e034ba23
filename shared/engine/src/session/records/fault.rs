//! What is wrong with a file, without its name.

use std::fmt::Display;

use crate::session::SessionError;

/// The maximum number of bytes of a value in a message.
const SHOWN: usize = 80;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A record cannot be read.
    Record {
        /// The line that it starts at; the first is 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A value does not have its column's type.
    Value {
        /// The line that its record starts at.
        line: u64,
        /// The column.
        column: String,
        /// The column's type.
        expected: String,
        /// The value, as it is written.
        found: String,
    },
    /// The columns do not match.
    Columns {
        /// What is wrong with them.
        reason: String,
    },
}

impl Fault {
    /// A value that is not of the type `expected`.
    pub(super) fn value(line: u64, column: impl Into<String>, expected: impl Display, found: &str) -> Self {
        let found = match found.len() > SHOWN {
            true => format!("{}…", &found[..found.floor_char_boundary(SHOWN)]),
            false => found.to_owned(),
        };
        Self::Value { line, column: column.into(), expected: expected.to_string(), found }
    }

    /// The same with lines counted from the start of the file, `before` of which were skipped.
    pub(super) fn after_lines(self, before: u64) -> Self {
        match self {
            Self::Record { line, reason } => Self::Record { line: line + before, reason },
            Self::Value { line, column, expected, found } => {
                Self::Value { line: line + before, column, expected, found }
            }
            Self::Columns { reason } => Self::Columns { reason },
        }
    }

    /// The fault of `file`.
    pub(super) fn of_file(self, file: &impl Display) -> SessionError {
        let file = file.to_string();
        match self {
            Self::Record { line, reason } => SessionError::BadRecord { file, line, reason },
            Self::Value { line, column, expected, found } => {
                SessionError::BadValue { file, line, column, expected, found }
            }
            Self::Columns { reason } => SessionError::OtherColumns { file, reason },
        }
    }
}
