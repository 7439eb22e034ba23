//! `windlass runs`: past and present runs.

use serde_json::Value;
use windlass_base::ids::{NodeName, RunId};
use windlass_client::document::{CancelledRun, ListedRunDocument};
use windlass_client::error::ClientError;
use windlass_client::{Project, QueuedRun, Runs, Windlass};
use windlass_evidence::artifact::{LogEvent, LogKind, LogLevel, RunRecord, RunStatus};
use windlass_evidence::time_spent::{TimedStage, costliest_operators, critical_path};

use super::run_again::{Again, Way};
use super::{open_project, open_runs, runs_diff, selection_of};
use crate::args::{Global, LevelArg, Output, RunsCommand};
use crate::failure::CommandError;
use crate::output::{
    self, Cell, Layout, NONE, Table, Tone, counted, duration, fields, number, or_unknown, prose, time, word,
};
use crate::summary::{failures, stages, tone_of_run};

/// As many operators of a run are shown, those that computed longest.
const COSTLIEST: usize = 3;
/// As many characters of a run's id are listed, unless more are needed to tell it from others: those of the time at which
/// it began.
const LISTED_ID: usize = 12;
/// The status of a run that waits in the queue of a cluster.
const QUEUED: &str = "queued";

/// Lists runs, shows one, compares two, or prints a log.
pub(crate) async fn run(global: &Global, command: &RunsCommand) -> Result<(), CommandError> {
    let target = command.target();
    let project = open_project(global, &target.bind())?;
    let target = target.target.as_deref();
    if let RunsCommand::Cancel { run, .. } = command {
        return cancel(global, &project, run, target).await;
    }
    let runs = open_runs(global, &project).await?;
    match command {
        RunsCommand::Cancel { .. } => Ok(()),
        RunsCommand::Resume { run, dry_run, events, .. } => {
            let run_id = runs.find_for(run, target).await?;
            let again = Again { run_id, way: Way::Resume, dry_run: *dry_run, events: *events };
            again.run(global, &runs).await
        }
        RunsCommand::Retry { run, select, dry_run, events, .. } => {
            let run_id = runs.find_for(run, target).await?;
            let again = Again { run_id, way: Way::Retry { select }, dry_run: *dry_run, events: *events };
            again.run(global, &runs).await
        }
        RunsCommand::List { limit, .. } => list(global, &runs, target, *limit).await,
        RunsCommand::Show { run, .. } => show(global, &runs, &runs.find_for(run, target).await?).await,
        RunsCommand::Diff(args) => runs_diff::run(global, &runs, args, target).await,
        RunsCommand::Log { run, level, .. } => {
            let least = least_level(*level, global.output);
            log(global, &runs, &runs.find_for(run, target).await?, least).await
        }
    }
}

async fn cancel(global: &Global, project: &Project, wanted: &str, target: Option<&str>) -> Result<(), CommandError> {
    let Some(url) = &global.cluster else {
        return Err(CommandError::Usage {
            message: "only a run on a cluster can be stopped from elsewhere".to_owned(),
            help: "name the cluster with `--cluster URL`; stop a run of `windlass run` with Ctrl-C".to_owned(),
        });
    };
    let windlass = Windlass::connect(url).await?;
    let run_id = windlass.runs(project).await?.find_to_cancel(wanted, target).await?;
    let status = windlass.cancel(&run_id).await?;
    if global.output == Output::Json {
        return Ok(output::json(&CancelledRun { run_id, status })?);
    }
    Ok(output::text(&format!("run {run_id} {status}\n"))?)
}

async fn list(global: &Global, runs: &Runs, target: Option<&str>, limit: usize) -> Result<(), CommandError> {
    let of_target = |run: &&QueuedRun| target.is_none() || run.target.as_deref() == target;
    let queued: Vec<&QueuedRun> = runs.queued.iter().filter(of_target).take(limit).collect();
    let listed = runs.list(target, limit - queued.len()).await?;
    if global.output == Output::Json {
        let waiting = queued.into_iter().map(|run| ListedRunDocument::Queued {
            run_id: run.run_id.clone(),
            status: QUEUED.to_owned(),
            position: run.position,
            target: run.target.clone(),
        });
        let list = listed.into_iter().map(|run| match run.record {
            Ok(record) => ListedRunDocument::Run(Box::new(record)),
            Err(error) => ListedRunDocument::Unreadable { run_id: run.run_id, error: error.to_string() },
        });
        return Ok(output::json(&waiting.chain(list).collect::<Vec<_>>())?);
    }
    let mut ids = runs.bundles.run_ids().await.map_err(ClientError::from)?;
    ids.extend(runs.queued.iter().map(|run| run.run_id.clone()));
    let length = length_of_ids(&ids);
    let waiting = queued.into_iter().map(|run| row_of_queued(run, length));
    let rows = listed.iter().map(|run| {
        let id = run.run_id.as_str();
        let id = Cell::from(id.get(..length).unwrap_or(id));
        match &run.record {
            Ok(record) => vec![
                id,
                record.sequence.to_string().into(),
                Cell::toned(record.status.as_str(), tone_of_run(record.status)),
                record.target.as_deref().unwrap_or(NONE).into(),
                selection_of(record).into(),
                record.started_at.format("%F %RZ").to_string().into(),
                took(record).into(),
            ],
            Err(error) => vec![
                id,
                Cell::default(),
                Cell::toned("unreadable", Tone::Bad),
                Cell::default(),
                error.to_string().into(),
            ],
        }
    });
    let columns = [word("RUN"), number("NO."), word("STATUS"), word("TARGET"), prose("SELECTION"), word("STARTED")];
    let columns: Vec<_> = columns.into_iter().chain([number("TOOK")]).collect();
    Ok(output::table(&Table::new(columns).with(waiting.chain(rows)))?)
}

/// A run that waits in the queue: it has no number and no times yet.
fn row_of_queued(run: &QueuedRun, length: usize) -> Vec<Cell> {
    let id = run.run_id.as_str();
    let place = match run.position.saturating_sub(1) {
        0 => "starts next".to_owned(),
        before => format!("{} before it", counted(before, "run")),
    };
    vec![
        id.get(..length).unwrap_or(id).into(),
        Cell::default(),
        Cell::toned(QUEUED, Tone::Notable),
        run.target.as_deref().unwrap_or(NONE).into(),
        place.into(),
        Cell::default(),
        Cell::default(),
    ]
}

/// How many characters of ids tell all runs apart.
fn length_of_ids(ids: &[RunId]) -> usize {
    let mut ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
    ids.sort_unstable();
    let common = |one: &str, other: &str| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let needed = ids.windows(2).map(|pair| common(pair[0], pair[1]) + 1).max().unwrap_or_default();
    needed.max(LISTED_ID)
}

fn took(record: &RunRecord) -> String {
    let took = record.ended_at.map(|ended| (ended - record.started_at).num_milliseconds());
    or_unknown(took.and_then(|ms| u64::try_from(ms).ok()), duration)
}

async fn show(global: &Global, runs: &Runs, run_id: &RunId) -> Result<(), CommandError> {
    let mut record = runs.bundles.run(run_id, &runs.live).await.map_err(ClientError::from)?;
    if record.status == RunStatus::Running {
        record.warnings.extend(warnings_so_far(runs, run_id).await?);
    }
    if global.output == Output::Json {
        return Ok(output::json(&record)?);
    }
    let layout = Layout::stdout();
    let versions = &record.versions;
    let facts: [(&str, Cell); 9] = [
        ("run", record.run_id.to_string().into()),
        ("pipeline", format!("{}, run no. {}", record.pipeline, record.sequence).into()),
        ("status", Cell::toned(record.status.as_str(), tone_of_run(record.status))),
        ("target", record.target.as_deref().unwrap_or(NONE).into()),
        ("selection", selection_of(&record).into()),
        ("started", format!("{} on {}", time(record.started_at), record.host).into()),
        ("took", took(&record).into()),
        (
            "versions",
            format!(
                "windlass {}, ballista {}, datafusion {}, deltalake {}",
                versions.windlass, versions.ballista, versions.datafusion, versions.deltalake
            )
            .into(),
        ),
        ("session", record.session_identity.clone().into()),
    ];
    let spent = time_spent(runs, &record, layout).await?;
    let text = format!("{}\n{}{spent}{}", fields(facts, layout), stages(&record, layout), failures(&record, layout));
    Ok(output::text(&text)?)
}

/// Where the time of a run went: its critical path, and the operators that computed longest.
async fn time_spent(runs: &Runs, record: &RunRecord, layout: Layout) -> Result<String, CommandError> {
    let plan = runs.bundles.plan(&record.run_id).await.map_err(ClientError::from)?.unwrap_or_default();
    let took =
        |name: &NodeName| record.stages.iter().find(|stage| stage.stage == *name).map_or(0, |stage| stage.duration_ms);
    let timed: Vec<TimedStage<'_>> = plan
        .stages
        .iter()
        .map(|stage| TimedStage { name: &stage.stage, depends_on: &stage.depends_on, duration_ms: took(&stage.stage) })
        .collect();
    let path = critical_path(&timed);
    if path.stages.is_empty() {
        return Ok(String::new());
    }
    let mut executed = Vec::new();
    for stage in record.stages.iter().filter(|stage| stage.attempts > 0) {
        executed.extend(runs.bundles.stage(&record.run_id, &stage.stage).await.map_err(ClientError::from)?);
    }
    let names: Vec<&str> = path.stages.iter().map(NodeName::as_str).collect();
    let chain = format!("{}, {}", names.join(" → "), duration(path.duration_ms));
    let mut text = format!("\n{}", fields([("critical path", chain.into())], layout));
    let costly = costliest_operators(&executed, COSTLIEST);
    if !costly.is_empty() {
        let rows = costly.iter().map(|one| {
            let elapsed = duration(one.elapsed_ns / 1_000_000);
            let share = format!("{} %", one.percent);
            vec![one.operator.as_str().into(), one.stage.to_string().into(), elapsed.into(), share.into()]
        });
        let columns = [word("COSTLIEST OPERATORS"), word("STAGE"), number("COMPUTED"), number("SHARE")];
        text.push_str(&format!("\n{}", Table::new(columns).with(rows).render(layout)));
    }
    Ok(text)
}

/// The warnings about the whole of a run that has not ended: they are only in its log yet.
async fn warnings_so_far(runs: &Runs, run_id: &RunId) -> Result<Vec<String>, CommandError> {
    let log = runs.bundles.log(run_id).await.map_err(ClientError::from)?;
    let warnings = log.into_iter().filter_map(|event| match event.kind {
        LogKind::Warning { message, stage: None } => Some(message),
        _ => None,
    });
    Ok(warnings.collect())
}

/// The least level of the lines to print; other programs get all unless they ask for less.
fn least_level(asked: Option<LevelArg>, output: Output) -> LogLevel {
    match asked {
        Some(LevelArg::Debug) => LogLevel::Debug,
        Some(LevelArg::Info) => LogLevel::Info,
        Some(LevelArg::Warn) => LogLevel::Warn,
        Some(LevelArg::Error) => LogLevel::Error,
        None if output == Output::Json => LogLevel::Debug,
        None => LogLevel::Info,
    }
}

async fn log(global: &Global, runs: &Runs, run_id: &RunId, least: LogLevel) -> Result<(), CommandError> {
    let mut events = runs.bundles.log(run_id).await.map_err(ClientError::from)?;
    events.retain(|event| event.level >= least);
    if global.output == Output::Json {
        return Ok(output::json(&events)?);
    }
    let layout = Layout::stdout();
    let mut text = String::new();
    for event in &events {
        text.push_str(&line(event, layout)?);
    }
    Ok(output::text(&text)?)
}

/// An event as a line of text: its time, level and name, then its fields.
fn line(event: &LogEvent, layout: Layout) -> Result<String, CommandError> {
    let as_json = |source: serde_json::Error| CommandError::Form { form: "text", source: source.into() };
    let Value::Object(mut fields) = serde_json::to_value(event).map_err(as_json)? else { return Ok(String::new()) };
    let mut take = |key: &str| fields.remove(key);
    let (name, level) = (take("event"), take("level"));
    for key in ["v", "ts", "run_id", "seq"] {
        take(key);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    let level = format!("{:<5}", level.as_ref().map(text).unwrap_or_default());
    let level = match event.level {
        LogLevel::Error => layout.paint(Tone::Bad, &level),
        LogLevel::Warn => layout.paint(Tone::Notable, &level),
        LogLevel::Info | LogLevel::Debug => level,
    };
    let name = name.as_ref().map(text).unwrap_or_default();
    Ok(format!("{} {level} {name:<16} {}\n", event.ts.format("%FT%T%.3fZ"), fields.join(" ")))
}
