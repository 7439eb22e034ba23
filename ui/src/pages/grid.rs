//! `/`: the runs, each with its stages.

use std::collections::BTreeMap;

use askama::Template;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use windlass_base::error::full_message;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{LogEvent, PlanRecord, RunRecord, RunStatus};
use windlass_evidence::bundle::BundleReader;

use super::{Page, Section, before, html, parameter};
use crate::error::UiError;
use crate::runs::{PAGE_RUNS, ReadRun, RunFilter, Runs};
use crate::view::stages::{StageFacts, stages_of};
use crate::view::state::{State, class_of_run, is_live};
use crate::view::text::{NONE, duration, elapsed_ms, encoded, run_href, short_id, stage_href};

/// The width of the longest bar of a run, and of a stage.
const RUN_BAR: u64 = 80;
const STAGE_BAR: u64 = 16;
/// The statuses that a filter can name.
const STATUSES: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled, RunStatus::Interrupted];

#[derive(Template)]
#[template(path = "grid.html")]
struct GridPage {
    page: Page,
    pipeline: String,
    pipelines: Vec<String>,
    statuses: Vec<Choice>,
    is_filtered: bool,
    grid: Grid,
    legend: [State; 9],
    newest: Option<String>,
    older: Option<String>,
}

/// An element of a list to choose from.
struct Choice {
    value: &'static str,
    is_chosen: bool,
}

/// Runs and stages.
#[derive(Debug, Default)]
struct Grid {
    /// The stages, in the order of the newest run that has them.
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    href: String,
    id: String,
    pipeline: String,
    status: &'static str,
    class: &'static str,
    selection: String,
    started: String,
    took: String,
    bar: u64,
    cells: Vec<Option<Cell>>,
    /// Why the run cannot be read.
    problem: Option<String>,
}

#[derive(Debug, Clone)]
struct Cell {
    href: String,
    class: &'static str,
    title: String,
    bar: u64,
    duration_ms: u64,
}

/// The page of runs.
pub(super) async fn page(runs: &Runs, query: &str) -> Result<String, UiError> {
    let status = parameter(query, "status");
    let status = status.and_then(|wanted| STATUSES.into_iter().find(|status| status.as_str() == wanted));
    let filter = RunFilter { pipeline: parameter(query, "pipeline"), status, stage: None };
    let before = before(query)?;
    let read = runs.page(&filter, before.as_ref(), PAGE_RUNS).await?;
    let now = Utc::now();
    let under_way: Vec<RunId> =
        read.runs.iter().filter(|run| is_incomplete(run)).map(|run| run.run_id.clone()).collect();
    let parts = join_all(under_way.into_iter().map(|run_id| progress(runs.bundles.clone(), run_id))).await;
    let parts: BTreeMap<RunId, Progress> = parts.into_iter().collect();
    let grid = grid(&read.runs, &parts, now);

    let mut page = Page::new("Runs", Section::Runs);
    page.is_live = read.runs.iter().any(|run| run.record.as_ref().is_ok_and(|record| is_live(record.status)));
    let chosen = |choice: RunStatus| Choice { value: choice.as_str(), is_chosen: status == Some(choice) };
    let address = |before: Option<&RunId>| address(&filter, before);
    Ok(html(&GridPage {
        page,
        pipeline: filter.pipeline.clone().unwrap_or_default(),
        pipelines: runs.pipelines().into_iter().collect(),
        statuses: STATUSES.map(chosen).into(),
        is_filtered: filter != RunFilter::default(),
        grid,
        legend: State::LEGEND,
        newest: before.is_some().then(|| address(None)),
        older: read.older.as_ref().map(|older| address(Some(older))),
    }))
}

/// The address of the page with these runs.
fn address(filter: &RunFilter, before: Option<&RunId>) -> String {
    let status = filter.status.map(|status| format!("status={}", status.as_str()));
    let pipeline = filter.pipeline.as_ref().map(|pipeline| format!("pipeline={}", encoded(pipeline)));
    let before = before.map(|before| format!("before={before}"));
    let parts: Vec<String> = [pipeline, status, before].into_iter().flatten().collect();
    if parts.is_empty() { "/".to_owned() } else { format!("/?{}", parts.join("&")) }
}

/// Whether the record does not tell of the stages yet.
fn is_incomplete(run: &ReadRun) -> bool {
    run.record.as_ref().is_ok_and(|record| !record.status.is_over())
}

/// How far a run has come of which only the plan and the log tell. What cannot be read is shown on the run's own page.
async fn progress(bundles: BundleReader, run_id: RunId) -> (RunId, Progress) {
    let (plan, log) = tokio::join!(bundles.plan(&run_id), bundles.log(&run_id));
    (run_id, Progress { plan: plan.unwrap_or_default(), log: log.unwrap_or_default() })
}

#[derive(Default)]
struct Progress {
    plan: Option<PlanRecord>,
    log: Vec<LogEvent>,
}

fn grid(runs: &[ReadRun], progress: &BTreeMap<RunId, Progress>, now: DateTime<Utc>) -> Grid {
    let none = Progress::default();
    let facts = |run: &ReadRun| match &run.record {
        Ok(record) => {
            let known = progress.get(&run.run_id).unwrap_or(&none);
            stages_of(record, known.plan.as_ref(), &known.log, now)
        }
        Err(_) => Vec::new(),
    };
    let facts: Vec<Vec<StageFacts>> = runs.iter().map(facts).collect();
    let mut columns: Vec<NodeName> = Vec::new();
    for stage in facts.iter().flatten().filter(|stage| stage.state != State::Inlined) {
        if !columns.contains(&stage.name) {
            columns.push(stage.name.clone());
        }
    }
    let rows = runs.iter().zip(&facts).map(|(run, facts)| row(run, facts, &columns, now));
    let mut rows: Vec<Row> = rows.collect();
    scale(&mut rows, columns.len());
    Grid { columns: columns.iter().map(ToString::to_string).collect(), rows }
}

fn row(run: &ReadRun, facts: &[StageFacts], columns: &[NodeName], now: DateTime<Utc>) -> Row {
    let id = short_id(&run.run_id);
    let record = match &run.record {
        Ok(record) => record,
        Err(error) => {
            return Row {
                href: run_href(&run.run_id),
                id,
                pipeline: String::new(),
                status: "unreadable",
                class: "failed",
                selection: String::new(),
                started: String::new(),
                took: NONE.to_owned(),
                bar: 0,
                cells: Vec::new(),
                problem: Some(full_message(error)),
            };
        }
    };
    let cell = |name: &NodeName| {
        let stage = facts.iter().find(|stage| stage.name == *name)?;
        let title = format!("{name}: {}, {}", stage.state.word(), duration(stage.duration_ms));
        let href = stage_href(&run.run_id, name);
        Some(Cell { href, class: stage.state.class(), title, bar: 0, duration_ms: stage.duration_ms })
    };
    let took = took(record, now);
    Row {
        href: run_href(&run.run_id),
        id,
        pipeline: match &record.target {
            Some(target) => format!("{} ({target})", record.pipeline),
            None => record.pipeline.to_string(),
        },
        status: record.status.as_str(),
        class: class_of_run(record.status),
        selection: selection_of(record),
        started: record.started_at.format("%F %RZ").to_string(),
        took: took.map_or_else(|| NONE.to_owned(), duration),
        bar: took.unwrap_or_default(),
        cells: columns.iter().map(cell).collect(),
        problem: None,
    }
}

/// Makes bars of durations: those of runs compare with one another, those of stages with the same stage in other runs.
fn scale(rows: &mut [Row], columns: usize) {
    let scaled = |part: u64, of: u64, width: u64| match part {
        0 => 0,
        _ => (part.saturating_mul(width) / of.max(1)).clamp(1, width),
    };
    let longest = rows.iter().map(|row| row.bar).max().unwrap_or_default();
    for row in rows.iter_mut() {
        row.bar = scaled(row.bar, longest, RUN_BAR);
    }
    for column in 0..columns {
        let cells = rows.iter().filter_map(|row| row.cells.get(column)?.as_ref());
        let longest = cells.map(|cell| cell.duration_ms).max().unwrap_or_default();
        for cell in rows.iter_mut().filter_map(|row| row.cells.get_mut(column)?.as_mut()) {
            cell.bar = scaled(cell.duration_ms, longest, STAGE_BAR);
        }
    }
}

/// How long a run took, or takes until now; none if nobody knows when it ended.
pub(super) fn took(record: &RunRecord, now: DateTime<Utc>) -> Option<u64> {
    let end = record.ended_at.or_else(|| is_live(record.status).then_some(now));
    end.map(|end| elapsed_ms(record.started_at, end))
}

/// What a run was asked to do, in the words of its options.
pub(super) fn selection_of(record: &RunRecord) -> String {
    let mut text = record.select.clone().unwrap_or_else(|| "all".to_owned());
    if let Some(excluded) = &record.exclude {
        text.push_str(&format!(" --exclude {excluded}"));
    }
    if !record.refresh.is_empty() {
        text.push_str(match record.refresh.full.is_empty() {
            true => ", with versions given",
            false => " --full-refresh",
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_evidence::bundle::RecordError;

    use super::*;

    fn run(id: &str, ended: &str, stages: serde_json::Value) -> ReadRun {
        let record = serde_json::json!({
            "format": 1, "run_id": id, "sequence": 1, "pipeline": "shop", "project_fingerprint": "f",
            "versions": { "windlass": "", "ballista": "", "datafusion": "", "deltalake": "" },
            "session_identity": "s", "host": "here", "started_at": "2026-01-01T00:00:00Z", "ended_at": ended,
            "status": "succeeded", "stages": stages,
        });
        let record: RunRecord = serde_json::from_value(record).unwrap();
        ReadRun { run_id: RunId::new(id), record: Ok(Arc::new(record)) }
    }

    fn stage(name: &str, status: &str, ms: u64) -> serde_json::Value {
        serde_json::json!({ "stage": name, "status": status, "attempts": 1, "duration_ms": ms })
    }

    #[test]
    fn rows_are_runs_and_columns_are_all_their_stages() {
        let newest = run(
            "2",
            "2026-01-01T00:00:10Z",
            serde_json::json!([stage("clean", "committed", 8_000), stage("totals", "failed", 100)]),
        );
        let older = run(
            "1",
            "2026-01-01T00:00:05Z",
            serde_json::json!([stage("clean", "committed", 4_000), stage("gone", "skipped", 0)]),
        );
        let broken = ReadRun { run_id: "0".into(), record: Err(RecordError::NotText { path: "x".to_owned() }) };
        let grid = grid(&[newest, older, broken], &BTreeMap::new(), Utc::now());
        assert_eq!(grid.columns, ["clean", "totals", "gone"]);
        let shown: Vec<Vec<Option<(&str, u64)>>> = grid
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.as_ref().map(|cell| (cell.class, cell.bar))).collect())
            .collect();
        assert_eq!(shown[0], [Some(("full", STAGE_BAR)), Some(("failed", STAGE_BAR)), None]);
        assert_eq!(shown[1], [Some(("full", STAGE_BAR / 2)), None, Some(("skipped", 0))]);
        assert_eq!((grid.rows[0].bar, grid.rows[1].bar), (RUN_BAR, RUN_BAR / 2));
        assert!(grid.rows[2].problem.is_some() && grid.rows[2].cells.is_empty());
    }

    #[test]
    fn a_page_of_filtered_runs_has_an_address() {
        let filter = RunFilter { pipeline: Some("a b&c".to_owned()), status: Some(RunStatus::Failed), stage: None };
        let address = address(&filter, Some(&RunId::new("7")));
        assert_eq!(address, "/?pipeline=a%20b%26c&status=failed&before=7");
        assert_eq!(parameter(address.trim_start_matches("/?"), "pipeline"), filter.pipeline);
        assert_eq!(super::address(&RunFilter::default(), None), "/");
    }
}
