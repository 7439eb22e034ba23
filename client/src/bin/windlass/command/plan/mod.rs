//! `windlass plan`: what a run would do.

mod details;
mod page;
mod why;

use std::path::Path;

use windlass_base::suggest::did_you_mean;
use windlass_evidence::artifact::{PlannedRun, SavedPlan};

use super::{open_project, run_options, start_reading};
use crate::args::{Global, Output, PlanArgs};
use crate::failure::CommandError;
use crate::output::{self, Layout};
use crate::output_file::OutputFile;

/// Pins the sources, plans every selected stage and shows both. Nothing is written except the requested file.
pub(crate) async fn run(global: &Global, args: &PlanArgs) -> Result<(), CommandError> {
    // An earlier saved plan is replaced silently; any other file serves another purpose.
    let force = args.force || args.out.as_deref().is_some_and(is_plan);
    if let Some(file) = &args.out {
        OutputFile::check(file, force)?;
    }
    let project = open_project(global, &args.select.bind)?;
    let windlass = start_reading(global, &project).await?;
    let options = run_options(&args.select, &args.refresh);
    let plan = windlass.plan(&project, &options).await;
    windlass.stop().await;
    let mut plan = plan?;
    if let Some(file) = &args.out {
        let saved = SavedPlan::new(options.to_be_saved(&project), &plan).to_json();
        OutputFile::write(file, force, &(saved + "\n"))?;
    }
    if let Some(stage) = &args.stage {
        plan = of_stage(plan, stage)?;
    }
    if global.output == Output::Json {
        return Ok(output::json(&plan)?);
    }
    let layout = Layout::stdout();
    let is_verbose = global.verbose > 0;
    let mut text = match args.stage {
        Some(_) => String::new(),
        None => page::page(&plan, &project.graph, is_verbose, layout),
    };
    if args.stage.is_some() || is_verbose {
        for stage in &plan.stages {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&details::details(stage, &plan, layout));
        }
    }
    if let Some(file) = &args.out {
        let file = file.display();
        text.push_str(&format!("\nsaved in {file}; apply it with `windlass apply {file}`\n"));
    }
    Ok(output::text(&text)?)
}

/// The part of the plan that is about one stage.
fn of_stage(mut plan: PlannedRun, stage: &str) -> Result<PlannedRun, CommandError> {
    if !plan.stages.iter().any(|planned| planned.stage.as_str() == stage) {
        let stages = plan.stages.iter().map(|planned| planned.stage.as_str());
        let help = did_you_mean(stage, "its stages are", stages);
        return Err(CommandError::NotPlanned { stage: stage.to_owned(), help });
    }
    plan.stages.retain(|planned| planned.stage.as_str() == stage);
    plan.tables.retain(|table| table.stage.as_str() == stage);
    plan.cursors.retain(|cursor| cursor.stage.as_str() == stage);
    Ok(plan)
}

/// Whether a file is a saved plan.
fn is_plan(file: &Path) -> bool {
    // Reading a device may never end.
    file.is_file() && std::fs::read_to_string(file).is_ok_and(|text| SavedPlan::read(&text).is_ok())
}
