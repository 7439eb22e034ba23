//! One attempt at a stage: what is to be done with its table, decided again now that its inputs are known, and done.
//!
//! ```text
//! decide ─┬─ reuse ──────────────────────────────────────────────→ StagedWrite::Nothing
//!         ├─ done ───────────────────────────────────────────────→ StagedWrite::Commit: touch
//!         ├─ full ── plan ─ write ───────────────────────────────→ StagedWrite::Commit: overwrite or append
//!         │      └── plan ─ rows ─ merge or write ───────────────→ StagedWrite::Commit: merge, partitions  (write_mode)
//!         └─ incremental ── feeds ─ strategy ─ keys ─ rows ─ merge → StagedWrite::Commit: merge, append, partitions, touch
//!                                                                                                     (incremental)
//! ```
//!
//! What is decided, computed and committed is about one version of the table: the one that the run looked at when it was
//! planned. If others have committed since, the attempt ends with a conflict. A stage whose every run adds its rows is the
//! exception: it says nothing about the rows that are there.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::commit::{BaseExpectation, CommitMode};
use windlass_delta::pin::pin;
use windlass_delta::table::{SchemaChange, TableState, ensure_table};
use windlass_delta::write::{StagedFiles, WriteSpec};
use windlass_engine::session::{SessionError, check_unchanged};
use windlass_evidence::artifact::ReuseVerdict;
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::Incremental;
use windlass_project::strategy::Strategy;

use super::failure::conflicted;
use super::job::PlanTexts;
use super::notes::{StageNotes, lineage_inputs};
use super::query::StageQueryPlan;
use crate::execute::JobEvidence;
use crate::plan::decide::{Verdict, decide};
use crate::plan::{IncrementalContext, Inputs, PlanError, PlannedStage, QueryInputs, column_lineage, executed_inputs};
use crate::run::context::RunContext;
use crate::run::staged::{StagedCommit, StagedQuarantine, StagedWrite};

/// One attempt at a stage.
pub(in crate::run) struct StageRun<'r> {
    pub(super) run: &'r RunContext,
    pub(super) stage: &'r Stage,
    pub(super) planned: &'r PlannedStage,
    pub(super) attempt: u32,
    pub(super) stop: CancellationToken,
    /// What each name stands for now.
    pub(super) inputs: Inputs,
    /// The plans of each step, with the step's name.
    pub(super) texts: Vec<(&'static str, PlanTexts)>,
    pub(super) evidence: Vec<JobEvidence>,
    /// What the bundle will say of the stage; nothing until there is something to say.
    notes: Option<StageNotes>,
    /// Rows that were not as expected, to be committed before the stage's own.
    pub(super) quarantine: Option<Box<StagedQuarantine>>,
}

/// What has come of an attempt. Its plans are in the bundle already: each is written before it runs.
pub(in crate::run) struct StageAttempt {
    pub(in crate::run) outcome: Result<StagedWrite, Failure>,
    /// What the bundle is to say of the stage, if there is anything to say; earlier attempts included.
    pub(in crate::run) notes: Option<StageNotes>,
    /// What the engine tells of the attempt's jobs, if any ran.
    pub(in crate::run) evidence: Option<JobEvidence>,
}

/// The code of a plan that is beyond the limit of operators.
const TOO_MANY_OPERATORS: &str = "WL0376";

impl<'r> StageRun<'r> {
    /// An attempt over `inputs`, which ends as soon as no task of it is known to run once `stop` fires.
    pub(in crate::run) fn new(
        run: &'r RunContext,
        (stage, planned): (&'r Stage, &'r PlannedStage),
        inputs: Inputs,
        attempt: u32,
        stop: CancellationToken,
    ) -> Self {
        let (texts, evidence) = (Vec::new(), Vec::new());
        Self { run, stage, planned, attempt, stop, inputs, texts, evidence, notes: None, quarantine: None }
    }

    /// Executes the stage. `notes` are those of its earlier attempts.
    pub(in crate::run) async fn execute(mut self, notes: Option<StageNotes>) -> StageAttempt {
        self.notes = notes;
        let outcome = self.decide_and_run().await;
        let outcome = match self.check_files().await {
            Err(changed @ SessionError::FileChanged { .. }) if !self.stop.is_cancelled() => Err(changed.to_failure()),
            Err(error) => outcome.and(Err(error.to_failure())),
            Ok(()) => outcome,
        };
        StageAttempt { outcome, notes: self.notes, evidence: self.evidence.into_iter().reduce(JobEvidence::and) }
    }

    /// What the bundle will say of the stage.
    pub(super) fn notes(&mut self) -> &mut StageNotes {
        self.notes.get_or_insert_default()
    }

    /// Whether the files that the stage has read are still what they were when the run listed them.
    async fn check_files(&self) -> Result<(), SessionError> {
        for name in self.reads().base_tables {
            if let Some(input) = self.inputs.pinned_input(&name) {
                check_unchanged(input.provider.as_ref(), self.run.stores()).await?;
            }
        }
        Ok(())
    }

    async fn decide_and_run(&mut self) -> Result<StagedWrite, Failure> {
        let Some(table_context) = self.planned.table_context.as_deref() else { return self.full(None).await };
        if let Some(refusal) = &table_context.refusal {
            return Err(refusal.clone());
        }
        let decided = match &table_context.verdict {
            Verdict::Full { .. } if !table_context.interrupted => table_context.verdict.clone(),
            _ => {
                let stores = self.run.stores();
                let facts = table_context.facts(self.stage, &self.inputs, &self.run.plan.changes, stores).await;
                decide(&facts?)
            }
        };
        match decided {
            Verdict::Reuse => Ok(self.reuse(table_context)),
            Verdict::Done { .. } => self.record_as_done(table_context).await,
            Verdict::Incremental(cursors) => {
                self.note_missed(&cursors.missed);
                let may_be_full = self.stage.table.incremental == Incremental::Auto || !cursors.again.is_empty();
                match self.incremental(table_context, &cursors).await {
                    // What follows changes through a view that is read several times can be too large where the query is not.
                    Err(failure) if may_be_full && failure.code == TOO_MANY_OPERATORS => {
                        self.full(Some(table_context)).await
                    }
                    staged => staged,
                }
            }
            Verdict::Full { missed, .. } => {
                self.note_missed(&missed);
                self.full(Some(table_context)).await
            }
            Verdict::Refuse { reason } => Err(self.refused(reason)),
        }
    }

    /// The rows of this run are there: a run that was interrupted has committed them. Says so in the table, so that the
    /// run after this one does not take them for its own.
    async fn record_as_done(&mut self, table_context: &IncrementalContext) -> Result<StagedWrite, Failure> {
        let table = self.table_as_planned(table_context, SchemaChange::Refuse).await?;
        let done_in = table_context.memory.as_ref().and_then(|memory| memory.rows_version);
        self.note_reuse(table_context);
        Ok(StagedWrite::Commit(Box::new(StagedCommit {
            files: StagedFiles::default(),
            mode: CommitMode::Touch,
            base: BaseExpectation { version: Some(table.version), ..BaseExpectation::of(&table) },
            change: None,
            plan_fingerprint: String::new(),
            marks: self.marks(Some(table_context)).await?,
            done_in: Some(done_in.unwrap_or(table.version)),
            quarantine: None,
        })))
    }

    /// What the stages before it have committed in this run turned out to be no change.
    fn reuse(&mut self, table_context: &IncrementalContext) -> StagedWrite {
        self.note_reuse(table_context);
        StagedWrite::Nothing { version: table_context.memory.as_ref().map(|memory| memory.version).unwrap_or_default() }
    }

    pub(super) fn reads(&self) -> QueryInputs {
        executed_inputs(self.run.graph(), self.stage)
    }

    /// Finds or makes the stage's table, which must be as it was when the run was planned.
    pub(super) async fn table_as_planned(
        &self,
        table_context: &IncrementalContext,
        on_change: SchemaChange,
    ) -> Result<TableState, Failure> {
        let planned = table_context.memory.as_ref().map(|memory| memory.version).unwrap_or_default();
        let found = self.ensure_table(on_change).await;
        let now = match &found {
            Ok(table) => Some(table.version),
            // It may be another by now because it has moved.
            Err(_) => self.newest_version().await,
        };
        match now.filter(|now| *now != planned) {
            Some(now) => {
                let reason = format!("it is at version {now}, and was at {planned} when the run began");
                Err(conflicted(&self.stage.name, &reason))
            }
            None => found,
        }
    }

    /// The newest version of the stage's table, if it can be read.
    async fn newest_version(&self) -> Option<TableVersion> {
        let location = &self.planned.table.location;
        Some(pin(location, PinAt::Latest, self.run.stores()).await.ok()?.version())
    }

    /// Finds or makes the stage's table.
    pub(super) async fn ensure_table(&self, on_change: SchemaChange) -> Result<TableState, Failure> {
        let info = self.run.commit_info(&self.stage.name, "");
        Ok(ensure_table(&self.planned.table, on_change, self.run.stores(), &info).await?)
    }

    /// Notes what the attempt reads and does.
    pub(super) fn note(&mut self, query: &StageQueryPlan, strategy: Option<Strategy>) {
        let reads = self.reads();
        let base_tables: Vec<NodeName> = reads.base_tables.iter().cloned().collect();
        let inputs = lineage_inputs(&base_tables, &self.inputs);
        let tables = reads.base_tables.into_iter().chain(reads.rows).collect();
        let columns = column_lineage(&query.logical, &tables, &BTreeSet::new());
        let notes = self.notes();
        notes.registrations.clone_from(&query.registrations);
        notes.inputs = inputs;
        // A query that can be planned can be traced; if not, the run does not need it.
        notes.columns = columns.ok();
        notes.plan_fingerprint.clone_from(&query.fingerprint);
        notes.strategy = strategy;
        notes.touched = None;
        notes.from_changes = false;
        notes.fallback = None;
    }

    /// Notes that the table is used as it is.
    fn note_reuse(&mut self, table_context: &IncrementalContext) {
        let inputs = lineage_inputs(&table_context.inputs, &self.inputs);
        let notes = self.notes();
        notes.reuse = ReuseVerdict { hit: true, missed: Vec::new() };
        notes.inputs = inputs;
    }

    fn note_missed(&mut self, missed: &[String]) {
        self.notes().reuse = ReuseVerdict { hit: false, missed: missed.to_vec() };
    }

    pub(super) fn write_spec(&self, table: &TableState) -> WriteSpec {
        self.write_spec_as(table, self.stage.name.as_str())
    }

    /// How rows of the stage are written to one of its tables, with files as large as its author wants them. What goes wrong
    /// while writing is reported under `name`.
    pub(super) fn write_spec_as(&self, table: &TableState, name: &str) -> WriteSpec {
        let mut spec = table.write_spec(name);
        if let Some(bytes) = self.stage.table.target_file_bytes {
            spec.target_file_bytes = bytes;
        }
        spec
    }

    pub(super) fn refused(&self, reason: String) -> Failure {
        PlanError::Refused { stage: self.stage.name.clone(), reason }.to_failure()
    }

    pub(super) fn engine_failure(&self, source: datafusion::error::DataFusionError) -> Failure {
        PlanError::Engine { stage: self.stage.name.clone(), source }.to_failure()
    }
}
