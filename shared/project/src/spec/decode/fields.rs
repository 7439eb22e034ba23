//! The keys of a mapping: which are allowed, and the values of those present.

use windlass_base::suggest::did_you_mean;

use super::values::wrong_type;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::yaml::{Entry, Node, Value};

/// The keys that a mapping may have.
pub(super) struct Keys {
    /// The mapping's description, with its article: "a source".
    pub(super) what: &'static str,
    /// The allowed keys.
    pub(super) known: &'static [&'static str],
}

/// A mapping whose keys have been checked.
pub(super) struct Fields<'n> {
    what: &'static str,
    span: &'n Span,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// `node` as a mapping. Reports every unknown key; `None` if it is not a mapping.
    pub(super) fn open(node: &'n Node, keys: &Keys, problems: &mut Vec<Problem>) -> Option<Self> {
        let entries = entries(node, keys.what, problems)?;
        for entry in entries {
            let key = &entry.key.value;
            if !keys.known.contains(&key.as_str()) && !key.is_empty() {
                let mut problem = Problem::new(codes::UNKNOWN_KEY, format!("{} has no key `{key}`", keys.what))
                    .label(&entry.key.span, "unknown key");
                problem.help = did_you_mean(key, "its keys are", keys.known.iter().copied());
                problems.push(problem);
            }
        }
        Some(Self { what: keys.what, span: &node.span, entries })
    }

    /// The value of a key, if present.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key.value == key).map(|entry| &entry.value)
    }

    /// The span of a key, if present.
    pub(super) fn key_span(&self, key: &str) -> Option<&'n Span> {
        self.entries.iter().find(|entry| entry.key.value == key).map(|entry| &entry.key.span)
    }

    /// The value of a required key; `example` shows how to write it.
    pub(super) fn require(&self, key: &str, example: &str, problems: &mut Vec<Problem>) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            let problem = Problem::new(codes::MISSING_KEY, format!("{} needs `{key}`", self.what))
                .label(self.span, format!("`{key}` is missing"))
                .help(format!("add `{example}`"));
            problems.push(problem);
        }
        found
    }
}

/// The entries of a mapping with user-defined names as keys.
pub(super) fn entries<'n>(node: &'n Node, what: &str, problems: &mut Vec<Problem>) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => wrong_type(node, what, "a mapping (`key: value`)", problems),
    }
}
