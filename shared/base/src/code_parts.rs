//! The parts of a stage's code version, from which a plan names what has changed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;

/// The parts of a stage's code version, each as a hash. They only name what has changed; whether anything has changed
/// is decided by the code version, a hash of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CodeParts {
    /// The query with the views and caches that it reads, and the row-related settings of the stage's header.
    #[serde(default)]
    pub definition: String,
    /// What the definition consists of, by part: `sql` or `plan`, `contract`, `expect`, the options of `io`,
    /// `constraint:NAME` and `view:NAME`. Empty if an earlier version of Windlass has written it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, String>,
    /// The values of the parameters that it uses.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The columns that it reads of each source or table.
    #[serde(default)]
    pub columns: BTreeMap<NodeName, String>,
    /// How files are read, and inline rows.
    #[serde(default)]
    pub reading: BTreeMap<NodeName, String>,
    /// The functions that it calls, as far as they are not the engine's own.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
    /// The settings of the session that give queries their meaning.
    #[serde(default)]
    pub settings: String,
    /// The engine's version.
    #[serde(default)]
    pub engine: String,
    /// Whether it was incremental, so that the key of its table was checked.
    #[serde(default)]
    pub incremental: bool,
}

impl CodeParts {
    /// The changes since `before`, in words such as `its definition` and ``the parameter `since` ``.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        let rewritten = self.definition != before.definition;
        if rewritten {
            changed.extend(self.rewritten(before));
        }
        // Removed and added parts count as a change of the definition.
        let in_both = !rewritten;
        changed.extend(differing(&self.params, &before.params, in_both).map(|name| format!("the parameter `{name}`")));
        changed.extend(
            differing(&self.columns, &before.columns, in_both).map(|name| format!("what it reads of `{name}`")),
        );
        changed.extend(
            differing(&self.reading, &before.reading, in_both)
                .map(|name| format!("the project's declaration of `{name}`")),
        );
        changed.extend(
            differing(&self.functions, &before.functions, in_both).map(|name| format!("the function {name}()")),
        );
        if self.settings != before.settings {
            changed.push("a setting of the session".to_owned());
        }
        if self.engine != before.engine {
            changed.push("the engine's version".to_owned());
        }
        changed
    }

    /// The parts of the definition that have changed since `before`; the definition as a whole if they are not known.
    fn rewritten(&self, before: &Self) -> Vec<String> {
        let known = !self.written.is_empty() && !before.written.is_empty();
        // What a query no longer reads, or reads now, is a change of the query.
        let is_view_of_one = |part: &&String| {
            part.starts_with(VIEW) && !(self.written.contains_key(*part) && before.written.contains_key(*part))
        };
        let parts = differing(&self.written, &before.written, true).filter(|part| !is_view_of_one(part));
        let parts: Vec<String> = parts.map(|part| part_of_definition(part)).collect();
        if known && !parts.is_empty() { parts } else { vec!["its definition".to_owned()] }
    }

    /// The changes since `before`, as a sentence such as `its definition has changed`.
    pub fn changed_text(&self, before: &Self) -> String {
        match self.changed_since(before).as_slice() {
            // Such as the arguments of a table function, which may depend on the time.
            [] => "a value that is computed when it is planned has changed".to_owned(),
            [one] => format!("{one} has changed"),
            [first @ .., last] => format!("{} and {last} have changed", first.join(", ")),
        }
    }

    /// Why rows computed with `before` are outdated. For tables written by an earlier version of Windlass, the former
    /// parts are unknown.
    pub fn reason(&self, before: Option<&Self>) -> String {
        match before {
            Some(before) => format!("{} since its rows were computed", self.changed_text(before)),
            None => {
                "its rows were made by an earlier version of windlass, which compared definitions differently".into()
            }
        }
    }
}

/// The prefix of the key of a view in [`CodeParts::written`].
const VIEW: &str = "view:";
/// The prefix of the key of a constraint in [`CodeParts::written`].
const CONSTRAINT: &str = "constraint:";

/// A part of a definition in words.
fn part_of_definition(part: &str) -> String {
    match part {
        "sql" => "its SQL".to_owned(),
        "expect" => "what it expects of its rows".to_owned(),
        "plan" | "contract" => format!("its {part}"),
        option => match (option.strip_prefix(VIEW), option.strip_prefix(CONSTRAINT)) {
            (Some(view), _) => format!("the view `{view}`"),
            (_, Some(constraint)) => format!("its constraint `{constraint}`"),
            _ => format!("its option `{option}`"),
        },
    }
}

/// The keys whose values differ, in order; keys that are in only one map are included if `all` is set.
fn differing<'m, K: Ord>(
    now: &'m BTreeMap<K, String>,
    before: &'m BTreeMap<K, String>,
    all: bool,
) -> impl Iterator<Item = &'m K> {
    let keys: BTreeSet<&K> = now.keys().chain(before.keys()).collect();
    keys.into_iter().filter(move |key| match (now.get(key), before.get(key)) {
        (Some(now), Some(before)) => now != before,
        _ => all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<K: Ord + for<'t> From<&'t str>>(entries: &[(&str, &str)]) -> BTreeMap<K, String> {
        entries.iter().map(|(key, value)| (K::from(key), (*value).to_owned())).collect()
    }

    fn before() -> CodeParts {
        CodeParts {
            definition: "a".to_owned(),
            written: map(&[("sql", "1"), ("view:known", "1"), ("view:gone", "1"), ("key", "1")]),
            params: map(&[("least", "1"), ("label", "2")]),
            columns: map(&[("orders", "1"), ("rates", "2")]),
            reading: map(&[("rates", "1")]),
            functions: map(&[("stable_id", "1")]),
            settings: "s".to_owned(),
            engine: "e".to_owned(),
            incremental: true,
        }
    }

    /// Changes one part.
    type Change = fn(&mut CodeParts);

    #[test]
    fn only_changed_parts_are_named() {
        let changes: [(&str, Change); 9] = [
            ("its definition has changed", |parts| parts.definition = "b".to_owned()),
            ("the parameter `least` has changed", |parts| drop(parts.params.insert("least".into(), "3".into()))),
            ("what it reads of `orders` has changed", |parts| drop(parts.columns.insert("orders".into(), "3".into()))),
            ("the project's declaration of `rates` has changed", |parts| {
                drop(parts.reading.insert("rates".into(), "3".into()));
            }),
            ("the function stable_id() has changed", |parts| {
                drop(parts.functions.insert("stable_id".into(), "2".into()));
            }),
            ("the function upper() has changed", |parts| drop(parts.functions.insert("upper".into(), "1".into()))),
            ("a setting of the session has changed", |parts| parts.settings = "t".to_owned()),
            ("the engine's version has changed", |parts| parts.engine = "f".to_owned()),
            ("a value that is computed when it is planned has changed", |_| {}),
        ];
        for (expected, change) in changes {
            let mut now = before();
            change(&mut now);
            assert_eq!(now.changed_text(&before()), expected);
            assert_eq!(now.reason(Some(&before())), format!("{expected} since its rows were computed"));
        }
    }

    #[test]
    fn a_changed_definition_is_told_by_its_parts() {
        let changes: [(&str, &[(&str, &str)]); 5] = [
            ("its SQL has changed", &[("sql", "2")]),
            ("its SQL has changed", &[("sql", "2"), ("view:new", "1"), ("view:gone", "")]),
            ("the view `known` has changed", &[("view:known", "2")]),
            (
                "its constraint `positive`, its contract and its option `key` have changed",
                &[("constraint:positive", "1"), ("contract", "1"), ("key", "2")],
            ),
            ("what it expects of its rows has changed", &[("expect", "1")]),
        ];
        for (expected, changed) in changes {
            let mut now = CodeParts { definition: "b".to_owned(), ..before() };
            for (part, value) in changed {
                match *value {
                    "" => drop(now.written.remove(*part)),
                    value => drop(now.written.insert((*part).to_owned(), value.to_owned())),
                }
            }
            assert_eq!(now.changed_text(&before()), expected);
        }
        let unknown = CodeParts { definition: "b".to_owned(), written: BTreeMap::new(), ..before() };
        assert_eq!(unknown.changed_text(&before()), "its definition has changed");
        assert_eq!(before().changed_text(&unknown), "its definition has changed");
    }

    #[test]
    fn parts_that_a_new_query_no_longer_uses_are_not_reported() {
        let mut now = before();
        now.definition = "b".to_owned();
        now.params.remove("label");
        now.columns.insert("more".into(), "1".into());
        now.params.insert("least".into(), "3".into());
        assert_eq!(now.changed_text(&before()), "its definition and the parameter `least` have changed");
        assert!(now.reason(None).contains("earlier version of windlass"));
    }
}
