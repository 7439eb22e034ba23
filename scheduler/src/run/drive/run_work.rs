//! The steps of the arrow for one stage: plan, execute on the cluster, commit, record.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Failure, full_message};
use windlass_base::failpoint;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::commit::{CommitMode, CommitOutcome, CommitReceipt, CommitRequest, commit, maybe_checkpoint};
use windlass_delta::cursor::{CODE_PARTS, DONE_IN};
use windlass_evidence::artifact::{
    LineageRecord, PlanText, QuarantineRecord, ReceiptOutcome, RegistrationsRecord, RunRecord, StageLineage,
    StageReceipt, StageRecord,
};
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;

use super::StageWork;
use super::lineage::{lineage, registrations, stage_lineage};
use super::lineage_events::LineageEvents;
use super::log_lines::narrate;
use super::stage_record::stage_record;
use crate::plan::{Input, Inputs, PlanError, PlannedStage, executed_inputs, pin_table};
use crate::run::context::RunContext;
use crate::run::error::RunError;
use crate::run::machine::{RunAction, RunEvent, RunState};
use crate::run::stage::attempt::{StageAttempt, StageRun};
use crate::run::stage::failure::conflicted;
use crate::run::stage::notes::{StageNotes, lineage_inputs};
use crate::run::stage::outputs::{save_missing_exports, save_outputs};
use crate::run::staged::{Staged, StagedCommit, StagedQuarantine, StagedWrite};

/// Plans, executes, commits and records the stages of one run.
pub(in crate::run) struct RunWork {
    pub(in crate::run) run: RunContext,
    /// What each name stands for now: committed stages come in.
    inputs: RwLock<Inputs>,
    /// What the bundle has of stages that had ended when this process took up the run.
    ended: BTreeMap<NodeName, StageRecord>,
    /// What other tools are told of the lineage.
    lineage_events: LineageEvents,
}

impl RunWork {
    /// The work of a run; other tools are told of its lineage if `tells_lineage`.
    pub(in crate::run) fn new(run: RunContext, tells_lineage: bool) -> Self {
        let inputs = RwLock::new(run.plan.inputs.clone());
        let lineage_events = LineageEvents::of(&run, tells_lineage);
        Self { run, inputs, ended: BTreeMap::new(), lineage_events }
    }

    /// The work of a run that is taken up, with what the bundle has of its `ended` stages.
    pub(in crate::run) fn with_ended(self, ended: BTreeMap<NodeName, StageRecord>) -> Self {
        Self { ended, ..self }
    }

    /// Tells other tools that the run begins, or goes on in this process.
    pub(in crate::run) fn tell_begin(&self, is_resumed: bool) {
        self.lineage_events.run_begins(is_resumed);
    }

    /// Tells other tools how the run has ended. What they could not be told is a warning.
    pub(in crate::run) async fn tell_end(&self, record: &RunRecord) {
        if let Some(warning) = self.lineage_events.run_ended(record).await {
            self.run.journal.warn_of_run(warning).await;
        }
    }

    /// Pins what the stages of a run that is taken up have committed.
    ///
    /// # Errors
    /// [`RunError::Plan`] if a table cannot be read at that version.
    pub(in crate::run) async fn pin_committed(&self, state: &RunState) -> Result<(), RunError> {
        for (name, stage) in state.stages() {
            if let (Some(receipt), Some(planned)) = (stage.receipt(), self.run.plan.stage(name)) {
                self.pin_output(planned, receipt.version).await?;
            }
        }
        Ok(())
    }

    /// The lineage of everything that the run committed or used as it was.
    pub(in crate::run) fn lineage(&self, state: &RunState, notes: &BTreeMap<NodeName, StageNotes>) -> LineageRecord {
        let inputs = self.inputs();
        let earlier = state.stages().iter().filter(|(name, _)| !notes.contains_key(*name));
        let earlier = earlier.filter_map(|(name, stage)| {
            let recorded = self.ended.get(name).and_then(|record| record.lineage.clone());
            recorded.or_else(|| self.lineage_by_plan(name, stage.receipt()?, &inputs))
        });
        lineage(&self.run.plan, &inputs, state, notes, earlier)
    }

    /// The lineage of a stage that the process before has committed and did not come to recording: as far as the plan tells.
    fn lineage_by_plan(&self, name: &NodeName, receipt: &StageReceipt, inputs: &Inputs) -> Option<StageLineage> {
        let (stage, planned) = self.run.stage(name).ok()?;
        let read: Vec<NodeName> = executed_inputs(self.run.graph(), stage).base_tables.into_iter().collect();
        let notes = StageNotes { inputs: lineage_inputs(&read, inputs), ..StageNotes::default() };
        Some(stage_lineage(&self.run.plan, planned, Some(receipt), &notes))
    }

    /// Every table as the run's sessions registered it, each once.
    pub(in crate::run) fn registrations(&self, notes: &BTreeMap<NodeName, StageNotes>) -> RegistrationsRecord {
        let inputs = self.inputs();
        let read = self.ended.values().filter_map(|record| record.lineage.as_ref()).flat_map(|lineage| &lineage.inputs);
        let read = read.filter_map(|input| Some(inputs.pinned_input(&input.name)?.registration.clone()));
        registrations(notes, read)
    }

    /// What each name stands for now.
    pub(in crate::run) fn inputs(&self) -> Inputs {
        self.inputs.read().clone()
    }

    /// Repairs the exports of tables that this run uses as they are.
    pub(in crate::run) async fn save_missing_exports(&self) {
        save_missing_exports(&self.run, &self.inputs()).await;
    }

    /// Plans and executes a stage.
    async fn attempt(
        &self,
        name: &NodeName,
        attempt: u32,
        notes: Option<StageNotes>,
        stop: CancellationToken,
    ) -> StageAttempt {
        match self.run.stage(name) {
            Ok(found) => StageRun::new(&self.run, found, self.inputs(), attempt, stop).execute(notes).await,
            Err(failure) => StageAttempt { outcome: Err(failure), notes, evidence: None },
        }
    }

    async fn commit_staged(
        &self,
        name: &NodeName,
        staged: &Staged,
        notes: &mut Option<StageNotes>,
    ) -> Result<StageReceipt, Failure> {
        let (stage, planned) = self.run.stage(name)?;
        let receipt = match &*staged.0 {
            &StagedWrite::Nothing { version } => {
                self.pin_output(planned, version).await?;
                StageReceipt {
                    version,
                    rows: 0,
                    changed_rows: None,
                    table_rows: self.table_rows(name),
                    bytes: 0,
                    files: 0,
                    outcome: ReceiptOutcome::Reused,
                }
            }
            StagedWrite::Commit(write) => self.commit_write(stage, planned, write, notes).await?,
        };
        if let Some(pinned) = self.inputs().pinned_input(name) {
            let outputs = save_outputs(&self.run, stage, pinned, &receipt).await?;
            notes.get_or_insert_default().outputs = outputs;
        }
        Ok(receipt)
    }

    async fn commit_write(
        &self,
        stage: &Stage,
        planned: &PlannedStage,
        write: &StagedCommit,
        notes: &mut Option<StageNotes>,
    ) -> Result<StageReceipt, Failure> {
        if let Some(quarantine) = &write.quarantine {
            let record = self.commit_quarantine(&stage.name, quarantine, &write.plan_fingerprint).await?;
            notes.get_or_insert_default().quarantine = Some(record);
        }
        let mut info = self.run.commit_info(&stage.name, &write.plan_fingerprint);
        if let Some(table_context) = &planned.table_context {
            // There is nothing in the parts that JSON refuses.
            info.insert(CODE_PARTS.to_owned(), serde_json::to_value(table_context.code.parts()).unwrap_or_default());
        }
        let done_in = write.done_in;
        if let Some(done_in) = done_in {
            info.insert(DONE_IN.to_owned(), json!(done_in));
        }
        let request = CommitRequest {
            location: planned.table.location.clone(),
            staged: write.files.clone(),
            mode: write.mode.clone(),
            app_id: self.run.app_id(&stage.name),
            run_id: self.run.identity.run_id.clone(),
            sequence: self.run.identity.sequence,
            cursor_transactions: write.marks.clone(),
            base: write.base.clone(),
            change: write.change.clone(),
            info,
        };
        failpoint!("run.commit.before");
        let committed = commit(&request, self.run.stores()).await?;
        failpoint!("run.commit.after");
        let (receipt, outcome) = match committed {
            CommitOutcome::Committed(receipt) => (receipt, ReceiptOutcome::Committed),
            CommitOutcome::AlreadyCommitted(receipt) => (receipt, ReceiptOutcome::AlreadyCommitted),
            CommitOutcome::Conflicted { reason } => return Err(conflicted(&stage.name, &reason)),
        };
        let version = done_in.unwrap_or(receipt.version);
        self.pin_output(planned, version).await?;
        self.checkpoint(planned, receipt.version).await;
        Ok(StageReceipt {
            version,
            rows: receipt.rows,
            changed_rows: changed_rows(&write.mode, &receipt),
            table_rows: self.table_rows(&stage.name),
            bytes: receipt.bytes,
            files: receipt.files_added,
            outcome: if done_in.is_some() { ReceiptOutcome::Reused } else { outcome },
        })
    }

    /// Commits the rows of a stage that were not as expected to their own table, before the stage's. Once a run, however
    /// often it is tried.
    async fn commit_quarantine(
        &self,
        stage: &NodeName,
        quarantine: &StagedQuarantine,
        plan_fingerprint: &str,
    ) -> Result<QuarantineRecord, Failure> {
        let rows = quarantine.files.rows();
        let request = CommitRequest {
            location: quarantine.location.clone(),
            staged: quarantine.files.clone(),
            mode: CommitMode::Append,
            app_id: self.run.app_id(stage),
            run_id: self.run.identity.run_id.clone(),
            sequence: self.run.identity.sequence,
            cursor_transactions: BTreeMap::new(),
            base: quarantine.base.clone(),
            change: None,
            info: self.run.commit_info(stage, plan_fingerprint),
        };
        failpoint!("run.quarantine.before");
        let committed = commit(&request, self.run.stores()).await?;
        failpoint!("run.quarantine.after");
        let receipt = match committed {
            CommitOutcome::Committed(receipt) | CommitOutcome::AlreadyCommitted(receipt) => receipt,
            CommitOutcome::Conflicted { reason } => return Err(conflicted(stage, &reason)),
        };
        Ok(QuarantineRecord { location: quarantine.location.to_string(), version: receipt.version, rows })
    }

    /// From now on the stages behind it read the table of a stage at `version`.
    async fn pin_output(&self, planned: &PlannedStage, version: TableVersion) -> Result<(), PlanError> {
        let pinned =
            pin_table(&self.run.sessions, &planned.name, &planned.table.location, PinAt::Version(version.0)).await?;
        self.inputs.write().set(planned.name.clone(), Input::Pinned(Arc::new(pinned)));
        Ok(())
    }

    /// The rows of a stage's table as the stages behind it read it, if its log counts them.
    fn table_rows(&self, name: &NodeName) -> Option<u64> {
        self.inputs.read().pinned_input(name)?.table.as_ref()?.pin().rows
    }

    /// Writes a checkpoint when one is due. The commit stands whether or not that works.
    async fn checkpoint(&self, planned: &PlannedStage, version: TableVersion) {
        failpoint!("run.checkpoint.before");
        let made = maybe_checkpoint(&planned.table.location, version, self.run.stores()).await;
        failpoint!("run.checkpoint.after");
        if let Err(error) = made {
            let message = format!("no checkpoint was written: {}", full_message(&error));
            self.run.journal.warn(&planned.name, message).await;
        }
    }
}

/// The rows that a commit has inserted, updated or deleted, as far as that was counted.
fn changed_rows(mode: &CommitMode, receipt: &CommitReceipt) -> Option<u64> {
    match mode {
        CommitMode::Append => Some(receipt.rows),
        CommitMode::Touch => Some(0),
        CommitMode::Merge(_) => receipt.merged.map(|counts| counts.inserted + counts.replaced()),
        CommitMode::Overwrite | CommitMode::ReplacePartitions { .. } => None,
    }
}

#[async_trait]
impl StageWork for RunWork {
    type Notes = StageNotes;

    async fn execute(
        &self,
        name: &NodeName,
        attempt: u32,
        notes: Option<StageNotes>,
        stop: CancellationToken,
    ) -> (Result<Staged, Failure>, Option<StageNotes>) {
        let StageAttempt { outcome, mut notes, evidence } = self.attempt(name, attempt, notes, stop).await;
        if let Some(evidence) = evidence {
            self.run.journal.write_plan_text(name, PlanText::Analyzed, &evidence.analyzed_text()).await;
            notes.get_or_insert_default().jobs.insert(attempt, evidence);
        }
        (outcome.map(|staged| Staged(Arc::new(staged))), notes)
    }

    async fn commit(
        &self,
        name: &NodeName,
        staged: &Staged,
        mut notes: Option<StageNotes>,
    ) -> (Result<StageReceipt, Failure>, Option<StageNotes>) {
        let outcome = self.commit_staged(name, staged, &mut notes).await;
        (outcome, notes)
    }

    async fn observe(&self, event: &RunEvent, actions: &[RunAction], state: &RunState) {
        for action in actions {
            if let RunAction::ExecuteStage { stage, .. } = action {
                self.lineage_events.stage_begins(&self.run, &self.inputs.read(), stage);
            }
        }
        for line in narrate(event, actions, state) {
            self.run.journal.log_event(line).await;
        }
    }

    async fn record(&self, name: &NodeName, state: &RunState, notes: Option<&StageNotes>) {
        let Some(stage) = state.stage(name) else { return };
        // What the process before has recorded says more than this one knows.
        if notes.is_none() && self.ended.contains_key(name) {
            return;
        }
        let receipt = stage.receipt();
        let lineage = notes.zip(self.run.plan.stage(name));
        let lineage = lineage.map(|(notes, planned)| stage_lineage(&self.run.plan, planned, receipt, notes));
        let record = StageRecord { lineage, ..stage_record(name, stage, notes) };
        self.lineage_events.stage_ended(&self.run, &self.inputs.read(), &record);
        self.run.journal.check(self.run.journal.bundle().write_stage(&record).await);
    }
}
