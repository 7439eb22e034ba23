//! Folds each instance of a sub-DAG into one node.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Picture, Shown};
use crate::graph::PipelineGraph;
use crate::spec::pipeline::SubdagInstance;

/// The picture of a pipeline with instances folded. If an outside node lies between two stages of an instance, folding
/// would create a cycle; such instances stay unfolded.
pub(super) fn fold(graph: &PipelineGraph) -> Picture<'_> {
    let flat = Picture::of(graph, None);
    let mut open: BTreeSet<&str> = BTreeSet::new();
    loop {
        let folded = Folded::of(&flat, &open);
        // From the last component to the first: Tarjan's order is the reverse of the topological one.
        let mut components = tarjan_scc(&folded.graph);
        components.reverse();
        let circles = components.iter().filter(|component| component.len() > 1).flatten();
        let before = open.len();
        open.extend(circles.filter_map(|node| folded.graph[*node].instance).map(|instance| instance.name.as_str()));
        if open.len() == before {
            return folded.picture(&flat, components.into_iter().flatten());
        }
    }
}

/// A node of the folded picture.
#[derive(Clone, Copy)]
struct Group<'g> {
    /// The first of its nodes in the flat picture.
    first: usize,
    /// The folded instance.
    instance: Option<&'g SubdagInstance>,
}

struct Folded<'g> {
    graph: DiGraph<Group<'g>, ()>,
}

impl<'g> Folded<'g> {
    fn of(flat: &Picture<'g>, open: &BTreeSet<&str>) -> Self {
        let mut graph = DiGraph::new();
        let mut of_instance: BTreeMap<&str, NodeIndex> = BTreeMap::new();
        let mut groups = Vec::with_capacity(flat.nodes.len());
        for (index, node) in flat.nodes.iter().enumerate() {
            let instance = node.instance.filter(|instance| !open.contains(instance.name.as_str()));
            let new = Group { first: index, instance };
            let group = match instance {
                Some(instance) => *of_instance.entry(&instance.name).or_insert_with(|| graph.add_node(new)),
                None => graph.add_node(new),
            };
            groups.push(group);
        }
        for (from, to) in &flat.edges {
            let (from, to) = (groups[*from], groups[*to]);
            if from != to {
                graph.update_edge(from, to, ());
            }
        }
        Self { graph }
    }

    fn picture(&self, flat: &Picture<'g>, order: impl Iterator<Item = NodeIndex>) -> Picture<'g> {
        let order: Vec<NodeIndex> = order.collect();
        let place: BTreeMap<NodeIndex, usize> = order.iter().enumerate().map(|(place, node)| (*node, place)).collect();
        let mut stages: BTreeMap<&str, Vec<&Shown<'g>>> = flat.instances();
        let nodes = order.iter().map(|node| match self.graph[*node] {
            Group { instance: Some(instance), .. } => {
                Shown::folded(instance, &stages.remove(instance.name.as_str()).unwrap_or_default())
            }
            Group { first, .. } => flat.nodes[first].clone(),
        });
        let edges = self.graph.edge_indices().filter_map(|edge| self.graph.edge_endpoints(edge));
        let mut edges: Vec<(usize, usize)> = edges.map(|(from, to)| (place[&from], place[&to])).collect();
        edges.sort_unstable();
        Picture { graph: flat.graph, nodes: nodes.collect(), edges }
    }
}
