//! Tags: the key-value labels of every node, the vocabulary of selection; the policy that they follow, and the registry of
//! semantic ids that they make up.

mod policy;
mod registry;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use policy::{KeyRule, TagDefault, TagPattern, TagPolicy, TagRules, TagScope, Violation};
pub use registry::{ColumnOrigin, NodeKind, SemanticEntry, SemanticNode, SemanticRegistry};

/// The keys that Windlass itself gives a meaning.
pub mod keys {
    /// The level of the pipeline that a node belongs to, such as `source`, `normalized`, `semantic`.
    pub const LAYER: &str = "layer";
    /// What a node is, such as `table` or `view`.
    pub const KIND: &str = "kind";
    /// The name under which others know what the node makes; under a policy it is the node's name if nothing else is said.
    pub const ARTIFACT: &str = "artifact";
    /// What the rows mean, the same in every project, such as `cpg.nodes`.
    pub const SEMANTIC_ID: &str = "semantic_id";
    /// What a row is about.
    pub const ENTITY: &str = "entity";
    /// What there is one row of.
    pub const GRAIN: &str = "grain";
    /// The version of the meaning.
    pub const VERSION: &str = "version";
    /// How far readers can rely on it, such as `stable`.
    pub const STABILITY: &str = "stability";
    /// The schema contract that the rows keep.
    pub const SCHEMA_REF: &str = "schema_ref";
    /// What becomes of the rows.
    pub const MATERIALIZATION: &str = "materialization";
    /// The columns that tell entities apart; a list.
    pub const ENTITY_KEYS: &str = "entity_keys";
    /// The columns by which rows meet those of others; a list, or columns with the semantic ids that they lead to.
    pub const JOIN_KEYS: &str = "join_keys";

    /// All of them.
    pub const ALL: [&str; 12] = [
        LAYER,
        KIND,
        ARTIFACT,
        SEMANTIC_ID,
        ENTITY,
        GRAIN,
        VERSION,
        STABILITY,
        SCHEMA_REF,
        MATERIALIZATION,
        ENTITY_KEYS,
        JOIN_KEYS,
    ];
    /// Those whose values are lists.
    pub const LISTS: [&str; 2] = [ENTITY_KEYS, JOIN_KEYS];
}

/// Between the items of a value that is a list; no other value holds it.
pub const ITEM_SEPARATOR: char = ',';
/// Between a column and the semantic id that it leads to, in an item of [`keys::JOIN_KEYS`].
pub const JOIN_KEY_SEPARATOR: char = ':';

/// The tags of one node, sorted by key. A list is its items with [`ITEM_SEPARATOR`] between.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The value of `key`, if the node carries it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The items of a value that is a list; a single one if it is none, nothing if the node does not carry the key.
    pub fn items(&self, key: &str) -> impl Iterator<Item = &str> {
        self.get(key).into_iter().flat_map(|value| value.split(ITEM_SEPARATOR))
    }

    /// The columns of [`keys::JOIN_KEYS`], with the semantic ids that they lead to, where one is said.
    pub fn join_keys(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.items(keys::JOIN_KEYS).map(|item| match item.split_once(JOIN_KEY_SEPARATOR) {
            Some((column, to)) => (column, Some(to)),
            None => (item, None),
        })
    }

    /// Takes over what `others` say and these do not.
    pub fn fill(&mut self, others: &Tags) {
        for (key, value) in &others.0 {
            self.0.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Whether the node carries no tag at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
