//! Which stages a run is asked to compute from scratch, and from which versions on it is to apply changes.

use serde::{Deserialize, Serialize};
use windlass_base::ids::NodeName;

/// What a run is asked to compute from scratch, or to apply from other versions than its cursors. Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Refresh {
    /// Terms that select the stages to compute whole; none if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub full: Vec<String>,
    /// The version behind which a source's changes are to be applied, instead of the stage's cursor. Without a name it
    /// is that of the stage's only Delta source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_versions: Vec<(Option<NodeName>, u64)>,
    /// The version up to which a source's changes are to be applied, instead of the pinned one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_versions: Vec<(Option<NodeName>, u64)>,
}

impl Refresh {
    /// The term that selects every stage.
    pub const EVERYTHING: &'static str = "*";

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.from_versions.is_empty() && self.to_versions.is_empty()
    }
}
