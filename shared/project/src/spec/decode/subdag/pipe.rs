//! A pipe: a stage that is a chain of small named queries, each over the previous one.
//!
//! ```text
//! input ─→ trimmed ─→ known ─→ counted        WITH trimmed AS (… FROM input), known AS (… FROM trimmed), …
//! ```

use std::sync::Arc;

use super::argument::identifier;
use super::query::{Scope, expand};
use crate::spec::codes;
use crate::spec::decode::fields::{Fields, Keys};
use crate::spec::decode::values::{check_name, filled_text, list};
use crate::spec::problem::Problem;
use crate::spec::source_map::{Mapping, SourceMap};
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{Node, Value};

pub(super) const KEYS: Keys = Keys {
    what: "a pipe",
    known: &["input", "steps", "description", "tags", "materialize", "io", "retries", "contract", "expect"],
};

/// The name by which a step reads the previous one.
const PREVIOUS: &str = "previous";

/// The query of a pipe, with its source map into `text_of_file`.
pub(super) fn query(
    file: &Arc<str>,
    text_of_file: &str,
    node: &Node,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(String, SourceMap)> {
    let fields = Fields::open(node, &KEYS, problems)?;
    let place = fields.require("input", "input: name_of_a_table", problems)?;
    let input = filled_text(place, "`input`", problems)?;
    let Some(outside) = scope.names.get(&input) else {
        problems.push(scope.unknown(&input, &place.span));
        return None;
    };
    let steps = fields.require("steps", "steps: [{ known: SELECT * FROM previous WHERE id IS NOT NULL }]", problems)?;
    let steps = steps_of(steps, problems)?;
    let mut names = scope.names.clone();
    names.insert(PREVIOUS.to_owned(), outside.clone());
    let mut made = MappedText::default();
    for (index, (name, sql)) in steps.iter().enumerate() {
        made.add(if index == 0 { "WITH " } else { ",\n" }, &name.span);
        made.add(&format!("{} AS (\n", identifier(&name.value)), &name.span);
        let of_step = Scope { names: &names, ..*scope };
        let places = lines_of(&sql.value, text_of_file, &sql.span);
        let (text, mappings) = expand(file, &places, &sql.value, 0, &of_step, problems);
        made.append(text.trim_end(), &mappings);
        made.add("\n)", &name.span);
        names.insert(name.value.clone(), name.value.clone());
        names.insert(PREVIOUS.to_owned(), name.value.clone());
    }
    let (last, _) = steps.last()?;
    made.add(&format!("\nSELECT * FROM {}", identifier(&last.value)), &last.span);
    Some((made.text, SourceMap(made.mappings)))
}

type Step = (Spanned<String>, Spanned<String>);

/// The steps: each a mapping of a name to a query.
fn steps_of(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let before = problems.len();
    for item in list(node, "`steps`", problems)? {
        let entry = match &item.value {
            Value::Map(entries) if entries.len() == 1 => entries.first(),
            _ => None,
        };
        let Some(entry) = entry else {
            let problem = Problem::new(codes::WRONG_TYPE, "a step is one name and one query").at(&item.span);
            problems.push(problem.help("write `- name_of_the_step: SELECT … FROM previous`"));
            continue;
        };
        check_name(&entry.key, "a step", problems);
        if steps.iter().any(|(name, _)| name.value == entry.key.value) || entry.key.value == PREVIOUS {
            let message = format!("the name `{}` of a step is already in use", entry.key.value);
            problems
                .push(Problem::new(codes::DUPLICATE_ITEM, message).at(&entry.key.span).help("give it another name"));
        }
        if let Some(sql) = filled_text(&entry.value, &format!("the step `{}`", entry.key.value), problems) {
            steps.push((entry.key.clone(), Spanned::new(sql, entry.value.span.clone())));
        }
    }
    if steps.is_empty() && problems.len() == before {
        problems.push(Problem::new(codes::BAD_VALUE, "a pipe needs at least one step").at(&node.span));
    }
    (problems.len() == before).then_some(steps)
}

/// The source map of a YAML scalar: YAML removes indentation and quotes.
fn lines_of(text: &str, text_of_file: &str, place: &Span) -> SourceMap {
    let mut mappings = Vec::new();
    let mut from = place.start;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let at = text_of_file.get(from..place.end).and_then(|rest| rest.find(trimmed)).filter(|_| !trimmed.is_empty());
        let indent = line.len() - line.trim_start().len();
        let mut mapping = |made: std::ops::Range<usize>, origin: std::ops::Range<usize>, verbatim| {
            if !made.is_empty() {
                mappings.push(Mapping { generated: made, origin, verbatim });
            }
        };
        match at {
            Some(at) => {
                let found = from + at;
                mapping(start..start + indent, found..found, false);
                let end = start + indent + trimmed.len();
                mapping(start + indent..end, found..found + trimmed.len(), true);
                mapping(end..start + line.len(), found + trimmed.len()..found + trimmed.len(), false);
                from = found + trimmed.len();
            }
            None => mapping(start..start + line.len(), from..from, false),
        }
        start += line.len();
    }
    SourceMap(mappings)
}

/// A text under construction, with its source map.
#[derive(Default)]
struct MappedText {
    text: String,
    mappings: Vec<Mapping>,
}

impl MappedText {
    /// Adds a generated text, mapped to the given span.
    fn add(&mut self, text: &str, place: &Span) {
        let start = self.text.len();
        self.text.push_str(text);
        self.mappings.push(Mapping {
            generated: start..self.text.len(),
            origin: place.start..place.end,
            verbatim: false,
        });
    }

    /// Adds a text with its mappings.
    fn append(&mut self, text: &str, mappings: &SourceMap) {
        let start = self.text.len();
        self.text.push_str(text);
        for mapping in mappings.0.iter().filter(|mapping| mapping.generated.start < text.len()) {
            let made = start + mapping.generated.start..start + mapping.generated.end.min(text.len());
            self.mappings.push(Mapping { generated: made, ..mapping.clone() });
        }
    }
}
