//! What a run does with one stage's table, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ParamValues, TableReference};
use datafusion::logical_expr::LogicalPlan;
use windlass_base::error::{Coded, ErrorCode, Failure, full_message};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_base::suggest::did_you_mean;
use windlass_delta::DeltaError;
use windlass_delta::cursor::{TableProgress, hash_as_version};
use windlass_delta::pin::PinnedTable;
use windlass_delta::table::TableDefinition;
use windlass_engine::connectors::ConnectorError;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{PlanDecision, ReuseVerdict, StageDecision};
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::{Incremental, WriteMode};
use windlass_project::spec::{Problem, Problems};
use windlass_project::strategy::Strategy;
use windlass_storage::Stores;

use super::changes::KnownChanges;
use super::code::{CodeVersion, StageCode};
use super::contract;
use super::decide::{Cursors, InputFacts, InputState, StageFacts, Verdict, changed_text, decide};
use super::error::PlanError;
use super::expect;
use super::feeds::{Feeds, strategy_for};
use super::foresee::Foreseen;
use super::input::{Input, Inputs, pin_table};
use super::interrupted::EarlierRuns;
use super::query::{BAD_QUERY, Needs, QuerySession, check_runs, logical_plan, optimized, problem};
use super::run_plan::{PlanRequest, PlannedStage, Scope, range_ends, table_location};

/// The code of a stage that must be incremental and cannot be.
const NOT_INCREMENTAL: ErrorCode = ErrorCode("WL0369");
/// The code of a name that is kept for internal use.
const RESERVED_NAME: ErrorCode = ErrorCode("WL0658");
/// What such a name begins with.
const RESERVED: &str = "__wl_";
/// The code of a key that names no column of the result.
const NO_KEY_COLUMN: ErrorCode = ErrorCode("WL0366");
/// The code of a key with a column whose values cannot be compared.
const NO_KEY_TYPE: ErrorCode = ErrorCode("WL0668");

/// What is known of a stage as a table that lasts from run to run.
#[derive(Debug, Clone)]
pub struct TableRole {
    /// Its definition.
    pub code: CodeVersion,
    /// What was decided before anything ran; inputs that this run brings up to date were not known yet.
    pub verdict: Verdict,
    /// What its table remembered then.
    pub memory: Option<TableProgress>,
    /// What it reads, views and caches seen through.
    pub inputs: Vec<NodeName>,
    /// The first version to take in of an input, where someone asked for one.
    pub from_versions: BTreeMap<NodeName, u64>,
    /// The last such version.
    pub to_versions: BTreeMap<NodeName, u64>,
    /// Whether all rows were asked for.
    pub refresh: bool,
    /// Whether the run that committed last never came to its end. Known where it matters: every run has something to do.
    pub interrupted: bool,
    /// Why it may not be computed, if that was found out before anything ran.
    pub refusal: Option<Failure>,
}

/// A stage whose table is used as it is.
#[derive(Debug, Clone)]
pub struct ReusedStage {
    /// The stage.
    pub name: NodeName,
    /// Its definition.
    pub code: CodeVersion,
    /// The version of its table.
    pub version: TableVersion,
    /// Where the table is.
    pub location: String,
    /// What it reads, views and caches seen through.
    pub inputs: Vec<NodeName>,
}

/// A cache that a run writes.
pub(super) struct PlannedCache {
    pub(super) stage: PlannedStage,
    /// Why it does.
    pub(super) reason: String,
    pub(super) code: CodeVersion,
}

/// What comes of planning a stage.
pub(super) enum Planned {
    /// It writes, or is to be told why it may not.
    Writes { stage: Box<PlannedStage>, decision: StageDecision, refusal: Option<PlanError> },
    /// Its table is used as it is.
    Reused { stage: ReusedStage, decision: StageDecision },
}

/// Plans the stages of one run, each after those it reads.
pub(super) struct Planner<'p> {
    pub(super) request: &'p PlanRequest,
    pub(super) sessions: &'p Sessions,
    pub(super) params: &'p ParamValues,
    pub(super) scope: &'p Scope,
    pub(super) inputs: Inputs,
    pub(super) changes: KnownChanges,
    pub(super) earlier: EarlierRuns,
}

impl Planner<'_> {
    /// Decides about a stage that keeps a table.
    pub(super) async fn table(
        &mut self,
        stage: &Stage,
        needs: &Needs,
        memory: Option<TableProgress>,
    ) -> Result<Planned, PlanError> {
        let graph = &self.request.graph;
        let session = needs.session(graph, self.sessions, &self.inputs, self.params).await?;
        let logical = logical_plan(graph, &session.context, stage, self.params).await?;
        let mut role = TableRole {
            code: self.code(stage, needs, &session, &logical).await?,
            verdict: Verdict::Reuse,
            memory,
            inputs: needs.leaves.iter().cloned().collect(),
            from_versions: range_ends(self.request, self.scope, &self.request.refresh.from_versions)?,
            to_versions: range_ends(self.request, self.scope, &self.request.refresh.to_versions)?,
            refresh: self.scope.refreshed.contains(&stage.name),
            interrupted: false,
            refusal: None,
        };
        role.interrupted = self.interrupted(stage, &role).await?;
        let facts = role.facts(stage, &self.inputs, &self.changes, self.sessions.stores()).await?;
        role.verdict = decide(&facts);
        if role.verdict == Verdict::Reuse {
            return self.reused(stage, role).await;
        }
        let plan = optimized(graph, &session.context, stage, &logical)?;
        check_names(graph, stage, &logical)?;
        let (table, columns) = self.definition(stage, plan.schema().as_arrow())?;
        check_key(graph, stage, &columns)?;
        self.check_exports(stage, &columns)?;
        expect::check(graph, &session.context, stage, &columns).await?;
        self.check_table(stage, &role, &columns).await?;
        self.check_incremental(stage, &role, &plan)?;
        check_runs(graph, &session.context, stage, &logical).await?;
        let (decision, refusal) = match self.decision(stage, &mut role, &plan).await {
            Ok(decision) => (decision, None),
            Err(error) if error.is_refusal() => {
                role.refusal = Some(error.to_failure());
                let (name, reason) = (stage.name.clone(), full_message(&error));
                (StageDecision::new(name, PlanDecision::Refused, reason), Some(error))
            }
            Err(error) => return Err(error),
        };
        let columns_alone = Input::Planned(Arc::clone(&columns));
        self.inputs.set(stage.name.clone(), self.rows_done(stage, &role).await?.unwrap_or(columns_alone));
        let depends_on = executed_needs(graph, stage).leaves.into_iter().collect();
        let (name, mode) = (stage.name.clone(), stage.table.mode);
        let stage = PlannedStage { name, depends_on, table, columns, mode, role: Some(Box::new(role)) };
        Ok(Planned::Writes { stage: Box::new(stage), decision, refusal })
    }

    /// Whether the run that committed last to a table that every run changes was interrupted.
    async fn interrupted(&self, stage: &Stage, role: &TableRole) -> Result<bool, PlanError> {
        let settings = &stage.table;
        let in_every_run = settings.mode == WriteMode::Append && settings.incremental == Incremental::Off;
        let Some(run) = role.memory.as_ref().and_then(|memory| memory.run_id.as_ref()) else { return Ok(false) };
        if !in_every_run && role.code.volatile().is_none() {
            return Ok(false);
        }
        let found = self.earlier.interrupted(&self.request.home, run, self.sessions.stores()).await;
        found.map_err(|source| PlanError::Location { node: stage.name.clone(), source })
    }

    /// The rows of a stage that has none to make any more.
    async fn rows_done(&self, stage: &Stage, role: &TableRole) -> Result<Option<Input>, PlanError> {
        let Verdict::Done { .. } = role.verdict else { return Ok(None) };
        let Some(version) = role.memory.as_ref().and_then(|memory| memory.rows_version) else { return Ok(None) };
        let location = table_location(self.request, stage)?;
        let pinned = pin_table(self.sessions, &stage.name, &location, PinAt::Version(version.0)).await?;
        Ok(Some(Input::Pinned(Arc::new(pinned))))
    }

    /// The code version of a stage.
    async fn code(
        &self,
        stage: &Stage,
        needs: &Needs,
        session: &QuerySession,
        plan: &LogicalPlan,
    ) -> Result<CodeVersion, PlanError> {
        let (graph, sessions, params) = (self.request.graph.as_ref(), self.sessions, &self.request.params);
        let of = StageCode { graph, stage, needs, session, sessions, params };
        let refused = |error| Problems::one(problem(stage, &error), &graph.files).into();
        CodeVersion::of(&of, plan).await.map_err(refused)
    }

    async fn reused(&mut self, stage: &Stage, role: TableRole) -> Result<Planned, PlanError> {
        let location = table_location(self.request, stage)?;
        let version = role.memory.as_ref().map_or(TableVersion(0), |memory| memory.version);
        let pinned = pin_table(self.sessions, &stage.name, &location, PinAt::Version(version.0)).await?;
        self.check_exports(stage, &pinned.provider.schema())?;
        self.inputs.set(stage.name.clone(), Input::Pinned(Arc::new(pinned)));
        let reason = "neither its definition nor what it reads has changed".to_owned();
        let mut decision = StageDecision::new(stage.name.clone(), PlanDecision::Reuse, reason);
        decision.reuse = Some(ReuseVerdict { hit: true, missed: Vec::new() });
        decision.set_code(role.code.as_str(), role.code.parts());
        let (name, location) = (stage.name.clone(), location.to_string());
        let stage = ReusedStage { name, code: role.code, version, location, inputs: role.inputs };
        Ok(Planned::Reused { stage, decision })
    }

    /// The table that a stage wants, and the columns that its readers will find there.
    fn definition(&self, stage: &Stage, schema: &Schema) -> Result<(TableDefinition, SchemaRef), PlanError> {
        let settings = &stage.table;
        let table = TableDefinition {
            location: table_location(self.request, stage)?,
            schema: as_nullable(schema),
            partition_by: settings.partition_by.clone(),
            properties: settings.properties.clone(),
            not_null: settings.not_null.clone(),
            constraints: settings.constraints.clone(),
            comment: stage.description.clone(),
        };
        match table.table_schema() {
            Ok(schema) => Ok((table, schema)),
            Err(error) => {
                let mut problem = Problem::new(BAD_QUERY, error.to_string()).at(&stage.span);
                problem.help = error.help();
                Err(Problems::one(problem, &self.request.graph.files).into())
            }
        }
    }

    /// That every export can be written as its format.
    fn check_exports(&self, stage: &Stage, columns: &SchemaRef) -> Result<(), PlanError> {
        for export in &stage.table.exports {
            let fits = self.sessions.connectors().saver(&stage.name, &export.saver)?.check(columns, &export.options);
            if let Err(source) = fits {
                let (name, export, saver) = (stage.name.clone(), export.name.clone(), export.saver.clone());
                let error = ConnectorError::Unfit { name, export, saver, source };
                let mut problem = Problem::new(error.code(), full_message(&error)).at(&stage.span);
                problem.help = error.help();
                return Err(Problems::one(problem, &self.request.graph.files).into());
            }
        }
        Ok(())
    }

    /// Whether the table that is there may become what the stage's contract says now, unless all of it was asked for anew.
    async fn check_table(&self, stage: &Stage, role: &TableRole, columns: &SchemaRef) -> Result<(), PlanError> {
        let Some(memory) = role.memory.as_ref().filter(|_| stage.contract.is_some() && !role.refresh) else {
            return Ok(());
        };
        let location = table_location(self.request, stage)?;
        let table = pin_table(self.sessions, &stage.name, &location, PinAt::Version(memory.version.0)).await?;
        contract::check_table(&self.request.graph, stage, &table.provider.schema(), columns)
    }

    /// Whether changes can be followed through the query at all; if not, a strict stage is a problem of the project.
    fn check_incremental(&self, stage: &Stage, role: &TableRole, plan: &LogicalPlan) -> Result<(), PlanError> {
        if stage.table.incremental == Incremental::Off {
            return Ok(());
        }
        let feeds = Feeds::imagined(&role.inputs, &self.inputs, stage.table.mode == WriteMode::Append);
        let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
        let blocker = strategy_for(stage, plan, &feeds, false).map_err(engine)?.err();
        let volatile = role.code.volatile().map(ToOwned::to_owned);
        let hindrance = volatile.or_else(|| blocker.map(|blocker| blocker.to_string()));
        match hindrance {
            Some(hindrance) if stage.table.incremental == Incremental::Strict => {
                let problem =
                    Problem::new(NOT_INCREMENTAL, format!("`{}` cannot be incremental: {hindrance}", stage.name))
                        .at(&stage.span)
                        .help(
                            "change the query, or set `incremental: auto` to compute all rows when something changes",
                        );
                Err(Problems::one(problem, &self.request.graph.files).into())
            }
            _ => Ok(()),
        }
    }

    /// The decision as it is shown. A verdict that turns out not to be possible is corrected.
    async fn decision(
        &self,
        stage: &Stage,
        role: &mut TableRole,
        plan: &LogicalPlan,
    ) -> Result<StageDecision, PlanError> {
        let mut changes = Vec::new();
        let mut strategy = Strategy::Full;
        if let Verdict::Incremental(cursors) = &role.verdict {
            match self.foresee(stage, role, cursors, plan).await? {
                Foreseen::Possible { strategy: found, changes: found_changes } => {
                    (strategy, changes) = (found, found_changes);
                }
                Foreseen::Impossible { reason } => {
                    role.verdict = Verdict::Full { reason, missed: cursors.missed.clone() };
                }
            }
        }
        let name = stage.name.clone();
        let mut decision = match &role.verdict {
            Verdict::Incremental(cursors) => {
                let why = match cursors.repair {
                    Some(_) => "another program changed rows of its table".to_owned(),
                    None => changed_text(&cursors.changed),
                };
                let reason = format!("{why}; {}{}", explained(strategy, stage), once_more(cursors));
                let mut decision = StageDecision::new(name, PlanDecision::Incremental, reason);
                decision.reuse = Some(ReuseVerdict { hit: false, missed: cursors.missed.clone() });
                decision.estimated_rows = changes.iter().map(|change| change.rows).sum();
                decision.estimated_bytes = changes.iter().map(|change| change.bytes).sum();
                decision
            }
            Verdict::Full { reason, missed } => {
                let mut decision = StageDecision::new(name, PlanDecision::Full, reason.clone());
                decision.reuse = Some(ReuseVerdict { hit: false, missed: missed.clone() });
                let pinned = || role.inputs.iter().filter_map(|name| self.inputs.pinned_input(name));
                let rows = pinned().map(|input| input.table.as_ref().map_or(Some(0), |table| table.pin().rows));
                decision.estimated_rows = rows.sum();
                decision.estimated_bytes = pinned().map(|input| input.pin.bytes).sum();
                decision
            }
            Verdict::Done { reason } => {
                let mut decision = StageDecision::new(name, PlanDecision::Reuse, reason.clone());
                decision.reuse = Some(ReuseVerdict { hit: true, missed: Vec::new() });
                decision.code_version = role.code.to_string();
                return Ok(decision);
            }
            Verdict::Refuse { reason } => {
                return Err(PlanError::Refused { stage: name, reason: reason.clone() });
            }
            Verdict::Reuse => StageDecision::new(name, PlanDecision::Full, String::new()),
        };
        decision.strategy = Some(strategy);
        decision.changes = changes;
        decision.set_code(role.code.as_str(), role.code.parts());
        Ok(decision)
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
                for leaf in executed_needs(&graph, stage).leaves {
                    if graph.stage(&leaf).is_some_and(is_cache) {
                        let reason = || format!("`{}` reads it; it is kept for this run only", stage.name);
                        wanted.entry(leaf).or_insert_with(reason);
                    }
                }
            }
        }
        let mut caches = BTreeMap::new();
        for stage in &graph.stages {
            let Some(reason) = wanted.remove(&stage.name) else { continue };
            let needs = executed_needs(&graph, stage);
            let session = needs.session(&graph, self.sessions, &self.inputs, self.params).await?;
            let logical = logical_plan(&graph, &session.context, stage, self.params).await?;
            let plan = optimized(&graph, &session.context, stage, &logical)?;
            check_names(&graph, stage, &plan)?;
            let code = self.code(stage, &needs, &session, &logical).await?;
            let (table, columns) = self.definition(stage, plan.schema().as_arrow())?;
            check_runs(&graph, &session.context, stage, &logical).await?;
            self.inputs.set(stage.name.clone(), Input::Planned(Arc::clone(&columns)));
            let depends_on = needs.leaves.into_iter().collect();
            let (name, mode) = (stage.name.clone(), stage.table.mode);
            let stage = PlannedStage { name: name.clone(), depends_on, table, columns, mode, role: None };
            caches.insert(name, PlannedCache { stage, reason, code });
        }
        Ok(caches)
    }
}

impl TableRole {
    /// The facts that are decided by, with the inputs as they are now.
    ///
    /// # Errors
    /// [`PlanError::Pin`] if the log of an input cannot be read.
    pub async fn facts(
        &self,
        stage: &Stage,
        inputs: &Inputs,
        changes: &KnownChanges,
        stores: &Stores,
    ) -> Result<StageFacts<'_>, PlanError> {
        let mut facts = Vec::with_capacity(self.inputs.len());
        for name in &self.inputs {
            let (state, commit) = match inputs.get(name) {
                Some(Input::Pinned(input)) => match &input.table {
                    Some(table) => {
                        let commit = self.commit_of(name, table, changes, stores).await;
                        let commit = commit.map_err(|source| PlanError::Pin { node: name.clone(), source })?;
                        (InputState::Table { id: table.table_id().to_owned(), version: table.version() }, commit)
                    }
                    None => {
                        let mark = hash_as_version(input.pin.content_identity.as_deref().unwrap_or_default());
                        (InputState::Files { mark }, None)
                    }
                },
                Some(Input::Planned(_)) | None => (InputState::Pending, None),
            };
            facts.push(InputFacts {
                name: name.clone(),
                state,
                from_version: self.from_versions.get(name).copied().map(TableVersion),
                to_version: self.to_versions.get(name).copied().map(TableVersion),
                commit,
            });
        }
        Ok(StageFacts {
            incremental: stage.table.incremental,
            mode: stage.table.mode,
            on_definition_change: stage.table.on_definition_change,
            code: self.code.mark(),
            parts: self.code.parts().clone(),
            volatile: self.code.volatile().map(ToOwned::to_owned),
            memory: self.memory.as_ref(),
            inputs: facts,
            refresh: self.refresh,
            interrupted: self.interrupted,
            keyed: !stage.table.key.is_empty() && stage.table.mode == WriteMode::Overwrite,
        })
    }

    /// The commit by which an input's log has the version that the last run took in, if there is one to compare with.
    async fn commit_of(
        &self,
        name: &NodeName,
        table: &PinnedTable,
        changes: &KnownChanges,
        stores: &Stores,
    ) -> Result<Option<i64>, DeltaError> {
        let key = (name.clone(), table.table_id().to_owned());
        let Some(memory) = self.memory.as_ref().filter(|memory| memory.commits.contains_key(&key)) else {
            return Ok(None);
        };
        let taken = memory.applied.get(&key).and_then(|taken| u64::try_from(*taken).ok()).map(TableVersion);
        match taken.filter(|taken| *taken <= table.version()) {
            Some(taken) => changes.commit(table, taken, stores).await,
            None => Ok(None),
        }
    }
}

/// What executing a stage reads: caches as tables of this run, unless the stage is incremental, for which they are views
/// through which changes are followed.
pub fn executed_needs(graph: &PipelineGraph, stage: &Stage) -> Needs {
    match stage.table.incremental {
        Incremental::Off => Needs::of(graph, &stage.reads),
        Incremental::Auto | Incremental::Strict => Needs::lasting(graph, &stage.reads),
    }
}

fn is_cache(stage: &Stage) -> bool {
    stage.materialize == windlass_project::spec::table::Materialize::Cache
}

/// Columns that may all hold null: what the planner happens to know about nulls is no promise of the author's.
pub(super) fn as_nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Whether no column or relation of a query, as it was written, has a name that plans made of it need for themselves.
fn check_names(graph: &PipelineGraph, stage: &Stage, plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut found = BTreeSet::new();
    // What calls of our own functions are named by is no name that plans go by.
    let is_reserved = |name: &&str| name.to_lowercase().starts_with(RESERVED) && !name.contains('(');
    let walked = plan.apply_with_subqueries(|node| {
        let schema = node.schema();
        let relations = schema.iter().filter_map(|(relation, _)| relation.map(TableReference::table));
        found.extend(relations.filter(is_reserved).map(ToOwned::to_owned));
        // Other nodes hand on the columns of tables, read or not.
        if matches!(
            node,
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Values(_)
        ) {
            let made = schema.fields().iter().map(|field| field.name().as_str());
            found.extend(made.filter(is_reserved).map(ToOwned::to_owned));
        }
        node.apply_expressions(|expression| {
            let read = expression.column_refs().into_iter().map(|column| column.name.as_str());
            found.extend(read.filter(is_reserved).map(ToOwned::to_owned));
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.map_err(|source| PlanError::Engine { stage: stage.name.clone(), source })?;
    let problems: Vec<Problem> = found
        .into_iter()
        .map(|name| {
            let message =
                format!("`{}` has the name `{name}`, and names with `{RESERVED}` are for internal use", stage.name);
            Problem::new(RESERVED_NAME, message).at(&stage.span).help("give the column or the relation another name")
        })
        .collect();
    Ok(Problems::check(problems, &graph.files)?)
}

fn check_key(graph: &PipelineGraph, stage: &Stage, columns: &SchemaRef) -> Result<(), PlanError> {
    if stage.table.incremental == Incremental::Off {
        return Ok(());
    }
    let missing = stage.table.key.iter().filter(|column| columns.index_of(column).is_err());
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    let problems: Vec<Problem> = missing
        .map(|column| {
            let mut problem =
                Problem::new(NO_KEY_COLUMN, format!("`{}` has no column `{column}` for its key", stage.name))
                    .at(&stage.span);
            problem.help = did_you_mean(column, "it has", names.clone());
            problem
        })
        .chain(
            stage
                .table
                .key
                .iter()
                .filter(|column| columns.field_with_name(column).is_ok_and(|field| has_map(field.data_type())))
                .map(|column| {
                    let message = format!("`{column}` cannot be part of the key of `{}`: it holds a map", stage.name);
                    let problem = Problem::new(NO_KEY_TYPE, message).at(&stage.span);
                    problem.help("maps cannot be compared; take another column, or a text or a struct made of the map")
                }),
        )
        .collect();
    Ok(Problems::check(problems, &graph.files)?)
}

/// Whether values of a column hold maps, of which nothing tells if they are equal.
fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}

/// What comes once more, for the reader of a plan.
fn once_more(cursors: &Cursors) -> String {
    let told = cursors.again.iter().map(|(name, again)| {
        let (first, last) = (again.first, again.last);
        format!("; versions {first} to {last} of `{name}`, which are taken in, are looked at once more")
    });
    told.collect()
}

/// What a strategy does, for the reader of a plan.
fn explained(strategy: Strategy, stage: &Stage) -> String {
    let key = stage.table.key.join(", ");
    match strategy {
        Strategy::Append => "inserted rows are added".to_owned(),
        Strategy::RowWise => format!("what changed rows become is replaced by ({key})"),
        Strategy::AffectedKeys => format!("rows of every ({key}) that changes can touch are computed again"),
        Strategy::PartitionReplace => format!("partitions of every ({key}) that changes can touch are replaced"),
        Strategy::ChangedFiles => "rows of changed files are replaced".to_owned(),
        Strategy::Full => "all rows are computed".to_owned(),
    }
}
