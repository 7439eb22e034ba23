//! `windlass explain`: prints a plan of a stage from a run's bundle, or from that of the run that made its table.

use serde_json::json;
use windlass_base::ids::{NodeName, RunId};
use windlass_base::suggest::did_you_mean;
use windlass_client::Runs;
use windlass_client::error::ClientError;
use windlass_evidence::artifact::{PlanText, ReceiptOutcome, StageStatus, StageSummary};

use super::{open_project, open_runs};
use crate::args::{BindArgs, ExplainArgs, Global, Output, PlanKind};
use crate::failure::CommandError;
use crate::output;

/// Prints the plan text.
pub(crate) async fn run(global: &Global, args: &ExplainArgs) -> Result<(), CommandError> {
    let project = open_project(global, &BindArgs::default())?;
    let runs = open_runs(global, &project).await?;
    let run_id = runs.find(&args.run).await?;
    let which = match args.plan {
        PlanKind::Logical => PlanText::Logical,
        PlanKind::Optimized => PlanText::Optimized,
        PlanKind::Physical => PlanText::Physical,
        PlanKind::Distributed => PlanText::Distributed,
        PlanKind::Analyzed => PlanText::Analyzed,
    };
    let stage = NodeName::new(&args.stage);
    let (maker, text) = plan_of(&runs, &run_id, &stage, which).await?;
    if global.output == Output::Json {
        output::json(
            &json!({ "run_id": maker, "requested_run_id": run_id, "stage": stage, "plan": which, "text": text }),
        )?;
    } else {
        if maker != run_id {
            eprintln!(
                "run {run_id} used the table of `{stage}` as it was; this is the plan of run {maker}, which made it"
            );
        }
        output::text(&text)?;
        if !text.ends_with('\n') {
            output::text("\n")?;
        }
    }
    Ok(())
}

/// The plan of a stage in a run, and the run that it is of: an earlier one, if the run reused the stage's table.
async fn plan_of(
    runs: &Runs,
    run_id: &RunId,
    stage: &NodeName,
    which: PlanText,
) -> Result<(RunId, String), CommandError> {
    if let Some(text) = text_of(runs, run_id, stage, which).await? {
        return Ok((run_id.clone(), text));
    }
    let stages = runs.bundles.run(run_id, &runs.live).await.map_err(ClientError::from)?.stages;
    let summary = stages.iter().find(|summary| summary.stage == *stage);
    if summary.is_some_and(is_reused) {
        for earlier in runs.bundles.run_ids().await.map_err(ClientError::from)? {
            let may_be = earlier < *run_id && made(runs, &earlier, stage).await;
            if may_be && let Some(text) = text_of(runs, &earlier, stage, which).await? {
                return Ok((earlier, text));
            }
        }
    }
    let names = stages.iter().map(|summary| summary.stage.as_str());
    let help = match summary {
        Some(summary) if is_reused(summary) => Some(format!(
            "the run reused its table, and the run that made it is not in this home any more; `windlass run --full-refresh \
             {stage}` makes it again"
        )),
        Some(StageSummary { status: StageStatus::Committed, .. }) => {
            Some("it has plans of other kinds: choose another `--plan`".to_owned())
        }
        Some(summary) => Some(format!(
            "the stage was not planned: it is `{}` in that run; see why with `windlass runs show {run_id}`",
            summary.status.as_str()
        )),
        None => did_you_mean(stage.as_str(), "the run has", names),
    };
    Err(CommandError::NoPlan { run: run_id.clone(), stage: stage.clone(), which: which.as_str(), help })
}

async fn text_of(
    runs: &Runs,
    run_id: &RunId,
    stage: &NodeName,
    which: PlanText,
) -> Result<Option<String>, CommandError> {
    Ok(runs.bundles.plan_text(run_id, stage, which).await.map_err(ClientError::from)?)
}

fn is_reused(summary: &StageSummary) -> bool {
    summary.receipt.as_ref().is_some_and(|receipt| receipt.outcome == ReceiptOutcome::Reused)
}

/// Whether a run committed to the stage's table.
async fn made(runs: &Runs, run_id: &RunId, stage: &NodeName) -> bool {
    let Ok(record) = runs.bundles.run(run_id, &runs.live).await else { return false };
    let summary = record.stages.iter().find(|summary| summary.stage == *stage);
    summary.is_some_and(|summary| summary.receipt.is_some() && !is_reused(summary))
}
