//! Drawings of a pipeline: text for other tools (dot, mermaid, JSON), and SVG laid out here.

mod dot;
mod fold;
mod json;
pub mod layout;
mod mermaid;
mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use windlass_base::count::counted;
use windlass_base::ids::NodeName;

pub use json::{GraphDocument, GraphEdge, GraphNode};

use super::{Node, PipelineGraph};
use crate::spec::files::MANIFEST;
use crate::spec::pipeline::SubdagInstance;
use crate::spec::table::Materialize;
use crate::tag::Tags;

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
        draw(&Picture::of(self, only), format)
    }

    /// The pipeline with each instance of a sub-DAG as one node. Instances that would create a cycle stay unfolded.
    pub fn draw_folded(&self, format: DrawFormat) -> String {
        draw(&fold::fold(self), format)
    }
}

fn draw(picture: &Picture<'_>, format: DrawFormat) -> String {
    match format {
        DrawFormat::Dot => dot::draw(picture),
        DrawFormat::Mermaid => mermaid::draw(picture),
        DrawFormat::Svg => svg::draw(picture),
        DrawFormat::Json => json::draw(picture),
    }
}

/// The kinds of nodes, which are also the classes that determine their shapes and colours.
const KINDS: [&str; 5] = ["source", "table", "view", "cache", "subdag"];

/// What a stage has besides its rows.
const MARKS: [&str; 2] = ["quarantine", "export"];

/// What is to be drawn.
struct Picture<'g> {
    graph: &'g PipelineGraph,
    /// Each node after those that it reads.
    nodes: Vec<Shown<'g>>,
    /// From a node to its reader, as indexes of `nodes`; sorted.
    edges: Vec<(usize, usize)>,
}

/// A node of a drawing.
#[derive(Clone)]
struct Shown<'g> {
    name: &'g str,
    /// One of [`KINDS`].
    kind: &'static str,
    /// The kind in a few words: "delta source", "view".
    caption: String,
    description: Option<&'g str>,
    tags: Option<&'g Tags>,
    file: &'g str,
    /// The instance of a sub-DAG that it is in, of several the outermost.
    instance: Option<&'g SubdagInstance>,
    /// Which of [`MARKS`] it has.
    marks: Vec<&'static str>,
    /// The tables that a folded instance makes.
    tables: Vec<&'g str>,
}

impl<'g> Picture<'g> {
    fn of(graph: &'g PipelineGraph, only: Option<&BTreeSet<NodeName>>) -> Self {
        let shown = |node: &Node<'_>| only.is_none_or(|only| only.contains(node.name()));
        let nodes: Vec<Node<'g>> = graph.nodes().filter(shown).collect();
        let places: BTreeMap<&NodeName, usize> =
            nodes.iter().enumerate().map(|(place, node)| (node.name(), place)).collect();
        let mut edges = Vec::new();
        for (to, node) in nodes.iter().enumerate() {
            edges.extend(graph.reads(node.name()).iter().filter_map(|read| Some((*places.get(read)?, to))));
        }
        edges.sort_unstable();
        Self { graph, nodes: nodes.into_iter().map(|node| Shown::of(graph, node)).collect(), edges }
    }
}

impl<'g> Picture<'g> {
    /// The instances of sub-DAGs with their nodes, by name.
    fn instances(&self) -> BTreeMap<&'g str, Vec<&Shown<'g>>> {
        let mut found: BTreeMap<&str, Vec<&Shown<'g>>> = BTreeMap::new();
        for node in &self.nodes {
            if let Some(instance) = node.instance {
                found.entry(&instance.name).or_default().push(node);
            }
        }
        found
    }
}

impl<'g> Shown<'g> {
    fn of(graph: &'g PipelineGraph, node: Node<'g>) -> Self {
        let mut marks = Vec::new();
        let (kind, caption, file, instance) = match node {
            Node::Source(source) => {
                ("source", format!("{} source", source.kind.caption()), &source.name.span.file, None)
            }
            Node::Stage(stage) => {
                let kind = match stage.materialize {
                    Materialize::Table => "table",
                    Materialize::View => "view",
                    Materialize::Cache => "cache",
                };
                let has = [graph.quarantine(stage).is_some(), !stage.table.exports.is_empty()];
                marks.extend(MARKS.into_iter().zip(has).filter(|(_, has)| *has).map(|(mark, _)| mark));
                let instance = stage.instance.as_deref().map(SubdagInstance::outermost);
                let caption = match instance {
                    Some(instance) => format!("{kind} of {}", instance.name),
                    None => kind.to_owned(),
                };
                (kind, caption, stage.query.file(), instance)
            }
        };
        Self {
            name: node.name().as_str(),
            kind,
            caption,
            description: node.description(),
            tags: Some(node.tags()),
            file: graph.files.origin(file),
            instance,
            marks,
            tables: Vec::new(),
        }
    }

    /// The stages of an instance as one node.
    fn folded(instance: &'g SubdagInstance, stages: &[&Self]) -> Self {
        let number = stages.len();
        let has = |mark: &&'static str| stages.iter().any(|stage| stage.marks.contains(mark));
        Self {
            name: &instance.name,
            kind: "subdag",
            caption: format!("{} of {}", counted(number, "stage"), instance.subdag),
            description: None,
            tags: None,
            file: MANIFEST,
            instance: None,
            marks: MARKS.into_iter().filter(has).collect(),
            tables: stages.iter().filter(|stage| stage.kind == "table").map(|stage| stage.name).collect(),
        }
    }
}
