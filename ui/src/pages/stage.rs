//! `/runs/ID/stages/STAGE`: a stage of a run: why it ran, what it read, did and wrote.

use askama::Template;
use chrono::Utc;
use futures::future::join_all;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{PlanText, StageDecision, StageRecord};
use windlass_evidence::bundle::{BundleReader, RecordError};

use super::run_parts::{FailureView, decision_of, state_of};
use super::stage_parts::{self, AttemptRow, ChangeRow, ExpectationRow, InputRow, OutputRow, Query};
use super::{Page, Section, html, part};
use crate::error::UiError;
use crate::runs::{Runs, summary_of};
use crate::server::Site;
use crate::view::operators::{OperatorTree, operator_trees, spills};
use crate::view::stages::{StageFacts, stages_of};
use crate::view::state::is_live;
use crate::view::tasks::{TaskGroup, task_groups};
use crate::view::text::{NONE, bytes, count, counted, duration, or_unknown, run_href, table_href};

#[derive(Template)]
#[template(path = "stage.html")]
struct StagePage {
    page: Page,
    run_href: String,
    run_title: String,
    table: Option<String>,
    state: String,
    class: &'static str,
    description: Option<String>,
    facts: Vec<(&'static str, String)>,
    failure: Option<FailureView>,
    problems: Vec<String>,
    expectations: Vec<ExpectationRow>,
    query: Option<Query>,
    inputs: Vec<InputRow>,
    changes: Vec<ChangeRow>,
    outputs: Vec<OutputRow>,
    trees: Vec<OperatorTree>,
    groups: Vec<TaskGroup>,
    attempts: Vec<AttemptRow>,
    plans: Vec<PlanView>,
}

/// One of the plans, as text.
struct PlanView {
    name: &'static str,
    text: String,
}

/// The page of a stage.
pub(super) async fn page(site: &Site, runs: &Runs, run_id: &RunId, stage: &NodeName) -> Result<String, UiError> {
    let record = runs.run(run_id).await?;
    let bundles = &runs.bundles;
    let now = Utc::now();
    let mut problems = Vec::new();
    let (plan, log, measured, lineage, pins) = tokio::join!(
        bundles.plan(run_id),
        bundles.log(run_id),
        bundles.stage(run_id, stage),
        bundles.lineage(run_id),
        bundles.pins(run_id)
    );
    let plan = part(plan, &mut problems);
    let log = part(log.map(Some), &mut problems).unwrap_or_default();
    let measured = part(measured, &mut problems);
    let lineage = part(lineage, &mut problems);
    let pins = part(pins, &mut problems);
    let facts = stages_of(&record, plan.as_ref(), &log, now);
    let Some(facts) = facts.into_iter().find(|facts| facts.name == *stage) else {
        return Err(UiError::NoSuchStage { run_id: run_id.clone(), stage: stage.clone() });
    };
    let decision = plan.as_ref().and_then(|plan| plan.stages.iter().find(|planned| planned.stage == *stage));
    let lineage = lineage.as_ref().and_then(|lineage| lineage.stages.iter().find(|known| known.stage == *stage));
    let plans = plan_texts(bundles, run_id, stage, &mut problems).await;

    let texts = site.source.texts();
    let text = texts.stage(&record, stage);
    let mut page = Page::new(format!("Stage {stage}"), Section::Runs);
    page.is_live = is_live(record.status);
    let record_of = measured.as_ref();
    Ok(html(&StagePage {
        page,
        run_href: run_href(run_id),
        run_title: format!("Run {run_id}"),
        // While a run is under way, no record says that it has the table.
        table: summary_of(&record, stage).map(|_| table_href(stage)),
        state: state_of(&facts),
        class: facts.state.class(),
        description: text.and_then(|text| text.description.clone()),
        facts: facts_of(&facts, decision, record_of),
        failure: facts.failure.as_ref().map(|failure| FailureView::of(run_id, stage, failure)),
        problems,
        expectations: record_of.map(stage_parts::expectations).unwrap_or_default(),
        query: text.and_then(|text| Query::of(text, texts.are_those_of(&record))),
        inputs: stage_parts::inputs(lineage, pins.as_ref()),
        changes: stage_parts::changes(lineage, decision),
        outputs: record_of.map(stage_parts::outputs).unwrap_or_default(),
        trees: record_of.map(|record| operator_trees(&record.operators)).unwrap_or_default(),
        groups: record_of.map(|record| task_groups(&record.tasks)).unwrap_or_default(),
        attempts: record_of.map(|record| stage_parts::attempts(record, now)).unwrap_or_default(),
        plans,
    }))
}

/// The plans that the bundle has of a stage, read side by side.
async fn plan_texts(
    bundles: &BundleReader,
    run_id: &RunId,
    stage: &NodeName,
    problems: &mut Vec<String>,
) -> Vec<PlanView> {
    let reads = PlanText::ALL.map(|which| plan_text(bundles.clone(), run_id.clone(), stage.clone(), which));
    let read = PlanText::ALL.into_iter().zip(join_all(reads).await);
    let found = read.filter_map(|(which, text)| Some(PlanView { name: which.as_str(), text: part(text, problems)? }));
    found.collect()
}

async fn plan_text(
    bundles: BundleReader,
    run_id: RunId,
    stage: NodeName,
    which: PlanText,
) -> Result<Option<String>, RecordError> {
    bundles.plan_text(&run_id, &stage, which).await
}

/// What there is to say in a line each.
fn facts_of(
    facts: &StageFacts,
    decision: Option<&StageDecision>,
    record: Option<&StageRecord>,
) -> Vec<(&'static str, String)> {
    let mut shown = vec![("Decision", decision_of(facts))];
    if let Some(decision) = decision {
        shown.push(("Reason", decision.reason.clone()));
        let rows = or_unknown(decision.estimated_rows, |rows| counted(rows, "row"));
        shown.push(("Estimated input", format!("{rows}, {}", bytes(decision.estimated_bytes))));
    }
    let missed = decision.and_then(|decision| decision.reuse.as_ref()).filter(|reuse| !reuse.missed.is_empty());
    if let Some(reuse) = missed {
        shown.push(("Changed since the last run", reuse.missed.join(", ")));
    }
    if let Some(fallback) = &facts.fallback {
        shown.push(("Computed as a whole because", fallback.clone()));
    }
    if let Some(cause) = &facts.skipped_because_of {
        shown.push(("Skipped because of", cause.to_string()));
    }
    let took = if facts.duration_ms > 0 { duration(facts.duration_ms) } else { NONE.to_owned() };
    shown.push(("Took", took));
    if let Some(receipt) = &facts.receipt {
        shown.push(("Version", receipt.version.to_string()));
        let files = counted(receipt.files, "file");
        shown.push(("Written", format!("{}, {}, {files}", counted(receipt.rows, "row"), bytes(receipt.bytes))));
        if let Some(changed) = receipt.changed_rows {
            shown.push(("Rows changed", count(changed)));
        }
        shown.push(("Rows of the table", or_unknown(receipt.table_rows, count)));
    }
    if let Some(record) = record.filter(|record| !record.operators.is_empty()) {
        shown.push(("Spilled to disk", spills(&record.operators).unwrap_or_else(|| "nothing".to_owned())));
    }
    if let Some(decision) = decision.filter(|decision| !decision.code_version.is_empty()) {
        shown.push(("Code version", decision.code_version.clone()));
    }
    shown
}
