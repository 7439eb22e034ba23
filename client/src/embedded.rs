//! Embedded Windlass: an engine and a state store in this process, without servers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use windlass_base::config::SessionSettings;
use windlass_base::ids::RunId;
use windlass_engine::connectors::ConnectorRegistry;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{
    CleanRecord, CursorReset, CursorStatus, NewMark, PinStatus, PlannedRun, TableStatus, VersionMark,
};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_executor::{EmbeddedExecutor, ExecutorConfig};
use windlass_scheduler::Scheduler;
use windlass_scheduler::clock::SystemClock;
use windlass_scheduler::cluster::{ClusterConfig, SchedulerProcess};
use windlass_scheduler::cursor_reset::reset_cursor;
use windlass_scheduler::execute::Engine;
use windlass_scheduler::home::Home;
use windlass_scheduler::leadership::Leadership;
use windlass_scheduler::maintain::clean::{CleanRequest, clean, keep_of};
use windlass_scheduler::maintain::{self, MaintainRequest, Turns};
use windlass_scheduler::plan::{PlanRequest, cursors, plan_run, tables};
use windlass_scheduler::query::{QueryRequest, query};
use windlass_scheduler::record::BundleStore;
use windlass_scheduler::run::{Begin, RunError, RunRequest, run_pipeline};
use windlass_scheduler::state::{Durability, RedbStore, StateError, StateStore};
use windlass_storage::Location;

use crate::clean::CleanOptions;
use crate::error::ClientError;
use crate::maintenance::{MaintainHandle, MaintainOptions};
use crate::project::Project;
use crate::query_result::QueryResult;
use crate::run::{QueryOptions, RunBegin, RunHandle, RunOptions};
use crate::runs::Runs;

/// How long the executor may take to join.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What runs the plans of an embedded Windlass. Plans, writers, rows and evidence are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// DataFusion in this process: no plan is cut into tasks, and rows neither pass through shuffle files nor sockets.
    #[default]
    Local,
    /// Ballista in this process: a scheduler and an executor, which talk as they do on a cluster.
    Cluster,
}

/// The configuration of an embedded Windlass.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Where bundles and tables are stored, and state unless it is in an object store.
    pub home: Location,
    /// The sessions' settings: usually the project's.
    pub session: SessionSettings,
    /// The functions that SQL may use.
    pub functions: Functions,
    /// The loaders and savers that sources and exports can use.
    pub connectors: ConnectorRegistry,
    /// What runs the plans.
    pub engine: EngineKind,
    /// How many tasks the executor of [`EngineKind::Cluster`] runs in parallel.
    pub vcores: usize,
    /// Whether nothing is written to the home, which need not be writable then: for plans, queries and all that shows
    /// what is there. Runs, maintenance, pins and resets of cursors write.
    pub read_only: bool,
    /// Whether other tools are told of the lineage of runs, if the environment says where to.
    pub tells_lineage: bool,
}

impl EmbeddedConfig {
    /// The default configuration for a project whose home is at `home`.
    pub fn new(home: Location, session: SessionSettings) -> Self {
        let vcores = std::thread::available_parallelism().map_or(2, usize::from);
        let (functions, connectors) = (Functions::standard(), ConnectorRegistry::standard());
        let engine = EngineKind::default();
        Self { home, session, functions, connectors, engine, vcores, read_only: false, tells_lineage: true }
    }
}

/// An engine and a state store in this process.
pub(crate) struct Embedded {
    scheduler: Arc<Scheduler>,
    home: Home,
    cluster: Option<EmbeddedCluster>,
    tells_lineage: bool,
}

/// A cluster in this process, as small as one can be.
struct EmbeddedCluster {
    process: SchedulerProcess,
    executor: EmbeddedExecutor,
    /// What is removed at its end.
    _folder: Option<TempDir>,
}

impl Embedded {
    /// Starts what runs pipelines in this process.
    ///
    /// # Errors
    /// [`ClientError`] if the home cannot be used or a part does not start.
    pub(crate) async fn start(config: EmbeddedConfig) -> Result<Self, ClientError> {
        let home = Home::new(config.home);
        let (Some(state_file), Some(work_dir)) = (home.state_file(), home.work_dir()) else {
            return Err(ClientError::RemoteHome { home: home.root().to_string() });
        };
        let state: Arc<dyn StateStore> = Arc::new(open_state(state_file).await?);
        let sessions = Sessions::new(config.session, config.functions)?.with_connectors(config.connectors);
        let (sessions, engine, cluster) = match config.engine {
            EngineKind::Local => (sessions.in_process()?, Engine::in_process(), None),
            EngineKind::Cluster => {
                let work_dir = (!config.read_only).then_some(work_dir);
                let cluster = EmbeddedCluster::start(&sessions, config.vcores, work_dir).await?;
                (sessions, cluster.engine(), Some(cluster))
            }
        };
        let scheduler = Arc::new(Scheduler {
            sessions: Arc::new(sessions),
            engine,
            state,
            turns: Turns::default(),
            leadership: Leadership::default(),
        });
        Ok(Self { scheduler, home, cluster, tells_lineage: config.tells_lineage })
    }

    pub(crate) async fn plan(&self, project: &Project, options: &RunOptions) -> Result<PlannedRun, ClientError> {
        let request = self.plan_request(project, options)?;
        Ok(plan_run(request, &self.scheduler.sessions).await.map_err(RunError::from)?.summary())
    }

    pub(crate) fn run(&self, project: &Project, options: &RunOptions) -> Result<RunHandle, ClientError> {
        let mut plan = self.plan_request(project, options)?;
        let begin = match &options.begin {
            RunBegin::Anew => Begin::Anew,
            RunBegin::RetryOf(earlier) => Begin::RetryOf(earlier.clone()),
            RunBegin::Resume(run) => {
                plan.run.clone_from(run);
                Begin::WhereItEnded { patience: Duration::ZERO }
            }
        };
        let run_id = plan.run.clone();
        let bundle = self.home.root().join("runs").join(run_id.as_str()).to_string();
        let request = RunRequest {
            plan,
            fail_fast: options.fail_fast,
            max_parallel: options.max_parallel,
            approved: options.approved.clone(),
            asked: options.to_be_saved(project),
            begin,
            tells_lineage: self.tells_lineage,
        };
        let (watcher, events) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let scheduler = Arc::clone(&self.scheduler);
        let stop = cancel.clone();
        let done = tokio::spawn(async move {
            let plan = request.plan.clone();
            let record = run_pipeline(&scheduler, request, watcher, stop.clone()).await?;
            // The process may end as soon as this does. Whatever comes of it, the run has ended as it has.
            let _ = maintain::after_run(&scheduler, &plan, &record, stop).await;
            Ok(record)
        });
        let (_, queued) = watch::channel(None);
        Ok(RunHandle { run_id, bundle, events, queued, cancel, done })
    }

    pub(crate) async fn query(
        &self,
        project: &Project,
        sql: &str,
        options: &QueryOptions,
    ) -> Result<QueryResult, ClientError> {
        let request = QueryRequest {
            graph: Arc::clone(&project.graph),
            base: Location::from_path(&project.dir)?,
            home: self.home.clone(),
            params: project.graph.bind_params(&options.params)?,
            sql: sql.to_owned(),
            limit: options.limit,
            versions: options.versions.clone(),
        };
        Ok(QueryResult::new(query(&self.scheduler, request).await?.stream()))
    }

    pub(crate) async fn runs(&self) -> Result<Runs, ClientError> {
        local_runs(self.home.root()).await
    }

    pub(crate) async fn tables(&self, project: &Project) -> Result<Vec<TableStatus>, ClientError> {
        let request = self.plan_request(project, &RunOptions::default())?;
        Ok(tables(&request, &self.scheduler.sessions).await.map_err(RunError::from)?)
    }

    pub(crate) async fn cursors(&self, project: &Project) -> Result<Vec<CursorStatus>, ClientError> {
        let request = self.plan_request(project, &RunOptions::default())?;
        Ok(cursors(&request, &self.scheduler.sessions, None).await.map_err(RunError::from)?)
    }

    pub(crate) async fn reset_cursor(
        &self,
        project: &Project,
        reset: &CursorReset,
    ) -> Result<CursorStatus, ClientError> {
        let request = self.plan_request(project, &RunOptions::default())?;
        Ok(reset_cursor(&self.scheduler, &request, reset).await?)
    }

    /// What the active runs have pinned, by their bundles.
    pub(crate) async fn pins(&self) -> Result<Vec<PinStatus>, ClientError> {
        let runs = self.runs().await?;
        let mut pins = Vec::new();
        for run_id in &runs.live {
            let record = match runs.bundles.run(run_id, &runs.live).await {
                Ok(record) => record,
                // It has not written anything yet, or is not a run at all: a reset of cursors holds the lease too.
                Err(RecordError::NoSuchRun { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let pinned = runs.bundles.pins(run_id).await?.unwrap_or_default();
            pins.extend(pinned.pins.into_iter().map(|pin| PinStatus {
                run_id: run_id.clone(),
                pipeline: record.pipeline.clone(),
                name: pin.source,
                location: pin.location,
                version: pin.version,
            }));
        }
        Ok(pins)
    }

    pub(crate) fn maintain(&self, project: &Project, options: &MaintainOptions) -> Result<MaintainHandle, ClientError> {
        let selection = RunOptions {
            select: options.select.clone(),
            exclude: options.exclude.clone(),
            params: options.params.clone(),
            ..RunOptions::default()
        };
        let plan = self.plan_request(project, &selection)?;
        let request = MaintainRequest { plan, only: options.only.clone(), dry_run: options.dry_run };
        let (watcher, events) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let scheduler = Arc::clone(&self.scheduler);
        let stop = cancel.clone();
        let done = tokio::spawn(async move { Ok(maintain::maintain(&scheduler, request, watcher, stop).await?) });
        Ok(MaintainHandle { events, cancel, done })
    }

    pub(crate) async fn version_marks(&self) -> Result<Vec<VersionMark>, ClientError> {
        Ok(maintain::marks(&self.scheduler, &self.home).await?)
    }

    pub(crate) async fn set_mark(&self, project: &Project, mark: &NewMark) -> Result<VersionMark, ClientError> {
        let request = self.plan_request(project, &RunOptions::default())?;
        Ok(maintain::set_mark(&self.scheduler, &request, mark.clone()).await?)
    }

    pub(crate) async fn release_mark(&self, name: &str) -> Result<VersionMark, ClientError> {
        Ok(maintain::release_mark(&self.scheduler, &self.home, name).await?)
    }

    pub(crate) async fn clean(&self, project: &Project, options: &CleanOptions) -> Result<CleanRecord, ClientError> {
        let request = CleanRequest {
            plan: self.plan_request(project, &RunOptions::default())?,
            keep: keep_of(&project.graph, options.keep_runs, options.keep_days),
            dry_run: options.dry_run,
            tables: options.tables,
            spill_dir: project.graph.session.spill_dir.clone(),
        };
        Ok(clean(&self.scheduler, request).await?)
    }

    pub(crate) async fn stop(self) {
        if let Some(EmbeddedCluster { process, executor, .. }) = self.cluster {
            executor.stop().await;
            process.stop();
        }
    }

    fn plan_request(&self, project: &Project, options: &RunOptions) -> Result<PlanRequest, ClientError> {
        Ok(PlanRequest {
            graph: Arc::clone(&project.graph),
            base: Location::from_path(&project.dir)?,
            home: self.home.clone(),
            params: project.graph.bind_params(&options.params)?,
            select: options.select.clone(),
            exclude: options.exclude.clone(),
            refresh: options.refresh.clone(),
            run: RunId::generate(),
            fixed: None,
        })
    }
}

impl EmbeddedCluster {
    /// Without a `work_dir` the executor keeps its files in a temporary folder.
    async fn start(sessions: &Sessions, vcores: usize, work_dir: Option<PathBuf>) -> Result<Self, ClientError> {
        let home_error = |folder: PathBuf| move |source| ClientError::Home { folder, source };
        let (work_dir, folder) = match work_dir {
            Some(work_dir) => {
                std::fs::create_dir_all(&work_dir).map_err(home_error(work_dir.clone()))?;
                (work_dir, None)
            }
            None => {
                let folder = tempfile::tempdir().map_err(home_error(std::env::temp_dir()))?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let process = SchedulerProcess::start(ClusterConfig::local(), sessions).await?;
        let executor = ExecutorConfig::local(process.address().to_string(), vcores.max(1), work_dir);
        let executor = EmbeddedExecutor::start(executor, sessions.clone()).await?;
        process.wait_for_executors(1, START_TIMEOUT).await?;
        Ok(Self { process, executor, _folder: folder })
    }

    fn engine(&self) -> Engine {
        let engine = Engine::new(&self.process);
        engine.add_local_executor(self.executor.id(), self.executor.work_dir());
        engine
    }
}

/// The state of an embedded Windlass, which no run outlives that ends with the machine.
async fn open_state(file: PathBuf) -> Result<RedbStore, StateError> {
    RedbStore::open_with(file, Durability::Process, Arc::new(SystemClock)).await
}

/// The bundles of a home on disk or in an object store, and which of its runs are active. Needs no cluster.
///
/// # Errors
/// [`ClientError`] if the home cannot be read.
pub async fn local_runs(home: &Location) -> Result<Runs, ClientError> {
    let stores = windlass_storage::Stores::default();
    let bundles = BundleReader::new(Arc::new(BundleStore::open(&stores, home)?));
    let mut live = BTreeSet::new();
    if let Some(file) = Home::new(home.clone()).state_file() {
        let state = open_state(file).await?;
        let leases = state.leases("pipelines/").await?;
        live.extend(leases.into_iter().filter(|lease| lease.in_force).filter_map(|lease| lease.holder.run_id));
    }
    Ok(Runs { bundles, live, queued: Vec::new() })
}
