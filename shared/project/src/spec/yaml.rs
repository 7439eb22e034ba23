//! Parses YAML to a small tree in which every value has its span.
//!
//! The format allows plain YAML only: mappings, lists and scalars. Anchors, aliases, tags and several documents are
//! problems, because with them a value does not come from the position where it is used.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as YamlSpan, StrInput};

use super::codes;
use super::problem::Problem;
use super::span::{Span, Spanned};

/// The maximum nesting depth of mappings and lists.
const MAX_DEPTH: usize = 64;

/// A value and its span.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was refused and reported; decoders ignore it.
    Refused,
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Spanned<String>,
    pub(super) value: Node,
}

/// A scalar's text, and whether it was written without quotes, so that it may be a number, a boolean or null.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) plain: bool,
}

impl Scalar {
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }

    pub(super) fn as_integer(&self) -> Option<i128> {
        self.plain.then(|| self.text.replace('_', "").parse().ok()).flatten()
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        let numeric = self.plain && self.text.bytes().any(|byte| byte.is_ascii_digit());
        numeric.then(|| self.text.parse().ok()).flatten()
    }
}

impl Node {
    /// What the value is, for a message: "a list", "the text `x`".
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Refused => "something else".to_owned(),
            Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Value::Scalar(scalar) if scalar.as_bool().is_some() => format!("`{}`", scalar.text),
            Value::Scalar(scalar) if scalar.as_float().is_some() => format!("the number `{}`", scalar.text),
            Value::Scalar(scalar) => format!("the text `{}`", shortened(&scalar.text)),
        }
    }
}

/// The start of a text, on one line, for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Parses `text`, which is in `file` starting at byte `base`. `None` for a document without content, or one with a
/// reported syntax error.
pub(super) fn parse(file: &Arc<str>, text: &str, base: usize, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder { file, text, base, offsets: byte_offsets(text), open: Vec::new(), root: None, problems };
    let mut documents = 0;
    for event in Parser::new(StrInput::new(text)) {
        let (event, span) = match event {
            Ok(found) => found,
            Err(error) => {
                let at = builder.offset(error.marker().index());
                builder.syntax_problem(at, error.info());
                return None;
            }
        };
        let span = builder.span(span);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    builder.refuse(&span, "a file may contain only one YAML document", "put it in a separate file");
                    return builder.root;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            other => {
                if !builder.take(other, span) {
                    return None;
                }
            }
        }
    }
    builder.root
}

/// The byte offset of each character, and of the end; `None` if all characters are single bytes.
fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
}

/// An unfinished mapping or list.
struct Open {
    span: Span,
    children: Children,
}

enum Children {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Spanned<String>> },
}

struct Builder<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    base: usize,
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    root: Option<Node>,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    /// The byte of the text at a character.
    fn offset(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        }
    }

    /// The span of an event, without the white space that the parser includes at the end of a scalar.
    fn span(&self, span: YamlSpan) -> Span {
        let start = self.offset(span.start.index());
        let end = self.offset(span.end.index()).max(start);
        let length = self.text.get(start..end).map_or(0, |part| part.trim_end().len());
        Span::new(self.file, self.base + start, self.base + start + length)
    }

    fn syntax_problem(&mut self, at: usize, info: &str) {
        // Premature ends are reported at the last character, not on the following empty line.
        let at = at.min(self.text.trim_end().len());
        let length = self.text[at..].chars().next().map_or(0, char::len_utf8);
        let span = Span::new(self.file, self.base + at, self.base + at + length);
        let mut problem = Problem::new(codes::YAML_SYNTAX, format!("not valid YAML: {info}")).at(&span);
        let opener = |open: &&Open| self.text[open.span.start - self.base..].starts_with(['{', '[']);
        if let Some(open) = self.open.last().filter(opener) {
            let bracket = Span::new(self.file, open.span.start, open.span.start + 1);
            problem = problem.label(&bracket, "inside of this");
        }
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        if self.text[line..].chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t') {
            problem = problem.help("indent with spaces: YAML does not allow tabs there");
        }
        self.problems.push(problem);
    }

    fn refuse(&mut self, span: &Span, message: &str, help: &str) {
        self.problems.push(Problem::new(codes::YAML_FEATURE, message).at(span).help(help));
    }

    /// Processes an event; `false` ends parsing.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Alias(_) => {
                self.refuse(&span, "YAML aliases are not allowed", "write the value out where it is needed");
                self.add(Node { span, value: Value::Refused });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(&span, anchor, tag.is_some());
                let scalar = Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { span, value: Value::Scalar(scalar) });
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(&span, anchor, tag.is_some());
                return self.push(span, Children::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(&span, anchor, tag.is_some());
                return self.push(span, Children::Map { entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
            _ => {}
        }
        true
    }

    fn refuse_extras(&mut self, span: &Span, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(span, "YAML anchors are not allowed", "write the value out where it is needed");
        }
        if tagged {
            self.refuse(span, "YAML tags such as `!!str` are not allowed", "quote the value to make it text");
        }
    }

    fn push(&mut self, span: Span, children: Children) -> bool {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("mappings and lists are nested more than {MAX_DEPTH} levels deep");
            self.problems.push(Problem::new(codes::LIMIT, message).at(&span));
            return false;
        }
        self.open.push(Open { span, children });
        true
    }

    fn close(&mut self, end: usize) {
        let Some(Open { span, children }) = self.open.pop() else { return };
        let last = |end_of: Option<usize>| end_of.unwrap_or(span.end).max(end).max(span.start);
        let (value, end) = match children {
            Children::List(items) => {
                let end = last(items.last().map(|item| item.span.end));
                (Value::List(items), end)
            }
            Children::Map { entries, .. } => {
                let end = last(entries.last().map(|entry| entry.value.span.end));
                (Value::Map(entries), end)
            }
        };
        let text_end = self.text.get(span.start - self.base..end - self.base).map_or(0, |part| part.trim_end().len());
        let span = Span::new(self.file, span.start, span.start + text_end);
        self.add(Node { span, value });
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.children) {
            None => self.root = Some(node),
            Some(Children::List(items)) => items.push(node),
            Some(Children::Map { entries, key }) => match key.take() {
                Some(key) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key.value == key.value) {
                        let problem = Problem::new(codes::DUPLICATE_KEY, format!("`{}` is a duplicate key", key.value))
                            .label(&key.span, "again here")
                            .label(&first.key.span, "first here")
                            .help("keep one of them");
                        self.problems.push(problem);
                    } else {
                        entries.push(Entry { key, value: node });
                    }
                }
                None => *key = Some(key_of(node, self.problems)),
            },
        }
    }
}

/// The text of a key. Anything but a scalar is reported and ignored.
fn key_of(node: Node, problems: &mut Vec<Problem>) -> Spanned<String> {
    if let Value::Scalar(scalar) = node.value {
        return Spanned::new(scalar.text, node.span);
    }
    if !matches!(node.value, Value::Refused) {
        let message = format!("a key must be text, not {}", node.describe());
        let problem = Problem::new(codes::WRONG_TYPE, message).at(&node.span);
        problems.push(
            problem.help("quote it if it is text; templates such as `{{ … }}` are not replaced in project files"),
        );
    }
    Spanned::new(String::new(), node.span)
}
