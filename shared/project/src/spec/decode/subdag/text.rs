//! Substitutes `$name` and `${name}` in YAML texts.

use std::collections::BTreeMap;

use windlass_base::suggest::did_you_mean;

use super::argument::Argument;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{Entry, Node, Scalar, Value};

/// A `$name` in a text.
pub(super) struct Reference<'t> {
    /// The name without `$` and braces.
    pub(super) name: &'t str,
    /// Whether it is the whole text.
    pub(super) whole: bool,
    start: usize,
    end: usize,
}

/// The first `$name` of a text.
pub(super) fn reference(text: &str) -> Option<Reference<'_>> {
    let mut from = 0;
    while let Some(at) = text[from..].find('$') {
        let start = from + at;
        let rest = &text[start + 1..];
        if rest.starts_with('$') {
            from = start + 2;
            continue;
        }
        let found = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').map(|(name, _)| (name.trim(), inside.find('}').unwrap_or(0) + 3)),
            None => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let is_name = rest[..length].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                is_name.then(|| (&rest[..length], length + 1))
            }
        };
        if let Some((name, length)) = found {
            return Some(Reference { name, whole: start == 0 && length == text.len(), start, end: start + length });
        }
        from = start + 1;
    }
    None
}

/// The arguments in scope.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments(pub(super) BTreeMap<String, Argument>);

impl Arguments {
    /// The argument with a name. Unknown names are reported.
    pub(super) fn find(&self, name: &str, place: &Span, problems: &mut Vec<Problem>) -> Option<&Argument> {
        let found = self.0.get(name);
        if found.is_none() {
            let message = format!("there is no parameter `${name}` here");
            let mut problem = Problem::new(codes::SUBDAG_PARAM, message).at(place);
            problem.help = did_you_mean(name, "there are", self.0.keys().map(String::as_str))
                .or_else(|| Some("declare it under `params` of the sub-DAG; a `$` as such is written `$$`".to_owned()));
            problems.push(problem);
        }
        found
    }

    /// The tree with arguments in place of every `$name` in its texts, keys included.
    pub(super) fn fill(&self, node: &Node, problems: &mut Vec<Problem>) -> Node {
        let value = match &node.value {
            Value::Scalar(scalar) => {
                let text = self.text(&scalar.text, &node.span, problems);
                Value::Scalar(Scalar { text, plain: scalar.plain })
            }
            Value::List(items) => Value::List(items.iter().flat_map(|item| self.items(item, problems)).collect()),
            Value::Map(entries) => {
                let entry = |entry: &Entry| Entry {
                    key: Spanned::new(self.text(&entry.key.value, &entry.key.span, problems), entry.key.span.clone()),
                    value: self.fill(&entry.value, problems),
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            Value::Refused => Value::Refused,
        };
        Node { span: node.span.clone(), value }
    }

    /// An item of a list, or for the names of a parameter one item each.
    fn items(&self, item: &Node, problems: &mut Vec<Problem>) -> Vec<Node> {
        if let Value::Scalar(scalar) = &item.value
            && let Some(Reference { name, whole: true, .. }) = reference(&scalar.text)
            && let Some(Argument::Names(names)) = self.0.get(name)
        {
            let one =
                |text: String| Node { span: item.span.clone(), value: Value::Scalar(Scalar { text, plain: false }) };
            return names.iter().cloned().map(one).collect();
        }
        vec![self.fill(item, problems)]
    }

    /// A text with arguments in place of every `$name`.
    pub(super) fn text(&self, text: &str, place: &Span, problems: &mut Vec<Problem>) -> String {
        let (mut made, mut rest) = (String::new(), text);
        while let Some(found) = reference(rest) {
            made.push_str(&rest[..found.start].replace("$$", "$"));
            match self.find(found.name, place, problems).map(Argument::text) {
                Some(Some(value)) => made.push_str(&value),
                Some(None) => {
                    let message = format!("the value of `${}` is not known before a run begins", found.name);
                    let problem = Problem::new(codes::SUBDAG_PARAM, message).at(place);
                    problems.push(problem.help("use it in SQL only, or write the value out"));
                }
                // This was already reported; the placeholder avoids follow-up problems.
                None => made.push_str(&rest[found.start..found.end]),
            }
            rest = &rest[found.end..];
        }
        made.push_str(&rest.replace("$$", "$"));
        made
    }
}
