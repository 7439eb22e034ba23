//! Tags: the key-value labels of every node, the vocabulary of selection; the tag policy, and the registry of semantic
//! ids.

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
    /// The public name of what the node produces; under a policy it defaults to the node's name.
    pub const ARTIFACT: &str = "artifact";
    /// The meaning of the rows, the same in every project, such as `cpg.nodes`.
    pub const SEMANTIC_ID: &str = "semantic_id";
    /// The entity that a row describes.
    pub const ENTITY: &str = "entity";
    /// The grain: what there is one row per.
    pub const GRAIN: &str = "grain";
    /// The version of the meaning.
    pub const VERSION: &str = "version";
    /// How stable it is for readers, such as `stable`.
    pub const STABILITY: &str = "stability";
    /// The schema contract of the rows.
    pub const SCHEMA_REF: &str = "schema_ref";
    /// What becomes of the rows.
    pub const MATERIALIZATION: &str = "materialization";
    /// The columns that identify an entity; a list.
    pub const ENTITY_KEYS: &str = "entity_keys";
    /// The columns used to join with other nodes; a list, or columns with the semantic ids that they refer to.
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

/// The separator of list items; no other value contains it.
pub const ITEM_SEPARATOR: char = ',';
/// The separator between a column and the semantic id that it refers to, in an item of [`keys::JOIN_KEYS`].
pub const JOIN_KEY_SEPARATOR: char = ':';

/// The tags of one node, sorted by key. A list is stored as its items joined with [`ITEM_SEPARATOR`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The value of `key`, if the node has it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The items of a list value; a single item if it is not a list, none if the node does not have the key.
    pub fn items(&self, key: &str) -> impl Iterator<Item = &str> {
        self.get(key).into_iter().flat_map(|value| value.split(ITEM_SEPARATOR))
    }

    /// The columns of [`keys::JOIN_KEYS`], with the semantic ids that they refer to, if specified.
    pub fn join_keys(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.items(keys::JOIN_KEYS).map(|item| match item.split_once(JOIN_KEY_SEPARATOR) {
            Some((column, to)) => (column, Some(to)),
            None => (item, None),
        })
    }

    /// Adds the tags of `others` whose keys are missing.
    pub fn fill(&mut self, others: &Tags) {
        for (key, value) in &others.0 {
            self.0.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Whether the node has no tags.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
