//! Drawings of a pipeline: text for other tools (dot, mermaid, JSON), and SVG laid out here.

mod dot;
mod json;
mod layout;
mod mermaid;
mod svg;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Node, PipelineGraph};
use crate::ids::NodeName;
use crate::spec::source::SourceKind;
use crate::spec::table::Materialize;

/// How to draw a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawFormat {
    /// Graphviz.
    Dot,
    /// Mermaid flowchart.
    Mermaid,
    /// A picture.
    Svg,
    /// Nodes and edges as one JSON document.
    Json,
}

impl DrawFormat {
    /// The names that [`DrawFormat::from_str`] takes.
    pub const NAMES: [&'static str; 4] = ["dot", "mermaid", "svg", "json"];
}

impl fmt::Display for DrawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::Svg => "svg",
            Self::Json => "json",
        })
    }
}

impl FromStr for DrawFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Dot, Self::Mermaid, Self::Svg, Self::Json];
        let found = all.into_iter().find(|format| format.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is not a drawing format; they are {}", Self::NAMES.join(", ")))
    }
}

impl PipelineGraph {
    /// The pipeline, or only the nodes `only` and the edges between them. Equal graphs have equal drawings.
    pub fn draw(&self, format: DrawFormat, only: Option<&BTreeSet<NodeName>>) -> String {
        let picture = Picture::of(self, only);
        match format {
            DrawFormat::Dot => dot::draw(&picture),
            DrawFormat::Mermaid => mermaid::draw(&picture),
            DrawFormat::Svg => svg::draw(&picture),
            DrawFormat::Json => json::draw(&picture),
        }
    }
}

/// What is to be drawn.
struct Picture<'g> {
    graph: &'g PipelineGraph,
    /// Each node behind those that it reads.
    nodes: Vec<Node<'g>>,
    /// From what is read to its reader, as indexes of `nodes`; sorted.
    edges: Vec<(usize, usize)>,
}

impl<'g> Picture<'g> {
    fn of(graph: &'g PipelineGraph, only: Option<&BTreeSet<NodeName>>) -> Self {
        let shown = |node: &Node<'_>| only.is_none_or(|only| only.contains(node.name()));
        let nodes: Vec<Node<'g>> = graph.nodes().filter(shown).collect();
        let mut edges = Vec::new();
        for (to, node) in nodes.iter().enumerate() {
            for read in graph.reads(node.name()) {
                edges.extend(nodes.iter().position(|other| other.name() == read).map(|from| (from, to)));
            }
        }
        edges.sort_unstable();
        Self { graph, nodes, edges }
    }
}

/// The kind of a node, the same words in every drawing: also the class that decides its colour.
fn kind_of(node: Node<'_>) -> &'static str {
    match node {
        Node::Source(_) => "source",
        Node::Stage(stage) => match stage.materialize {
            Materialize::Table => "table",
            Materialize::View => "view",
            Materialize::Cache => "cache",
        },
    }
}

/// The kind of a node in a few words: "delta source", "view".
fn caption_of(node: Node<'_>) -> String {
    match node {
        Node::Source(source) => {
            let kind = match &source.kind {
                SourceKind::Delta(_) => "delta",
                SourceKind::Listing(listing) => listing.format.name(),
                SourceKind::TextFiles(_) => "text files",
            };
            format!("{kind} source")
        }
        Node::Stage(_) => kind_of(node).to_owned(),
    }
}
