//! The problems of a project, each with its position.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_base::coded;
use windlass_base::error::ErrorCode;

use super::files::{MANIFEST, ProjectFiles};
use super::render::{self, RenderStyle};
use super::source_map::Expanded;
use super::span::{Position, Span};

/// A position that a problem points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The text to show there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A problem and its positions. The first label is the primary one.
///
/// It can be sent: the receiver turns it into [`Problems`] with its own copy of the files ([`Problems::check`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code; [`super::codes`] explains each.
    pub code: ErrorCode,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The labels, the primary one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
}

impl Problem {
    /// A problem without a position.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, labels: Vec::new() }
    }

    /// Adds a label.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.labels.push(Label { span: span.clone(), text: None });
        self
    }

    /// Adds a label with a text.
    #[must_use]
    pub fn label(mut self, span: &Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span: span.clone(), text: Some(text.into()) });
        self
    }

    /// Whether another problem has the same message and primary position.
    pub fn is_like(&self, other: &Self) -> bool {
        self.code == other.code && self.message == other.message && self.labels.first() == other.labels.first()
    }

    /// Sets the help text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All problems that were found, sorted by position (`windlass.yaml` first), with the texts needed to show them. Never
/// empty.
#[derive(Debug, Clone)]
pub struct Problems {
    list: Vec<Problem>,
    files: ProjectFiles,
}

impl Problems {
    /// The problems of `list`, which point into `files`; `Ok` when there is none.
    pub fn check(mut list: Vec<Problem>, files: &ProjectFiles) -> Result<(), Self> {
        if list.is_empty() {
            return Ok(());
        }
        list = located(list, files);
        // Stable: problems at the same position stay in the order they were found.
        list.sort_by(|a, b| place_of(a).cmp(&place_of(b)));
        Err(Self { list, files: files.clone() })
    }

    /// A single problem.
    pub fn one(problem: Problem, files: &ProjectFiles) -> Self {
        Self { list: located(vec![problem], files), files: files.clone() }
    }

    /// The problems, sorted by file and position.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are; at least one.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// All problems with their source lines, for display in a terminal.
    pub fn render(&self, style: RenderStyle) -> String {
        render::render(&self.list, &self.files, style)
    }

    /// The problems as values for `--output json`.
    pub fn reports(&self) -> Vec<ProblemReport> {
        self.list.iter().map(|problem| self.report(problem)).collect()
    }

    fn report(&self, problem: &Problem) -> ProblemReport {
        let place = |label: &Label| self.files.position(&label.span);
        let primary = problem.labels.first().map(place);
        ProblemReport {
            code: problem.code.to_string(),
            message: problem.message.clone(),
            help: problem.help.clone(),
            file: primary.as_ref().map(|at| at.file.clone()),
            line: primary.as_ref().map(|at| at.line),
            column: primary.map(|at| at.column),
            related: problem.labels.iter().skip(1).map(place).collect(),
        }
    }
}

/// The problems with their positions mapped to source files, without duplicates. A problem in a sub-DAG is shown with
/// the first affected instance.
fn located(list: Vec<Problem>, files: &ProjectFiles) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    let mut known: HashSet<(ErrorCode, String, Vec<Label>)> = HashSet::new();
    for mut problem in list {
        let mut instances: Vec<Label> = Vec::new();
        for label in &mut problem.labels {
            let Some(expanded) = files.expanded(&label.span.file) else { continue };
            label.span = expanded.original(&label.span);
            let new = instances_of(expanded, files).into_iter().filter(|instance| !instances.contains(instance));
            instances.extend(new.collect::<Vec<_>>());
        }
        if known.insert((problem.code, problem.message.clone(), problem.labels.clone())) {
            problem.labels.extend(instances);
            found.push(problem);
        }
    }
    found
}

/// The spans of the instance that a text was expanded for, and of the surrounding instances, innermost first.
fn instances_of(expanded: &Expanded, files: &ProjectFiles) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut inner = Some(expanded);
    while let Some(expanded) = inner {
        let outer = files.expanded(&expanded.instance.file);
        let span = outer.map_or_else(|| expanded.instance.clone(), |outer| outer.original(&expanded.instance));
        labels.push(Label { span, text: Some(expanded.note.clone()) });
        inner = outer;
    }
    labels
}

/// Problems without a position come first, then those of `windlass.yaml`, which may be the cause of others.
fn place_of(problem: &Problem) -> Option<(bool, &str, usize)> {
    problem.labels.first().map(|label| (*label.span.file != *MANIFEST, label.span.file.as_ref(), label.span.start))
}

/// A [`Problem`] for output, with positions as lines and columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProblemReport {
    /// The stable code, such as `WL0104`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file's path below the project folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Related positions, such as the first use of a duplicate name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Position>,
}

impl fmt::Display for ProblemReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, report) in self.reports().iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{report}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

coded! {
    struct Problems { list } => (list.first().map_or(super::codes::BAD_VALUE, |problem| problem.code)),
        list.iter().find_map(|problem| problem.help.as_ref());
}

impl Serialize for Problems {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.reports().serialize(serializer)
    }
}
