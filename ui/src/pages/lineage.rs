//! `/lineage`: which tables were made of which, by the newest run of each pipeline.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use windlass_base::ids::{NodeName, PipelineName, TableVersion};
use windlass_evidence::artifact::{LineageRecord, RunRecord};

use super::{Page, Section, html, part};
use crate::error::UiError;
use crate::runs::{PAGE_RUNS, RunFilter, Runs, summary_of};
use crate::view::picture::{Node, Picture, picture};
use crate::view::state::State;
use crate::view::text::{run_href, short_id, table_href};

#[derive(Template)]
#[template(path = "lineage.html")]
struct LineagePage {
    page: Page,
    pipelines: Vec<PipelineView>,
    problems: Vec<String>,
}

/// The lineage of a pipeline.
struct PipelineView {
    name: String,
    run_href: String,
    run: String,
    graph: Option<Picture>,
    rows: Vec<Row>,
}

struct Row {
    table: String,
    href: Option<String>,
    version: String,
    inputs: String,
    location: String,
}

/// The page of the lineage.
pub(super) async fn page(runs: &Runs) -> Result<String, UiError> {
    let read = runs.page(&RunFilter::default(), None, PAGE_RUNS).await?;
    let mut problems = Vec::new();
    let mut shown: BTreeSet<PipelineName> = BTreeSet::new();
    let mut pipelines = Vec::new();
    let records: Vec<Arc<RunRecord>> = read.runs.into_iter().filter_map(|run| run.record.ok()).collect();
    for record in &records {
        if record.stages.is_empty() || shown.contains(&record.pipeline) {
            continue;
        }
        // A run that failed early has none: then an older one tells.
        let lineage = part(runs.bundles.lineage(&record.run_id).await, &mut problems);
        if let Some(lineage) = lineage.filter(|lineage| !lineage.stages.is_empty()) {
            shown.insert(record.pipeline.clone());
            pipelines.push(view(record, &lineage));
        }
    }
    Ok(html(&LineagePage { page: Page::new("Lineage", Section::Lineage), pipelines, problems }))
}

fn view(record: &RunRecord, lineage: &LineageRecord) -> PipelineView {
    let href = |stage: &NodeName| summary_of(record, stage).map(|_| table_href(stage));
    let rows = lineage.stages.iter().map(|stage| {
        let inputs = stage.inputs.iter().map(|input| format!("{} ({})", input.name, at(input.version)));
        Row {
            table: stage.stage.to_string(),
            href: href(&stage.stage),
            version: stage.output_version.map_or_else(|| "not written".to_owned(), |version| version.to_string()),
            inputs: inputs.collect::<Vec<_>>().join(", "),
            location: stage.location.clone(),
        }
    });
    let rows = rows.collect();
    PipelineView {
        name: record.pipeline.to_string(),
        run_href: run_href(&record.run_id),
        run: short_id(&record.run_id),
        graph: picture(&format!("The tables of {} and what they are made of", record.pipeline), nodes(record, lineage)),
        rows,
    }
}

/// What was read from elsewhere, then the tables in the order of the plan.
fn nodes(record: &RunRecord, lineage: &LineageRecord) -> Vec<Node> {
    let made: BTreeSet<&NodeName> = lineage.stages.iter().map(|stage| &stage.stage).collect();
    let mut seen: BTreeSet<&NodeName> = BTreeSet::new();
    let inputs = lineage.stages.iter().flat_map(|stage| &stage.inputs);
    let sources = inputs.filter(|input| !made.contains(&input.name) && seen.insert(&input.name));
    let mut nodes: Vec<Node> = sources
        .map(|input| Node {
            name: input.name.to_string(),
            caption: format!("source, {}", at(input.version)),
            class: "source",
            is_marked: false,
            href: None,
            reads: Vec::new(),
        })
        .collect();
    nodes.extend(lineage.stages.iter().map(|stage| {
        let summary = summary_of(record, &stage.stage);
        let state = summary.map_or(State::Pending, State::of);
        let version = stage.output_version.map_or_else(|| state.word().to_owned(), |version| at(Some(version)));
        Node {
            name: stage.stage.to_string(),
            caption: format!("table, {version}"),
            class: state.class(),
            is_marked: false,
            href: summary.map(|_| table_href(&stage.stage)),
            reads: stage.inputs.iter().map(|input| input.name.to_string()).collect(),
        }
    }));
    nodes
}

fn at(version: Option<TableVersion>) -> String {
    version.map_or_else(|| "as listed".to_owned(), |version| format!("version {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_one_node_before_its_readers() {
        let record: RunRecord = serde_json::from_value(serde_json::json!({
            "format": 1, "run_id": "r", "sequence": 1, "pipeline": "shop", "project_fingerprint": "f",
            "versions": { "windlass": "", "ballista": "", "datafusion": "", "deltalake": "" },
            "session_identity": "s", "host": "here", "started_at": "2026-01-01T00:00:00Z", "status": "succeeded",
            "stages": [{ "stage": "clean", "status": "committed", "attempts": 1 }],
        }))
        .unwrap();
        let stage = |name: &str, inputs: serde_json::Value| {
            serde_json::json!({
                "stage": name, "inputs": inputs, "code_fingerprint": "", "plan_fingerprint": "", "location": "l",
                "output_version": 4,
            })
        };
        let lineage: LineageRecord = serde_json::from_value(serde_json::json!({ "stages": [
            stage("clean", serde_json::json!([{ "name": "orders", "version": 2 }])),
            stage("totals", serde_json::json!([{ "name": "clean", "version": 4 }, { "name": "orders", "version": 2 }])),
        ]}))
        .unwrap();
        let nodes = nodes(&record, &lineage);
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["orders", "clean", "totals"]);
        assert_eq!((nodes[0].caption.as_str(), nodes[0].class), ("source, version 2", "source"));
        assert_eq!(nodes[1].href.as_deref(), Some("/tables/clean"));
        // No page has a table of which the run says nothing.
        assert_eq!(nodes[2].href, None);
        assert_eq!(nodes[2].reads, ["clean", "orders"]);
    }
}
