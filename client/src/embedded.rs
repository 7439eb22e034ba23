//! Windlass in this process: a scheduler, an executor and a state store, and no servers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_executor::{EmbeddedExecutor, ExecutorConfig};
use windlass_scheduler::Scheduler;
use windlass_scheduler::cluster::{ClusterConfig, SchedulerProcess};
use windlass_scheduler::execute::Engine;
use windlass_scheduler::home::Home;
use windlass_scheduler::plan::{PlanRequest, RunPlan, plan_run};
use windlass_scheduler::query::{QueryRequest, QueryRows, query};
use windlass_scheduler::record::{BundleReader, BundleStore};
use windlass_scheduler::run::{RunError, RunRequest, run_pipeline};
use windlass_scheduler::state::{RedbStore, StateStore};
use windlass_shared::artifact::{LogEvent, RunRecord};
use windlass_shared::config::SessionSettings;
use windlass_shared::function::Functions;
use windlass_shared::ids::RunId;
use windlass_shared::session::Sessions;
use windlass_shared::storage::Location;

use crate::error::ClientError;
use crate::project::Project;

/// How long the executor may take to join.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How an embedded Windlass is set up.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Where bundles and tables go, and state unless it is in an object store.
    pub home: Location,
    /// The sessions' settings: usually the project's.
    pub session: SessionSettings,
    /// The functions that SQL may use.
    pub functions: Functions,
    /// How many tasks may run side by side.
    pub vcores: usize,
}

impl EmbeddedConfig {
    /// The usual set-up for a project whose home is at `home`.
    pub fn new(home: Location, session: SessionSettings) -> Self {
        let vcores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { home, session, functions: Functions::standard(), vcores }
    }
}

/// Windlass in this process.
pub struct Windlass {
    scheduler: Arc<Scheduler>,
    home: Home,
    process: SchedulerProcess,
    executor: EmbeddedExecutor,
}

/// What a run or a plan takes of a project.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// What to select; everything if empty.
    pub select: Vec<String>,
    /// What to leave out.
    pub exclude: Vec<String>,
    /// Values of parameters, by name.
    pub params: Vec<(String, String)>,
    /// End the run at the first failure; `None` is what the project says.
    pub fail_fast: Option<bool>,
    /// How many stages may run side by side; `None` is what the project says.
    pub max_parallel: Option<usize>,
}

/// A run under way.
#[derive(Debug)]
pub struct RunHandle {
    /// The run.
    pub run_id: RunId,
    /// Every line of the run's log, as it is written. It ends when the run does.
    pub events: UnboundedReceiver<LogEvent>,
    cancel: CancellationToken,
    done: JoinHandle<Result<RunRecord, RunError>>,
}

impl RunHandle {
    /// What stops the run when it fires.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the end of the run. A stage that failed is no error: the record tells of it.
    ///
    /// # Errors
    /// [`ClientError::Run`] if the run did not take place or could not be carried on.
    pub async fn wait(self) -> Result<RunRecord, ClientError> {
        match self.done.await {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(RunError::TaskLost(error).into()),
        }
    }
}

impl Windlass {
    /// Starts a scheduler and an executor in this process.
    ///
    /// # Errors
    /// [`ClientError`] if the home cannot be used or a part does not start.
    pub async fn embedded(config: EmbeddedConfig) -> Result<Self, ClientError> {
        let home = Home::new(config.home);
        let (Some(state_file), Some(work_dir)) = (home.state_file(), home.work_dir()) else {
            return Err(ClientError::RemoteHome { home: home.root().to_string() });
        };
        let make =
            |folder: PathBuf| std::fs::create_dir_all(&folder).map_err(|source| ClientError::Home { folder, source });
        make(work_dir.clone())?;
        let state: Arc<dyn StateStore> = Arc::new(RedbStore::open(state_file).await?);
        let sessions = Sessions::new(config.session, config.functions)?;
        let process = SchedulerProcess::start(ClusterConfig::local(), &sessions).await?;
        let executor = ExecutorConfig::local(process.address().to_string(), config.vcores.max(1), work_dir);
        let executor = EmbeddedExecutor::start(executor, sessions.clone()).await?;
        process.wait_for_executors(1, START_PATIENCE).await?;
        let engine = Engine::new(&process);
        engine.add_local_executor(executor.id(), executor.work_dir());
        let scheduler = Arc::new(Scheduler { sessions: Arc::new(sessions), engine, state });
        Ok(Self { scheduler, home, process, executor })
    }

    /// What a run would do: pins, order, columns, decisions. Nothing is written.
    ///
    /// # Errors
    /// [`ClientError::Run`] if the run cannot be planned.
    pub async fn plan(&self, project: &Project, options: &RunOptions) -> Result<RunPlan, ClientError> {
        let request = self.plan_request(project, options)?;
        Ok(plan_run(request, &self.scheduler.sessions).await.map_err(RunError::from)?)
    }

    /// Starts a run.
    ///
    /// # Errors
    /// [`ClientError::Project`] if a parameter is wrong.
    pub fn run(&self, project: &Project, options: &RunOptions) -> Result<RunHandle, ClientError> {
        let plan = self.plan_request(project, options)?;
        let run_id = plan.run.clone();
        let request = RunRequest { plan, fail_fast: options.fail_fast, max_parallel: options.max_parallel };
        let (watcher, events) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let scheduler = Arc::clone(&self.scheduler);
        let stop = cancel.clone();
        let done = tokio::spawn(async move { run_pipeline(&scheduler, request, watcher, stop).await });
        Ok(RunHandle { run_id, events, cancel, done })
    }

    /// Answers a question at the newest version of every table that it reads; at most `limit` rows.
    ///
    /// # Errors
    /// [`ClientError::Query`] if the question cannot be answered.
    pub async fn query(
        &self,
        project: &Project,
        params: &[(String, String)],
        sql: &str,
        limit: Option<usize>,
    ) -> Result<QueryRows, ClientError> {
        let request = QueryRequest {
            graph: Arc::clone(&project.graph),
            base: project.dir.clone(),
            home: self.home.clone(),
            params: project.graph.bind_params(params)?,
            sql: sql.to_owned(),
            limit,
        };
        Ok(query(&self.scheduler, request).await?)
    }

    /// Stops the executor and the scheduler.
    pub async fn stop(self) {
        self.executor.stop().await;
        self.process.stop();
    }

    fn plan_request(&self, project: &Project, options: &RunOptions) -> Result<PlanRequest, ClientError> {
        Ok(PlanRequest {
            graph: Arc::clone(&project.graph),
            base: project.dir.clone(),
            home: self.home.clone(),
            params: project.graph.bind_params(&options.params)?,
            select: options.select.clone(),
            exclude: options.exclude.clone(),
            run: RunId::generate(),
        })
    }
}

/// The bundles of a home, and which of its runs are under way. Needs no cluster.
#[derive(Debug)]
pub struct Runs {
    /// Reads the bundles.
    pub bundles: BundleReader,
    /// The runs that a process is driving now.
    pub live: BTreeSet<RunId>,
}

impl Runs {
    /// The runs below `home`.
    ///
    /// # Errors
    /// [`ClientError`] if the home cannot be read.
    pub async fn open(home: &Location) -> Result<Self, ClientError> {
        let stores = windlass_shared::storage::Stores::default();
        let bundles = BundleReader::new(BundleStore::open(&stores, home).map_err(RunError::from)?);
        let mut live = BTreeSet::new();
        if let Some(file) = Home::new(home.clone()).state_file().filter(|file| file.exists()) {
            let state = RedbStore::open(file).await?;
            let leases = state.leases("pipelines/").await?;
            live.extend(leases.into_iter().filter(|lease| lease.in_force).filter_map(|lease| lease.holder.run_id));
        }
        Ok(Self { bundles, live })
    }

    /// The run that `wanted` means: an id, the beginning of one, or `latest`.
    ///
    /// # Errors
    /// [`ClientError::NoSuchRun`] if none or several are meant.
    pub async fn find(&self, wanted: &str) -> Result<RunId, ClientError> {
        let listed = self.bundles.list(&self.live, None).await.map_err(RunError::from)?;
        let mut matching = listed.iter().filter(|run| wanted == "latest" || run.run_id.as_str().starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some(run), _) if wanted == "latest" => Ok(run.run_id.clone()),
            (Some(run), None) => Ok(run.run_id.clone()),
            (Some(run), Some(_)) if run.run_id.as_str() == wanted => Ok(run.run_id.clone()),
            (found, _) => Err(ClientError::NoSuchRun { wanted: wanted.to_owned(), several: found.is_some() }),
        }
    }
}
