//! The rules for the tags of a project's nodes.

use std::collections::BTreeMap;

use regex::Regex;

use super::{ITEM_SEPARATOR, Tags, keys};
use crate::spec::Span;

/// The rules of a project, or of its organisation, for the tags of all sources and stages.
#[derive(Debug, Clone, Default)]
pub struct TagPolicy {
    /// The rules for all nodes.
    pub rules: TagRules,
    /// Additional rules for the nodes of a layer.
    pub layers: BTreeMap<String, TagRules>,
    /// Default tags, in the order in which they are given.
    pub defaults: Vec<TagDefault>,
    /// Whether keys unknown to both the rules and Windlass are refused.
    pub closed: bool,
}

/// Rules for some nodes.
#[derive(Debug, Clone, Default)]
pub struct TagRules {
    /// The required keys, and where they are required.
    pub required: BTreeMap<String, Span>,
    /// The rules for values of keys. A key may have several rules; all of them apply.
    pub keys: Vec<(String, KeyRule)>,
}

/// The rule for the value of a key; each item of a list is checked separately.
#[derive(Debug, Clone)]
pub struct KeyRule {
    /// The allowed values, if restricted.
    pub values: Vec<String>,
    /// The pattern that the whole value must match.
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
        // Compiled alone first: a stray bracket must not close the surrounding group.
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

/// Default tags for some nodes.
#[derive(Debug, Clone)]
pub struct TagDefault {
    /// Which nodes.
    pub scope: TagScope,
    /// Their tags.
    pub tags: Tags,
    /// Where each is written, by key.
    pub places: BTreeMap<String, Span>,
}

/// The nodes that a [`TagDefault`] applies to.
#[derive(Debug, Clone)]
pub enum TagScope {
    /// The stages whose files are in a folder of the project, at any depth.
    Folder(String),
    /// The nodes that a selection selects, given their own tags and earlier defaults.
    Select {
        /// The selection, as for `--select`.
        text: String,
        /// Where it is written.
        span: Span,
    },
}

/// A violation of a tag policy.
#[derive(Debug, Clone)]
pub enum Violation {
    /// A key is missing.
    Missing {
        /// The key.
        key: String,
        /// The layer for which it is required, if not for all.
        layer: Option<String>,
        /// Where the requirement is written.
        rule: Span,
        /// Allowed values, if there are few.
        values: Vec<String>,
    },
    /// A value is not allowed.
    Value {
        /// The key.
        key: String,
        /// The value, or the item of it that is not allowed.
        value: String,
        /// The layer that the rule applies to, if not all.
        layer: Option<String>,
        /// The rule.
        rule: KeyRule,
    },
    /// A key that is not known.
    Unknown {
        /// The key.
        key: String,
        /// The known keys.
        known: Vec<String>,
    },
}

impl TagPolicy {
    /// All violations of the policy.
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

    /// The keys that occur in rules, and those of Windlass.
    fn known(&self) -> Vec<String> {
        let rules = || self.layers.values().chain([&self.rules]);
        let required = rules().flat_map(|rules| rules.required.keys().cloned());
        let ruled = rules().flat_map(|rules| rules.keys.iter().map(|(key, _)| key.clone()));
        let mut known: Vec<String> = keys::ALL.map(str::to_owned).into_iter().chain(required).chain(ruled).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The values that a key may have in all layers, if they are listed.
    pub fn values_of(&self, key: &str) -> Vec<String> {
        let rules = self.rules.keys.iter().filter(|(of, _)| of == key);
        rules.map(|(_, rule)| rule.values.clone()).find(|values| !values.is_empty()).unwrap_or_default()
    }
}

impl KeyRule {
    /// Whether a value, or an item of a list, is allowed.
    pub fn allows(&self, value: &str) -> bool {
        debug_assert!(!value.contains(ITEM_SEPARATOR));
        let listed = self.values.is_empty() || self.values.iter().any(|allowed| allowed == value);
        listed && self.pattern.as_ref().is_none_or(|pattern| pattern.regex.is_match(value))
    }
}
