//! The semantic registry: what every semantic id of a project stands for, its producer and its readers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_base::ids::NodeName;

use super::{Tags, keys};

/// What the registry needs to know about a node.
#[derive(Debug, Clone)]
pub struct SemanticNode<'n> {
    /// The node.
    pub name: &'n NodeName,
    /// Its kind.
    pub kind: NodeKind,
    /// Its tags.
    pub tags: &'n Tags,
    /// Its description.
    pub description: Option<&'n str>,
    /// Its schema contract.
    pub contract: Option<&'n str>,
    /// What it reads.
    pub reads: &'n [NodeName],
    /// The stages that read it.
    pub readers: &'n [NodeName],
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A source.
    Source,
    /// A table.
    Table,
    /// A view.
    View,
    /// A cache.
    Cache,
}

/// Every semantic id of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SemanticRegistry {
    /// The ids in alphabetical order, each with its versions in order.
    pub entries: Vec<SemanticEntry>,
}

/// What a semantic id stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SemanticEntry {
    /// The id.
    pub semantic_id: String,
    /// The version of its meaning.
    pub version: Option<String>,
    /// The entity that a row describes.
    pub entity: Option<String>,
    /// The grain: what there is one row per.
    pub grain: Option<String>,
    /// The level of the pipeline.
    pub layer: Option<String>,
    /// How stable it is for readers.
    pub stability: Option<String>,
    /// The schema contract of its rows.
    pub contract: Option<String>,
    /// The columns that identify an entity.
    pub entity_keys: Vec<String>,
    /// The columns used to join with other nodes, each with the semantic id that it refers to, if specified.
    pub join_keys: BTreeMap<String, Option<String>>,
    /// The node that produces the rows.
    pub producer: NodeName,
    /// The kind of that node.
    pub kind: NodeKind,
    /// Its description.
    pub description: Option<String>,
    /// What the producer reads.
    pub reads: Vec<NodeName>,
    /// The stages that read the producer.
    pub readers: Vec<NodeName>,
    /// The columns that each column of a stage is derived from, as `node.column`; empty unless requested.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub column_lineage: BTreeMap<String, Vec<String>>,
}

/// One of the columns that a column of a stage is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnOrigin {
    /// The stage.
    pub node: NodeName,
    /// Its column.
    pub column: String,
    /// The column that it is derived from, as `node.column`.
    pub origin: String,
}

impl SemanticRegistry {
    /// Adds the lineage of columns, in the given order.
    pub fn add_lineage(&mut self, lineage: &[ColumnOrigin]) {
        for entry in &mut self.entries {
            for of_column in lineage.iter().filter(|of_column| of_column.node == entry.producer) {
                let origins = entry.column_lineage.entry(of_column.column.clone()).or_default();
                origins.push(of_column.origin.clone());
            }
        }
    }

    /// The registry of some nodes. Nodes without a semantic id have no entry.
    pub fn of<'n>(nodes: impl IntoIterator<Item = SemanticNode<'n>>) -> Self {
        let mut entries: Vec<SemanticEntry> = nodes.into_iter().filter_map(|node| SemanticEntry::of(&node)).collect();
        entries.sort_by(|a, b| (&a.semantic_id, &a.version).cmp(&(&b.semantic_id, &b.version)));
        Self { entries }
    }
}

impl SemanticEntry {
    fn of(node: &SemanticNode<'_>) -> Option<Self> {
        let tag = |key: &str| node.tags.get(key).map(str::to_owned);
        let keys = node.tags.join_keys();
        Some(Self {
            semantic_id: tag(keys::SEMANTIC_ID)?,
            version: tag(keys::VERSION),
            entity: tag(keys::ENTITY),
            grain: tag(keys::GRAIN),
            layer: tag(keys::LAYER),
            stability: tag(keys::STABILITY),
            contract: node.contract.map(str::to_owned).or_else(|| tag(keys::SCHEMA_REF)),
            entity_keys: node.tags.items(keys::ENTITY_KEYS).map(str::to_owned).collect(),
            join_keys: keys.map(|(column, to)| (column.to_owned(), to.map(str::to_owned))).collect(),
            producer: node.name.clone(),
            kind: node.kind,
            description: node.description.map(str::to_owned),
            reads: node.reads.to_vec(),
            readers: node.readers.to_vec(),
            column_lineage: BTreeMap::new(),
        })
    }
}
