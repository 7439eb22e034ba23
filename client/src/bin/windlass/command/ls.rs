//! `windlass ls`: the sources and stages of a project.

use windlass_client::document::{InstanceDocument, ListedNode};
use windlass_project::graph::{Node, PipelineGraph, Stage};
use windlass_project::spec::table::Materialize;

use super::open_project;
use crate::args::{Global, LsArgs, Output};
use crate::failure::CommandError;
use crate::output::{self, Table, name, prose, word};

/// Lists the selected nodes, each stage with its quarantine if it has one.
pub(crate) fn run(global: &Global, args: &LsArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.select.bind)?;
    let graph = &project.graph;
    let selected = graph.select(&args.select.select, &args.select.exclude)?;
    let nodes = graph.nodes().filter(|node| selected.contains(node.name()));
    let listed: Vec<ListedNode> = nodes.flat_map(|node| listed(graph, node)).collect();
    if global.output == Output::Json {
        return Ok(output::json(&listed)?);
    }
    let rows = listed.into_iter().map(|node| {
        let tags: Vec<String> = node.tags.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let about = match node.quarantine_of {
            Some(stage) => Some(format!("rows of {stage} that violate its expectations")),
            None => node.description,
        };
        vec![node.name.to_string().into(), node.kind.into(), tags.join(" ").into(), about.unwrap_or_default().into()]
    });
    Ok(output::table(&Table::new([name("NAME"), word("KIND"), prose("TAGS"), prose("ABOUT")]).with(rows))?)
}

/// A node, and the quarantine of a stage.
fn listed(graph: &PipelineGraph, node: Node<'_>) -> Vec<ListedNode> {
    let mut listed = vec![ListedNode {
        name: node.name().clone(),
        kind: kind(node),
        reads: graph.reads(node.name()).to_vec(),
        tags: node.tags().clone(),
        description: node.description().map(str::to_owned),
        instance: instance(node),
        quarantine_of: None,
    }];
    if let Node::Stage(stage) = node
        && let Some(name) = graph.quarantine(stage)
    {
        listed.push(ListedNode {
            name,
            kind: "quarantine".to_owned(),
            reads: Vec::new(),
            tags: Default::default(),
            description: None,
            instance: instance(node),
            quarantine_of: Some(stage.name.clone()),
        });
    }
    listed
}

/// The sub-DAG instance that a node belongs to.
fn instance(node: Node<'_>) -> Option<InstanceDocument> {
    let Node::Stage(Stage { instance: Some(instance), .. }) = node else { return None };
    Some(InstanceDocument { name: instance.name.to_string(), subdag: instance.subdag.to_string() })
}

fn kind(node: Node<'_>) -> String {
    match node {
        Node::Source(source) => format!("source: {}", source.kind.name()),
        Node::Stage(stage) => match stage.materialize {
            Materialize::Table => "table",
            Materialize::View => "view",
            Materialize::Cache => "cache",
        }
        .to_owned(),
    }
}
