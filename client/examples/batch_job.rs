//! A batch job: adds new input, runs a pipeline over it, reads the result, and ends with an exit code.
//!
//! ```text
//! cargo run -p windlass-client --example batch_job -- PROJECT [NEW_INPUT.csv]
//! WINDLASS_CLUSTER=http://127.0.0.1:50051 cargo run -p windlass-client --example batch_job -- PROJECT
//! ```
//!
//! With `WINDLASS_CLUSTER` it uses that cluster, otherwise a scheduler and an executor in its own process; everything
//! else is the same. PROJECT is a folder as created by `windlass init`. Exit codes: 0 the run succeeded, 1 it did not,
//! 2 wrong usage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_base::error::{Coded, full_message};
use windlass_client::embedded::EmbeddedConfig;
use windlass_client::{ClientError, Project, QueryOptions, RunHandle, RunOptions, Runs, Windlass};
use windlass_evidence::artifact::{PlanText, RunRecord, RunStatus};

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(project), input) = (args.next(), args.next()) else {
        eprintln!("usage: batch_job PROJECT [NEW_INPUT.csv]");
        return ExitCode::from(2);
    };
    match job(&project, input.as_deref()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error[{}]: {}", error.code(), full_message(&error));
            if let Some(help) = error.help() {
                eprintln!("  help: {help}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The whole job; returns whether the run succeeded.
async fn job(project: &Path, input: Option<&Path>) -> Result<bool, ClientError> {
    if let Some(input) = input {
        land(project, input)?;
    }
    let project = Project::open(project, None, &[])?;
    let windlass = connect(&project).await?;
    let outcome = run_and_report(&windlass, &project).await;
    windlass.stop().await;
    outcome
}

/// Copies new input to the folder of the project's source. On a cluster this would be an upload to the bucket.
fn land(project: &Path, input: &Path) -> Result<(), ClientError> {
    let folder = project.join("data");
    let failed = |source| ClientError::Home { folder: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let name = input.file_name().unwrap_or(input.as_os_str());
    std::fs::copy(input, folder.join(name)).map(drop).map_err(failed)
}

/// The cluster named in the environment, or an embedded one.
async fn connect(project: &Project) -> Result<Windlass, ClientError> {
    match std::env::var("WINDLASS_CLUSTER") {
        Ok(url) => Windlass::connect(&url).await,
        Err(_) => {
            let config = EmbeddedConfig::new(project.home(None)?, project.graph.session.clone());
            Windlass::embedded(config).await
        }
    }
}

async fn run_and_report(windlass: &Windlass, project: &Project) -> Result<bool, ClientError> {
    let run = windlass.run(project, &RunOptions::default()).await?;
    eprintln!("run {} with its evidence in {}", run.run_id, run.bundle);
    let record = follow(run).await?;
    report(&windlass.runs(project).await?, &record).await?;
    if record.status != RunStatus::Succeeded {
        return Ok(false);
    }
    // The rows of the last stage: a table of the run that has just ended.
    if let Some(stage) = record.stages.last() {
        let options = QueryOptions { limit: Some(10), ..QueryOptions::default() };
        let rows =
            windlass.query(project, &format!("SELECT * FROM {}", stage.stage), &options).await?.collect().await?;
        match pretty_format_batches(&rows) {
            Ok(table) => println!("{table}"),
            Err(error) => eprintln!("the rows cannot be shown: {error}"),
        }
    }
    Ok(true)
}

/// Prints events until the run ends. Ctrl-C stops the run cleanly.
async fn follow(mut run: RunHandle) -> Result<RunRecord, ClientError> {
    let cancel = run.cancel_token();
    loop {
        tokio::select! {
            event = run.events.recv() => match event {
                Some(event) => {
                    let what = serde_json::to_string(&event.kind).unwrap_or_default();
                    eprintln!("{} {what}", event.ts.format("%H:%M:%S"));
                }
                None => return run.wait().await,
            },
            _ = tokio::signal::ctrl_c() => cancel.cancel(),
        }
    }
}

/// Prints the result of every stage: its receipt or failure, the size of its analyzed plan, and its operators' metrics
/// as Arrow.
async fn report(runs: &Runs, record: &RunRecord) -> Result<(), ClientError> {
    for stage in &record.stages {
        let analyzed = runs.bundles.plan_text(&record.run_id, &stage.stage, PlanText::Analyzed).await?;
        let metrics = runs.bundles.metrics(&record.run_id, &stage.stage).await?.unwrap_or_default();
        let measured: usize = metrics.iter().map(|batch| batch.num_rows()).sum();
        let rows = stage.receipt.as_ref().map_or(0, |receipt| receipt.rows);
        eprintln!(
            "{} {}: {rows} rows, a plan of {} lines, {measured} metrics",
            stage.stage,
            stage.status.as_str(),
            analyzed.map_or(0, |text| text.lines().count()),
        );
        if let Some(failure) = &stage.failure {
            eprintln!("  {failure}");
        }
    }
    Ok(())
}
