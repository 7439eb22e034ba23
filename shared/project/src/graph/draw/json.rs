//! Nodes and edges as JSON.

use serde::Serialize;

use super::Picture;
use crate::tag::Tags;

#[derive(Serialize)]
struct Document<'g> {
    pipeline: &'g str,
    nodes: Vec<Item<'g>>,
    edges: Vec<Edge<'g>>,
}

#[derive(Serialize)]
struct Item<'g> {
    name: &'g str,
    /// `source`, `table`, `view`, `cache` or `subdag`.
    kind: &'static str,
    caption: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'g str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'g Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'g str>,
    file: &'g str,
}

#[derive(Serialize)]
struct Edge<'g> {
    from: &'g str,
    to: &'g str,
}

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let nodes = picture.nodes.iter().map(|node| Item {
        name: node.name,
        kind: node.kind,
        caption: node.caption.clone(),
        description: node.description,
        tags: node.tags.filter(|tags| !tags.is_empty()),
        instance: node.instance.map(|instance| instance.name.as_str()),
        file: node.file,
    });
    let name = |index: usize| picture.nodes[index].name;
    let edges = picture.edges.iter().map(|(from, to)| Edge { from: name(*from), to: name(*to) });
    let document = Document { pipeline: picture.graph.name.as_str(), nodes: nodes.collect(), edges: edges.collect() };
    // Texts only: serializing them cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
