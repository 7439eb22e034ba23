//! One run of a pipeline, from the request to the sealed bundle: the arrow as code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_base::error::full_message;
use windlass_base::failpoint;
use windlass_base::ids::{NodeName, PipelineName, RunId, RunSequence};
use windlass_evidence::artifact::{
    BUNDLE_FORMAT, EngineVersions, LineageRecord, LogEvent, LogKind, PlanMoved, ReceiptOutcome, RunRecord,
    RunRequestRecord, RunStatus, RunTotals, SavedPlan, SavedRequest, StageReceipt, StageStatus, StageSummary, moved,
};
use windlass_project::spec::ParamValue;

use super::context::{RunContext, RunIdentity};
use super::drive::caches::{drop_abandoned, drop_cache};
use super::drive::event_log;
use super::drive::leases::Leases;
use super::drive::run_work::RunWork;
use super::drive::{LoggedRun, Signals, drive};
use super::error::RunError;
use super::journal::RunJournal;
use super::machine::{AttemptOutcome, RetryPolicy, RunSchedule, RunState, StagePhase, StagePlanNode, StageState};
use super::resume;
use crate::Scheduler;
use crate::clock::SystemClock;
use crate::maintain::{Origin, gate};
use crate::plan::{PlanRequest, ReusedStage, RunPlan, plan_all};
use crate::planning::on_planning_threads;
use crate::record::{BundleStore, BundleWriter};
use crate::state::{ProcessIdentity, PutOutcome, Versioned, process};

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The project, its target and parameters, and the selection.
    pub plan: PlanRequest,
    /// End the run at the first failure; `None` is what the project says.
    pub fail_fast: Option<bool>,
    /// How many stages may run side by side; `None` is what the project says.
    pub max_parallel: Option<usize>,
    /// A plan that somebody has approved: the run takes place only if it would do just that.
    pub approved: Option<SavedPlan>,
    /// What was asked for, in the words of whoever did: kept in the bundle, so that the run can be taken up.
    pub asked: SavedRequest,
    /// What the run begins with.
    pub begin: Begin,
    /// Whether other tools are told of its lineage, if the environment says where to.
    pub tells_lineage: bool,
}

/// What a run begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Begin {
    /// With everything that is selected, over the newest state of its sources.
    #[default]
    Anew,
    /// With the stages of an earlier run that have not committed, over what that one had pinned.
    RetryOf(RunId),
    /// Where the process ended that began it.
    WhereItEnded {
        /// How long to wait for the leases of that process, which may last a little longer than itself.
        patience: Duration,
    },
}

impl RunRequest {
    /// The request as the bundle keeps it.
    fn record(&self) -> RunRequestRecord {
        let (request, fail_fast, max_parallel) = (self.asked.clone(), self.fail_fast, self.max_parallel);
        RunRequestRecord { request, fail_fast, max_parallel }
    }
}

/// Runs a pipeline. Every line of its log goes to `watcher` as it is written; `cancel` stops the run. When another process
/// leads, it is dropped where it is, and this never returns.
///
/// A stage that fails is no error here: the record tells of it.
///
/// A run that another process began is taken up with [`Begin::WhereItEnded`]; the rest of the request is what it was asked to
/// do then (`request.json` of its bundle).
///
/// # Errors
/// [`RunError::Resume`] if it cannot be taken up or tried again,
/// [`RunError::Busy`] if another run of the pipeline is under way, [`RunError::Writer`] if another process writes to the
/// home, [`RunError::Plan`] if it cannot be planned,
/// [`RunError::PlanMoved`] if the approved plan does not hold any more, and the others if it could not be carried on.
pub async fn run_pipeline(
    scheduler: &Scheduler,
    request: RunRequest,
    watcher: UnboundedSender<LogEvent>,
    cancel: CancellationToken,
) -> Result<RunRecord, RunError> {
    let scheduler = scheduler.clone();
    on_planning_threads(async move {
        let outcome = tokio::select! {
            biased;
            _ = scheduler.leadership.lost() => None,
            outcome = run_here(&scheduler, request, watcher, cancel) => Some(outcome),
        };
        match outcome {
            Some(outcome) => outcome,
            // Another scheduler goes on with it, and tells how it ends.
            None => std::future::pending().await,
        }
    })
    .await
}

/// Plans and drives the run on the current threads.
async fn run_here(
    scheduler: &Scheduler,
    request: RunRequest,
    watcher: UnboundedSender<LogEvent>,
    cancel: CancellationToken,
) -> Result<RunRecord, RunError> {
    let leadership = scheduler.leadership.clone();
    let signals = Signals { cancel, lease_lost: CancellationToken::new(), leadership };
    let lost = signals.lease_lost.clone();
    let leases = match request.begin {
        Begin::WhereItEnded { patience } => {
            Leases::take_over(scheduler, &request.plan, "windlass runs resume", lost, patience).await?
        }
        Begin::Anew | Begin::RetryOf(_) => {
            Leases::take_before(Origin::Asked, scheduler, &request.plan, "windlass run", lost).await?
        }
    };
    let outcome = match request.begin.clone() {
        Begin::Anew => run_with_leases(scheduler, request, watcher, signals, &leases).await,
        Begin::RetryOf(earlier) => match resume::retry(scheduler, request, &earlier).await {
            Ok(request) => run_with_leases(scheduler, request, watcher, signals, &leases).await,
            Err(error) => Err(error),
        },
        Begin::WhereItEnded { .. } => resume::resume(scheduler, request, watcher, signals).await,
    };
    let trouble = leases.release().await;
    let mut record = outcome?;
    record.warnings.extend(trouble);
    Ok(record)
}

async fn run_with_leases(
    scheduler: &Scheduler,
    request: RunRequest,
    watcher: UnboundedSender<LogEvent>,
    signals: Signals,
    leases: &Leases,
) -> Result<RunRecord, RunError> {
    drop_abandoned(scheduler.sessions.stores(), &request.plan.home, || leases.runs()).await;
    let last_turn = gate::last_turn(scheduler).await?;
    // PipelineGraph ─pin+decide→ RunPlan
    let plan = plan_all(request.plan.clone(), &scheduler.sessions).await?;
    let fail_fast = request.fail_fast.unwrap_or(plan.request.graph.run.fail_fast);
    let plan = if fail_fast || request.approved.is_some() || nothing_can_run(&plan) { plan.accepted()? } else { plan };
    if let Some(approved) = &request.approved {
        let moved = moved(approved, &plan.as_saved(approved));
        if !moved.is_empty() {
            return Err(PlanMoved { moved }.into());
        }
    }
    if plan.stages.is_empty() && plan.reused.is_empty() {
        return Err(RunError::NothingSelected);
    }
    let run_id = plan.request.run.clone();
    let pipeline = plan.request.graph.name.clone();
    let sequence = next_sequence(scheduler, &plan).await?;
    let schedule = schedule(&plan, &request, sequence)?;

    let bundles = BundleStore::open(scheduler.sessions.stores(), plan.request.home.root())?;
    let record = opening_record(scheduler, &plan, sequence, &request.begin);
    let bundle = BundleWriter::begin(bundles, &record).await?;
    bundle.write_request(&request.record()).await?;
    bundle.write_pins(&plan.pins()).await?;
    let pinned = plan.inputs.pinned().filter_map(|input| Some(input.table.as_ref()?.location().clone()));
    if gate::wait(scheduler, &pinned.collect::<Vec<_>>(), last_turn).await? {
        // A turn of maintenance may have asked what is needed before these pins were written.
        return Box::pin(run_with_leases(scheduler, request, watcher, signals, leases)).await;
    }
    bundle.write_plan(&plan.record).await?;
    let identity = RunIdentity { run_id: run_id.clone(), sequence, pipeline };
    let journal = RunJournal::new(bundle, watcher, placeholders(&plan));
    let (sessions, engine) = (Arc::clone(&scheduler.sessions), scheduler.engine.clone());
    let work = Arc::new(RunWork::new(RunContext { plan, identity, sessions, engine, journal }, request.tells_lineage));
    announce(&work.run, &schedule, &record).await;
    work.tell_begin(false);
    let logged =
        LoggedRun::create(Arc::clone(&scheduler.state), run_id.clone(), writer_name(&run_id), schedule).await?;
    drive_to_the_end(scheduler, logged, work, record, signals).await
}

/// Who appends to the events of a run: another name for each process, and each time that one takes it up.
pub(super) fn writer_name(run: &RunId) -> String {
    format!("{}/{run}/{}", ProcessIdentity::current(), RunId::generate())
}

/// Drives a run whose log is open, and seals its bundle with `record`.
pub(super) async fn drive_to_the_end(
    scheduler: &Scheduler,
    logged: LoggedRun,
    work: Arc<RunWork>,
    mut record: RunRecord,
    signals: Signals,
) -> Result<RunRecord, RunError> {
    let run = &work.run;
    let run_id = &run.identity.run_id;
    // per stage: StageRun ─execute→ StagedFiles ─commit→ CommitReceipt
    // If that cannot be done, the run can be taken up, and needs what it has kept until then.
    let (state, notes) = drive(logged, Arc::clone(&work), Arc::new(SystemClock), signals).await?;
    drop_cache(scheduler.sessions.stores(), &run.plan.request.home.cache(run_id)).await;
    work.save_missing_exports().await;

    // ─record→ RunBundle
    let (journal, bundle) = (&run.journal, run.journal.bundle());
    let lineage = work.lineage(&state, &notes);
    journal.check(bundle.write_lineage(&lineage).await);
    journal.check(bundle.write_registrations(&work.registrations(&notes)).await);
    close_record(&mut record, &state, &run.plan, &lineage);
    work.tell_end(&record).await;
    record.warnings.extend(journal.take_warnings());
    journal.log_event(finished(&record)).await;
    // What was committed stands, whatever cannot be written down of it.
    if let Some(error) = journal.take_record_failure() {
        record.warnings.push(format!("the run's bundle is incomplete: {}", full_message(&error)));
    }
    bundle.seal(&record).await?;
    if let Err(error) = event_log::remove(scheduler.state.as_ref(), run_id).await {
        tracing::warn!(%error, "the events of a run that has ended cannot be removed");
    }
    Ok(record)
}

/// Whether every stage that writes is one that may not be computed, or waits for one.
fn nothing_can_run(plan: &RunPlan) -> bool {
    let mut stopped: BTreeSet<&NodeName> = BTreeSet::new();
    for stage in &plan.stages {
        if stage.is_refused() || stage.depends_on.iter().any(|name| stopped.contains(name)) {
            stopped.insert(&stage.name);
        }
    }
    stopped.len() == plan.stages.len()
}

/// The number of this run: greater than that of every earlier one, also where only the tables remember it.
async fn next_sequence(scheduler: &Scheduler, plan: &RunPlan) -> Result<RunSequence, RunError> {
    let pipeline = &plan.request.graph.name;
    let remembered = plan.stages.iter().filter_map(|stage| stage.table_context.as_ref()?.memory.as_ref()?.last_run);
    let least = remembered.map(|last| last.0.saturating_add(1)).fold(1, i64::max);
    let key = sequence_key(pipeline);
    loop {
        let current = scheduler.state.get(&key).await?;
        let stored = current.as_ref().and_then(stored_sequence);
        let next = stored.map_or(1, |stored| stored.saturating_add(1)).max(least);
        let expected = current.map(|current| current.revision);
        failpoint!("run.sequence.before");
        let put = scheduler.state.compare_and_put(&key, expected, next.to_string().into()).await?;
        failpoint!("run.sequence.after");
        if let PutOutcome::Put(_) = put {
            return Ok(RunSequence(next));
        }
    }
}

/// The key of the number of a pipeline's last run.
pub(super) fn sequence_key(pipeline: &PipelineName) -> String {
    format!("pipelines/{pipeline}/sequence")
}

/// The number that the key holds.
pub(super) fn stored_sequence(current: &Versioned) -> Option<i64> {
    std::str::from_utf8(&current.value).ok()?.parse().ok()
}

fn schedule(plan: &RunPlan, request: &RunRequest, sequence: RunSequence) -> Result<RunSchedule, RunError> {
    let graph = &plan.request.graph;
    let stages = plan.stages.iter().map(|stage| StagePlanNode {
        name: stage.name.clone(),
        depends_on: stage.depends_on.clone(),
        weight: 1,
        max_retries: graph.stage(&stage.name).map_or(0, |stage| stage.retries),
    });
    let schedule = RunSchedule {
        stages: stages.collect(),
        max_parallel: request.max_parallel.unwrap_or(graph.run.max_parallel_stages).max(1),
        fail_fast: request.fail_fast.unwrap_or(graph.run.fail_fast),
        retry: RetryPolicy::default(),
        seed: sequence.0.cast_unsigned(),
    };
    Ok(schedule.with_longest_path_weights(|_| 1)?)
}

fn opening_record(scheduler: &Scheduler, plan: &RunPlan, sequence: RunSequence, begin: &Begin) -> RunRecord {
    let request = &plan.request;
    let all_of = |parts: &[String]| (!parts.is_empty()).then(|| parts.join(" "));
    RunRecord {
        format: BUNDLE_FORMAT,
        run_id: request.run.clone(),
        sequence,
        pipeline: request.graph.name.clone(),
        project_fingerprint: request.graph.files.fingerprint(),
        versions: EngineVersions {
            windlass: env!("CARGO_PKG_VERSION").to_owned(),
            ballista: ballista_core::BALLISTA_VERSION.to_owned(),
            datafusion: datafusion::DATAFUSION_VERSION.to_owned(),
            deltalake: windlass_delta::library_version().to_owned(),
        },
        session_identity: scheduler.sessions.session_identity().to_string(),
        params: shown_params(request),
        target: request.graph.target.clone(),
        select: all_of(&request.select),
        exclude: all_of(&request.exclude),
        refresh: request.refresh.clone(),
        host: process::host_name(),
        started_at: Utc::now(),
        ended_at: None,
        status: RunStatus::Running,
        stages: Vec::new(),
        warnings: Vec::new(),
        resumptions: Vec::new(),
        retry_of: match begin {
            Begin::RetryOf(earlier) => Some(earlier.clone()),
            Begin::Anew | Begin::WhereItEnded { .. } => None,
        },
    }
}

/// The parameters as the record of a run shows them.
pub(super) fn shown_params(request: &PlanRequest) -> BTreeMap<String, serde_json::Value> {
    request.params.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn shown(value: &ParamValue) -> serde_json::Value {
    match value {
        ParamValue::Boolean(truth) => (*truth).into(),
        ParamValue::Long(number) => (*number).into(),
        ParamValue::Double(number) => (*number).into(),
        other => other.to_string().into(),
    }
}

/// What plan texts say instead of the run's folders.
pub(super) fn placeholders(plan: &RunPlan) -> Vec<(String, String)> {
    let request = &plan.request;
    vec![
        (request.home.cache(&request.run).to_string(), "<cache>".to_owned()),
        (request.home.root().to_string(), "<home>".to_owned()),
        (request.base.to_string(), "<project>".to_owned()),
    ]
}

/// The first lines of the run log.
async fn announce(run: &RunContext, schedule: &RunSchedule, record: &RunRecord) {
    let started = LogKind::RunStarted {
        pipeline: run.identity.pipeline.clone(),
        sequence: run.identity.sequence,
        stages: schedule.stages.len() as u64,
        reused: run.plan.reused.len() as u64,
        target: record.target.clone(),
        select: record.select.clone(),
        exclude: record.exclude.clone(),
        max_parallel: schedule.max_parallel as u64,
        windlass: env!("CARGO_PKG_VERSION").to_owned(),
        host: process::host_name(),
    };
    run.journal.log_event(started).await;
    for pin in run.plan.pins().pins {
        let (source, location, version, files, bytes) = (pin.source, pin.location, pin.version, pin.files, pin.bytes);
        run.journal.log_event(LogKind::SourcePinned { source, location, version, files, bytes }).await;
    }
    for decision in run.plan.record.stages.clone() {
        let (stage, reason, strategy, tags) = (decision.stage, decision.reason, decision.strategy, decision.tags);
        let decision = decision.decision;
        run.journal.log_event(LogKind::StagePlanned { stage, decision, reason, strategy, tags }).await;
    }
}

fn close_record(record: &mut RunRecord, state: &RunState, plan: &RunPlan, lineage: &LineageRecord) {
    record.ended_at = state.ended_at().or_else(|| Some(Utc::now()));
    record.status = state.status();
    let summary = |node: &StagePlanNode| {
        let stage = state.stage(&node.name)?;
        let lineage = lineage.stages.iter().find(|stage| stage.stage == node.name);
        Some(StageSummary {
            strategy: lineage.and_then(|stage| stage.strategy),
            touched: lineage.and_then(|stage| stage.touched),
            from_changes: lineage.is_some_and(|stage| stage.from_changes),
            fallback: lineage.and_then(|stage| stage.fallback.clone()),
            ..summary_of(node, stage)
        })
    };
    let mut stages: Vec<StageSummary> = state.schedule().stages.iter().filter_map(summary).collect();
    let rows_of = |name| plan.inputs.pinned_input(name)?.table.as_ref()?.pin().rows;
    stages.extend(plan.reused.iter().map(|stage| reused_summary(stage, rows_of(&stage.name))));
    let graph = &plan.request.graph;
    stages.sort_by_key(|summary| graph.stages.iter().position(|stage| stage.name == summary.stage));
    record.stages = stages;
}

/// A stage that had nothing to do, and whose table has `table_rows`.
fn reused_summary(stage: &ReusedStage, table_rows: Option<u64>) -> StageSummary {
    StageSummary {
        stage: stage.name.clone(),
        status: StageStatus::Committed,
        attempts: 0,
        receipt: Some(StageReceipt {
            version: stage.version,
            rows: 0,
            changed_rows: None,
            table_rows,
            bytes: 0,
            files: 0,
            outcome: ReceiptOutcome::Reused,
        }),
        duration_ms: 0,
        failure: None,
        skipped_because_of: None,
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
    }
}

fn summary_of(node: &StagePlanNode, stage: &StageState) -> StageSummary {
    let begun = stage.attempts.first().map(|attempt| attempt.started_at);
    let ended = stage.attempts.last().and_then(|attempt| attempt.ended_at);
    let duration = begun.zip(ended).map_or(0, |(begun, ended)| (ended - begun).num_milliseconds());
    let last_failure = stage.attempts.iter().rev().find_map(|attempt| match &attempt.outcome {
        Some(AttemptOutcome::Failed { failure }) => Some(failure.clone()),
        _ => None,
    });
    StageSummary {
        stage: node.name.clone(),
        status: stage.phase.ended().unwrap_or(StageStatus::Running),
        attempts: u32::try_from(stage.attempts.len()).unwrap_or(u32::MAX),
        receipt: stage.receipt().cloned(),
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        duration_ms: u64::try_from(duration).unwrap_or_default(),
        failure: match &stage.phase {
            StagePhase::Failed { failure } => Some(failure.clone()),
            _ => last_failure.filter(|_| stage.receipt().is_none()),
        },
        skipped_because_of: match &stage.phase {
            StagePhase::Skipped { cause } => Some(cause.clone()),
            _ => None,
        },
    }
}

fn finished(record: &RunRecord) -> LogKind {
    let mut totals = RunTotals::default();
    let mut by_status: BTreeMap<&'static str, u64> = BTreeMap::new();
    for stage in &record.stages {
        *by_status.entry(stage.status.as_str()).or_default() += 1;
    }
    let count = |status: StageStatus| by_status.get(status.as_str()).copied().unwrap_or_default();
    totals.committed = count(StageStatus::Committed);
    let reused =
        |stage: &&StageSummary| stage.receipt.as_ref().is_some_and(|receipt| receipt.outcome == ReceiptOutcome::Reused);
    totals.reused = record.stages.iter().filter(reused).count() as u64;
    totals.failed = count(StageStatus::Failed);
    totals.skipped = count(StageStatus::Skipped);
    totals.cancelled = count(StageStatus::Cancelled);
    let duration = record.ended_at.map_or(0, |ended| (ended - record.started_at).num_milliseconds());
    LogKind::RunFinished { status: record.status, duration_ms: u64::try_from(duration).unwrap_or_default(), totals }
}
