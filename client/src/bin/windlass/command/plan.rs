//! `windlass plan`: what a run would do.

use std::path::Path;

use windlass_evidence::artifact::{PlannedRun, SavedPlan, SourceChange, StageDecision};

use super::{open_project, run_options, start};
use crate::args::{Global, Output, PlanArgs};
use crate::failure::CommandError;
use crate::output::{self, bytes, count};
use crate::output_file::OutputFile;

/// Pins the sources, plans every selected stage and shows both. Nothing is written except the requested file.
pub(crate) async fn run(global: &Global, args: &PlanArgs) -> Result<(), CommandError> {
    // An earlier saved plan is replaced silently; any other file serves another purpose.
    let force = args.force || args.out.as_deref().is_some_and(is_plan);
    if let Some(file) = &args.out {
        OutputFile::check(file, force)?;
    }
    let project = open_project(global, &args.select.bind)?;
    let windlass = start(global, &project).await?;
    let options = run_options(&args.select, &args.refresh);
    let plan = windlass.plan(&project, &options).await;
    windlass.stop().await;
    let plan = plan?;
    if let Some(file) = &args.out {
        let saved = SavedPlan::new(options.to_be_saved(&project), &plan).to_json();
        OutputFile::write(file, force, &(saved + "\n"))?;
    }
    if global.output == Output::Json {
        return Ok(output::json(&plan)?);
    }
    let mut text = page(&plan);
    if let Some(file) = &args.out {
        let file = file.display();
        text.push_str(&format!("\nsaved in {file}; carry it out with `windlass apply {file}`\n"));
    }
    Ok(output::text(&text)?)
}

/// Whether a file is a saved plan.
fn is_plan(file: &Path) -> bool {
    // Reading a device may never end.
    file.is_file() && std::fs::read_to_string(file).is_ok_and(|text| SavedPlan::read(&text).is_ok())
}

/// The plan for display: pins, decisions with reasons, and changes.
fn page(plan: &PlannedRun) -> String {
    let pins = plan.pins.iter().map(|pin| {
        let at = pin.version.map_or_else(|| "as listed".to_owned(), |version| format!("version {version}"));
        vec![pin.source.to_string(), pin.kind.clone(), at, count(pin.files), bytes(pin.bytes), pin.location.clone()]
    });
    let mut text = output::columns(&["READS", "KIND", "PINNED", "FILES", "SIZE", "AT"], pins.collect(), &[3, 4]);
    text.push('\n');
    let stages = plan.stages.iter().map(|stage| {
        vec![
            stage.stage.to_string(),
            stage.decision.as_str().to_owned(),
            stage.strategy.map(|strategy| strategy.as_str().to_owned()).unwrap_or_default(),
            to_read(stage),
            why(stage),
        ]
    });
    text.push_str(&output::columns(&["STAGE", "DECISION", "STRATEGY", "READS", "WHY"], stages.collect(), &[]));
    let changes = plan.stages.iter().flat_map(|stage| stage.changes.iter().map(|change| changed(stage, change)));
    let changes: Vec<_> = changes.collect();
    if !changes.is_empty() {
        text.push('\n');
        let headings = ["STAGE", "CHANGES OF", "FROM", "TO", "FILES", "ROWS", "SIZE"];
        text.push_str(&output::columns(&headings, changes, &[4, 5, 6]));
    }
    text
}

/// An estimate of how much a stage has to read, if known.
fn to_read(stage: &StageDecision) -> String {
    let size = (stage.estimated_bytes > 0).then(|| bytes(stage.estimated_bytes));
    let rows = stage.estimated_rows.map(|rows| format!("{} rows", count(rows)));
    [rows, size].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The reason, and what prevented the reuse of the table.
fn why(stage: &StageDecision) -> String {
    let missed = stage.reuse.iter().filter(|reuse| !reuse.hit).flat_map(|reuse| &reuse.missed);
    // What is the reason already is not said twice.
    let more: Vec<&str> = missed.filter(|missed| !missed.ends_with(&stage.reason)).map(String::as_str).collect();
    match more.is_empty() {
        true => stage.reason.clone(),
        false => format!("{} (changed: {})", stage.reason, more.join("; ")),
    }
}

fn changed(stage: &StageDecision, change: &SourceChange) -> Vec<String> {
    let version = |version: Option<_>, unknown: &str| {
        version.map_or_else(|| unknown.to_owned(), |version| format!("version {version}"))
    };
    vec![
        stage.stage.to_string(),
        change.source.to_string(),
        version(change.from, "as recorded"),
        version(change.to, "as it will be"),
        count(change.files),
        change.rows.map(count).unwrap_or_default(),
        bytes(change.bytes),
    ]
}
