//! A real cluster inside the test's process.

use std::net::SocketAddr;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use tokio::sync::OnceCell;
use tracing_subscriber::EnvFilter;
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};
use windlass_executor::{EmbeddedExecutor, ExecutorConfig};
use windlass_scheduler::cluster::{ClusterConfig, SchedulerProcess};
use windlass_scheduler::execute::{Engine, EngineError, FinishedJob, JobRequest, RunningJob};

/// A scheduler and executors inside this process.
pub struct EmbeddedCluster {
    /// Builds the sessions of the cluster.
    pub sessions: Sessions,
    /// The door to the cluster.
    pub engine: Engine,
    /// The executors; dropped or stopped ones do not return.
    pub executors: Vec<EmbeddedExecutor>,
    scheduler: SchedulerProcess,
}

/// Starts a cluster with `executors` executors of two tasks each.
///
/// Executors keep their files in a folder shared by all tests; leftovers of a killed test are removed by the next one.
pub async fn embedded_cluster(settings: SessionSettings, functions: Functions, executors: usize) -> EmbeddedCluster {
    // With RUST_LOG=debug a test shows what the engine does.
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_test_writer().try_init();
    let sessions = Sessions::new(settings, functions).expect("sessions");
    let scheduler = SchedulerProcess::start(ClusterConfig::local(), &sessions).await.expect("the scheduler starts");
    let engine = Engine::new(&scheduler);
    let work_dir = std::env::temp_dir().join("windlass-tests");
    let mut started = Vec::new();
    for _ in 0..executors {
        let config = ExecutorConfig::local(scheduler.address().to_string(), 2, &work_dir);
        let executor = EmbeddedExecutor::start(config, sessions.clone()).await.expect("an executor starts");
        engine.add_local_executor(executor.id(), executor.work_dir());
        started.push(executor);
    }
    EmbeddedCluster { sessions, engine, executors: started, scheduler }
}

/// The cluster that tests use which need nothing special: one executor, two partitions, the standard functions.
///
/// It lives as long as the process.
pub async fn shared_cluster() -> &'static EmbeddedCluster {
    static CLUSTER: OnceCell<EmbeddedCluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| {
            let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
            embedded_cluster(settings, Functions::standard(), 1)
        })
        .await
}

impl EmbeddedCluster {
    /// A fresh session of the cluster.
    pub fn context(&self) -> SessionContext {
        self.sessions.context().expect("a session")
    }

    /// Submits `sql`, planned in `context`.
    pub async fn submit_sql(&self, context: &SessionContext, sql: &str) -> Result<RunningJob, EngineError> {
        let logical = sql_plan(&context.state(), sql).await.expect("the query is valid");
        let plan = context.state().create_physical_plan(&logical).await.expect("the query can be planned");
        self.submit_plan(context, plan).await
    }

    /// Submits `plan`, which was made in `context`.
    pub async fn submit_plan(
        &self,
        context: &SessionContext,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<RunningJob, EngineError> {
        let request = JobRequest { name: "test".to_owned(), plan, session: Arc::new(context.clone()) };
        self.engine.submit(request).await
    }

    /// Runs `sql` to its end.
    pub async fn run_sql(&self, context: &SessionContext, sql: &str) -> Result<FinishedJob, EngineError> {
        self.submit_sql(context, sql).await?.wait().await
    }

    /// The rows of `sql`.
    pub async fn rows(&self, context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
        self.run_sql(context, sql).await?.collect().await
    }

    /// Where the engine's scheduler listens for executors.
    pub fn scheduler_address(&self) -> SocketAddr {
        self.scheduler.address()
    }

    /// Stops the executors and the scheduler.
    pub async fn stop(self) {
        for executor in self.executors {
            executor.stop().await;
        }
        self.scheduler.stop();
    }
}
