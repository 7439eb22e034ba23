//! `/tables` and `/tables/NAME`: the tables that runs have written, and the history of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use chrono::Utc;
use futures::future::join_all;
use windlass_base::ids::{NodeName, PipelineName, RunId};
use windlass_evidence::artifact::{ReceiptOutcome, RunRecord};
use windlass_evidence::bundle::BundleReader;

use super::run_parts::{decision_of, state_of};
use super::{Page, Section, before, html};
use crate::error::UiError;
use crate::runs::{PAGE_RUNS, RunFilter, Runs};
use crate::view::stages::stages_of;
use crate::view::text::{
    NONE, bytes, count, duration, or_none, or_unknown, run_href, short_id, stage_href, table_href, time,
};

#[derive(Template)]
#[template(path = "tables.html")]
struct TablesPage {
    page: Page,
    tables: Vec<TableRow>,
    looked_at: usize,
}

struct TableRow {
    href: String,
    name: String,
    pipeline: String,
    version: String,
    rows: String,
    location: String,
    /// The address and the id of the newest run that wrote to it.
    written_by: Option<(String, String)>,
    written_at: String,
}

#[derive(Template)]
#[template(path = "table.html")]
struct TablePage {
    page: Page,
    rows: Vec<HistoryRow>,
    newest: Option<String>,
    older: Option<String>,
}

struct HistoryRow {
    run_href: String,
    run: String,
    stage_href: String,
    started: String,
    class: &'static str,
    state: String,
    decision: String,
    version: String,
    rows: String,
    changed: String,
    total: String,
    bytes: String,
    took: String,
}

/// The page of all tables.
pub(super) async fn list(runs: &Runs) -> Result<String, UiError> {
    let read = runs.page(&RunFilter::default(), None, PAGE_RUNS).await?;
    let records: Vec<Arc<RunRecord>> = read.runs.into_iter().filter_map(|run| run.record.ok()).collect();
    let locations = locations(runs, &records).await;
    Ok(html(&TablesPage {
        page: Page::new("Tables", Section::Tables),
        tables: tables(&records, &locations),
        looked_at: records.len(),
    }))
}

/// Where each table of a pipeline lies.
type Locations = BTreeMap<(PipelineName, NodeName), String>;

/// Where the tables lie, by the lineage of the newest run of each pipeline that has ended.
async fn locations(runs: &Runs, records: &[Arc<RunRecord>]) -> Locations {
    let mut newest: BTreeMap<PipelineName, RunId> = BTreeMap::new();
    for record in records.iter().filter(|record| record.status.is_over()) {
        newest.entry(record.pipeline.clone()).or_insert_with(|| record.run_id.clone());
    }
    let reads = newest.into_iter().map(|(pipeline, run_id)| of_lineage(runs.bundles.clone(), pipeline, run_id));
    join_all(reads).await.into_iter().flatten().collect()
}

async fn of_lineage(
    bundles: BundleReader,
    pipeline: PipelineName,
    run_id: RunId,
) -> Vec<((PipelineName, NodeName), String)> {
    // A run that failed early has no lineage, and then nothing is said about where its tables lie.
    let lineage = bundles.lineage(&run_id).await.ok().flatten().unwrap_or_default();
    let stages = lineage.stages.into_iter();
    stages.map(|stage| ((pipeline.clone(), stage.stage), stage.location)).collect()
}

/// The tables by name. `records` are the runs, the newest first.
fn tables(records: &[Arc<RunRecord>], locations: &Locations) -> Vec<TableRow> {
    let mut tables: BTreeMap<(NodeName, PipelineName), TableRow> = BTreeMap::new();
    for record in records {
        for summary in &record.stages {
            let Some(receipt) = &summary.receipt else { continue };
            let place = (record.pipeline.clone(), summary.stage.clone());
            let table = tables.entry((summary.stage.clone(), record.pipeline.clone())).or_insert_with(|| TableRow {
                href: table_href(&summary.stage),
                name: summary.stage.to_string(),
                pipeline: record.pipeline.to_string(),
                version: receipt.version.to_string(),
                rows: or_unknown(receipt.table_rows, count),
                location: or_none(locations.get(&place).cloned()),
                written_by: None,
                written_at: NONE.to_owned(),
            });
            if table.written_by.is_none() && receipt.outcome != ReceiptOutcome::Reused {
                table.written_by = Some((run_href(&record.run_id), short_id(&record.run_id)));
                table.written_at = time(record.ended_at.unwrap_or(record.started_at));
            }
        }
    }
    tables.into_values().collect()
}

/// The page of one table.
pub(super) async fn history(runs: &Runs, table: &NodeName, query: &str) -> Result<String, UiError> {
    let before = before(query)?;
    let filter = RunFilter { stage: Some(table.clone()), ..RunFilter::default() };
    let read = runs.page(&filter, before.as_ref(), PAGE_RUNS).await?;
    if read.runs.is_empty() && read.older.is_none() && before.is_none() {
        return Err(UiError::NoSuchTable { table: table.clone() });
    }
    let records = read.runs.iter().filter_map(|run| run.record.as_ref().ok());
    let href = table_href(table);
    Ok(html(&TablePage {
        page: Page::new(format!("Table {table}"), Section::Tables),
        rows: records.filter_map(|record| row(record, table)).collect(),
        newest: before.is_some().then(|| href.clone()),
        older: read.older.map(|older| format!("{href}?before={older}")),
    }))
}

fn row(record: &RunRecord, table: &NodeName) -> Option<HistoryRow> {
    let stage = stages_of(record, None, &[], Utc::now()).into_iter().find(|stage| stage.name == *table)?;
    let receipt = stage.receipt.as_ref();
    Some(HistoryRow {
        run_href: run_href(&record.run_id),
        run: short_id(&record.run_id),
        stage_href: stage_href(&record.run_id, table),
        started: time(record.started_at),
        class: stage.state.class(),
        state: state_of(&stage),
        decision: decision_of(&stage),
        version: or_none(receipt.map(|receipt| receipt.version.to_string())),
        rows: or_none(receipt.map(|receipt| count(receipt.rows))),
        changed: or_none(receipt.and_then(|receipt| receipt.changed_rows).map(count)),
        total: or_none(receipt.and_then(|receipt| receipt.table_rows).map(count)),
        bytes: or_none(receipt.map(|receipt| bytes(receipt.bytes))),
        took: if stage.duration_ms > 0 { duration(stage.duration_ms) } else { NONE.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, version: u64, outcome: &str) -> Arc<RunRecord> {
        let receipt = serde_json::json!({
            "version": version, "rows": 1, "table_rows": 3, "bytes": 10, "files": 1, "outcome": outcome,
        });
        let record = serde_json::json!({
            "format": 1, "run_id": id, "sequence": 1, "pipeline": "shop", "project_fingerprint": "f",
            "versions": { "windlass": "", "ballista": "", "datafusion": "", "deltalake": "" },
            "session_identity": "s", "host": "here", "started_at": "2026-01-01T00:00:00Z", "status": "succeeded",
            "stages": [{ "stage": "clean", "status": "committed", "attempts": 1, "receipt": receipt }],
        });
        Arc::new(serde_json::from_value(record).unwrap())
    }

    #[test]
    fn a_table_names_the_run_that_wrote_it_last() {
        let records = [run("3", 7, "reused"), run("2", 7, "committed"), run("1", 6, "committed")];
        let location = (("shop".into(), "clean".into()), "file:///tables/clean".to_owned());
        let tables = tables(&records, &Locations::from([location]));
        assert_eq!(tables.len(), 1);
        let written_by = tables[0].written_by.clone().unwrap();
        assert_eq!((tables[0].version.as_str(), written_by.0.as_str()), ("7", "/runs/2"));
        assert_eq!(tables[0].location, "file:///tables/clean");
    }
}
