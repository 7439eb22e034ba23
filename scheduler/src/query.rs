//! Ad-hoc SQL over a project's tables and sources, read-only, on the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{ParamValues, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::sql::parser::Statement;
use windlass_base::coded;
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_base::suggest::did_you_mean;
use windlass_delta::DeltaError;
use windlass_delta::changes::changes_between;
use windlass_delta::scan::ScanOptions;
use windlass_engine::session::limits::PlanLimit;
use windlass_engine::session::{
    ChangesCall, Sessions, TABLE_CHANGES, changes_calls, refused_calls, register_schema, register_table_changes,
    statement_plan,
};
use windlass_evidence::artifact::Refresh;
use windlass_evidence::system::{SYSTEM_SCHEMA, SystemTable};
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::pipeline::SqlText;
use windlass_project::spec::source::{PinAt, SourceKind};
use windlass_project::spec::table::Materialize;
use windlass_project::spec::{
    BAD_QUESTION, ParamValue, Problems, QUESTION, Spanned, check_question, question_files, question_params,
};
use windlass_storage::Location;

use crate::Scheduler;
use crate::execute::{EngineError, FinishedJob, JobRequest};
use crate::home::Home;
use crate::plan::quarantine::quarantine_location;
use crate::plan::{
    INFORMATION_SCHEMA, INFORMATION_TABLES, Input, Inputs, PlanError, PlanRequest, QueryInputs, Unplannable,
    engine_params, information_tables, physical_query, pin_for_query, question_problem, table_location, with_table,
};
use crate::planning::{heavily, on_planning_threads};
use crate::system::{SystemError, register_read, register_unread};

/// A question to a project's tables and sources.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// The project, its target applied.
    pub graph: Arc<PipelineGraph>,
    /// Where relative locations start.
    pub base: Location,
    /// Where the tables are that give no location.
    pub home: Home,
    /// A value for every parameter; the question may use them too.
    pub params: BTreeMap<String, ParamValue>,
    /// One query.
    pub sql: String,
    /// The most rows to give; `None` gives all.
    pub limit: Option<usize>,
    /// Versions to read Delta tables at; the project's pin, or the newest, for those that are not named.
    pub versions: BTreeMap<NodeName, TableVersion>,
}

/// The rows of an answered question.
pub struct QueryRows {
    job: FinishedJob,
}

impl QueryRows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.job.schema()
    }

    /// How many rows there are.
    pub fn row_count(&self) -> u64 {
        self.job.row_count()
    }

    /// The rows, batch by batch.
    pub fn stream(&self) -> SendableRecordBatchStream {
        self.job.stream()
    }
}

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A table that the question reads cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The question names something that the project does not have.
    #[error("the project has no table, source or view `{name}`")]
    UnknownTable {
        /// The name.
        name: String,
        /// The nearest that there is.
        help: Option<String>,
    },
    /// The question reads a cache, which lives for one run only.
    #[error("`{name}` is a cache: it is kept only while a run needs it")]
    Cache {
        /// The stage.
        name: NodeName,
    },
    /// The question asks for the changes of something that records none.
    #[error("`{name}` has no changes to read: it is {what}, and only Delta tables have a change feed")]
    NoFeed {
        /// The source or stage.
        name: NodeName,
        /// What it is.
        what: &'static str,
    },
    /// The changes that the question asks for cannot be read.
    #[error("the changes of `{name}` cannot be read")]
    Changes {
        /// The source or stage.
        name: NodeName,
        /// Why.
        #[source]
        source: DeltaError,
    },
    /// The tables over all runs cannot be read.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The question exceeds a limit of plans.
    #[error("the query cannot be planned")]
    Limit(#[source] DataFusionError),
    /// The question is understood and cannot be run.
    #[error("the query cannot be run: {0}")]
    NotPlannable(Unplannable),
    /// The cluster failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

coded! {
    QueryError {
        Plan => inner;
        Changes { source } => inner;
        System => inner;
        Engine => inner;
        UnknownTable { help } => "WL0361", help.as_deref().unwrap_or("`windlass ls` lists the sources and stages");
        Cache => "WL0362", "set `materialize: table` in its stage to keep it";
        Limit(source) => (BAD_QUESTION) unless (PlanLimit::find_in(source)),
            "write one SELECT over tables, views and sources of the project";
        NotPlannable(found) => "WL0378", found.help;
        NoFeed => "WL0365", "read it as a table; to find changes, compare it with a table that keeps its earlier state";
    }
}

/// Answers a question at the newest version of every table that it reads, or at those that the request names.
///
/// # Errors
/// [`QueryError`]; nothing is changed by a question, whatever it says.
pub async fn query(scheduler: &Scheduler, request: QueryRequest) -> Result<QueryRows, QueryError> {
    let scheduler = scheduler.clone();
    on_planning_threads(async move { answer(&scheduler, request).await }).await
}

async fn answer(scheduler: &Scheduler, request: QueryRequest) -> Result<QueryRows, QueryError> {
    let sessions = &scheduler.sessions;
    let graph = &request.graph;
    check_question(&request.sql).map_err(PlanError::from)?;
    check_params(graph, &request.sql)?;
    let parser = sessions.context().map_err(PlanError::from)?.state();
    check_calls(&parser, &request.sql)?;
    let dialect = parser.config().options().sql_parser.dialect;
    let refused = |error| refusal(&request.sql, error);
    let statement = parser.sql_to_statement(&request.sql, &dialect).map_err(refused)?;
    let calls = changes_calls(&statement).map_err(refused)?;
    let mut names = Vec::new();
    let mut asked_about = BTreeSet::new();
    let mut system = BTreeSet::new();
    for reference in parser.resolve_table_references(&statement).map_err(refused)? {
        let is_changes = reference.table() == TABLE_CHANGES && !calls.is_empty();
        match reference.schema() {
            None if !is_changes => match known(graph, reference.table()) {
                Ok(name) => names.push(name),
                Err(_) if parser.table_functions().contains_key(reference.table()) => {}
                Err(unknown) => return Err(unknown),
            },
            Some(INFORMATION_SCHEMA) => drop(asked_about.insert(table_about(reference.table())?)),
            Some(SYSTEM_SCHEMA) => drop(system.insert(system_table(reference.table())?)),
            Some(_) => return Err(qualified(graph, &reference)),
            None => {}
        }
    }
    let reads = QueryInputs::of(graph, &names);
    let plan_request = PlanRequest {
        graph: Arc::clone(graph),
        base: request.base,
        home: request.home,
        params: request.params,
        select: Vec::new(),
        exclude: Vec::new(),
        refresh: Refresh::default(),
        run: RunId::new("query"),
        fixed: None,
    };
    let mut inputs = Inputs::default();
    for name in &reads.base_tables {
        if graph.stage(name).is_some_and(|stage| stage.materialize == Materialize::Cache) {
            return Err(QueryError::Cache { name: name.clone() });
        }
        let at = request.versions.get(name).map(|version| PinAt::Version(version.0));
        inputs.set(name.clone(), pin_for_query(&plan_request, sessions, name, at).await?);
    }
    let params = engine_params(&plan_request.params);
    let session = reads.session(graph, sessions, &inputs, &params).await;
    let session = session.map_err(|error| error.in_files(&graph.files))?;
    if !asked_about.is_empty() {
        let tables = information_tables(&plan_request, sessions, &params, &asked_about).await?;
        register_schema(&session.context, INFORMATION_SCHEMA, &tables).map_err(PlanError::from)?;
    }
    if !calls.is_empty() {
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            let provider = table_changes(&plan_request, sessions, &inputs, &request.versions, &call).await?;
            answers.push((call, provider));
        }
        register_table_changes(&session.context, answers);
    }

    let state = session.context.state();
    if !system.is_empty() {
        register_unread(&session.context, &system)?;
        let plan = logical(&state, statement.clone(), &params, request.limit).await.map_err(refused)?;
        // Why a question cannot be optimized is said below.
        let optimized = heavily(async { state.optimize(&plan) }).await.ok();
        register_read(scheduler, &plan_request.home, &session.context, &system, optimized.as_ref()).await?;
    }
    let plan = logical(&state, statement, &params, request.limit).await.map_err(refused)?;
    let plan = physical_query(&state, &plan).await.map_err(refused)?.plan;
    let place = heavily(async { scheduler.engine.place(&plan, &session.context) }).await;
    let job = JobRequest { name: "query".to_owned(), plan, session: Arc::new(session.context) };
    let job = scheduler.engine.start(job, &place).await?.wait().await.map_err(|error| match error {
        EngineError::Raised(failure) => EngineError::Raised(with_table(failure, &inputs)),
        other => other,
    })?;
    Ok(QueryRows { job })
}

/// The plan of a question that only reads, with its parameters and its limit.
async fn logical(
    state: &SessionState,
    statement: Statement,
    params: &ParamValues,
    limit: Option<usize>,
) -> Result<LogicalPlan, DataFusionError> {
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let plan = statement_plan(state, statement).await?.with_param_values(params.clone())?;
    read_only.verify_plan(&plan)?;
    match limit {
        Some(limit) => LogicalPlanBuilder::from(plan).limit(0, Some(limit))?.build(),
        None => Ok(plan),
    }
}

/// Why the engine cannot plan the question `sql`.
fn refusal(sql: &str, error: DataFusionError) -> QueryError {
    if let Some(found) = Unplannable::find_in(&error) {
        return QueryError::NotPlannable(found.clone());
    }
    if PlanLimit::find_in(&error).is_some() {
        return QueryError::Limit(error);
    }
    let problem = question_problem(&question(sql), &error);
    QueryError::Plan(Problems::one(problem, &question_files(sql)).into())
}

fn question(sql: &str) -> SqlText {
    SqlText { file: QUESTION.into(), text: sql.into(), offset: 0 }
}

/// That every function in `sql` can take the clauses that it is called with.
fn check_calls(state: &SessionState, sql: &str) -> Result<(), QueryError> {
    Ok(Problems::check(refused_calls(state, &question(sql)), &question_files(sql)).map_err(PlanError::from)?)
}

/// The changes that `call` asks for. Without a last version they go to that at which the question reads the table.
async fn table_changes(
    request: &PlanRequest,
    sessions: &Sessions,
    inputs: &Inputs,
    versions: &BTreeMap<NodeName, TableVersion>,
    call: &ChangesCall,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let name = &known(&request.graph, call.table.as_str())?;
    let location = feed_location(request, name)?;
    // A table that no run has committed to has versions and no rows: that is not the same as no changes.
    if request.graph.stage(name).is_some() && inputs.pin(name).is_none() {
        pin_for_query(request, sessions, name, None).await?;
    }
    let to = match (call.to, inputs.pin(name).and_then(|pin| pin.version)) {
        (Some(to), _) | (None, Some(to)) => to,
        (None, None) => {
            let at = versions.get(name).map(|version| PinAt::Version(version.0));
            let Input::Pinned(pinned) = pin_for_query(request, sessions, name, at).await? else {
                return Err(QueryError::NoFeed { name: name.clone(), what: "not built yet" });
            };
            pinned.pin.version.ok_or_else(|| QueryError::NoFeed { name: name.clone(), what: "without versions" })?
        }
    };
    let changes = changes_between(&location, call.from, to, sessions.stores()).await;
    let changes = changes.map_err(|source| QueryError::Changes { name: name.clone(), source })?;
    Ok(changes.provider(&ScanOptions::from_config(&sessions.config())))
}

/// Where the Delta table is whose changes are asked for.
fn feed_location(request: &PlanRequest, name: &NodeName) -> Result<Location, QueryError> {
    let no_feed = |what| QueryError::NoFeed { name: name.clone(), what };
    if let Some(source) = request.graph.sources.get(name) {
        let SourceKind::Delta(delta) = &source.kind else { return Err(no_feed("a source of files")) };
        let location = request.base.resolve(&delta.location);
        return Ok(location.map_err(|source| PlanError::Location { node: name.clone(), source })?);
    }
    if let Some(stage) = request.graph.quarantined_stage(name) {
        return Ok(quarantine_location(request, stage)?);
    }
    match request.graph.stage(name) {
        Some(stage) if stage.materialize == Materialize::Table => Ok(table_location(request, stage)?),
        Some(stage) if stage.materialize == Materialize::View => Err(no_feed("a view")),
        Some(_) => Err(QueryError::Cache { name: name.clone() }),
        None => Err(PlanError::unknown(name, &request.graph).into()),
    }
}

/// The table of that name among those in which the project says something of itself.
fn table_about(name: &str) -> Result<String, QueryError> {
    if INFORMATION_TABLES.contains(&name) {
        return Ok(name.to_owned());
    }
    let help = did_you_mean(name, "it has", INFORMATION_TABLES);
    Err(QueryError::UnknownTable { name: format!("{INFORMATION_SCHEMA}.{name}"), help })
}

/// The table of that name among those over all runs.
fn system_table(name: &str) -> Result<SystemTable, QueryError> {
    SystemTable::parse(name).ok_or_else(|| QueryError::UnknownTable {
        name: format!("{SYSTEM_SCHEMA}.{name}"),
        help: did_you_mean(name, "it has", SystemTable::ALL.map(SystemTable::as_str)),
    })
}

/// The error of a table that is named with a schema, of which a project has none.
fn qualified(graph: &PipelineGraph, reference: &TableReference) -> QueryError {
    let help = match known(graph, reference.table()) {
        Ok(name) => Some(format!("write the table's name alone: `{name}`")),
        Err(QueryError::UnknownTable { help, .. }) => help,
        Err(_) => None,
    };
    QueryError::UnknownTable { name: reference.to_string(), help }
}

/// That the project declares every parameter that the question uses.
fn check_params(graph: &PipelineGraph, sql: &str) -> Result<(), QueryError> {
    let unknown = |param: &Spanned<String>| {
        let problem = graph.unknown_param(&param.value).at(&param.span);
        graph.params.iter().all(|known| known.name != param.value).then_some(problem)
    };
    let problems = question_params(sql).iter().filter_map(unknown).collect();
    Ok(Problems::check(problems, &question_files(sql)).map_err(PlanError::from)?)
}

/// The source, stage or quarantine of that name.
fn known(graph: &PipelineGraph, name: &str) -> Result<NodeName, QueryError> {
    let node = NodeName::new(name);
    if graph.node(&node).is_some() || graph.quarantined_stage(&node).is_some() {
        return Ok(node);
    }
    let quarantines: Vec<NodeName> = graph.stages.iter().filter_map(|stage| graph.quarantine(stage)).collect();
    let nodes: Vec<&str> = graph.nodes().map(|node| node.name()).chain(&quarantines).map(NodeName::as_str).collect();
    Err(QueryError::UnknownTable { name: name.to_owned(), help: did_you_mean(name, "there are", nodes) })
}
