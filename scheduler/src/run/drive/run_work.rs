//! The steps of the arrow for one stage: plan, execute on the cluster, commit, record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use datafusion::arrow::array::RecordBatch;
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure, full_message};
use windlass_base::ids::{AppId, NodeName, PipelineName, RunId, RunSequence, TableVersion};
use windlass_delta::commit::{CommitMode, CommitOutcome, CommitRequest, commit, maybe_checkpoint};
use windlass_delta::cursor::{CODE_PARTS, DONE_IN};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{
    LineageRecord, LogEvent, LogKind, PlanText, QuarantineRecord, ReceiptOutcome, RegistrationsRecord, ReuseVerdict,
    StageLineage, StageReceipt,
};
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;

use super::driver::StageWork;
use super::log_lines::narrate;
use super::stage_record::stage_record;
use crate::execute::{Engine, RunningJob};
use crate::plan::{Input, Inputs, PlannedStage, RunPlan, pin_table};
use crate::record::plan_text::normalize_plan_text;
use crate::record::{BundleWriter, RecordError};
use crate::run::machine::{RunAction, RunEvent, RunState, Staged};
use crate::run::stage::attempt::StageRun;
use crate::run::stage::failure::{conflicted, stopped, unreadable};
use crate::run::stage::notes::{StageNotes, lineage_inputs};
use crate::run::stage::staged::{StagedQuarantine, StagedWrite};

/// How often the progress of a job is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);

/// Which run it is.
#[derive(Debug, Clone)]
pub(in crate::run) struct RunIdentity {
    pub(in crate::run) run_id: RunId,
    pub(in crate::run) sequence: RunSequence,
    pub(in crate::run) pipeline: PipelineName,
}

/// Plans, executes, commits and records the stages of one run.
pub(in crate::run) struct RunWork {
    pub(in crate::run) plan: RunPlan,
    pub(in crate::run) identity: RunIdentity,
    pub(in crate::run) sessions: Arc<Sessions>,
    pub(in crate::run) engine: Engine,
    pub(in crate::run) bundle: BundleWriter,
    pub(in crate::run) watcher: UnboundedSender<LogEvent>,
    /// What each name stands for now: committed stages come in.
    pub(in crate::run) inputs: RwLock<Inputs>,
    pub(in crate::run) notes: Mutex<BTreeMap<NodeName, StageNotes>>,
    /// What plan texts say instead of folders.
    placeholders: Vec<(String, String)>,
    /// The first thing that the bundle could not take.
    lost: Mutex<Option<RecordError>>,
}

impl RunWork {
    pub(in crate::run) fn new(
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
    pub(in crate::run) async fn tell(&self, kind: LogKind) {
        match self.bundle.log(Utc::now(), kind).await {
            // Nobody has to watch.
            Ok(event) => drop(self.watcher.send(event)),
            Err(error) => self.lose(error),
        }
    }

    /// What the bundle could not take, if anything.
    pub(in crate::run) fn take_lost(&self) -> Option<RecordError> {
        self.lost.lock().take()
    }

    fn lose(&self, error: RecordError) {
        tracing::warn!(%error, "the run's bundle is incomplete");
        self.lost.lock().get_or_insert(error);
    }

    pub(in crate::run) fn keep(&self, outcome: Result<(), RecordError>) {
        if let Err(error) = outcome {
            self.lose(error);
        }
    }

    pub(in crate::run) fn stage(&self, name: &NodeName) -> Result<(&Stage, &PlannedStage), Failure> {
        let stage = self.plan.request.graph.stage(name);
        stage.zip(self.plan.stage(name)).ok_or_else(|| Failure {
            code: "WL0653".to_owned(),
            message: format!("the run's plan does not hold the stage `{name}`"),
            help: Some("this is a defect of Windlass; report it with the run's log".to_owned()),
            retryable: false,
        })
    }

    /// What every commit of the run says about itself.
    pub(in crate::run) fn commit_info(&self, stage: &NodeName, plan_fingerprint: &str) -> BTreeMap<String, Value> {
        let tags = self.plan.request.graph.stage(stage).map(|stage| &stage.tags);
        let tags = tags.into_iter().flat_map(|tags| &tags.0);
        let tags = tags.map(|(key, value)| (format!("windlass.tag.{key}"), json!(value)));
        let of_run = BTreeMap::from([
            ("windlass.run_id".to_owned(), json!(self.identity.run_id)),
            ("windlass.pipeline".to_owned(), json!(self.identity.pipeline)),
            ("windlass.stage".to_owned(), json!(stage)),
            ("windlass.plan_fingerprint".to_owned(), json!(plan_fingerprint)),
            ("windlass.version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ]);
        of_run.into_iter().chain(tags).collect()
    }

    /// Commits the rows of a stage that were not as expected to their own table, before the stage's. Once a run, however
    /// often it is tried.
    async fn commit_quarantine(
        &self,
        stage: &NodeName,
        quarantine: StagedQuarantine,
        plan_fingerprint: &str,
    ) -> Result<(), Failure> {
        let rows = quarantine.files.rows();
        let request = CommitRequest {
            location: quarantine.location.clone(),
            staged: quarantine.files,
            mode: CommitMode::Append,
            app_id: AppId::of(&self.identity.pipeline, stage),
            run_id: self.identity.run_id.clone(),
            sequence: self.identity.sequence,
            cursor_transactions: BTreeMap::new(),
            base: quarantine.base,
            change: None,
            info: self.commit_info(stage, plan_fingerprint),
        };
        let outcome = commit(&request, self.sessions.stores()).await.map_err(|error| error.to_failure())?;
        let receipt = match outcome {
            CommitOutcome::Committed(receipt) | CommitOutcome::AlreadyCommitted(receipt) => receipt,
            CommitOutcome::Conflicted { reason } => return Err(conflicted(stage, &reason)),
        };
        let location = quarantine.location.to_string();
        let record = QuarantineRecord { location, version: receipt.version, rows };
        self.notes.lock().entry(stage.clone()).or_default().quarantine = Some(record);
        Ok(())
    }

    pub(in crate::run) async fn keep_text(&self, stage: &NodeName, which: PlanText, text: &str) {
        let text = normalize_plan_text(text, &self.placeholders);
        self.keep(self.bundle.write_plan_text(stage, which, &text).await);
    }

    /// Waits for a job, showing how far it is; stops it when `stop` fires. Gives the rows that come out of it.
    pub(in crate::run) async fn follow(
        &self,
        stage: &NodeName,
        attempt: u32,
        job: &RunningJob,
        stop: &CancellationToken,
    ) -> Result<Vec<RecordBatch>, Failure> {
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
        finished.collect().await.map_err(|error| error.to_failure())
    }

    /// The lineage of everything that the run committed or used as it was.
    pub(in crate::run) fn lineage(&self, state: &RunState) -> LineageRecord {
        let notes = self.notes.lock();
        let graph = &self.plan.request.graph;
        let fingerprint = |name: &NodeName| graph.stage(name).map(Stage::code_fingerprint).unwrap_or_default();
        let inputs = self.inputs.read();
        let reused = self.plan.reused.iter().map(|stage| StageLineage {
            stage: stage.name.clone(),
            inputs: lineage_inputs(&stage.inputs, &inputs),
            code_fingerprint: fingerprint(&stage.name),
            plan_fingerprint: String::new(),
            location: stage.location.clone(),
            code_version: stage.code.to_string(),
            reuse: ReuseVerdict { hit: true, missed: Vec::new() },
            strategy: None,
            touched: None,
            from_changes: false,
            changes: Vec::new(),
            output_version: Some(stage.version),
        });
        let written = self.plan.stages.iter().filter_map(|planned| {
            let note = notes.get(&planned.name)?;
            let receipt = state.stage(&planned.name).and_then(|stage| stage.receipt());
            Some(StageLineage {
                stage: planned.name.clone(),
                inputs: note.inputs.clone(),
                code_fingerprint: fingerprint(&planned.name),
                plan_fingerprint: note.plan_fingerprint.clone(),
                location: planned.table.location.to_string(),
                code_version: planned.role.as_ref().map(|role| role.code.to_string()).unwrap_or_default(),
                reuse: note.reuse.clone(),
                strategy: note.strategy,
                touched: note.touched,
                from_changes: note.from_changes,
                changes: note.changes.clone(),
                output_version: receipt.map(|receipt| receipt.version),
            })
        });
        let mut stages: Vec<StageLineage> = reused.chain(written).collect();
        let order = |name: &NodeName| graph.stages.iter().position(|stage| stage.name == *name);
        stages.sort_by_key(|stage| order(&stage.stage));
        LineageRecord { stages }
    }

    /// Every table as the run's sessions came to know it, each once.
    pub(in crate::run) fn registrations(&self) -> RegistrationsRecord {
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
        let staged = StageRun::new(self, stage, planned, attempt, stop).execute().await?;
        let value = serde_json::to_value(&staged).map_err(unreadable)?;
        Ok(Staged(Arc::new(value)))
    }

    async fn commit(&self, name: &NodeName, _attempt: u32, staged: &Staged) -> Result<StageReceipt, Failure> {
        let (stage, planned) = self.stage(name)?;
        let write = match StagedWrite::deserialize(&*staged.0).map_err(unreadable)? {
            StagedWrite::Nothing { version } => {
                self.pin_output(planned, version).await?;
                let receipt = StageReceipt { version, rows: 0, bytes: 0, files: 0, outcome: ReceiptOutcome::Reused };
                self.save_outputs(stage, &receipt).await?;
                return Ok(receipt);
            }
            StagedWrite::Commit(write) => *write,
        };
        if let Some(quarantine) = write.quarantine {
            self.commit_quarantine(name, *quarantine, &write.plan_fingerprint).await?;
        }
        let mut info = self.commit_info(name, &write.plan_fingerprint);
        if let Some(role) = &planned.role {
            // There is nothing in the parts that JSON refuses.
            info.insert(CODE_PARTS.to_owned(), serde_json::to_value(role.code.parts()).unwrap_or_default());
        }
        let done_in = write.done_in;
        if let Some(done_in) = done_in {
            info.insert(DONE_IN.to_owned(), json!(done_in));
        }
        let request = CommitRequest {
            location: planned.table.location.clone(),
            staged: write.files,
            mode: write.mode,
            app_id: AppId::of(&self.identity.pipeline, name),
            run_id: self.identity.run_id.clone(),
            sequence: self.identity.sequence,
            cursor_transactions: write.marks,
            base: write.base,
            change: write.change,
            info,
        };
        let stores = self.sessions.stores();
        let (receipt, outcome) = match commit(&request, stores).await.map_err(|error| error.to_failure())? {
            CommitOutcome::Committed(receipt) => (receipt, ReceiptOutcome::Committed),
            CommitOutcome::AlreadyCommitted(receipt) => (receipt, ReceiptOutcome::AlreadyCommitted),
            CommitOutcome::Conflicted { reason } => return Err(conflicted(&stage.name, &reason)),
        };
        let version = done_in.unwrap_or(receipt.version);
        self.pin_output(planned, version).await?;
        self.checkpoint(planned, receipt.version).await;
        let receipt = StageReceipt {
            version,
            rows: receipt.rows,
            bytes: receipt.bytes,
            files: receipt.files_added,
            outcome: if done_in.is_some() { ReceiptOutcome::Reused } else { outcome },
        };
        self.save_outputs(stage, &receipt).await?;
        Ok(receipt)
    }

    async fn observe(&self, event: &RunEvent, actions: &[RunAction], state: &RunState) {
        let sizes = |staged: &Staged| match StagedWrite::deserialize(&*staged.0) {
            Ok(StagedWrite::Commit(write)) => (write.files.rows(), write.files.bytes(), write.files.files() as u64),
            Ok(StagedWrite::Nothing { .. }) | Err(_) => (0, 0, 0),
        };
        for line in narrate(event, actions, state, sizes) {
            self.tell(line).await;
        }
    }

    async fn record(&self, name: &NodeName, state: &RunState) {
        let Some(stage) = state.stage(name) else { return };
        let jobs = self.notes.lock().get(name).map(|note| note.jobs.clone()).unwrap_or_default();
        let mut record = stage_record(name, stage, &jobs);
        if let Some(note) = self.notes.lock().get(name) {
            record.expectations.clone_from(&note.expectations);
            record.quarantine.clone_from(&note.quarantine);
            record.outputs.clone_from(&note.outputs);
        }
        self.keep(self.bundle.write_stage(&record).await);
    }
}

impl RunWork {
    /// From now on the stages behind it read the table of a stage at `version`.
    async fn pin_output(&self, planned: &PlannedStage, version: TableVersion) -> Result<(), Failure> {
        let pinned = pin_table(&self.sessions, &planned.name, &planned.table.location, PinAt::Version(version.0))
            .await
            .map_err(|error| error.to_failure())?;
        self.inputs.write().set(planned.name.clone(), Input::Pinned(Arc::new(pinned)));
        Ok(())
    }

    /// Writes a checkpoint when one is due. The commit stands whether or not that works.
    async fn checkpoint(&self, planned: &PlannedStage, version: TableVersion) {
        if let Err(error) = maybe_checkpoint(&planned.table.location, version, self.sessions.stores()).await {
            let message = format!("no checkpoint was written: {}", full_message(&error));
            self.tell(LogKind::Warning { message, stage: Some(planned.name.clone()) }).await;
        }
    }
}
