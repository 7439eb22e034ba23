//! `windlass explain`: prints a plan of a stage from a run's bundle, or from that of the run that made its table.

use windlass_base::ids::{NodeName, RunId};
use windlass_base::suggest::did_you_mean;
use windlass_client::Runs;
use windlass_client::document::ExplainDocument;
use windlass_client::error::ClientError;
use windlass_evidence::artifact::{PlanText, StageStatus, StageSummary};

use super::{open_project, open_runs, selection_of};
use crate::args::{ExplainArgs, Global, Output, PlanKind};
use crate::failure::CommandError;
use crate::output::{self, Layout, NONE, Tone};
use crate::summary::is_reused;

/// Prints the plan text below a line that says of which run it is.
pub(crate) async fn run(global: &Global, args: &ExplainArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.target.bind())?;
    let runs = open_runs(global, &project).await?;
    let run_id = runs.find_for(&args.run, args.target.target.as_deref()).await?;
    let which = match args.plan {
        PlanKind::Logical => PlanText::Logical,
        PlanKind::Optimized => PlanText::Optimized,
        PlanKind::Physical => PlanText::Physical,
        PlanKind::Distributed => PlanText::Distributed,
        PlanKind::Analyzed => PlanText::Analyzed,
    };
    let stage = NodeName::new(&args.stage);
    let (maker, mut text) = plan_of(&runs, &run_id, &stage, which).await?;
    let record = runs.bundles.run(&maker, &runs.live).await.map_err(ClientError::from)?;
    if global.output == Output::Json {
        let (target, select, exclude) = (record.target, record.select, record.exclude);
        let (run_id, requested_run_id) = (maker, run_id);
        let plan = which;
        return Ok(output::json(&ExplainDocument {
            run_id,
            requested_run_id,
            target,
            select,
            exclude,
            stage,
            plan,
            text,
        })?);
    }
    if maker != run_id {
        output::note(format_args!(
            "run {run_id} used the table of `{stage}` as it was; this is the plan of run {maker}, which made it"
        ));
    }
    let target = record.target.as_deref().unwrap_or(NONE);
    let head = format!(
        "-- {} plan of {stage} in run {maker}: target {target}, selection {}",
        which.as_str(),
        selection_of(&record)
    );
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(output::text(&format!("{}\n{text}", Layout::stdout().paint(Tone::Faint, &head)))?)
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

/// Whether a run committed to the stage's table.
async fn made(runs: &Runs, run_id: &RunId, stage: &NodeName) -> bool {
    let Ok(record) = runs.bundles.run(run_id, &runs.live).await else { return false };
    let summary = record.stages.iter().find(|summary| summary.stage == *stage);
    summary.is_some_and(|summary| summary.receipt.is_some() && !is_reused(summary))
}
