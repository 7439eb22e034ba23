//! Tags: the key-value labels of every node, the vocabulary of selection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tags of one node, sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The value of `key`, if the node carries it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether the node carries no tag at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
