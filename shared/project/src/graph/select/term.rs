//! One term of a selection: what it matches, and how far it reaches along the graph.

use std::collections::BTreeSet;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use windlass_base::suggest::did_you_mean;

use crate::graph::{Node, PipelineGraph};
use crate::spec::pipeline::SubdagInstance;
use crate::spec::{Problem, Span, codes};
use crate::tag::ITEM_SEPARATOR;

/// The methods that may precede a `:`.
const METHODS: [&str; 3] = ["tag", "source", "subdag"];
/// The methods of dbt that need the record of earlier runs.
const LATER_METHODS: [&str; 2] = ["state", "result"];

/// A term such as `2+tag:layer=semantic+`.
pub(super) struct Term {
    text: String,
    span: Span,
    method: Method,
    /// Include the ancestors of the matches: `Some(None)` means all of them.
    pub(super) reads: Option<Option<usize>>,
    /// Include the descendants of the matches: `Some(None)` means all of them.
    pub(super) readers: Option<Option<usize>>,
    /// Include all descendants, and everything that they read.
    pub(super) at: bool,
}

enum Method {
    Name(Pattern),
    Source(Pattern),
    /// A sub-DAG, or an instance of one.
    Subdag(Pattern),
    Tag {
        key: Pattern,
        value: Option<Pattern>,
    },
}

/// A name as it is, or a glob.
enum Pattern {
    Exactly(String),
    Glob(GlobMatcher),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(name) => name == text,
            Self::Glob(glob) => glob.is_match(text),
        }
    }
}

/// A malformed term.
pub(super) fn syntax(span: &Span, message: impl Into<String>) -> Problem {
    Problem::new(codes::SELECTION_SYNTAX, message)
        .at(span)
        .help("examples of terms are `name`, `+name`, `name+2`, `@name`, `cpg_*`, `tag:layer=semantic`, `source:files`")
}

impl Term {
    /// Parses the term at byte `start` of `file`.
    pub(super) fn parse(file: &Arc<str>, start: usize, text: &str) -> Result<Self, Box<Problem>> {
        let span = Span::new(file, start, start + text.len());
        let fail = |message: String| Err(Box::new(syntax(&span, message)));
        if text.is_empty() {
            return fail("a term is missing next to the `,`".to_owned());
        }
        let (at, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (reads, rest) = leading_hops(rest);
        let (readers, core) = trailing_hops(rest);
        if at && (reads.is_some() || readers.is_some()) {
            return fail(format!("`{text}` has both `@` and `+`: `@` takes both directions already"));
        }
        let too_far = |hops: &Option<Hops>| matches!(hops, Some(Hops::TooMany));
        if too_far(&reads) || too_far(&readers) {
            return fail(format!("`{text}` has a number of steps that is too large"));
        }
        if core.is_empty() {
            return fail(format!("`{text}` names nothing"));
        }
        if core.contains('+') {
            return fail(format!("`{text}` has a `+` in the middle"));
        }
        let method = match core.split_once(':') {
            None => Method::Name(pattern(core, &span)?),
            Some((method, value)) => Self::method(method, value, &span)?,
        };
        let steps =
            |hops: Option<Hops>| hops.map(|hops| if let Hops::Steps(steps) = hops { Some(steps) } else { None });
        Ok(Self { text: core.to_owned(), span, method, reads: steps(reads), readers: steps(readers), at })
    }

    fn method(method: &str, value: &str, span: &Span) -> Result<Method, Box<Problem>> {
        if LATER_METHODS.contains(&method) {
            let message = format!("selecting by `{method}:` is not available in this version of windlass");
            return Err(Box::new(Problem::new(codes::NOT_AVAILABLE, message).at(span).help("select by name or tag")));
        }
        if !METHODS.contains(&method) {
            let mut problem =
                Problem::new(codes::SELECTION_SYNTAX, format!("there is no selection method `{method}:`")).at(span);
            problem.help = did_you_mean(method, "methods are", METHODS);
            return Err(Box::new(problem));
        }
        if value.is_empty() || value.starts_with('=') || value.ends_with('=') {
            return Err(Box::new(syntax(span, format!("`{method}:{value}` is incomplete"))));
        }
        Ok(match (method, value.split_once('=')) {
            ("source", _) => Method::Source(pattern(value, span)?),
            ("subdag", _) => Method::Subdag(pattern(value, span)?),
            (_, None) => Method::Tag { key: pattern(value, span)?, value: None },
            (_, Some((key, value))) => Method::Tag { key: pattern(key, span)?, value: Some(pattern(value, span)?) },
        })
    }

    /// Whether the term matches a node, without what it reaches from there.
    pub(super) fn matches(&self, node: Node<'_>) -> bool {
        match &self.method {
            Method::Name(pattern) => pattern.matches(node.name().as_str()),
            Method::Source(pattern) => matches!(node, Node::Source(_)) && pattern.matches(node.name().as_str()),
            Method::Subdag(pattern) => {
                instances_of(node).any(|instance| pattern.matches(&instance.name) || pattern.matches(&instance.subdag))
            }
            Method::Tag { key, value } => node.tags().0.iter().any(|(tag, of_tag)| match value {
                Some(value) => key.matches(tag) && of_tag.split(ITEM_SEPARATOR).any(|item| value.matches(item)),
                None => key.matches(tag) || of_tag.split(ITEM_SEPARATOR).any(|item| key.matches(item)),
            }),
        }
    }

    /// The problem if no node matches.
    pub(super) fn matched_nothing(&self, graph: &PipelineGraph) -> Problem {
        let mut problem =
            Problem::new(codes::SELECTION_EMPTY, format!("`{}` matches no node of the project", self.text))
                .at(&self.span);
        let text = self.text.split_once(':').map_or(self.text.as_str(), |(_, value)| value);
        let (what, names): (_, BTreeSet<String>) = match &self.method {
            Method::Name(_) => ("nodes are", graph.nodes().map(|node| node.name().to_string()).collect()),
            Method::Source(_) => ("sources are", graph.sources.keys().map(ToString::to_string).collect()),
            Method::Subdag(_) => ("sub-DAGs and their instances are", subdags_of(graph)),
            Method::Tag { .. } => ("tags are", tags_of(graph)),
        };
        let nothing = match &self.method {
            Method::Subdag(_) => "the project uses no sub-DAG",
            _ => "no node has a tag",
        };
        problem.help = did_you_mean(text, what, names.iter().map(String::as_str)).or_else(|| Some(nothing.to_owned()));
        problem
    }
}

/// The sub-DAG instances that contain a node, innermost first.
fn instances_of(node: Node<'_>) -> impl Iterator<Item = &SubdagInstance> {
    let instance = match node {
        Node::Stage(stage) => stage.instance.as_deref(),
        Node::Source(_) => None,
    };
    instance.into_iter().flat_map(SubdagInstance::with_parents)
}

/// Every sub-DAG that is used, and every instance.
fn subdags_of(graph: &PipelineGraph) -> BTreeSet<String> {
    graph.nodes().flat_map(instances_of).flat_map(|found| [found.name.clone(), found.subdag.clone()]).collect()
}

/// Every tag of every node, in the syntax of selections.
fn tags_of(graph: &PipelineGraph) -> BTreeSet<String> {
    let tags = graph.nodes().flat_map(|node| node.tags().0.iter());
    let items = |(key, value): (&String, &String)| -> Vec<String> {
        let items = value.split(ITEM_SEPARATOR).map(|item| format!("{key}={item}"));
        items.chain([key.clone()]).collect()
    };
    tags.flat_map(items).collect()
}

fn pattern(text: &str, span: &Span) -> Result<Pattern, Box<Problem>> {
    if !text.contains(['*', '?', '[']) {
        return Ok(Pattern::Exactly(text.to_owned()));
    }
    match Glob::new(text) {
        Ok(glob) => Ok(Pattern::Glob(glob.compile_matcher())),
        Err(error) => {
            let message = format!("`{text}` is not a glob: {}", error.kind());
            Err(Box::new(Problem::new(codes::SELECTION_SYNTAX, message).at(span)))
        }
    }
}

/// How far a `+` reaches.
enum Hops {
    All,
    Steps(usize),
    TooMany,
}

fn hops(digits: &str) -> Hops {
    if digits.is_empty() { Hops::All } else { digits.parse().map_or(Hops::TooMany, Hops::Steps) }
}

/// `2+` or `+` before a term.
fn leading_hops(text: &str) -> (Option<Hops>, &str) {
    match text.split_once('+') {
        Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (Some(hops(digits)), rest),
        _ => (None, text),
    }
}

/// `+2` or `+` after a term.
fn trailing_hops(text: &str) -> (Option<Hops>, &str) {
    match text.rsplit_once('+') {
        Some((rest, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (Some(hops(digits)), rest),
        _ => (None, text),
    }
}
