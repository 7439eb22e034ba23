//! The stages of one run planned, each after those it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use windlass_base::error::{Coded, ErrorCode, full_message};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::cursor::TableProgress;
use windlass_engine::connectors::ConnectorError;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{Cause, PlanDecision, ReuseVerdict, StageDecision};
use windlass_project::graph::Stage;
use windlass_project::spec::Problem;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::{Incremental, Materialize, WriteMode};
use windlass_storage::Location;

use super::changes::{ChangeFeeds, ChangeReader, KnownChanges, strategy_for};
use super::checks::{check_constraints, check_key, check_names, check_runs, optimized};
use super::code::{CodeVersion, StageCode};
use super::contract;
use super::decide::{Verdict, decide};
use super::definition::{as_nullable, definition};
use super::error::PlanError;
use super::expect;
use super::incremental_context::IncrementalContext;
use super::input::{Input, Inputs, PinnedInput, pin_table};
use super::interrupted::EarlierRuns;
use super::problem::problem;
use super::query::{QueryInputs, QuerySession, executed_inputs, logical_plan};
use super::request::{PlanRequest, table_location};
use super::run_plan::{PlannedStage, ReusedStage};
use super::scope::{Scope, range_ends};
use super::stage_decision::stage_decision;
use super::stage_error::StageError;
use crate::export::{ExportFolder, ExportPlace};

/// The code of a stage that must be incremental and cannot be.
const NOT_INCREMENTAL: ErrorCode = ErrorCode("WL0369");

/// A cache that a run writes.
pub(super) struct PlannedCache {
    pub(super) stage: PlannedStage,
    /// Why it does.
    pub(super) reason: String,
    pub(super) code: CodeVersion,
}

/// The result of planning a stage.
pub(super) enum Planned {
    /// It writes, or reports why it may not.
    Writes { stage: Box<PlannedStage>, decision: StageDecision, refusal: Option<PlanError> },
    /// Its table is used as it is.
    Reused { stage: ReusedStage, decision: StageDecision },
}

/// Plans the stages of one run, each after those it reads.
pub(super) struct StagePlanner<'p> {
    pub(super) request: &'p PlanRequest,
    pub(super) sessions: &'p Sessions,
    pub(super) params: &'p ParamValues,
    pub(super) scope: &'p Scope,
    pub(super) inputs: Inputs,
    pub(super) changes: KnownChanges,
    pub(super) earlier: EarlierRuns,
}

impl StagePlanner<'_> {
    /// Decides about a stage that keeps a table.
    pub(super) async fn table(
        &mut self,
        stage: &Stage,
        reads: &QueryInputs,
        memory: Option<TableProgress>,
    ) -> Result<Planned, PlanError> {
        let files = &self.request.graph.files;
        self.plan_table(stage, reads, memory).await.map_err(|error| error.in_files(files))
    }

    async fn plan_table(
        &mut self,
        stage: &Stage,
        reads: &QueryInputs,
        memory: Option<TableProgress>,
    ) -> Result<Planned, StageError> {
        let graph = &self.request.graph;
        let session = reads.session(graph, self.sessions, &self.inputs, self.params).await?;
        let logical = logical_plan(&session.context, stage, self.params).await?;
        let mut table_context = IncrementalContext {
            code: self.code(stage, reads, &session, &logical).await?,
            verdict: Verdict::Reuse,
            memory,
            inputs: reads.base_tables.iter().cloned().collect(),
            from_versions: range_ends(self.request, self.scope, &self.request.refresh.from_versions)?,
            to_versions: range_ends(self.request, self.scope, &self.request.refresh.to_versions)?,
            refresh: self.scope.refreshed.contains(&stage.name),
            interrupted: false,
            refusal: None,
        };
        table_context.interrupted = self.interrupted(stage, &table_context).await?;
        let facts = table_context.facts(stage, &self.inputs, &self.changes, self.sessions.stores()).await?;
        table_context.verdict = decide(&facts);
        // A run that is resumed executes the stages that it began with, also those whose tables are as it makes them by now.
        let resumed = self.request.resumed();
        let as_it_is =
            resumed.map_or(table_context.verdict == Verdict::Reuse, |plan| !plan.scheduled.contains(&stage.name));
        if as_it_is {
            return self.reused(stage, table_context).await;
        }
        let plan = optimized(&session.context, stage, &logical)?;
        check_names(stage, &logical)?;
        check_key(graph, stage, &as_nullable(plan.schema().as_arrow()))?;
        let (table, columns) = definition(self.request, stage, plan.schema().as_arrow())?;
        check_constraints(&session.context, graph, stage, &columns)?;
        self.check_exports(stage, &columns)?;
        expect::check(&session.context, stage, &columns).await?;
        self.check_table(stage, &table_context, &columns).await?;
        self.check_incremental(stage, &table_context, &plan)?;
        check_runs(&session.context, stage, &logical).await?;
        let (decision, refusal) = match self.decided_before(stage, &table_context) {
            Some(decision) => (decision, None),
            None => self.decision(stage, &table.location, &mut table_context, &plan).await?,
        };
        let columns_alone = Input::Planned(Arc::clone(&columns));
        self.inputs.set(stage.name.clone(), self.rows_done(stage, &table_context).await?.unwrap_or(columns_alone));
        let depends_on = executed_inputs(graph, stage).base_tables.into_iter().collect();
        let (name, mode) = (stage.name.clone(), stage.table.mode);
        let stage =
            PlannedStage { name, depends_on, table, columns, mode, table_context: Some(Box::new(table_context)) };
        Ok(Planned::Writes { stage: Box::new(stage), decision, refusal })
    }

    /// What was decided about a stage of a run that is resumed, if nothing is to be decided any more: it has ended, or only
    /// its commit is to be made sure of.
    fn decided_before(&self, stage: &Stage, table_context: &IncrementalContext) -> Option<StageDecision> {
        let plan = self.request.resumed()?;
        let is_over = plan.ended.contains(&stage.name) || table_context.verdict == Verdict::Reuse;
        plan.decisions.get(&stage.name).filter(|_| is_over).cloned()
    }

    /// Decides about a stage that writes; why it may not, if it may not.
    async fn decision(
        &self,
        stage: &Stage,
        location: &Location,
        table_context: &mut IncrementalContext,
        plan: &LogicalPlan,
    ) -> Result<(StageDecision, Option<PlanError>), StageError> {
        match stage_decision(&self.change_reader(stage), location, table_context, plan).await {
            Ok(decision) => Ok((decision, None)),
            Err(error) if error.is_refusal() => {
                table_context.refusal = Some(error.to_failure());
                let (name, reason) = (stage.name.clone(), full_message(&error));
                Ok((StageDecision::new(name, PlanDecision::Refused, Cause::Refused, reason), Some(error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn change_reader<'r>(&'r self, stage: &'r Stage) -> ChangeReader<'r> {
        let (inputs, known) = (&self.inputs, &self.changes);
        ChangeReader { stage, inputs, known, home: &self.request.home, stores: self.sessions.stores() }
    }

    /// Whether the run that committed last to a table that every run changes was interrupted.
    async fn interrupted(&self, stage: &Stage, table_context: &IncrementalContext) -> Result<bool, PlanError> {
        let settings = &stage.table;
        let in_every_run = settings.mode == WriteMode::Append && settings.incremental == Incremental::Off;
        let Some(run) = table_context.memory.as_ref().and_then(|memory| memory.run_id.as_ref()) else {
            return Ok(false);
        };
        if !in_every_run && table_context.code.volatile().is_none() {
            return Ok(false);
        }
        let found = self.earlier.interrupted(&self.request.home, run, self.sessions.stores()).await;
        found.map_err(|source| PlanError::Location { node: stage.name.clone(), source })
    }

    /// The rows of a stage that has none to make any more.
    async fn rows_done(&self, stage: &Stage, table_context: &IncrementalContext) -> Result<Option<Input>, PlanError> {
        let Verdict::Done { .. } = table_context.verdict else { return Ok(None) };
        let Some(version) = table_context.memory.as_ref().and_then(|memory| memory.rows_version) else {
            return Ok(None);
        };
        let location = table_location(self.request, stage)?;
        let pinned = pin_table(self.sessions, &stage.name, &location, PinAt::Version(version.0)).await?;
        Ok(Some(Input::Pinned(Arc::new(pinned))))
    }

    /// The code version of a stage.
    async fn code(
        &self,
        stage: &Stage,
        reads: &QueryInputs,
        session: &QuerySession,
        plan: &LogicalPlan,
    ) -> Result<CodeVersion, StageError> {
        let (graph, sessions, params) = (self.request.graph.as_ref(), self.sessions, &self.request.params);
        let of = StageCode { graph, stage, reads, session, sessions, params };
        Ok(CodeVersion::of(&of, plan).await.map_err(|error| problem(stage, &error))?)
    }

    async fn reused(&mut self, stage: &Stage, table_context: IncrementalContext) -> Result<Planned, StageError> {
        let location = table_location(self.request, stage)?;
        let newest = table_context.memory.as_ref().map_or(TableVersion(0), |memory| memory.version);
        let fixed = self.request.resumed().and_then(|_| self.request.fixed.as_ref()?.pins.get(&stage.name)?.version);
        let version = fixed.unwrap_or(newest);
        let pinned = pin_table(self.sessions, &stage.name, &location, PinAt::Version(version.0)).await?;
        self.check_exports(stage, &pinned.provider.schema())?;
        let exports = self.missing_exports(stage, &pinned, version).await?;
        self.inputs.set(stage.name.clone(), Input::Pinned(Arc::new(pinned)));
        let mut reason = "neither its definition nor what it reads has changed".to_owned();
        if !exports.is_empty() {
            reason.push_str(&format!("; the run writes what is missing of its exports: {}", exports.join(", ")));
        }
        let mut decision = StageDecision::new(stage.name.clone(), PlanDecision::Reuse, Cause::UpToDate, reason);
        decision.exports = exports;
        decision.reuse = Some(ReuseVerdict { hit: true, missed: Vec::new() });
        decision.set_code(table_context.code.as_str(), table_context.code.parts());
        let (name, location) = (stage.name.clone(), location.to_string());
        let stage = ReusedStage { name, code: table_context.code, version, location, inputs: table_context.inputs };
        Ok(Planned::Reused { stage, decision })
    }

    /// The exports of a table that is used as it is which the run writes, because their folders do not contain them.
    async fn missing_exports(
        &self,
        stage: &Stage,
        pinned: &PinnedInput,
        version: TableVersion,
    ) -> Result<Vec<String>, PlanError> {
        let PlanRequest { graph, base, home, .. } = self.request;
        let table_id = pinned.table.as_ref().map(|table| table.table_id());
        let mut missing = Vec::new();
        for export in &stage.table.exports {
            let place = ExportPlace::of(graph, &stage.name, export, base, home)
                .map_err(|source| PlanError::Location { node: stage.name.clone(), source })?;
            let wanted = place.exported(export, &pinned.pin.location, table_id, version);
            match ExportFolder::open(&place, self.sessions.stores()).await {
                Ok(folder) if folder.holds(&wanted) => {}
                Ok(_) => missing.push(export.name.clone()),
                // The export itself reports the error.
                Err(error) => {
                    tracing::warn!(%error, export = %export.name, "the folder of an export cannot be looked at yet")
                }
            }
        }
        Ok(missing)
    }

    /// That every export can be written as its format.
    fn check_exports(&self, stage: &Stage, columns: &SchemaRef) -> Result<(), StageError> {
        for export in &stage.table.exports {
            let saver = self.sessions.connectors().saver(&stage.name, &export.saver).map_err(PlanError::from)?;
            if let Err(source) = saver.check(columns, &export.options) {
                let (name, export, saver) = (stage.name.clone(), export.name.clone(), export.saver.clone());
                let error = ConnectorError::Unfit { name, export, saver, source };
                let message = full_message(&error);
                let place = self.request.graph.place_of(stage, &message);
                let mut problem = Problem::new(error.code(), message).at(&place);
                problem.help = error.help();
                return Err(problem.into());
            }
        }
        Ok(())
    }

    /// Whether the table that is there may become what the stage's contract says now, unless a full refresh was asked for.
    async fn check_table(
        &self,
        stage: &Stage,
        table_context: &IncrementalContext,
        columns: &SchemaRef,
    ) -> Result<(), StageError> {
        let Some(memory) = table_context.memory.as_ref().filter(|_| stage.contract.is_some() && !table_context.refresh)
        else {
            return Ok(());
        };
        let location = table_location(self.request, stage)?;
        let table = pin_table(self.sessions, &stage.name, &location, PinAt::Version(memory.version.0)).await?;
        contract::check_table(stage, &table.provider.schema(), columns)
    }

    /// Whether changes can be followed through the query at all; if not, a strict stage is a problem of the project.
    fn check_incremental(
        &self,
        stage: &Stage,
        table_context: &IncrementalContext,
        plan: &LogicalPlan,
    ) -> Result<(), StageError> {
        if stage.table.incremental == Incremental::Off {
            return Ok(());
        }
        let feeds = ChangeFeeds::imagined(&table_context.inputs, &self.inputs, stage.table.mode == WriteMode::Append);
        let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
        let blocker = strategy_for(stage, plan, &feeds, false).map_err(engine)?.err();
        let volatile = table_context.code.volatile().map(ToOwned::to_owned);
        let hindrance = volatile.or_else(|| blocker.map(|blocker| blocker.to_string()));
        match hindrance {
            Some(hindrance) if stage.table.incremental == Incremental::Strict => {
                let problem =
                    Problem::new(NOT_INCREMENTAL, format!("`{}` cannot be incremental: {hindrance}", stage.name))
                        .at(&stage.span)
                        .help(
                            "change the query, or set `incremental: auto` to compute all rows when something changes",
                        );
                Err(problem.into())
            }
            _ => Ok(()),
        }
    }

    /// The caches that the stages that write read, each with the reason; and those that were asked for by themselves.
    pub(super) async fn caches(
        &mut self,
        tables: &BTreeMap<NodeName, PlannedStage>,
    ) -> Result<BTreeMap<NodeName, PlannedCache>, PlanError> {
        let graph = Arc::clone(&self.request.graph);
        let mut wanted: BTreeMap<NodeName, String> = BTreeMap::new();
        for name in &self.scope.lone_caches {
            wanted.insert(name.clone(), "it is selected; it is kept for this run only".to_owned());
        }
        // Backwards through the topological order, a cache comes after everything that reads it.
        for stage in graph.stages.iter().rev() {
            let computed = tables.get(&stage.name).is_some_and(|stage| !stage.is_refused());
            if computed || wanted.contains_key(&stage.name) {
                for table in executed_inputs(&graph, stage).base_tables {
                    if graph.stage(&table).is_some_and(is_cache) {
                        let reason = || format!("`{}` reads it; it is kept for this run only", stage.name);
                        wanted.entry(table).or_insert_with(reason);
                    }
                }
            }
        }
        let mut caches = BTreeMap::new();
        for stage in &graph.stages {
            if let Some(reason) = wanted.remove(&stage.name) {
                let cache = self.cache(stage, reason).await.map_err(|error| error.in_files(&graph.files))?;
                caches.insert(stage.name.clone(), cache);
            }
        }
        Ok(caches)
    }

    /// Plans a cache that the run writes for a `reason`.
    async fn cache(&mut self, stage: &Stage, reason: String) -> Result<PlannedCache, StageError> {
        let graph = &self.request.graph;
        let reads = executed_inputs(graph, stage);
        let session = reads.session(graph, self.sessions, &self.inputs, self.params).await?;
        let logical = logical_plan(&session.context, stage, self.params).await?;
        let plan = optimized(&session.context, stage, &logical)?;
        check_names(stage, &plan)?;
        let code = self.code(stage, &reads, &session, &logical).await?;
        let (table, columns) = definition(self.request, stage, plan.schema().as_arrow())?;
        check_runs(&session.context, stage, &logical).await?;
        self.inputs.set(stage.name.clone(), Input::Planned(Arc::clone(&columns)));
        let depends_on = reads.base_tables.into_iter().collect();
        let (name, mode) = (stage.name.clone(), stage.table.mode);
        let stage = PlannedStage { name, depends_on, table, columns, mode, table_context: None };
        Ok(PlannedCache { stage, reason, code })
    }
}

fn is_cache(stage: &Stage) -> bool {
    stage.materialize == Materialize::Cache
}
