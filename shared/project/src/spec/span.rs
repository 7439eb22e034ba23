//! Positions in the files of a project.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A range of bytes of one file. Both ends are on character boundaries of its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The file's path below the project folder, parts separated by `/`.
    pub file: Arc<str>,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end` of `file`.
    pub fn new(file: &Arc<str>, start: usize, end: usize) -> Self {
        Self { file: Arc::clone(file), start, end: end.max(start) }
    }
}

/// A value together with its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, read from `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A position as line and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Position {
    /// The file's path below the project folder.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The line and column, both counted from 1, of the byte `offset` of `text`.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = text.get(line_start..before.len()).map_or(0, |part| part.chars().count()) + 1;
    (line, column)
}

/// The byte of `text` at a line and column, both counted from 1 in characters; the end of the line, or of the text, if
/// there is no such position.
pub fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let rest = &text[start..];
    let length = rest.find('\n').unwrap_or(rest.len());
    let inside = rest[..length].char_indices().nth(column.saturating_sub(1)).map_or(length, |(at, _)| at);
    start + inside
}
