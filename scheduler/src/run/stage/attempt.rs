//! One attempt at a stage: what is to be done with its table, decided anew now that its inputs are known, and done.
//!
//! ```text
//! decide ─┬─ reuse ──────────────────────────────────────────────→ StagedWrite::Nothing
//!         ├─ done ───────────────────────────────────────────────→ StagedWrite::Commit: touch
//!         ├─ full ── plan ─ write ───────────────────────────────→ StagedWrite::Commit: overwrite or append
//!         │      └── plan ─ rows ─ merge or write ───────────────→ StagedWrite::Commit: merge, partitions  (write_mode)
//!         └─ incremental ── feeds ─ strategy ─ keys ─ rows ─ merge → StagedWrite::Commit: merge, append, partitions, touch
//!                                                                                                 (incremental_run)
//! ```
//!
//! What is decided, computed and committed is about one version of the table: the one that the run looked at when it was
//! planned. If others have committed since, the attempt ends with a conflict. A stage whose every run adds its rows is the
//! exception: it says nothing about the rows that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::{AppId, NodeName, TableVersion};
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitOutcome, CommitRequest, commit};
use windlass_delta::cursor::{code_key, commit_key, files_key, hash_as_version, source_key};
use windlass_delta::pin::pin;
use windlass_delta::table::{SchemaChange, TableDefinition, TableState, ensure_table};
use windlass_delta::write::{StagedFiles, WriteError, WriteSpec, delta_write_plan};
use windlass_engine::session::{SessionError, Sessions, check_unchanged};
use windlass_evidence::artifact::Registration;
use windlass_evidence::artifact::{PlanText, ReuseVerdict};
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::Incremental;
use windlass_project::strategy::Strategy;

use super::failure::{conflicted, stopped};
use super::notes::lineage_inputs;
use super::staged::{StagedCommit, StagedQuarantine, StagedWrite};
use crate::execute::{JobEvidence, JobRequest};
use crate::plan::decide::{Verdict, decide};
use crate::plan::{
    Inputs, Needs, PhysicalQuery, PinnedInput, PlanError, PlannedStage, TableRole, executed_needs, keep_listing,
    logical_plan, physical_query, pin_table, plan_fingerprint,
};
use crate::planning::heavily;
use crate::run::drive::run_work::RunWork;

/// One attempt at a stage.
pub(in crate::run) struct StageRun<'w> {
    pub(super) work: &'w RunWork,
    pub(super) stage: &'w Stage,
    pub(super) planned: &'w PlannedStage,
    attempt: u32,
    stop: CancellationToken,
    /// What each name stands for now.
    pub(super) inputs: Inputs,
    /// The plans of each step, with the step's name.
    texts: Vec<(&'static str, PlanTexts)>,
    evidence: Vec<JobEvidence>,
    /// Rows that were not as expected, to be committed before the stage's own.
    pub(super) quarantine: Option<Box<StagedQuarantine>>,
}

/// A step's plans as texts.
struct PlanTexts {
    logical: String,
    optimized: String,
    physical: String,
    distributed: String,
}

/// A stage's query, ready to be run or traced.
pub(super) struct StageQueryPlan {
    pub(super) context: Arc<SessionContext>,
    pub(super) logical: LogicalPlan,
    pub(super) optimized: LogicalPlan,
    pub(super) fingerprint: String,
    registrations: Vec<Registration>,
}

/// The code of a plan that is beyond the limit of operators.
const TOO_MANY_OPERATORS: &str = "WL0376";

impl<'w> StageRun<'w> {
    pub(in crate::run) fn new(
        work: &'w RunWork,
        stage: &'w Stage,
        planned: &'w PlannedStage,
        attempt: u32,
        stop: CancellationToken,
    ) -> Self {
        let inputs = work.inputs.read().clone();
        Self { work, stage, planned, attempt, stop, inputs, texts: Vec::new(), evidence: Vec::new(), quarantine: None }
    }

    /// Executes the stage; its plans and its evidence are kept however it ends.
    pub(in crate::run) async fn execute(mut self) -> Result<StagedWrite, Failure> {
        let outcome = self.decide_and_run().await;
        let outcome = match self.check_files().await {
            Err(changed @ SessionError::FileChanged { .. }) if !self.stop.is_cancelled() => Err(changed.to_failure()),
            Err(error) => outcome.and(Err(error.to_failure())),
            Ok(()) => outcome,
        };
        self.keep_evidence().await;
        outcome
    }

    /// Whether the files that the stage has read are still what they were when the run listed them.
    async fn check_files(&self) -> Result<(), SessionError> {
        for name in self.needs().leaves {
            if let Some(input) = self.inputs.pinned_input(&name) {
                check_unchanged(input.provider.as_ref(), self.work.sessions.stores()).await?;
            }
        }
        Ok(())
    }

    async fn decide_and_run(&mut self) -> Result<StagedWrite, Failure> {
        let Some(role) = self.planned.role.as_deref() else { return self.full(None).await };
        if let Some(refusal) = &role.refusal {
            return Err(refusal.clone());
        }
        let decided = match &role.verdict {
            Verdict::Full { .. } if !role.interrupted => role.verdict.clone(),
            _ => {
                let stores = self.work.sessions.stores();
                let facts = role.facts(self.stage, &self.inputs, &self.work.plan.changes, stores).await;
                decide(&facts.map_err(|error| error.to_failure())?)
            }
        };
        match decided {
            Verdict::Reuse => self.reuse(role),
            Verdict::Done { .. } => self.record_as_done(role).await,
            Verdict::Incremental(cursors) => {
                self.note_missed(&cursors.missed);
                let may_be_full = self.stage.table.incremental == Incremental::Auto || !cursors.again.is_empty();
                match self.incremental(role, &cursors).await {
                    // What follows changes through a view that is read several times can be too large where the query is not.
                    Err(failure) if may_be_full && failure.code == TOO_MANY_OPERATORS => self.full(Some(role)).await,
                    staged => staged,
                }
            }
            Verdict::Full { missed, .. } => {
                self.note_missed(&missed);
                self.full(Some(role)).await
            }
            Verdict::Refuse { reason } => Err(self.refused(reason)),
        }
    }

    /// The rows of this run are there: a run that was interrupted has committed them. Says so in the table, so that the
    /// run after this one does not take them for its own.
    async fn record_as_done(&mut self, role: &TableRole) -> Result<StagedWrite, Failure> {
        let table = self.table_as_planned(role, SchemaChange::Refuse).await?;
        let done_in = role.memory.as_ref().and_then(|memory| memory.rows_version);
        {
            let mut notes = self.work.notes.lock();
            let notes = notes.entry(self.stage.name.clone()).or_default();
            notes.reuse = ReuseVerdict { hit: true, missed: Vec::new() };
            notes.inputs = lineage_inputs(&role.inputs, &self.inputs);
        }
        Ok(StagedWrite::Commit(Box::new(StagedCommit {
            files: StagedFiles::default(),
            mode: CommitMode::Touch,
            base: BaseExpectation { version: Some(table.version), ..BaseExpectation::of(&table) },
            change: None,
            plan_fingerprint: String::new(),
            marks: self.marks(Some(role)).await?,
            done_in: Some(done_in.unwrap_or(table.version)),
            quarantine: None,
        })))
    }

    /// What the stages before it have committed in this run turned out to be no change.
    fn reuse(&self, role: &TableRole) -> Result<StagedWrite, Failure> {
        let version = role.memory.as_ref().map(|memory| memory.version).unwrap_or_default();
        let mut notes = self.work.notes.lock();
        let notes = notes.entry(self.stage.name.clone()).or_default();
        notes.reuse = ReuseVerdict { hit: true, missed: Vec::new() };
        notes.inputs = lineage_inputs(&role.inputs, &self.inputs);
        Ok(StagedWrite::Nothing { version })
    }

    fn needs(&self) -> Needs {
        executed_needs(&self.work.plan.request.graph, self.stage)
    }

    /// Finds or makes the stage's table, which must be as it was when the run was planned.
    pub(super) async fn table_as_planned(
        &self,
        role: &TableRole,
        on_change: SchemaChange,
    ) -> Result<TableState, Failure> {
        let planned = role.memory.as_ref().map(|memory| memory.version).unwrap_or_default();
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
        Some(pin(location, PinAt::Latest, self.work.sessions.stores()).await.ok()?.version())
    }

    /// Finds or makes the stage's table.
    pub(super) async fn ensure_table(&self, on_change: SchemaChange) -> Result<TableState, Failure> {
        let info = self.work.commit_info(&self.stage.name, "");
        ensure_table(&self.planned.table, on_change, self.work.sessions.stores(), &info)
            .await
            .map_err(|error| error.to_failure())
    }

    /// The stage's query over what its inputs are now, planned by `sessions`.
    pub(super) async fn query(&self, sessions: &Sessions) -> Result<StageQueryPlan, Failure> {
        let graph = &self.work.plan.request.graph;
        let plan = async {
            let session = self.needs().session(graph, sessions, &self.inputs, &self.work.plan.params).await?;
            let logical = logical_plan(graph, &session.context, self.stage, &self.work.plan.params).await?;
            let optimized = session
                .context
                .state()
                .optimize(&logical)
                .map_err(|source| PlanError::Engine { stage: self.stage.name.clone(), source })?;
            Ok::<_, PlanError>(StageQueryPlan {
                fingerprint: plan_fingerprint(&logical)
                    .map_err(|source| PlanError::Engine { stage: self.stage.name.clone(), source })?,
                context: Arc::new(session.context),
                logical,
                optimized,
                registrations: session.registrations,
            })
        };
        plan.await.map_err(|error| error.to_failure())
    }

    /// Notes what the attempt reads and does.
    pub(super) fn note(&self, query: &StageQueryPlan, strategy: Option<Strategy>) {
        let leaves: Vec<NodeName> = self.needs().leaves.into_iter().collect();
        let mut notes = self.work.notes.lock();
        let notes = notes.entry(self.stage.name.clone()).or_default();
        notes.registrations.clone_from(&query.registrations);
        notes.inputs = lineage_inputs(&leaves, &self.inputs);
        notes.plan_fingerprint.clone_from(&query.fingerprint);
        notes.strategy = strategy;
        notes.touched = None;
        notes.from_changes = false;
    }

    /// Notes that the changes and the table told the new rows.
    pub(super) fn note_from_changes(&self) {
        self.work.notes.lock().entry(self.stage.name.clone()).or_default().from_changes = true;
    }

    fn note_missed(&self, missed: &[String]) {
        let mut notes = self.work.notes.lock();
        let notes = notes.entry(self.stage.name.clone()).or_default();
        notes.reuse = ReuseVerdict { hit: false, missed: missed.to_vec() };
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

    /// Runs a plan on the cluster under the root that `root` gives it, and takes back the rows that come out.
    pub(super) async fn run(
        &mut self,
        context: &Arc<SessionContext>,
        step: &'static str,
        logical: &LogicalPlan,
        root: impl FnOnce(Arc<dyn ExecutionPlan>, &SessionState) -> Result<Arc<dyn ExecutionPlan>, WriteError>,
    ) -> Result<Vec<RecordBatch>, Failure> {
        if self.stop.is_cancelled() {
            return Err(stopped(&self.stage.name));
        }
        let state = context.state();
        let engine = |source| PlanError::Engine { stage: self.stage.name.clone(), source }.to_failure();
        let PhysicalQuery { optimized, plan: rows } = physical_query(&state, logical).await.map_err(engine)?;
        let physical = root(rows, &state).map_err(|source| {
            PlanError::Write { stage: self.stage.name.clone(), source: source.into() }.to_failure()
        })?;
        let place = heavily(async { self.work.engine.place(&physical, context) }).await;
        let texts = PlanTexts {
            logical: logical.display_indent_schema().to_string(),
            optimized: optimized.display_indent_schema().to_string(),
            physical: displayable(physical.as_ref()).indent(true).to_string(),
            distributed: place.text(),
        };
        self.texts.push((step, texts));
        // What is about to run is evidence even if this process does not live to see its end.
        self.keep_plans().await;
        let name = format!("{}/{}", self.work.identity.pipeline, self.stage.name);
        let request = JobRequest { name, plan: physical, session: Arc::clone(context) };
        let job = self.work.engine.start(request, &place).await.map_err(|error| error.to_failure())?;
        let rows = self.work.follow(&self.stage.name, self.attempt, &job, &self.stop).await;
        self.evidence.push(job.evidence().await);
        rows
    }

    /// Runs a plan and takes back its rows as they are.
    pub(super) async fn collect(
        &mut self,
        context: &Arc<SessionContext>,
        step: &'static str,
        logical: &LogicalPlan,
    ) -> Result<Vec<RecordBatch>, Failure> {
        self.run(context, step, logical, |plan, _| Ok(plan)).await
    }

    /// Runs a plan and keeps its rows as a table of this run, which is dropped when the run ends.
    pub(super) async fn keep(
        &mut self,
        context: &Arc<SessionContext>,
        step: &'static str,
        logical: &LogicalPlan,
    ) -> Result<Arc<PinnedInput>, Failure> {
        let cache = self.work.plan.request.home.cache(&self.work.identity.run_id);
        let location = cache.join(&format!("{}.{step}.{}", self.stage.name, self.attempt));
        let definition = TableDefinition {
            location: location.clone(),
            schema: all_nullable(logical.schema().as_arrow()),
            partition_by: Vec::new(),
            properties: BTreeMap::new(),
            not_null: Vec::new(),
            constraints: BTreeMap::new(),
            comment: None,
        };
        let stores = self.work.sessions.stores();
        let info = self.work.commit_info(&self.stage.name, "");
        let table =
            ensure_table(&definition, SchemaChange::Refuse, stores, &info).await.map_err(|error| error.to_failure())?;
        let spec = self.write_spec(&table);
        let batches = self.run(context, step, logical, |plan, state| delta_write_plan(plan, spec, state)).await?;
        let request = CommitRequest {
            location: location.clone(),
            staged: StagedFiles::from_batches(&batches).map_err(|error| error.to_failure())?,
            mode: CommitMode::Append,
            app_id: AppId::of(&self.work.identity.pipeline, &self.stage.name),
            run_id: self.work.identity.run_id.clone(),
            sequence: self.work.identity.sequence,
            cursor_transactions: BTreeMap::new(),
            base: BaseExpectation::of(&table),
            change: None,
            info,
        };
        if let CommitOutcome::Conflicted { reason } =
            commit(&request, stores).await.map_err(|error| error.to_failure())?
        {
            return Err(conflicted(&self.stage.name, &reason));
        }
        let name = NodeName::new(format!("{}.{step}", self.stage.name));
        let pinned = pin_table(&self.work.sessions, &name, &location, PinAt::Latest).await;
        Ok(Arc::new(pinned.map_err(|error| error.to_failure())?))
    }

    /// How far a commit now takes in the inputs, and which definition made its rows.
    pub(super) async fn marks(&self, role: Option<&TableRole>) -> Result<BTreeMap<AppId, i64>, Failure> {
        let Some(role) = role else { return Ok(BTreeMap::new()) };
        let app_id = AppId::of(&self.work.identity.pipeline, &self.stage.name);
        let mut marks = BTreeMap::from([(code_key(&app_id), role.code.mark())]);
        for name in &role.inputs {
            let Some(input) = self.inputs.pinned_input(name) else { continue };
            if let Some(table) = &input.table {
                let version = i64::try_from(table.version().0).unwrap_or(i64::MAX);
                marks.insert(source_key(&app_id, name, table.table_id()), version);
                let commit = self.work.plan.changes.commit(table, table.version(), self.work.sessions.stores()).await;
                if let Some(commit) = commit.map_err(|error| error.to_failure())? {
                    marks.insert(commit_key(&app_id, name, table.table_id()), commit);
                }
                continue;
            }
            let mark = hash_as_version(input.pin.content_identity.as_deref().unwrap_or_default());
            if let Some(listing) = &input.files {
                keep_listing(&self.work.plan.request.home, mark, listing, self.work.sessions.stores())
                    .await
                    .map_err(|error| error.to_failure())?;
            }
            marks.insert(files_key(&app_id, name), mark);
        }
        Ok(marks)
    }

    pub(super) fn refused(&self, reason: String) -> Failure {
        PlanError::Refused { stage: self.stage.name.clone(), reason }.to_failure()
    }

    pub(super) fn engine_failure(&self, source: datafusion::error::DataFusionError) -> Failure {
        PlanError::Engine { stage: self.stage.name.clone(), source }.to_failure()
    }

    async fn keep_plans(&self) {
        let all = |text: fn(&PlanTexts) -> &str| match self.texts.as_slice() {
            [(_, only)] => text(only).to_owned(),
            steps => {
                let steps = steps.iter().map(|(step, texts)| format!("-- {step}\n{}\n", text(texts).trim_end()));
                steps.collect::<Vec<_>>().join("\n")
            }
        };
        for (which, text) in [
            (PlanText::Logical, all(|texts| &texts.logical)),
            (PlanText::Optimized, all(|texts| &texts.optimized)),
            (PlanText::Physical, all(|texts| &texts.physical)),
            (PlanText::Distributed, all(|texts| &texts.distributed)),
        ] {
            self.work.keep_text(&self.stage.name, which, &text).await;
        }
    }

    async fn keep_evidence(&mut self) {
        let evidence = std::mem::take(&mut self.evidence);
        let Some(evidence) = evidence.into_iter().reduce(JobEvidence::and) else { return };
        self.work.keep_text(&self.stage.name, PlanText::Analyzed, &evidence.analyzed_text()).await;
        let mut notes = self.work.notes.lock();
        notes.entry(self.stage.name.clone()).or_default().jobs.insert(self.attempt, evidence);
    }
}

/// The columns, all of which may hold null.
fn all_nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}
