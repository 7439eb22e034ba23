//! Renders problems for a terminal: message, source lines, help.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents};
use miette::{Severity, SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles};

use super::files::ProjectFiles;
use super::problem::{Label, Problem};
use super::span::line_and_column;

/// How to draw problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderStyle {
    /// Whether to colour with ANSI escapes.
    pub colour: bool,
    /// Whether to draw with Unicode lines instead of ASCII.
    pub unicode: bool,
    /// Columns to wrap messages at.
    pub width: usize,
}

impl Default for RenderStyle {
    fn default() -> Self {
        Self { colour: false, unicode: true, width: 100 }
    }
}

/// The problems one after the other, separated by blank lines. Those about the same place with the same help are shown
/// together: their messages, and once the place and the help.
pub(super) fn render(problems: &[Problem], files: &ProjectFiles, style: RenderStyle) -> String {
    let theme = GraphicalTheme {
        characters: if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() },
        styles: if style.colour { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(style.width)
        .without_syntax_highlighting();
    let mut text = String::new();
    for (index, problems) in problems.chunk_by(is_about_the_same).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for report in Report::of(problems, files) {
            if handler.render_report(&mut text, &report).is_err() {
                text.push_str(&format!("{report}\n"));
            }
        }
    }
    text
}

fn is_about_the_same(one: &Problem, other: &Problem) -> bool {
    let same_place = !one.labels.is_empty() && one.labels == other.labels;
    same_place && one.code == other.code && one.help == other.help
}

/// A problem for miette, the message of one that is shown together with the next, or the part of one in another file than
/// its primary position.
#[derive(Debug)]
struct Report {
    severity: Severity,
    code: Option<String>,
    message: String,
    help: Option<String>,
    source: Option<Snippet>,
    labels: Vec<LabeledSpan>,
}

impl Report {
    /// Problems about the same: the messages of all but the last, the last one with its place, then a report for each
    /// additional file that it points into.
    fn of(problems: &[Problem], files: &ProjectFiles) -> Vec<Self> {
        let Some((problem, others)) = problems.split_last() else { return Vec::new() };
        let mut groups: Vec<(&str, Vec<&Label>)> = Vec::new();
        for label in &problem.labels {
            match groups.iter_mut().find(|(file, _)| *file == &*label.span.file) {
                Some((_, labels)) => labels.push(label),
                None => groups.push((&label.span.file, vec![label])),
            }
        }
        let mut reports: Vec<Self> = groups.iter().map(|(file, labels)| Self::secondary(file, labels, files)).collect();
        match reports.first_mut() {
            Some(first) => {
                first.severity = Severity::Error;
                first.message.clone_from(&problem.message);
            }
            None => reports.push(Self::message(problem)),
        }
        if let Some(last) = reports.last_mut() {
            last.help.clone_from(&problem.help);
        }
        let mut reports: Vec<Self> = others.iter().map(Self::message).chain(reports).collect();
        if let Some(first) = reports.first_mut() {
            first.code = Some(problem.code.to_string());
        }
        reports
    }

    /// Nothing but the message of a problem.
    fn message(problem: &Problem) -> Self {
        let message = problem.message.clone();
        Self { severity: Severity::Error, code: None, message, help: None, source: None, labels: Vec::new() }
    }

    fn secondary(file: &str, labels: &[&Label], files: &ProjectFiles) -> Self {
        let (source, labels) = snippet(file, labels, files);
        let message = format!("in {file}");
        Self { severity: Severity::Advice, code: None, message, help: None, source, labels }
    }
}

fn snippet(file: &str, labels: &[&Label], files: &ProjectFiles) -> (Option<Snippet>, Vec<LabeledSpan>) {
    let Some(text) = files.get(file) else { return (None, Vec::new()) };
    let spans = labels
        .iter()
        .map(|label| {
            let (start, length) = first_line(text, label.span.start, label.span.end);
            LabeledSpan::new(label.text.clone(), start, length)
        })
        .collect();
    (Some(Snippet { file: file.to_owned(), text: without_secrets(text) }), spans)
}

/// A file to show lines of. Columns are counted in characters, where miette counts bytes.
#[derive(Debug)]
struct Snippet {
    file: String,
    text: String,
}

impl SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        behind: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let lines = self.text.read_span(span, before, behind)?;
        let (_, column) = line_and_column(&self.text, lines.span().offset());
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.clone(),
            lines.data(),
            *lines.span(),
            lines.line(),
            column - 1,
            lines.line_count(),
        )))
    }
}

/// The part of a range on its first line, so that a label never covers a whole block. A range from another text is
/// moved to the nearest character boundaries.
fn first_line(text: &str, start: usize, end: usize) -> (usize, usize) {
    let start = text.floor_char_boundary(start);
    let part = text.get(start..text.floor_char_boundary(end)).unwrap_or_default();
    (start, part.lines().next().map_or(0, |line| line.trim_end().len()))
}

/// The text with the password of every `scheme://user:password@host` replaced by asterisks, byte for byte.
fn without_secrets(text: &str) -> String {
    let mut shown = text.to_owned();
    for (user, host) in passwords(text) {
        shown.replace_range(user..host, &"*".repeat(host - user));
    }
    shown
}

/// The byte ranges of passwords in the URLs of a text.
pub(super) fn passwords(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = &text[start..];
        let authority = rest.find(|c: char| c == '/' || c.is_whitespace() || c == '"').map_or(rest, |end| &rest[..end]);
        let Some((user, _)) = authority.rsplit_once('@') else { continue };
        if let Some(colon) = user.find(':') {
            found.push((start + colon + 1, start + user.len()));
        }
    }
    found
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
