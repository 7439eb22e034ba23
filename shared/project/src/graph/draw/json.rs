//! Nodes and edges as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::Picture;
use crate::tag::Tags;

/// A pipeline as nodes and edges.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphDocument<'g> {
    /// The pipeline.
    pub pipeline: &'g str,
    /// Its sources and stages.
    pub nodes: Vec<GraphNode<'g>>,
    /// Which of them reads which.
    pub edges: Vec<GraphEdge<'g>>,
}

/// A node of a drawing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphNode<'g> {
    /// The name.
    pub name: &'g str,
    /// `source`, `table`, `view`, `cache` or `subdag`.
    pub kind: &'static str,
    /// A few words about it.
    pub caption: String,
    /// What the project says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'g str>,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<&'g Tags>,
    /// The instance of a sub-DAG that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'g str>,
    /// The file that defines it.
    pub file: &'g str,
}

/// An edge of a drawing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphEdge<'g> {
    /// What is read.
    pub from: &'g str,
    /// What reads it.
    pub to: &'g str,
}

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let nodes = picture.nodes.iter().map(|node| GraphNode {
        name: node.name,
        kind: node.kind,
        caption: node.caption.clone(),
        description: node.description,
        tags: node.tags.filter(|tags| !tags.is_empty()),
        instance: node.instance.map(|instance| instance.name.as_str()),
        file: node.file,
    });
    let name = |index: usize| picture.nodes[index].name;
    let edges = picture.edges.iter().map(|(from, to)| GraphEdge { from: name(*from), to: name(*to) });
    let document =
        GraphDocument { pipeline: picture.graph.name.as_str(), nodes: nodes.collect(), edges: edges.collect() };
    // Texts only: serializing them cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
