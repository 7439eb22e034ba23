//! `windlass explain`: prints a plan of a stage from a run's bundle.

use serde_json::json;
use windlass_base::ids::NodeName;
use windlass_client::error::ClientError;
use windlass_evidence::artifact::PlanText;

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
    let kept = runs.bundles.plan_text(&run_id, &stage, which).await;
    let kept = kept.map_err(ClientError::from)?;
    let Some(text) = kept else {
        return Err(CommandError::NoPlan { run: run_id, stage, which: which.as_str() });
    };
    if global.output == Output::Json {
        output::json(&json!({ "run_id": run_id, "stage": stage, "plan": which, "text": text }))?;
    } else {
        output::text(&text)?;
        if !text.ends_with('\n') {
            output::text("\n")?;
        }
    }
    Ok(())
}
