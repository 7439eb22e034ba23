//! Nodes and edges as JSON.

use serde::Serialize;

use super::{Picture, caption_of, kind_of};
use crate::graph::Node;
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
    /// `source`, `table`, `view` or `cache`.
    kind: &'static str,
    caption: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'g str>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'g Tags,
    file: &'g str,
}

#[derive(Serialize)]
struct Edge<'g> {
    from: &'g str,
    to: &'g str,
}

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let nodes = picture.nodes.iter().map(|node| Item {
        name: node.name().as_str(),
        kind: kind_of(*node),
        caption: caption_of(*node),
        description: node.description(),
        tags: node.tags(),
        file: match node {
            Node::Source(source) => &source.name.span.file,
            Node::Stage(stage) => stage.query.file(),
        },
    });
    let name = |index: usize| picture.nodes[index].name().as_str();
    let edges = picture.edges.iter().map(|(from, to)| Edge { from: name(*from), to: name(*to) });
    let document = Document { pipeline: picture.graph.name.as_str(), nodes: nodes.collect(), edges: edges.collect() };
    // Texts only: serializing them cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
