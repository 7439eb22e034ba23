//! `/runs/ID`: a run, with its stages as a graph, over time and as a table.

use askama::Template;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{PinRecord, RunRecord, StageRecord};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_evidence::time_spent::{CriticalPath, TimedStage, critical_path};

use super::grid::{selection_of, took};
use super::run_parts::{self, FailureView, PinRow, StageRow};
use super::{Page, Section, html, part};
use crate::error::UiError;
use crate::runs::Runs;
use crate::view::gantt::{Gantt, gantt};
use crate::view::log::{LogLine, tail, warnings};
use crate::view::picture::Picture;
use crate::view::stages::{StageFacts, stages_of};
use crate::view::state::{State, class_of_run, is_live};
use crate::view::text::{NONE, bytes, count, counted, duration, stage_href, time};

/// As many lines of the log are shown.
const LOG_LINES: usize = 60;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    page: Page,
    status: &'static str,
    class: &'static str,
    totals: String,
    path: Path,
    facts: Vec<(&'static str, String)>,
    failures: Vec<FailureView>,
    warnings: Vec<String>,
    problems: Vec<String>,
    dag: Option<Picture>,
    chart: Option<Gantt>,
    stages: Vec<StageRow>,
    pins: Vec<PinRow>,
    log: Vec<LogLine>,
    command: String,
}

/// The critical path, as links.
struct Path {
    stages: Vec<(String, String)>,
    text: String,
}

/// The page of a run.
pub(super) async fn page(runs: &Runs, run_id: &RunId) -> Result<String, UiError> {
    let record = runs.run(run_id).await?;
    let bundles = &runs.bundles;
    let now = Utc::now();
    let mut problems = Vec::new();
    let (plan, pins, log) = tokio::join!(bundles.plan(run_id), bundles.pins(run_id), bundles.log(run_id));
    let plan = part(plan, &mut problems);
    let pins: Vec<PinRecord> = part(pins, &mut problems).map(|pins| pins.pins).unwrap_or_default();
    let log = part(log.map(Some), &mut problems).unwrap_or_default();
    let facts = stages_of(&record, plan.as_ref(), &log, now);
    let records = stage_records(bundles, run_id, &facts, &mut problems).await;
    let path = path_of(&facts);

    let mut page = Page::new(format!("Run {run_id}"), Section::Runs);
    page.is_live = is_live(record.status);
    let mut all_warnings = record.warnings.clone();
    all_warnings.extend(warnings(&log).into_iter().filter(|warning| !record.warnings.contains(warning)));
    Ok(html(&RunPage {
        page,
        status: record.status.as_str(),
        class: class_of_run(record.status),
        totals: totals(&record, &facts, now),
        facts: facts_of(&record, now),
        failures: run_parts::failures(run_id, &facts),
        warnings: all_warnings,
        problems,
        dag: run_parts::dag(run_id, &facts, &path),
        chart: gantt(run_parts::times(run_id, &facts, &records, now)),
        stages: run_parts::rows(run_id, &facts, plan.as_ref(), &path),
        path: linked(run_id, &path, took(&record, now)),
        pins: pins.iter().map(PinRow::of).collect(),
        log: tail(&log, LOG_LINES),
        command: format!("windlass runs log {run_id}"),
    }))
}

/// What was measured of each stage that has begun, read side by side.
async fn stage_records(
    bundles: &BundleReader,
    run_id: &RunId,
    facts: &[StageFacts],
    problems: &mut Vec<String>,
) -> Vec<StageRecord> {
    let begun = |stage: &&StageFacts| !matches!(stage.state, State::Inlined | State::Skipped | State::Reused);
    let names: Vec<NodeName> = facts.iter().filter(begun).map(|stage| stage.name.clone()).collect();
    let reads = names.into_iter().map(|stage| stage_record(bundles.clone(), run_id.clone(), stage));
    let read = join_all(reads).await;
    read.into_iter().filter_map(|record| part(record, problems)).collect()
}

async fn stage_record(
    bundles: BundleReader,
    run_id: RunId,
    stage: NodeName,
) -> Result<Option<StageRecord>, RecordError> {
    bundles.stage(&run_id, &stage).await
}

/// How the stages stand, in a sentence.
fn totals(record: &RunRecord, stages: &[StageFacts], now: DateTime<Utc>) -> String {
    let number = |states: &[State]| stages.iter().filter(|stage| states.contains(&stage.state)).count();
    let parts = [
        ("committed", number(&[State::Full, State::Incremental])),
        ("reused", number(&[State::Reused])),
        ("running", number(&[State::Running])),
        ("pending", number(&[State::Pending])),
        ("failed", number(&[State::Failed])),
        ("skipped", number(&[State::Skipped])),
        ("cancelled", number(&[State::Cancelled])),
        ("interrupted", number(&[State::Interrupted])),
    ];
    let parts = parts.into_iter().filter(|(_, number)| *number > 0);
    let mut parts: Vec<String> = parts.map(|(word, number)| format!("{} {word}", count(number as u64))).collect();
    let receipts = stages.iter().filter_map(|stage| stage.receipt.as_ref());
    let (rows, written) = receipts.fold((0_u64, 0_u64), |(rows, written), receipt| {
        (rows.saturating_add(receipt.rows), written.saturating_add(receipt.bytes))
    });
    parts.push(format!("{} of {} written", counted(rows, "row"), bytes(written)));
    parts.push(took(record, now).map_or_else(|| NONE.to_owned(), duration));
    parts.join(", ")
}

fn facts_of(record: &RunRecord, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let versions = &record.versions;
    let mut facts = vec![
        ("Pipeline", format!("{}, run no. {}", record.pipeline, record.sequence)),
        ("Target", record.target.clone().unwrap_or_else(|| NONE.to_owned())),
        ("Selection", selection_of(record)),
        ("Started", format!("{} on {}", time(record.started_at), record.host)),
        ("Ended", record.ended_at.map_or_else(|| NONE.to_owned(), time)),
        ("Took", took(record, now).map_or_else(|| NONE.to_owned(), duration)),
        (
            "Versions",
            format!(
                "windlass {}, ballista {}, datafusion {}, deltalake {}",
                versions.windlass, versions.ballista, versions.datafusion, versions.deltalake
            ),
        ),
    ];
    if !record.params.is_empty() {
        let params = record.params.iter().map(|(name, value)| format!("{name} = {value}"));
        facts.push(("Parameters", params.collect::<Vec<_>>().join(", ")));
    }
    facts
}

fn path_of(facts: &[StageFacts]) -> CriticalPath {
    let timed = facts.iter().map(|facts| TimedStage {
        name: &facts.name,
        depends_on: &facts.depends_on,
        duration_ms: facts.duration_ms,
    });
    critical_path(&timed.collect::<Vec<_>>())
}

fn linked(run_id: &RunId, path: &CriticalPath, took: Option<u64>) -> Path {
    let stages = path.stages.iter().map(|stage| (stage_href(run_id, stage), stage.to_string())).collect();
    let percent = took.filter(|took| *took > 0).map(|took| path.duration_ms.saturating_mul(100) / took);
    let share = percent.map(|percent| format!(", {} % of the run", percent.min(100))).unwrap_or_default();
    Path { stages, text: format!("{}{share}", duration(path.duration_ms)) }
}
