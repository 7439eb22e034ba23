//! The rules that the tags of every node of a project follow.

use std::collections::BTreeMap;

use regex::Regex;

use super::{ITEM_SEPARATOR, Tags, keys};
use crate::spec::Span;

/// What a project, or the organisation that it belongs to, asks of the tags of every source and stage.
#[derive(Debug, Clone, Default)]
pub struct TagPolicy {
    /// What holds for every node.
    pub rules: TagRules,
    /// What holds besides for the nodes of a layer.
    pub layers: BTreeMap<String, TagRules>,
    /// Tags for the nodes that do not say otherwise, in the order in which they are given.
    pub defaults: Vec<TagDefault>,
    /// Whether keys are refused that neither a rule nor Windlass knows.
    pub closed: bool,
}

/// Rules for some nodes.
#[derive(Debug, Clone, Default)]
pub struct TagRules {
    /// The keys that each node must carry, and where that is said.
    pub required: BTreeMap<String, Span>,
    /// What the values of keys must be. A key may have several rules; all of them hold.
    pub keys: Vec<(String, KeyRule)>,
}

/// What the value of a key must be; each item of a list by itself.
#[derive(Debug, Clone)]
pub struct KeyRule {
    /// One of these, if there are any.
    pub values: Vec<String>,
    /// As a whole of this form.
    pub pattern: Option<TagPattern>,
    /// Where the rule is written.
    pub span: Span,
}

/// A regular expression for whole values.
#[derive(Debug, Clone)]
pub struct TagPattern {
    text: String,
    regex: Regex,
}

impl TagPattern {
    /// The pattern that `text` is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        // By itself first: a stray bracket must not close the group around it.
        Regex::new(text)
            .and_then(|_| Regex::new(&format!("^(?:{text})$")))
            .map(|regex| Self { text: text.to_owned(), regex })
            .map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Tags for the nodes that do not say otherwise.
#[derive(Debug, Clone)]
pub struct TagDefault {
    /// Which nodes.
    pub scope: TagScope,
    /// Their tags.
    pub tags: Tags,
    /// Where each is written, by key.
    pub places: BTreeMap<String, Span>,
}

/// Which nodes a [`TagDefault`] is for.
#[derive(Debug, Clone)]
pub enum TagScope {
    /// The stages whose files are in a folder of the project, at any depth.
    Folder(String),
    /// What a selection selects, by the tags that nodes have of themselves and of the defaults before.
    Select {
        /// The selection, as for `--select`.
        text: String,
        /// Where it is written.
        span: Span,
    },
}

/// A way in which the tags of a node break a policy.
#[derive(Debug, Clone)]
pub enum Violation {
    /// A key is missing.
    Missing {
        /// The key.
        key: String,
        /// The layer for which it is required, if not for all.
        layer: Option<String>,
        /// Where it is required.
        rule: Span,
        /// Values that would do, if they are few.
        values: Vec<String>,
    },
    /// A value is not allowed.
    Value {
        /// The key.
        key: String,
        /// The value, or the item of it that is not allowed.
        value: String,
        /// The layer in which it is not, if not in all.
        layer: Option<String>,
        /// The rule.
        rule: KeyRule,
    },
    /// A key that is not known.
    Unknown {
        /// The key.
        key: String,
        /// Those that are.
        known: Vec<String>,
    },
}

impl TagPolicy {
    /// Everything in which tags break the policy.
    pub fn violations(&self, tags: &Tags) -> Vec<Violation> {
        let layer = tags.get(keys::LAYER).and_then(|layer| self.layers.get_key_value(layer));
        let sets = [Some((None, &self.rules)), layer.map(|(name, rules)| (Some(name), rules))];
        let mut found = Vec::new();
        for (layer, rules) in sets.into_iter().flatten() {
            for (key, rule) in rules.required.iter().filter(|(key, _)| tags.get(key).is_none()) {
                let (key, rule, layer) = (key.clone(), rule.clone(), layer.cloned());
                let values = self.values_of(&key);
                found.push(Violation::Missing { key, layer, rule, values });
            }
            for (key, rule) in &rules.keys {
                for item in tags.items(key).filter(|item| !rule.allows(item)) {
                    let (key, value, rule, layer) = (key.clone(), item.to_owned(), rule.clone(), layer.cloned());
                    found.push(Violation::Value { key, value, layer, rule });
                }
            }
        }
        if self.closed {
            let known = self.known();
            let unknown = tags.0.keys().filter(|key| !known.contains(key));
            found.extend(unknown.map(|key| Violation::Unknown { key: key.clone(), known: known.clone() }));
        }
        found
    }

    /// The keys that some rule is about, and those of Windlass.
    fn known(&self) -> Vec<String> {
        let rules = || self.layers.values().chain([&self.rules]);
        let required = rules().flat_map(|rules| rules.required.keys().cloned());
        let ruled = rules().flat_map(|rules| rules.keys.iter().map(|(key, _)| key.clone()));
        let mut known: Vec<String> = keys::ALL.map(str::to_owned).into_iter().chain(required).chain(ruled).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The values that a key may have everywhere, if they are listed.
    pub fn values_of(&self, key: &str) -> Vec<String> {
        let rules = self.rules.keys.iter().filter(|(of, _)| of == key);
        rules.map(|(_, rule)| rule.values.clone()).find(|values| !values.is_empty()).unwrap_or_default()
    }
}

impl KeyRule {
    /// Whether a value, or an item of a list, may be that.
    pub fn allows(&self, value: &str) -> bool {
        debug_assert!(!value.contains(ITEM_SEPARATOR));
        let listed = self.values.is_empty() || self.values.iter().any(|allowed| allowed == value);
        listed && self.pattern.as_ref().is_none_or(|pattern| pattern.regex.is_match(value))
    }
}
