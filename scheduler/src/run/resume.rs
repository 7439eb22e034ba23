//! A run that a process began which is gone, taken up where its events end: stages that have ended stay as they are, a
//! commit of which nobody knows whether it was made is made sure of, and the others are executed over the same pins.
//!
//! ```text
//! run.json, pins.json, plan.json ─┬→ the plan that the run began with ─┬─drive→ RunRecord
//! state store: schedule, events ──┴→ where each stage stands ──────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;
use windlass_base::coded;
use windlass_base::ids::{NodeName, RunId, RunSequence, TableVersion};
use windlass_evidence::artifact::{LogEvent, LogKind, PlanRecord, Resumption, RunRecord, RunStatus, StageRecord};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_project::spec::table::Materialize;

use super::context::{RunContext, RunIdentity};
use super::drive::run_work::RunWork;
use super::drive::{LoggedRun, Signals};
use super::error::RunError;
use super::journal::RunJournal;
use super::machine::RunState;
use super::pipeline_run::{
    RunRequest, drive_to_the_end, placeholders, sequence_key, shown_params, stored_sequence, writer_name,
};
use crate::Scheduler;
use crate::plan::{FixedPins, ResumedPlan, RunPlan, plan_all};
use crate::record::{BundleStore, BundleWriter};
use crate::state::process;

/// Why a run cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It has ended.
    #[error("run {run} has ended: it {}", .status.as_str())]
    Over {
        /// The run.
        run: RunId,
        /// How.
        status: RunStatus,
    },
    /// The project, or what is asked of it, is not what the run began with.
    #[error("the project, its target or its parameters have changed since run {run} began")]
    OtherProject {
        /// The run.
        run: RunId,
    },
    /// A later run of the pipeline has begun, so the tables are no longer as the run left them.
    #[error("run no. {later} of the pipeline began after run {run}, which was no. {sequence}")]
    Superseded {
        /// The run.
        run: RunId,
        /// Its number.
        sequence: RunSequence,
        /// The number of the last.
        later: RunSequence,
    },
    /// The state store has no events of it.
    #[error("the state store holds no events of run {run}")]
    NoEvents {
        /// The run.
        run: RunId,
    },
    /// A stage that the run executes is not among those that can be planned now.
    #[error("`{stage}` of run {run} cannot be planned as it was when the run began")]
    OtherPlan {
        /// The run.
        run: RunId,
        /// The stage.
        stage: NodeName,
    },
    /// It has not ended, so nothing of it is to be tried again yet.
    #[error("run {run} was interrupted")]
    Unfinished {
        /// The run.
        run: RunId,
    },
    /// Every stage of the run has committed.
    #[error("run {run} has nothing to try again: each of the stages selected has committed")]
    NothingFailed {
        /// The run.
        run: RunId,
    },
}

impl ResumeError {
    /// Whether the run had not come to executing anything.
    pub fn has_not_begun(&self) -> bool {
        matches!(self, Self::NoEvents { .. })
    }
}

coded! {
    ResumeError {
        Over { run } => "WL0630", format!("`windlass runs retry {run}` tries its failed stages again");
        OtherProject => "WL0631", "go back to the files that the run began with, or start a new run with `windlass run`";
        Superseded => "WL0632", "there is nothing to be taken up any more: start a new run with `windlass run`";
        NoEvents => "WL0633",
            "it ended before it had begun to execute, or its events were cleaned up: start a new run with `windlass run`";
        OtherPlan => "WL0635", "start a new run with `windlass run`: it finds what this one has committed";
        Unfinished { run } => "WL0637", format!("take it up with `windlass runs resume {run}`");
        NothingFailed => "WL0636", "`windlass runs show` lists its stages";
    }
}

/// Takes up the run `request.plan.run`. Its log so far, and every line that is added, goes to `watcher`.
///
/// # Errors
/// [`RunError::Resume`] if it cannot be taken up, and those of a run.
pub(super) async fn resume(
    scheduler: &Scheduler,
    mut request: RunRequest,
    watcher: UnboundedSender<LogEvent>,
    signals: Signals,
) -> Result<RunRecord, RunError> {
    let run_id = request.plan.run.clone();
    let bundles = BundleStore::open(scheduler.sessions.stores(), request.plan.home.root())?;
    let reader = BundleReader::new(Arc::new(bundles.clone()));
    let mut record = unfinished(scheduler, &reader, &request).await?;
    // A run that tries another's stages again has a selection of its own.
    request.plan.select = record.select.iter().cloned().collect();
    request.plan.exclude = record.exclude.iter().cloned().collect();
    request.plan.refresh = record.refresh.clone();
    let logged = LoggedRun::resume(Arc::clone(&scheduler.state), run_id.clone(), writer_name(&run_id)).await?;
    let logged = logged.ok_or_else(|| ResumeError::NoEvents { run: run_id.clone() })?;
    let state = logged.state().clone();

    let missing = |part: &str| RecordError::Missing { run_id: run_id.clone(), part: part.to_owned() };
    let pins = reader.pins(&run_id).await?.ok_or_else(|| missing("pins.json"))?;
    let plan_record = reader.plan(&run_id).await?.ok_or_else(|| missing("plan.json"))?;
    request.plan.fixed = Some(Arc::new(FixedPins {
        pins: pins.pins.into_iter().map(|pin| (pin.source.clone(), pin)).collect(),
        resumed: Some(resumed_plan(&state, &plan_record)),
        ..FixedPins::default()
    }));
    let plan = plan_all(request.plan.clone(), &scheduler.sessions).await?;
    check_schedule(&state, &plan)?;
    let earlier = ended_stages(&reader, &run_id, &state).await?;

    let ended = state.stages().values().filter(|stage| stage.phase.ended().is_some()).count() as u64;
    record.resumptions.push(Resumption { at: Utc::now(), host: process::host_name(), ended });
    let bundle = BundleWriter::begin(bundles, &record).await?;
    for line in reader.log(&run_id).await? {
        // Nobody has to watch.
        let _ = watcher.send(line);
    }
    let journal = RunJournal::new(bundle, watcher, placeholders(&plan));
    let identity = RunIdentity { run_id, sequence: record.sequence, pipeline: record.pipeline.clone() };
    let (sessions, engine) = (Arc::clone(&scheduler.sessions), scheduler.engine.clone());
    let work = RunWork::new(RunContext { plan, identity, sessions, engine, journal }, request.tells_lineage);
    let work = work.with_ended(earlier);
    work.pin_committed(&state).await?;
    let committed = state.stages().values().filter(|stage| stage.receipt().is_some()).count() as u64;
    work.run.journal.log_event(LogKind::RunResumed { host: process::host_name(), committed }).await;
    work.tell_begin(true);
    drive_to_the_end(scheduler, logged, Arc::new(work), record, signals).await
}

/// The record of a run that can be taken up.
async fn unfinished(scheduler: &Scheduler, reader: &BundleReader, request: &RunRequest) -> Result<RunRecord, RunError> {
    let (run, graph) = (request.plan.run.clone(), &request.plan.graph);
    let mut record = match reader.run(&run, &BTreeSet::from([run.clone()])).await {
        Err(error) if error.is_no_such_run() => return Err(ResumeError::NoEvents { run }.into()),
        found => found?,
    };
    if record.status.is_over() {
        return Err(ResumeError::Over { run, status: record.status }.into());
    }
    let is_same_project = record.pipeline == graph.name && record.project_fingerprint == graph.files.fingerprint();
    if !is_same_project || record.target != graph.target || record.params != shown_params(&request.plan) {
        return Err(ResumeError::OtherProject { run }.into());
    }
    check_latest(scheduler, &record).await?;
    // They are put together again at the run's end.
    record.stages.clear();
    Ok(record)
}

/// That no later run of the pipeline has begun: it may have committed to the same tables.
///
/// # Errors
/// [`ResumeError::Superseded`].
pub(super) async fn check_latest(scheduler: &Scheduler, record: &RunRecord) -> Result<(), RunError> {
    let stored = scheduler.state.get(&sequence_key(&record.pipeline)).await?;
    let last = RunSequence(stored.as_ref().and_then(stored_sequence).unwrap_or_default());
    match last.0 > record.sequence.0 {
        true => {
            let (run, sequence) = (record.run_id.clone(), record.sequence);
            Err(ResumeError::Superseded { run, sequence, later: last }.into())
        }
        false => Ok(()),
    }
}

/// A run of the stages that did not commit in an earlier one, as far as they are selected: over what that one had pinned, and
/// the tables that it committed. Stages may have another definition by now.
///
/// # Errors
/// [`RunError::Resume`] if there are none, or a later run has begun.
pub(super) async fn retry(
    scheduler: &Scheduler,
    mut request: RunRequest,
    earlier: &RunId,
) -> Result<RunRequest, RunError> {
    let bundles = BundleStore::open(scheduler.sessions.stores(), request.plan.home.root())?;
    let reader = BundleReader::new(Arc::new(bundles));
    let record = reader.run(earlier, &BTreeSet::new()).await?;
    if record.status == RunStatus::Interrupted {
        return Err(ResumeError::Unfinished { run: earlier.clone() }.into());
    }
    check_latest(scheduler, &record).await?;
    let receipts =
        record.stages.iter().filter_map(|stage| Some((stage.stage.clone(), stage.receipt.as_ref()?.version)));
    let committed: BTreeMap<NodeName, TableVersion> = receipts.collect();
    let graph = &request.plan.graph;
    let selected = graph.select(&request.plan.select, &request.plan.exclude)?;
    let is_table = |name: &NodeName| graph.stage(name).is_some_and(|stage| stage.materialize == Materialize::Table);
    let left = record.stages.iter().map(|stage| &stage.stage);
    let left = left.filter(|name| !committed.contains_key(*name) && selected.contains(*name) && is_table(name));
    let left: Vec<String> = left.map(ToString::to_string).collect();
    if left.is_empty() {
        return Err(ResumeError::NothingFailed { run: earlier.clone() }.into());
    }
    let pins = reader.pins(earlier).await?.unwrap_or_default();
    let pins = pins.pins.into_iter().map(|pin| (pin.source.clone(), pin)).collect();
    request.plan.fixed = Some(Arc::new(FixedPins { pins, committed, resumed: None }));
    (request.plan.select, request.plan.exclude) = (left, Vec::new());
    Ok(request)
}

/// What the run had decided, and what has become of it.
fn resumed_plan(state: &RunState, record: &PlanRecord) -> ResumedPlan {
    let ended = state.stages().iter().filter(|(_, stage)| stage.phase.ended().is_some());
    ResumedPlan {
        decisions: record.stages.iter().map(|decision| (decision.stage.clone(), decision.clone())).collect(),
        scheduled: state.stages().keys().cloned().collect(),
        ended: ended.map(|(name, _)| name.clone()).collect(),
    }
}

/// That every stage that the run has yet to execute is planned.
fn check_schedule(state: &RunState, plan: &RunPlan) -> Result<(), ResumeError> {
    let waits = state.stages().iter().filter(|(_, stage)| stage.phase.ended().is_none());
    match waits.map(|(name, _)| name).find(|name| plan.stage(name).is_none()) {
        Some(stage) => Err(ResumeError::OtherPlan { run: plan.request.run.clone(), stage: stage.clone() }),
        None => Ok(()),
    }
}

/// What the bundle has of the stages that have ended.
async fn ended_stages(
    reader: &BundleReader,
    run: &RunId,
    state: &RunState,
) -> Result<BTreeMap<NodeName, StageRecord>, RunError> {
    let mut ended = BTreeMap::new();
    for (name, _) in state.stages().iter().filter(|(_, stage)| stage.phase.ended().is_some()) {
        // A process that died between the event and the record left none: then there is less to say of the stage.
        if let Some(record) = reader.stage(run, name).await? {
            ended.insert(name.clone(), record);
        }
    }
    Ok(ended)
}
