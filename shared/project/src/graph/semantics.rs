//! Checks the semantic ids of a graph: each belongs to one node, and references to them are valid.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::policy::NodeSpans;
use super::{Node, PipelineGraph};
use crate::spec::table::Materialize;
use crate::spec::{Problem, codes};
use crate::tag::{NodeKind, SemanticNode, SemanticRegistry, keys};

/// Reports duplicate semantic ids, and join keys that refer to an id that no node has.
pub(super) fn check(graph: &PipelineGraph, places: &BTreeMap<NodeName, NodeSpans>, problems: &mut Vec<Problem>) {
    let mut first: BTreeMap<(&str, Option<&str>), Node<'_>> = BTreeMap::new();
    for node in graph.nodes() {
        let Some(id) = node.tags().get(keys::SEMANTIC_ID) else { continue };
        let version = node.tags().get(keys::VERSION);
        let Some(other) = first.insert((id, version), node) else { continue };
        let of_version = version.map(|version| format!(" in version `{version}`")).unwrap_or_default();
        let (name, other) = (node.name(), other.name());
        let message = format!("`{other}` and `{name}` both have the semantic id `{id}`{of_version}");
        let mut problem = Problem::new(codes::SEMANTIC_ID_TWICE, message);
        for (node, text) in [(name, "again here"), (other, "first here")] {
            if let Some(places) = places.get(node) {
                problem = problem.label(places.of(keys::SEMANTIC_ID), text);
            }
        }
        problems.push(problem.help("give each meaning a separate id, or the newer one another `version`"));
    }
    for node in graph.nodes() {
        let Some(reference) = node.tags().get(keys::SCHEMA_REF) else { continue };
        if graph.contracts.find(reference).is_some() {
            continue;
        }
        let message =
            format!("`schema_ref` of `{}` refers to the contract `{reference}`, which does not exist", node.name());
        let mut problem = Problem::new(codes::CONTRACT_UNKNOWN, message);
        if let Some(places) = places.get(node.name()) {
            problem = problem.at(places.of(keys::SCHEMA_REF));
        }
        let names = graph.contracts.names();
        problem.help = did_you_mean(reference, "contracts are", names.iter().map(String::as_str))
            .or_else(|| Some(format!("write contracts/{reference}.yaml, or remove the tag")));
        problems.push(problem);
    }
    let ids: BTreeSet<&str> = first.keys().map(|(id, _)| *id).collect();
    for node in graph.nodes() {
        for (column, to) in node.tags().join_keys() {
            let Some(to) = to.filter(|to| !ids.contains(to)) else { continue };
            let message = format!("`{column}` of `{}` refers to `{to}`, and no node has that semantic id", node.name());
            let mut problem = Problem::new(codes::SEMANTIC_ID_UNKNOWN, message);
            if let Some(places) = places.get(node.name()) {
                problem = problem.at(places.of(keys::JOIN_KEYS));
            }
            problem.help = did_you_mean(to, "semantic ids are", ids.iter().copied())
                .or_else(|| Some("no node has a semantic id: add `semantic_id` to the tags of one".to_owned()));
            problems.push(problem);
        }
    }
}

impl PipelineGraph {
    /// Every semantic id of the project, with its producer and its readers.
    pub fn semantic_registry(&self) -> SemanticRegistry {
        SemanticRegistry::of(self.nodes().map(|node| SemanticNode {
            name: node.name(),
            kind: match node {
                Node::Source(_) => NodeKind::Source,
                Node::Stage(stage) => match stage.materialize {
                    Materialize::Table => NodeKind::Table,
                    Materialize::View => NodeKind::View,
                    Materialize::Cache => NodeKind::Cache,
                },
            },
            tags: node.tags(),
            description: node.description(),
            contract: match node {
                Node::Stage(stage) => stage.contract.as_ref().map(|contract| contract.value.name.as_str()),
                Node::Source(source) => source.contract.as_ref().map(|contract| contract.value.name.as_str()),
            },
            reads: self.reads(node.name()),
            readers: self.readers(node.name()),
        }))
    }
}
