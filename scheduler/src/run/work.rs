//! The steps of the arrow for one stage: plan, execute on the cluster, commit, record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_shared::artifact::{
    CommitOutcome as Outcome, LineageInput, LineageRecord, LogEvent, LogKind, PlanText, RegistrationsRecord,
    ReuseVerdict, StageLineage, StageReceipt,
};
use windlass_shared::delta::commit::{BaseExpectation, CommitOutcome, CommitRequest, commit, maybe_checkpoint};
use windlass_shared::delta::table::{SchemaChange, TableState, ensure_table};
use windlass_shared::delta::write::StagedFiles;
use windlass_shared::error::{Coded, Failure, full_message};
use windlass_shared::graph::Stage;
use windlass_shared::ids::{AppId, NodeName, PipelineName, RunId, RunSequence, TableVersion};
use windlass_shared::session::{Registration, Sessions};
use windlass_shared::spec::source::PinAt;
use windlass_shared::spec::table::WriteMode;

use super::action::RunAction;
use super::driver::StageWork;
use super::event::{RunEvent, Staged};
use super::machine::RunState;
use super::narrate::narrate;
use super::stage_record::stage_record;
use crate::execute::{Engine, JobEvidence, JobRequest, RunningJob, planned_stages_text};
use crate::plan::{Input, Inputs, PlanError, PlannedStage, RunPlan, StagePlan, pin_table, plan_stage};
use crate::record::plan_text::normalize_plan_text;
use crate::record::{BundleWriter, RecordError};

/// How often the progress of a job is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);

/// Which run it is.
#[derive(Debug, Clone)]
pub(super) struct RunIdentity {
    pub(super) run_id: RunId,
    pub(super) sequence: RunSequence,
    pub(super) pipeline: PipelineName,
}

/// What an execution leaves for the commit.
#[derive(Debug, Serialize, Deserialize)]
struct StagedWrite {
    files: StagedFiles,
    table: TableState,
    plan_fingerprint: String,
}

/// What is known of a stage besides the machine's state.
#[derive(Debug, Default)]
struct StageNotes {
    registrations: Vec<Registration>,
    inputs: Vec<LineageInput>,
    plan_fingerprint: String,
    /// The engine's evidence of each attempt.
    jobs: BTreeMap<u32, JobEvidence>,
}

/// Plans, executes, commits and records the stages of one run.
pub(super) struct RunWork {
    pub(super) plan: RunPlan,
    pub(super) identity: RunIdentity,
    pub(super) sessions: Arc<Sessions>,
    pub(super) engine: Engine,
    pub(super) bundle: BundleWriter,
    pub(super) watcher: UnboundedSender<LogEvent>,
    /// What each name stands for now: committed stages come in.
    inputs: RwLock<Inputs>,
    notes: Mutex<BTreeMap<NodeName, StageNotes>>,
    /// What plan texts say instead of folders.
    placeholders: Vec<(String, String)>,
    /// The first thing that the bundle could not take.
    lost: Mutex<Option<RecordError>>,
}

impl RunWork {
    pub(super) fn new(
        plan: RunPlan,
        identity: RunIdentity,
        sessions: Arc<Sessions>,
        engine: Engine,
        bundle: BundleWriter,
        watcher: UnboundedSender<LogEvent>,
    ) -> Self {
        let request = &plan.request;
        let placeholders = vec![
            (request.home.cache(&identity.run_id).to_string(), "<cache>".to_owned()),
            (request.home.root().to_string(), "<home>".to_owned()),
            (request.base.to_string(), "<project>".to_owned()),
        ];
        let inputs = RwLock::new(plan.inputs.clone());
        Self {
            plan,
            identity,
            sessions,
            engine,
            bundle,
            watcher,
            inputs,
            notes: Mutex::default(),
            placeholders,
            lost: Mutex::default(),
        }
    }

    /// Writes a line of the run log and shows it to whoever watches.
    pub(super) async fn tell(&self, kind: LogKind) {
        match self.bundle.log(Utc::now(), kind).await {
            // Nobody has to watch.
            Ok(event) => drop(self.watcher.send(event)),
            Err(error) => self.lose(error),
        }
    }

    /// What the bundle could not take, if anything.
    pub(super) fn take_lost(&self) -> Option<RecordError> {
        self.lost.lock().take()
    }

    fn lose(&self, error: RecordError) {
        tracing::warn!(%error, "the run's bundle is incomplete");
        self.lost.lock().get_or_insert(error);
    }

    fn keep(&self, outcome: Result<(), RecordError>) {
        if let Err(error) = outcome {
            self.lose(error);
        }
    }

    fn stage(&self, name: &NodeName) -> Result<(&Stage, &PlannedStage), Failure> {
        let stage = self.plan.request.graph.stage(name);
        stage.zip(self.plan.stage(name)).ok_or_else(|| Failure {
            code: "WL0653".to_owned(),
            message: format!("the run's plan does not hold the stage `{name}`"),
            help: Some("this is a defect of Windlass; report it with the run's log".to_owned()),
            retryable: false,
        })
    }

    /// What every commit of the run says about itself.
    fn commit_info(&self, stage: &NodeName, plan_fingerprint: &str) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("windlass.run_id".to_owned(), json!(self.identity.run_id)),
            ("windlass.pipeline".to_owned(), json!(self.identity.pipeline)),
            ("windlass.stage".to_owned(), json!(stage)),
            ("windlass.plan_fingerprint".to_owned(), json!(plan_fingerprint)),
            ("windlass.version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ])
    }

    /// Plans the stage against what its inputs are now, and keeps the plans as evidence before anything runs.
    async fn plan_now(&self, stage: &Stage, planned: &PlannedStage) -> Result<(StagePlan, TableState), Failure> {
        let on_change = match planned.mode {
            WriteMode::Overwrite => SchemaChange::Allow,
            WriteMode::Append => SchemaChange::Refuse,
        };
        let info = self.commit_info(&stage.name, "");
        let table = ensure_table(&planned.table, on_change, self.sessions.stores(), &info)
            .await
            .map_err(|error| error.to_failure())?;
        let inputs = self.inputs.read().clone();
        let plan = plan_stage(&self.plan, stage, &inputs, &table, &self.sessions)
            .await
            .map_err(|error: PlanError| error.to_failure())?;
        for (which, text) in [
            (PlanText::Logical, &plan.texts.logical),
            (PlanText::Optimized, &plan.texts.optimized),
            (PlanText::Physical, &plan.texts.physical),
        ] {
            self.keep_text(&stage.name, which, text).await;
        }
        let distributed = planned_stages_text(Arc::clone(&plan.physical), plan.context.state().config())
            .map_err(|error| error.to_failure())?;
        self.keep_text(&stage.name, PlanText::Distributed, &distributed).await;
        let mut notes = self.notes.lock();
        let notes = notes.entry(stage.name.clone()).or_default();
        notes.registrations.clone_from(&plan.registrations);
        notes.inputs.clone_from(&plan.inputs);
        notes.plan_fingerprint.clone_from(&plan.fingerprint);
        Ok((plan, table))
    }

    async fn keep_text(&self, stage: &NodeName, which: PlanText, text: &str) {
        let text = normalize_plan_text(text, &self.placeholders);
        self.keep(self.bundle.write_plan_text(stage, which, &text).await);
    }

    /// Waits for a job, showing how far it is; stops it when `stop` fires.
    async fn follow(
        &self,
        stage: &NodeName,
        attempt: u32,
        job: &RunningJob,
        stop: &CancellationToken,
    ) -> Result<StagedFiles, Failure> {
        let finished = job.wait();
        tokio::pin!(finished);
        let mut clock = tokio::time::interval(PROGRESS_PERIOD);
        let mut shown = (0, 0);
        let finished = loop {
            tokio::select! {
                finished = &mut finished => break finished,
                () = stop.cancelled() => {
                    job.cancel().await;
                    return Err(stopped(stage));
                }
                _ = clock.tick() => {
                    let progress = job.progress().await;
                    let now = (progress.done() as u64, progress.partitions() as u64);
                    if now != shown && now.1 > 0 {
                        shown = now;
                        let (tasks_done, tasks_total) = now;
                        let stage = stage.clone();
                        self.tell(LogKind::StageProgress { stage, attempt, tasks_done, tasks_total }).await;
                    }
                }
            }
        };
        let finished = finished.map_err(|error| error.to_failure())?;
        let reports = finished.collect().await.map_err(|error| error.to_failure())?;
        StagedFiles::from_batches(&reports).map_err(|error| error.to_failure())
    }

    /// The lineage of everything that the run committed.
    pub(super) fn lineage(&self, state: &RunState) -> LineageRecord {
        let notes = self.notes.lock();
        let stages = self.plan.stages.iter().filter_map(|planned| {
            let note = notes.get(&planned.name)?;
            let receipt = state.stage(&planned.name).and_then(|stage| stage.receipt());
            let graph = &self.plan.request.graph;
            Some(StageLineage {
                stage: planned.name.clone(),
                inputs: note.inputs.clone(),
                code_fingerprint: graph.stage(&planned.name).map(Stage::code_fingerprint).unwrap_or_default(),
                plan_fingerprint: note.plan_fingerprint.clone(),
                location: planned.table.location.to_string(),
                code_version: String::new(),
                reuse: ReuseVerdict::default(),
                strategy: None,
                changes: Vec::new(),
                output_version: receipt.map(|receipt| receipt.version),
            })
        });
        LineageRecord { stages: stages.collect() }
    }

    /// Every table as the run's sessions came to know it, each once.
    pub(super) fn registrations(&self) -> RegistrationsRecord {
        let notes = self.notes.lock();
        let all = notes.values().flat_map(|note| &note.registrations);
        let tables: BTreeMap<_, _> = all.map(|table| (table.name.clone(), table.clone())).collect();
        RegistrationsRecord { tables: tables.into_values().collect() }
    }
}

#[async_trait]
impl StageWork for RunWork {
    async fn execute(&self, name: &NodeName, attempt: u32, stop: CancellationToken) -> Result<Staged, Failure> {
        let (stage, planned) = self.stage(name)?;
        let (plan, table) = self.plan_now(stage, planned).await?;
        if stop.is_cancelled() {
            return Err(stopped(name));
        }
        let request = JobRequest {
            name: format!("{}/{name}", self.identity.pipeline),
            plan: plan.physical,
            session: Arc::clone(&plan.context),
        };
        let job = self.engine.submit(request).await.map_err(|error| error.to_failure())?;
        let staged = self.follow(name, attempt, &job, &stop).await;
        let evidence = job.evidence().await;
        self.keep_text(name, PlanText::Analyzed, &evidence.analyzed_text()).await;
        self.notes.lock().entry(name.clone()).or_default().jobs.insert(attempt, evidence);
        let write = StagedWrite { files: staged?, table, plan_fingerprint: plan.fingerprint };
        let value = serde_json::to_value(&write).map_err(unreadable)?;
        Ok(Staged(Arc::new(value)))
    }

    async fn commit(&self, name: &NodeName, _attempt: u32, staged: &Staged) -> Result<StageReceipt, Failure> {
        let (stage, planned) = self.stage(name)?;
        let write = StagedWrite::deserialize(&*staged.0).map_err(unreadable)?;
        let request = CommitRequest {
            location: planned.table.location.clone(),
            staged: write.files,
            mode: planned.mode,
            app_id: AppId::of(&self.identity.pipeline, name),
            sequence: self.identity.sequence,
            base: BaseExpectation::of(&write.table),
            change: write.table.change,
            info: self.commit_info(name, &write.plan_fingerprint),
        };
        let stores = self.sessions.stores();
        let (receipt, outcome) = match commit(&request, stores).await.map_err(|error| error.to_failure())? {
            CommitOutcome::Committed(receipt) => (receipt, Outcome::Committed),
            CommitOutcome::AlreadyCommitted(receipt) => (receipt, Outcome::AlreadyCommitted),
            CommitOutcome::Conflicted { reason } => return Err(conflicted(&stage.name, &reason)),
        };
        let version = receipt.version;
        let pinned = pin_table(&self.sessions, name, &planned.table.location, PinAt::Version(version.0))
            .await
            .map_err(|error| error.to_failure())?;
        self.inputs.write().set(name.clone(), Input::Pinned(Arc::new(pinned)));
        self.checkpoint(planned, version).await;
        Ok(StageReceipt { version, rows: receipt.rows, bytes: receipt.bytes, files: receipt.files_added, outcome })
    }

    async fn observe(&self, event: &RunEvent, actions: &[RunAction], state: &RunState) {
        let sizes = |staged: &Staged| match StagedWrite::deserialize(&*staged.0) {
            Ok(write) => (write.files.rows(), write.files.bytes(), write.files.files() as u64),
            Err(_) => (0, 0, 0),
        };
        for line in narrate(event, actions, state, sizes) {
            self.tell(line).await;
        }
    }

    async fn record(&self, name: &NodeName, state: &RunState) {
        let Some(stage) = state.stage(name) else { return };
        let jobs = self.notes.lock().get(name).map(|note| note.jobs.clone()).unwrap_or_default();
        self.keep(self.bundle.write_stage(&stage_record(name, stage, &jobs)).await);
    }
}

impl RunWork {
    /// Writes a checkpoint when one is due. The commit stands whether or not that works.
    async fn checkpoint(&self, planned: &PlannedStage, version: TableVersion) {
        if let Err(error) = maybe_checkpoint(&planned.table.location, version, self.sessions.stores()).await {
            let message = format!("no checkpoint was written: {}", full_message(&error));
            self.tell(LogKind::Warning { message, stage: Some(planned.name.clone()) }).await;
        }
    }
}

fn stopped(stage: &NodeName) -> Failure {
    Failure {
        code: "WL0654".to_owned(),
        message: format!("the stage `{stage}` was stopped"),
        help: None,
        retryable: false,
    }
}

fn conflicted(stage: &NodeName, reason: &str) -> Failure {
    Failure {
        code: "WL0655".to_owned(),
        message: format!("the table of `{stage}` changed while its rows were computed: {reason}"),
        help: Some("run again; if another program writes to the table, let only one of them do so".to_owned()),
        retryable: false,
    }
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure {
        code: "WL0656".to_owned(),
        message: format!("what the stage has staged cannot be kept: {error}"),
        help: Some("this is a defect of Windlass; report it with the run's log".to_owned()),
        retryable: false,
    }
}
