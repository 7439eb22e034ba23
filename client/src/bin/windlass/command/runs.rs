//! `windlass runs`: past and present runs.

use serde_json::{Value, json};
use windlass_client::error::ClientError;
use windlass_client::{Project, Runs, Windlass};
use windlass_evidence::artifact::{LogEvent, RunRecord, StageSummary};

use super::{open_project, open_runs, status_of};
use crate::args::{BindArgs, Global, Output, RunsCommand};
use crate::failure::CommandError;
use crate::output::{self, bytes, count, duration};

/// Lists runs, shows one, or prints its log.
pub(crate) async fn run(global: &Global, command: &RunsCommand) -> Result<(), CommandError> {
    let project = open_project(global, &BindArgs::default())?;
    if let RunsCommand::Cancel { run } = command {
        return cancel(global, &project, run).await;
    }
    let runs = open_runs(global, &project).await?;
    match command {
        RunsCommand::Cancel { .. } => Ok(()),
        RunsCommand::List { limit } => list(global, &runs, *limit).await,
        RunsCommand::Show { run } => show(global, &runs, run).await,
        RunsCommand::Log { run } => log(global, &runs, run).await,
    }
}

async fn cancel(global: &Global, project: &Project, wanted: &str) -> Result<(), CommandError> {
    let Some(url) = &global.cluster else {
        return Err(CommandError::Usage {
            message: "only a run on a cluster can be stopped from elsewhere".to_owned(),
            help: "name the cluster with `--cluster URL`; stop a run of `windlass run` with Ctrl-C".to_owned(),
        });
    };
    let windlass = Windlass::connect(url).await?;
    let run_id = windlass.runs(project).await?.find(wanted).await?;
    let status = windlass.cancel(&run_id).await?;
    if global.output == Output::Json {
        return Ok(output::json(&json!({ "run_id": run_id, "status": status }))?);
    }
    Ok(output::text(&format!("run {run_id} {status}\n"))?)
}

async fn list(global: &Global, runs: &Runs, limit: usize) -> Result<(), CommandError> {
    let listed = runs.bundles.list(&runs.live, Some(limit)).await.map_err(ClientError::from)?;
    if global.output == Output::Json {
        let list: Vec<Value> = listed
            .iter()
            .map(|run| match &run.record {
                Ok(record) => json!(record),
                Err(error) => json!({ "run_id": run.run_id, "error": error.to_string() }),
            })
            .collect();
        return Ok(output::json(&list)?);
    }
    let rows = listed.iter().map(|run| match &run.record {
        Ok(record) => vec![
            run.run_id.to_string(),
            record.sequence.to_string(),
            record.status.as_str().to_owned(),
            record.started_at.format("%F %T").to_string(),
            took(record),
            record.stages.len().to_string(),
        ],
        Err(error) => vec![run.run_id.to_string(), String::new(), format!("unreadable: {error}")],
    });
    let headings = ["RUN", "NO.", "STATUS", "STARTED (UTC)", "TOOK", "STAGES"];
    Ok(output::text(&output::columns(&headings, rows.collect(), &[1, 4, 5]))?)
}

fn took(record: &RunRecord) -> String {
    let took = record.ended_at.map(|ended| (ended - record.started_at).num_milliseconds());
    took.and_then(|ms| u64::try_from(ms).ok()).map(duration).unwrap_or_default()
}

async fn show(global: &Global, runs: &Runs, wanted: &str) -> Result<(), CommandError> {
    let run_id = runs.find(wanted).await?;
    let record = runs.bundles.run(&run_id, &runs.live).await.map_err(ClientError::from)?;
    if global.output == Output::Json {
        return Ok(output::json(&record)?);
    }
    let mut text = format!(
        "run       {}\npipeline  {}, run no. {}\nstatus    {}\nstarted   {} on {}\ntook      {}\nversions  windlass {}, ballista {}, datafusion {}, deltalake {}\nsession   {}\n",
        record.run_id,
        record.pipeline,
        record.sequence,
        record.status.as_str(),
        record.started_at.format("%F %T UTC"),
        record.host,
        took(&record),
        record.versions.windlass,
        record.versions.ballista,
        record.versions.datafusion,
        record.versions.deltalake,
        record.session_identity,
    );
    let rows = record.stages.iter().map(|stage| {
        let receipt = stage.receipt.as_ref();
        vec![
            stage.stage.to_string(),
            status_of(stage).to_owned(),
            strategy_of(stage),
            stage.attempts.to_string(),
            receipt.map(|receipt| count(receipt.rows)).unwrap_or_default(),
            receipt.map(|receipt| bytes(receipt.bytes)).unwrap_or_default(),
            receipt.map(|receipt| receipt.version.to_string()).unwrap_or_default(),
            duration(stage.duration_ms),
            stage.failure.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    text.push('\n');
    let headings = ["STAGE", "STATUS", "STRATEGY", "TRIES", "ROWS", "SIZE", "VERSION", "TIME", "FAILURE"];
    text.push_str(&output::columns(&headings, rows.collect(), &[3, 4, 5, 6, 7]));
    Ok(output::text(&text)?)
}

/// How a stage's table was updated, with the variant for affected keys.
fn strategy_of(stage: &StageSummary) -> String {
    let Some(strategy) = stage.strategy else { return String::new() };
    let unusual = match stage.touched {
        _ if stage.from_changes => ", from changes",
        Some(touched) if touched.all_computed => ", all rows",
        _ => "",
    };
    format!("{}{unusual}", strategy.as_str())
}

async fn log(global: &Global, runs: &Runs, wanted: &str) -> Result<(), CommandError> {
    let run_id = runs.find(wanted).await?;
    let events = runs.bundles.log(&run_id).await.map_err(ClientError::from)?;
    if global.output == Output::Json {
        return Ok(output::json(&events)?);
    }
    let mut text = String::new();
    for event in &events {
        text.push_str(&line(event)?);
    }
    Ok(output::text(&text)?)
}

/// An event as a line of text: its time, level and name, then its fields.
fn line(event: &LogEvent) -> Result<String, CommandError> {
    let as_json = |source: serde_json::Error| CommandError::Form { form: "text", source: source.into() };
    let Value::Object(mut fields) = serde_json::to_value(event).map_err(as_json)? else { return Ok(String::new()) };
    let mut take = |key: &str| fields.remove(key);
    let (name, level) = (take("event"), take("level"));
    for key in ["v", "ts", "run_id", "seq"] {
        take(key);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    Ok(format!(
        "{} {:<5} {:<16} {}\n",
        event.ts.format("%H:%M:%S%.3f"),
        level.as_ref().map(text).unwrap_or_default(),
        name.as_ref().map(text).unwrap_or_default(),
        fields.join(" ")
    ))
}
