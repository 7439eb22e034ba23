//! `windlass ls`: the sources and stages of a project.

use serde_json::{Value, json};
use windlass_project::graph::Node;
use windlass_project::spec::table::Materialize;

use super::open_project;
use crate::args::{Global, LsArgs, Output};
use crate::failure::CommandError;
use crate::output;

/// Lists the selected nodes.
pub(crate) fn run(global: &Global, args: &LsArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.select.bind)?;
    let selected = project.graph.select(&args.select.select, &args.select.exclude)?;
    let nodes: Vec<Node<'_>> = project.graph.nodes().filter(|node| selected.contains(node.name())).collect();
    if global.output == Output::Json {
        let reads = |node: &Node<'_>| project.graph.reads(node.name()).to_vec();
        let list: Vec<Value> = nodes
            .iter()
            .map(|node| {
                json!({
                    "name": node.name(), "kind": kind(node), "reads": reads(node), "tags": node.tags(),
                    "description": node.description(), "instance": instance(node),
                })
            })
            .collect();
        output::json(&list)?;
        return Ok(());
    }
    let rows = nodes.iter().map(|node| {
        let tags: Vec<String> = node.tags().0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let about = node.description().unwrap_or_default().to_owned();
        vec![node.name().to_string(), kind(node), tags.join(" "), about]
    });
    output::text(&output::columns(&["NAME", "KIND", "TAGS", "ABOUT"], rows.collect(), &[]))?;
    Ok(())
}

/// The sub-DAG instance that a node belongs to.
fn instance(node: &Node<'_>) -> Option<Value> {
    let Node::Stage(stage) = node else { return None };
    stage.instance.as_ref().map(|instance| json!({ "name": instance.name, "subdag": instance.subdag }))
}

fn kind(node: &Node<'_>) -> String {
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
