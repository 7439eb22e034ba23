//! `windlass plan`: what a run would do.

use windlass_shared::artifact::PlannedRun;

use super::{open_project, run_options, start};
use crate::args::{Global, Output, SelectArgs};
use crate::failure::CommandError;
use crate::output::{self, bytes, count};

/// Pins the sources, plans every selected stage and shows both. Nothing is written.
pub(crate) async fn run(global: &Global, args: &SelectArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let windlass = start(global, &project).await?;
    let plan = windlass.plan(&project, &run_options(args)).await;
    windlass.stop().await;
    let plan = plan?;
    if global.output == Output::Json {
        output::json(&plan)?;
    } else {
        output::text(&page(&plan))?;
    }
    Ok(())
}

fn page(plan: &PlannedRun) -> String {
    let pins = plan.pins.iter().map(|pin| {
        let at = pin.version.map_or_else(|| "as listed".to_owned(), |version| format!("version {version}"));
        vec![pin.source.to_string(), pin.kind.clone(), at, count(pin.files), bytes(pin.bytes), pin.location.clone()]
    });
    let mut text = output::columns(&["READS", "KIND", "PINNED", "FILES", "SIZE", "AT"], pins.collect(), &[3, 4]);
    text.push('\n');
    let stages = plan.stages.iter().map(|stage| {
        let after: Vec<&str> = stage.depends_on.iter().map(|name| name.as_str()).collect();
        vec![stage.stage.to_string(), stage.decision.as_str().to_owned(), after.join(", "), stage.reason.clone()]
    });
    text.push_str(&output::columns(&["STAGE", "DECISION", "AFTER", "WHY"], stages.collect(), &[]));
    text
}
