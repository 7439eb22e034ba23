//! `windlass run`: runs the pipeline and prints the result.

use serde_json::json;
use windlass_client::{Project, RunHandle, RunOptions, Windlass};
use windlass_evidence::artifact::{LogEvent, RunRecord, RunStatus};

use super::{open_project, run_options, start, status_of};
use crate::args::{Global, Output, RunArgs};
use crate::failure::{CommandError, panic_report};
use crate::output::{self, bytes, count, duration};
use crate::progress::Progress;

/// Runs the selected part of the pipeline. Ctrl-C stops the run cleanly; a second one ends the process.
pub(crate) async fn run(global: &Global, args: &RunArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.select.bind)?;
    let mut options = run_options(&args.select, &args.refresh);
    options.fail_fast = args.behaviour.fail_fast.then_some(true);
    options.max_parallel = args.behaviour.max_parallel;
    let windlass = start(global, &project).await?;
    run_and_print(global, windlass, &project, &options, args.behaviour.events).await
}

/// Starts a run, follows it to its end and prints the result; with `as_lines` only its events.
pub(super) async fn run_and_print(
    global: &Global,
    windlass: Windlass,
    project: &Project,
    options: &RunOptions,
    as_lines: bool,
) -> Result<(), CommandError> {
    let outcome = async {
        let handle = windlass.run(project, options).await?;
        stop_on_signal(&handle);
        let bundle = handle.bundle.clone();
        Ok::<_, CommandError>((follow(handle, as_lines).await?, bundle))
    };
    let outcome = outcome.await;
    windlass.stop().await;
    let (record, bundle) = outcome?;
    if !as_lines {
        match global.output {
            Output::Json => output::json(&json!({ "run": record, "bundle": bundle }))?,
            _ => output::text(&summary(&record, &bundle))?,
        }
    }
    if record.status == RunStatus::Succeeded { Ok(()) } else { Err(CommandError::RunEnded) }
}

async fn follow(mut handle: RunHandle, as_lines: bool) -> Result<RunRecord, CommandError> {
    let mut progress = if as_lines { Progress::silent() } else { Progress::new() };
    while let Some(event) = handle.events.recv().await {
        progress.show(&event);
        if as_lines {
            print_event(&event)?;
        }
    }
    Ok(handle.wait().await?)
}

fn print_event(event: &LogEvent) -> Result<(), CommandError> {
    let line =
        serde_json::to_string(event).map_err(|source| CommandError::Form { form: "json", source: source.into() })?;
    Ok(output::text(&format!("{line}\n"))?)
}

/// The first Ctrl-C or SIGTERM asks the run to stop; the next ends the process at once.
fn stop_on_signal(handle: &RunHandle) {
    let cancel = handle.cancel_token();
    tokio::spawn(async move {
        wait_for_signal().await;
        eprintln!("stopping; press Ctrl-C again to end at once");
        cancel.cancel();
        wait_for_signal().await;
        std::process::exit(130);
    });
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

fn summary(record: &RunRecord, bundle: &str) -> String {
    let rows = record.stages.iter().map(|stage| {
        let receipt = stage.receipt.as_ref();
        let of = |value: Option<u64>, form: fn(u64) -> String| value.map(form).unwrap_or_default();
        vec![
            stage.stage.to_string(),
            status_of(stage).to_owned(),
            of(receipt.map(|receipt| receipt.rows), count),
            of(receipt.map(|receipt| receipt.bytes), bytes),
            of(receipt.map(|receipt| receipt.files), count),
            receipt.map(|receipt| receipt.version.to_string()).unwrap_or_default(),
            duration(stage.duration_ms),
        ]
    });
    let headings = ["STAGE", "STATUS", "ROWS", "SIZE", "FILES", "VERSION", "TIME"];
    let mut text = format!("\n{}", output::columns(&headings, rows.collect(), &[2, 3, 4, 5, 6]));
    for stage in &record.stages {
        if let Some(failure) = &stage.failure {
            text.push_str(&format!("\n{} failed: {failure}\n", stage.stage));
            if let Some(help) = &failure.help {
                text.push_str(&format!("  help: {help}\n"));
            }
            if let Some(report) = panic_report(&failure.code) {
                text.push_str(&format!("  {report}\n"));
            }
        }
        if let Some(cause) = &stage.skipped_because_of {
            text.push_str(&format!("\n{} was skipped: it needs {cause}\n", stage.stage));
        }
    }
    for warning in &record.warnings {
        text.push_str(&format!("\nwarning: {warning}\n"));
    }
    text.push_str(&format!("\nrun {} {}\nbundle {bundle}\n", record.run_id, record.status.as_str()));
    text
}
