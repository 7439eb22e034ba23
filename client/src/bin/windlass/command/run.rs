//! `windlass run`: runs the pipeline and prints the result.

use tokio_util::sync::CancellationToken;
use windlass_client::document::RunDocument;
use windlass_client::{Project, RunHandle, RunOptions, Windlass};
use windlass_evidence::artifact::{LogEvent, RunRecord, RunStatus};

use super::{open_project, run_options, start};
use crate::args::{Global, Output, RunArgs};
use crate::failure::CommandError;
use crate::output::{self, Layout};
use crate::progress::{History, Progress};
use crate::summary::summary;

/// Runs the selected part of the pipeline. Ctrl-C stops the run cleanly; a second one ends the process.
pub(crate) async fn run(global: &Global, args: &RunArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.select.bind)?;
    let mut options = run_options(&args.select, &args.refresh);
    options.fail_fast = args.behaviour.fail_fast.then_some(true);
    options.max_parallel = args.behaviour.max_parallel;
    options.priority = args.behaviour.priority;
    options.no_wait = args.behaviour.no_wait;
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
        let progress = match as_lines {
            true => Progress::silent(),
            false => Progress::new(&project.graph, history(&windlass, project).await),
        };
        if let Ok(Some(0)) = windlass.executors().await {
            output::note("the cluster has no executor: what needs one waits until one joins");
        }
        let handle = windlass.run(project, options).await?;
        stop_on_signal(handle.cancel_token());
        let bundle = handle.bundle.clone();
        Ok::<_, CommandError>((follow(handle, progress, as_lines).await?, bundle))
    };
    let outcome = outcome.await;
    windlass.stop().await;
    let (record, bundle) = outcome?;
    let succeeded = record.status == RunStatus::Succeeded;
    if !as_lines {
        match global.output {
            Output::Json => output::json(&RunDocument { run: record, bundle })?,
            _ => output::text(&summary(&record, &bundle, Layout::stdout()))?,
        }
    }
    if succeeded { Ok(()) } else { Err(CommandError::RunEnded) }
}

/// How long stages took in earlier runs; nothing if there are none that can be read.
async fn history(windlass: &Windlass, project: &Project) -> History {
    match windlass.runs(project).await {
        Ok(runs) => History::of(&runs).await,
        Err(_) => History::default(),
    }
}

async fn follow(mut handle: RunHandle, mut progress: Progress, as_lines: bool) -> Result<RunRecord, CommandError> {
    let mut time = tokio::time::interval(progress.period());
    progress.queued(*handle.queued.borrow_and_update());
    let outcome = loop {
        tokio::select! {
            event = handle.events.recv() => {
                let Some(event) = event else { break Ok(()) };
                progress.show(&event);
                if as_lines && let Err(error) = print_event(&event) {
                    break Err(error);
                }
            }
            // A run that does not wait, or has been watched to its end, moves no more.
            Ok(()) = handle.queued.changed() => progress.queued(*handle.queued.borrow_and_update()),
            _ = time.tick() => progress.tick(),
        }
    };
    progress.end();
    outcome?;
    Ok(handle.wait().await?)
}

fn print_event(event: &LogEvent) -> Result<(), CommandError> {
    let line =
        serde_json::to_string(event).map_err(|source| CommandError::Form { form: "json", source: source.into() })?;
    Ok(output::text(&format!("{line}\n"))?)
}

/// The first Ctrl-C or SIGTERM fires `cancel`, which asks the work to stop; the next ends the process at once.
pub(super) fn stop_on_signal(cancel: CancellationToken) {
    tokio::spawn(async move {
        wait_for_signal().await;
        output::note("stopping; press Ctrl-C again to end at once");
        cancel.cancel();
        wait_for_signal().await;
        std::process::exit(130);
    });
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn wait_for_signal() {
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
