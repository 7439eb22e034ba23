//! Plans run as jobs, one after the other, with their plans and evidence kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::NodeName;
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitOutcome, CommitRequest, commit};
use windlass_delta::table::{SchemaChange, TableDefinition, ensure_table};
use windlass_delta::write::{StagedFiles, WriteError, delta_write_plan};
use windlass_evidence::artifact::{LogKind, PlanText};
use windlass_project::spec::source::PinAt;

use super::attempt::StageRun;
use super::failure::{conflicted, stopped};
use crate::execute::{JobRequest, RunningJob, Shortage};
use crate::plan::{PhysicalQuery, PinnedInput, PlanError, physical_query, pin_table, with_table};
use crate::planning::heavily;

/// How often the progress of a job is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(250);
/// After how long without an executor the run's log says so.
const SHORTAGE: Duration = Duration::from_secs(2);

/// A step's plans as texts.
pub(super) struct PlanTexts {
    logical: String,
    optimized: String,
    physical: String,
    distributed: String,
}

impl StageRun<'_> {
    /// Runs a plan on the cluster under the root that `root` gives it, and takes back the rows that come out.
    pub(super) async fn run_job(
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
        let place = heavily(async { self.run.engine.place(&physical, context) }).await;
        let texts = PlanTexts {
            logical: logical.display_indent_schema().to_string(),
            optimized: optimized.display_indent_schema().to_string(),
            physical: displayable(physical.as_ref()).indent(true).to_string(),
            distributed: place.text(),
        };
        self.texts.push((step, texts));
        // What is about to run is evidence even if this process does not live to see its end.
        self.write_plans().await;
        let name = format!("{}/{}", self.run.identity.pipeline, self.stage.name);
        let request = JobRequest { name, plan: physical, session: Arc::clone(context) };
        let job = self.run.engine.start(request, &place).await?;
        let rows = self.follow(&job).await.map_err(|failure| with_table(failure, &self.inputs));
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
        self.run_job(context, step, logical, |plan, _| Ok(plan)).await
    }

    /// Runs a plan and keeps its rows as a table of this run, which is dropped when the run ends.
    pub(super) async fn keep(
        &mut self,
        context: &Arc<SessionContext>,
        step: &'static str,
        logical: &LogicalPlan,
    ) -> Result<Arc<PinnedInput>, Failure> {
        let cache = self.run.plan.request.home.cache(&self.run.identity.run_id);
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
        let stores = self.run.stores();
        let info = self.run.commit_info(&self.stage.name, "");
        let table = ensure_table(&definition, SchemaChange::Refuse, stores, &info).await?;
        let spec = self.write_spec(&table);
        let batches = self.run_job(context, step, logical, |plan, state| delta_write_plan(plan, spec, state)).await?;
        let request = CommitRequest {
            location: location.clone(),
            staged: StagedFiles::from_batches(&batches)?,
            mode: CommitMode::Append,
            app_id: self.run.app_id(&self.stage.name),
            run_id: self.run.identity.run_id.clone(),
            sequence: self.run.identity.sequence,
            cursor_transactions: BTreeMap::new(),
            base: BaseExpectation::of(&table),
            change: None,
            info,
        };
        if let CommitOutcome::Conflicted { reason } = commit(&request, stores).await? {
            return Err(conflicted(&self.stage.name, &reason));
        }
        let name = NodeName::new(format!("{}.{step}", self.stage.name));
        let pinned = pin_table(&self.run.sessions, &name, &location, PinAt::Latest).await;
        Ok(Arc::new(pinned?))
    }

    /// Waits for a job, showing how far it is; stops it when the attempt is stopped. Gives the rows that come out of it.
    async fn follow(&self, job: &RunningJob) -> Result<Vec<RecordBatch>, Failure> {
        let finished = job.wait();
        tokio::pin!(finished);
        let mut clock = tokio::time::interval(PROGRESS_PERIOD);
        let (mut shown, mut shortage) = ((0, 0), Shortage::default());
        let finished = loop {
            tokio::select! {
                finished = &mut finished => break finished,
                () = self.stop.cancelled() => {
                    job.cancel().await;
                    return Err(stopped(&self.stage.name));
                }
                _ = clock.tick() => {
                    self.show_progress(job, &mut shown).await;
                    self.warn_of_shortage(job, &mut shortage).await;
                }
            }
        };
        Ok(finished?.collect().await?)
    }

    /// Writes how far a job is to the run's log, if that is not what was `shown` last.
    async fn show_progress(&self, job: &RunningJob, shown: &mut (u64, u64)) {
        let progress = job.progress().await;
        let now = (progress.done() as u64, progress.partitions() as u64);
        if now != *shown && now.1 > 0 {
            *shown = now;
            let (tasks_done, tasks_total) = now;
            let (stage, attempt) = (self.stage.name.clone(), self.attempt);
            let progress = LogKind::StageProgress { stage, attempt, tasks_done, tasks_total };
            self.run.journal.log_event(progress).await;
        }
    }

    /// Says that a job waits for an executor, if there has been none for a while.
    async fn warn_of_shortage(&self, job: &RunningJob, shortage: &mut Shortage) {
        let lacking = job.lacks_executor();
        let lasts = shortage.observe(lacking.is_none(), Instant::now());
        if let Some(address) = lacking.filter(|_| lasts >= SHORTAGE) {
            let message = format!("the cluster has no executor: the run waits for one to join {address}");
            self.run.journal.warn_of_run(message).await;
        }
    }

    async fn write_plans(&self) {
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
            self.run.journal.write_plan_text(&self.stage.name, which, &text).await;
        }
    }
}

/// The columns, all of which may hold null.
fn all_nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}
