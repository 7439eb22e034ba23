//! The one builder of sessions, for plain, embedded and cluster use.

use std::sync::Arc;

use ballista_core::config::BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK;
use ballista_core::extension::{
    SessionConfigExt, ballista_aggregate_functions, ballista_scalar_functions, ballista_window_functions,
};
use ballista_core::optimizer::ballista_default_optimizer_rules;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use windlass_base::config::SessionSettings;
use windlass_base::identity::{ResultIdentity, SessionIdentity};
use windlass_delta::values::{self, ComparedFloats};
use windlass_storage::Stores;

use super::identity::{result_identity, session_identity};
use super::large_values::bound_constants;
use super::limits::{Clock, PLANNING_TIME, limited_analyzer, limited_optimizer, limited_physical_optimizer};
use super::rules;
use super::{SessionError, null_keys, subqueries};
use crate::codec::PlanCodec;
use crate::connectors::ConnectorRegistry;
use crate::function::{Functions, exact};

/// The size below which a file is not split between tasks: launching a task costs more than reading so little.
const REPARTITION_FILE_MIN_BYTES: usize = 4 * 1024 * 1024;

/// Where the plans of a session run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlansRun {
    /// In tasks on executors, or as a whole.
    Anywhere,
    /// As a whole in this process.
    InProcess,
}

/// Builds every session of a process from one set of settings, functions and object stores.
#[derive(Debug, Clone)]
pub struct Sessions {
    settings: SessionSettings,
    functions: Arc<Functions>,
    stores: Arc<Stores>,
    runtime: Arc<RuntimeEnv>,
    identity: SessionIdentity,
    results: ResultIdentity,
    connectors: Arc<ConnectorRegistry>,
    plans_run: PlansRun,
}

impl Sessions {
    /// Creates the builder and the runtime (memory pool, spill folder, caches, object stores) that its sessions share.
    ///
    /// # Errors
    /// [`SessionError::Build`] if the engine refuses the settings.
    pub fn new(settings: SessionSettings, functions: Functions) -> Result<Self, SessionError> {
        let stores = Arc::new(Stores::default());
        let runtime = runtime(&settings, Arc::clone(&stores)).map_err(SessionError::Build)?;
        let connectors = Arc::new(ConnectorRegistry::standard());
        Self::build(settings, Arc::new(functions), stores, Arc::new(runtime), connectors, PlansRun::Anywhere)
    }

    /// The same for plans that run as a whole in this process. The engine can do more for them than for plans that it cuts: a
    /// join tells the scan below it which rows it has use for, and a query in the place of a value is computed once.
    ///
    /// # Errors
    /// [`SessionError::Build`] if the engine refuses the settings.
    pub fn in_process(self) -> Result<Self, SessionError> {
        let Self { settings, functions, stores, runtime, connectors, .. } = self;
        Self::build(settings, functions, stores, runtime, connectors, PlansRun::InProcess)
    }

    /// The same with other loaders and savers.
    #[must_use]
    pub fn with_connectors(self, connectors: ConnectorRegistry) -> Self {
        Self { connectors: Arc::new(connectors), ..self }
    }

    /// The loaders and savers of the process.
    pub fn connectors(&self) -> &Arc<ConnectorRegistry> {
        &self.connectors
    }

    /// The builder of a project's sessions: everything that can change a plan comes from the project, the functions and
    /// the runtime from the process. `tasks` is how many tasks can run in parallel.
    ///
    /// # Errors
    /// [`SessionError::Build`] if the engine refuses the settings.
    pub fn for_project(&self, project: &SessionSettings, tasks: usize) -> Result<Self, SessionError> {
        let settings = SessionSettings {
            target_partitions: if project.target_partitions == 0 { tasks.max(1) } else { project.target_partitions },
            batch_size: project.batch_size,
            parquet_pushdown: project.parquet_pushdown,
            normalize_identifiers: project.normalize_identifiers,
            ..self.settings.clone()
        };
        let (stores, runtime) = (Arc::clone(&self.stores), Arc::clone(&self.runtime));
        Self::build(
            settings,
            Arc::clone(&self.functions),
            stores,
            runtime,
            Arc::clone(&self.connectors),
            self.plans_run,
        )
    }

    /// The builder of sessions that plan for at most `partitions` tasks in parallel; the same in everything else.
    pub fn with_at_most(&self, partitions: usize) -> Self {
        let target_partitions = partitions_of(&self.settings).min(partitions.max(1));
        Self { settings: SessionSettings { target_partitions, ..self.settings.clone() }, ..self.clone() }
    }

    fn build(
        settings: SessionSettings,
        functions: Arc<Functions>,
        stores: Arc<Stores>,
        runtime: Arc<RuntimeEnv>,
        connectors: Arc<ConnectorRegistry>,
        plans_run: PlansRun,
    ) -> Result<Self, SessionError> {
        let config = config(&settings, &functions, plans_run);
        let state = state(config, String::new(), &functions, &runtime).map_err(SessionError::Build)?;
        let identity = session_identity(&state, &functions)
            .map_err(|error| SessionError::Build(DataFusionError::External(Box::new(error))))?;
        let results =
            result_identity(&state).map_err(|error| SessionError::Build(DataFusionError::External(Box::new(error))))?;
        Ok(Self { settings, functions, stores, runtime, identity, results, connectors, plans_run })
    }

    /// The settings that the sessions are built from.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// The functions that every session has.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The object stores that every session reads and writes.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// The runtime that the sessions share.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// The session identity: equal in another process if and only if both plan in the same way.
    pub fn session_identity(&self) -> &SessionIdentity {
        &self.identity
    }

    /// The result identity: equal if queries have the same meaning in both sessions.
    pub fn result_identity(&self) -> &ResultIdentity {
        &self.results
    }

    /// The id of every session: executors keep a runtime (stores, metadata cache) for each id that they see.
    pub fn session_id(&self) -> String {
        format!("windlass-{}", self.identity)
    }

    /// The configuration of a session.
    pub fn config(&self) -> SessionConfig {
        config(&self.settings, &self.functions, self.plans_run)
    }

    /// A session's state with `config`; the engine calls this for each of its sessions.
    ///
    /// # Errors
    /// The engine's, if a function cannot be registered.
    pub fn state(&self, config: SessionConfig) -> Result<SessionState> {
        state(config, self.session_id(), &self.functions, &self.runtime)
    }

    /// A fresh session.
    ///
    /// # Errors
    /// [`SessionError::Build`] if the engine refuses the settings.
    pub fn context(&self) -> Result<SessionContext, SessionError> {
        let state = self.state(self.config()).map_err(SessionError::Build)?;
        Ok(SessionContext::new_with_state(state))
    }
}

/// The number of partitions that queries are planned with.
fn partitions_of(settings: &SessionSettings) -> usize {
    match settings.target_partitions {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        given => given,
    }
}

/// Every option that a plan depends on.
fn config(settings: &SessionSettings, functions: &Functions, plans_run: PlansRun) -> SessionConfig {
    let mut config = SessionConfig::new_with_ballista()
        .with_target_partitions(partitions_of(settings))
        .with_batch_size(settings.batch_size)
        .with_collect_statistics(true)
        // Adaptive planning hangs a job that loses shuffle output (upstream issue 1986).
        .with_ballista_adaptive_query_planner(false)
        // A retried task then only repeats and rewrites one partition.
        .set_usize(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, 1)
        .with_ballista_grpc_client_max_message_size(settings.message_limit_bytes)
        .with_ballista_physical_extension_codec(Arc::new(PlanCodec::new(functions)));
    let options = config.options_mut();
    // Ad-hoc queries get a custom one, whose tables executors can read.
    options.catalog.information_schema = false;
    options.execution.parquet.pushdown_filters = settings.parquet_pushdown;
    options.execution.parquet.reorder_filters = settings.parquet_pushdown;
    // The check refuses queries that repeat a truth test (`x IS NOT TRUE`) in their aggregates: physical plans mark its
    // result as nullable, which it is not (upstream issue 24096, fixed after the release used here).
    options.execution.skip_physical_aggregate_schema_check = true;
    options.sql_parser.enable_ident_normalization = settings.normalize_identifiers;
    // So that errors of a query have positions.
    options.sql_parser.collect_spans = true;
    // Measured: sort-merge joins, Ballista's default, are two to five times slower on TPC-H. A hash join cannot
    // spill: its build side must fit the share of memory of each of its tasks, and a query that exceeds it fails
    // with an error of the memory pool. More target partitions make build sides smaller.
    options.optimizer.prefer_hash_join = true;
    // A file below this size is read by one task.
    options.optimizer.repartition_file_min_size = REPARTITION_FILE_MIN_BYTES;
    match plans_run {
        PlansRun::Anywhere => config,
        PlansRun::InProcess => whole_plans(config),
    }
}

/// With what Ballista has to do without, because it does not reach from one task into another.
fn whole_plans(mut config: SessionConfig) -> SessionConfig {
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.enable_dynamic_filter_pushdown = true;
    optimizer.enable_physical_uncorrelated_scalar_subquery = true;
    // Lists of keys fail on partition columns; the least and the greatest key are told all the same.
    optimizer.hash_join_inlist_pushdown_max_size = 0;
    optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    config.with_round_robin_repartition(true)
}

fn state(
    config: SessionConfig,
    session_id: String,
    functions: &Functions,
    runtime: &Arc<RuntimeEnv>,
) -> Result<SessionState> {
    let clock = Clock::new(PLANNING_TIME);
    let mut optimizer = subqueries::rules();
    optimizer.extend(null_keys::kept_apart(ballista_default_optimizer_rules()));
    optimizer.push(Arc::new(ComparedFloats));
    let builder = SessionStateBuilder::new()
        .with_session_id(session_id)
        .with_default_features()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .with_analyzer_rules(limited_analyzer(&clock))
        .with_optimizer_rules(limited_optimizer(optimizer, &clock))
        .with_physical_optimizer_rules(limited_physical_optimizer(&clock))
        .with_scalar_functions(ballista_scalar_functions())
        .with_aggregate_functions(ballista_aggregate_functions())
        .with_window_functions(ballista_window_functions());
    let mut state = rules::rules().into_iter().fold(builder, SessionStateBuilder::with_analyzer_rule).build();
    register_functions(&mut state, functions)?;
    bound_constants(&mut state)?;
    Ok(state)
}

fn register_functions(state: &mut SessionState, functions: &Functions) -> Result<()> {
    use datafusion::execution::FunctionRegistry;
    for function in exact::scalar_functions() {
        state.register_udf(function)?;
    }
    for function in exact::aggregate_functions() {
        state.register_udaf(function)?;
    }
    for function in values::functions() {
        state.register_udf(function)?;
    }
    for function in &functions.scalar {
        state.register_udf(Arc::clone(function))?;
    }
    for function in &functions.aggregate {
        state.register_udaf(Arc::clone(function))?;
    }
    for function in &functions.window {
        state.register_udwf(Arc::clone(function))?;
    }
    Ok(())
}

fn runtime(settings: &SessionSettings, stores: Arc<Stores>) -> Result<RuntimeEnv> {
    let spill = match &settings.spill_dir {
        Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let mut builder = RuntimeEnvBuilder::new()
        .with_object_store_registry(stores)
        .with_metadata_cache_limit(settings.metadata_cache_bytes)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill));
    if let Some(bytes) = settings.memory_limit_bytes {
        builder = builder.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    builder.build()
}
