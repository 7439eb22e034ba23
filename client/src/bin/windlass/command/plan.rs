//! `windlass plan`: what a run would do.

use serde_json::{Value, json};
use windlass_scheduler::plan::RunPlan;

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
        output::json(&document(&plan))?;
    } else {
        output::text(&page(&plan))?;
    }
    Ok(())
}

fn document(plan: &RunPlan) -> Value {
    let tables: Vec<Value> = plan
        .stages
        .iter()
        .map(|stage| {
            let columns: Vec<Value> = stage
                .columns
                .fields()
                .iter()
                .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() }))
                .collect();
            json!({
                "stage": stage.name, "location": stage.table.location, "mode": stage.mode,
                "partition_by": stage.table.partition_by, "columns": columns,
            })
        })
        .collect();
    json!({
        "pipeline": plan.request.graph.name, "pins": plan.pins().pins, "stages": plan.record.stages, "tables": tables,
        "params": plan.request.params,
    })
}

fn page(plan: &RunPlan) -> String {
    let pins = plan.pins().pins.into_iter().map(|pin| {
        let at = pin.version.map_or_else(|| "as listed".to_owned(), |version| format!("version {version}"));
        vec![pin.source.to_string(), pin.kind, at, count(pin.files), bytes(pin.bytes), pin.location]
    });
    let mut text = output::columns(&["READS", "KIND", "PINNED", "FILES", "SIZE", "AT"], pins.collect(), &[3, 4]);
    text.push('\n');
    let stages = plan.record.stages.iter().map(|stage| {
        let after: Vec<&str> = stage.depends_on.iter().map(|name| name.as_str()).collect();
        vec![stage.stage.to_string(), stage.decision.as_str().to_owned(), after.join(", "), stage.reason.clone()]
    });
    text.push_str(&output::columns(&["STAGE", "DECISION", "AFTER", "WHY"], stages.collect(), &[]));
    text
}
