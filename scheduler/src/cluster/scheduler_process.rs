//! The engine's scheduler inside this process, and how executors reach it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::executor_status;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_core::utils::{GrpcServerConfig, create_grpc_server, create_grpc_server_incoming};
use ballista_scheduler::cluster::{BallistaCluster, ClusterStateEvent, JobState};
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use windlass_base::coded;
use windlass_base::count::counted;
use windlass_base::stack::THREAD_STACK_BYTES;
use windlass_engine::codec::PlanCodec;
use windlass_engine::session::Sessions;

use super::corrected_cluster::CorrectedCluster;
use super::executor_service::ExecutorService;
use crate::leadership::Leadership;

/// Threads for planning stages, handing out tasks and answering executors.
const SCHEDULER_THREADS: usize = 2;
/// How long a finished job can still be looked up.
const FINISHED_JOB_SECONDS: u64 = 60;

/// The engine's scheduler.
pub(crate) type EngineServer = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How the engine's scheduler is set up.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Where executors reach the scheduler; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The host under which executors call back; `None` is the bind address. It must be reachable from every executor.
    pub advertised_host: Option<String>,
    /// When to give up on executors.
    pub timeouts: ClusterTimeouts,
    /// Whether this process leads: executors join no other.
    pub leadership: Leadership,
}

impl ClusterConfig {
    /// A scheduler for this machine only, on a free port.
    pub fn local() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            advertised_host: None,
            timeouts: ClusterTimeouts::default(),
            leadership: Leadership::default(),
        }
    }
}

/// When to give up on executors. Counted in whole seconds.
#[derive(Debug, Clone)]
pub struct ClusterTimeouts {
    /// An executor without a heartbeat for this long is lost, and its tasks are run elsewhere.
    pub executor: Duration,
    /// How often executors are pinged, and lost ones removed.
    pub check: Duration,
    /// An executor that leaves a ping unanswered for this long is connected to again.
    pub silence: Duration,
    /// An executor whose connection broke and that cannot be connected to for this long is lost.
    pub unreachable: Duration,
    /// How long jobs wait for an executor after the last one was lost; longer than an executor's heartbeat interval.
    pub no_executors: Duration,
    /// How long a job waits while there is no executor; `None` is for ever.
    pub first_executor: Option<Duration>,
    /// How long an executor that has said it leaves is kept without hearing from it: it may still run tasks and serve
    /// shuffle files, and says so about twice a second.
    pub leaving: Duration,
}

impl Default for ClusterTimeouts {
    fn default() -> Self {
        Self {
            executor: Duration::from_secs(60),
            check: Duration::from_secs(1),
            silence: Duration::from_secs(20),
            unreachable: Duration::from_secs(5),
            no_executors: Duration::from_secs(60),
            first_executor: Some(Duration::from_secs(600)),
            // Executors of the same process leave at once.
            leaving: Duration::ZERO,
        }
    }
}

/// Why the engine's scheduler cannot start or is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Threads, the port or the engine itself failed.
    #[error("the scheduler cannot start on {address}")]
    Start {
        /// The address it should listen on.
        address: SocketAddr,
        /// Why not.
        source: BoxError,
    },
    /// Too few executors have joined in time.
    #[error("only {joined} of {} joined the scheduler within {seconds} s", counted(*.wanted, "executor"))]
    NotReady {
        /// Executors that have joined.
        joined: usize,
        /// Executors waited for.
        wanted: usize,
        /// The time waited.
        seconds: u64,
    },
}

coded! {
    ClusterError {
        Start => "WL0520", "check that the address belongs to this machine and the port is free";
        NotReady => "WL0521" retry, "check that the executors run, have the same version and can reach the scheduler";
    }
}

/// What a cluster has and does at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterLoad {
    /// Executors that take tasks.
    pub executors: usize,
    /// How many tasks they may run side by side.
    pub vcores: usize,
    /// Tasks that could run and wait for a place.
    pub tasks_pending: usize,
    /// Tasks that run.
    pub tasks_running: usize,
}

/// The engine's scheduler inside this process, with threads of its own.
///
/// Its gRPC service is neither encrypted nor authenticated: bind it to an address that only executors can reach.
pub struct SchedulerProcess {
    address: SocketAddr,
    server: Arc<EngineServer>,
    cluster: BallistaCluster,
    sessions: Sessions,
    patience: Option<Duration>,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl SchedulerProcess {
    /// Starts the scheduler; it listens when this returns.
    ///
    /// # Errors
    /// [`ClusterError::Start`].
    pub async fn start(config: ClusterConfig, sessions: &Sessions) -> Result<Self, ClusterError> {
        let (address, patience) = (config.bind, config.timeouts.first_executor);
        let failed = |source: BoxError| ClusterError::Start { address, source };
        let runtime = Builder::new_multi_thread()
            .worker_threads(SCHEDULER_THREADS)
            .thread_name("windlass-scheduler")
            // Plans are cut and encoded here.
            .thread_stack_size(THREAD_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        // From here on, an error must not drop the runtime on a thread that runs async code.
        let starting = runtime.spawn(serve(config, sessions.clone()));
        let started = match starting.await {
            Ok(started) => started,
            Err(error) => Err(error.into()),
        };
        match started {
            Ok((address, server, cluster)) => {
                let handle = runtime.handle().clone();
                let (server, sessions) = (Arc::new(server), sessions.clone());
                Ok(Self { address, server, cluster, sessions, patience, handle, runtime: Mutex::new(Some(runtime)) })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(failed(error))
            }
        }
    }

    /// Where executors reach the scheduler.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until `wanted` executors have joined.
    ///
    /// # Errors
    /// [`ClusterError::NotReady`] when `patience` is over.
    pub async fn wait_for_executors(&self, wanted: usize, patience: Duration) -> Result<(), ClusterError> {
        let joining = async {
            // Subscribe before counting, so that nobody joins unseen in between.
            let mut events = self.cluster.cluster_state().cluster_state_events().await.ok()?;
            while self.registered().await < wanted {
                while !matches!(events.next().await?, ClusterStateEvent::RegisteredExecutor { .. }) {}
            }
            Some(())
        };
        match tokio::time::timeout(patience, joining).await {
            Ok(Some(())) => Ok(()),
            Ok(None) | Err(_) => {
                Err(ClusterError::NotReady { joined: self.registered().await, wanted, seconds: patience.as_secs() })
            }
        }
    }

    /// What the cluster has and does now.
    pub async fn load(&self) -> ClusterLoad {
        let cluster = self.cluster.cluster_state();
        let mut load = ClusterLoad::default();
        let heartbeats = cluster.executor_heartbeats();
        for executor in cluster.registered_executor_metadata().await {
            let status = heartbeats.get(&executor.id).and_then(|heartbeat| heartbeat.status.as_ref()?.status.as_ref());
            if matches!(status, Some(executor_status::Status::Active(_))) {
                load.executors += 1;
                load.vcores += usize::try_from(executor.specification.vcores).unwrap_or(0);
            }
        }
        for job in self.server.state.task_manager.get_running_job_cache().values() {
            let graph = job.execution_graph.read().await;
            load.tasks_pending += graph.available_tasks();
            load.tasks_running += graph.running_tasks().len();
        }
        load
    }

    /// Stops the scheduler. Jobs that still run are lost.
    pub fn stop(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }

    async fn registered(&self) -> usize {
        self.cluster.cluster_state().registered_executor_metadata().await.len()
    }

    pub(crate) fn server(&self) -> &Arc<EngineServer> {
        &self.server
    }

    pub(crate) fn jobs(&self) -> Arc<dyn JobState> {
        self.cluster.job_state()
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How long a job waits while there is no executor; `None` is for ever.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// The scheduler's own threads: what it starts must run there, because it outlives a caller's.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for SchedulerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the engine's scheduler and its gRPC service on the current runtime.
async fn serve(
    config: ClusterConfig,
    sessions: Sessions,
) -> Result<(SocketAddr, EngineServer, BallistaCluster), BoxError> {
    let grpc = GrpcServerConfig::default();
    let incoming = create_grpc_server_incoming(config.bind, &grpc)?;
    let address = incoming.local_addr()?;
    let message_limit = sessions.settings().message_limit_bytes;
    let engine = Arc::new(engine_config(&config, address, sessions));
    engine.validate()?;
    let cluster = BallistaCluster::new_from_config(&engine).await?;
    let corrected = CorrectedCluster::new(cluster.cluster_state(), config.timeouts.clone());
    let cluster = BallistaCluster::new(Arc::new(corrected), cluster.job_state());
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster.clone(), engine).await?;
    // The engine's own way to serve leaves Nagle's algorithm on, which delays short messages.
    let service = SchedulerGrpcServer::new(ExecutorService::new(server.clone(), config.leadership.clone()))
        .max_encoding_message_size(message_limit)
        .max_decoding_message_size(message_limit);
    let serving = create_grpc_server(&grpc).add_service(service).serve_with_incoming(incoming);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the scheduler no longer serves executors");
        }
    });
    Ok((address, server, cluster))
}

fn engine_config(config: &ClusterConfig, address: SocketAddr, sessions: Sessions) -> SchedulerConfig {
    let message_bytes = u32::try_from(sessions.settings().message_limit_bytes).unwrap_or(u32::MAX);
    let configured = sessions.config();
    let codec = PlanCodec::new(sessions.functions());
    SchedulerConfig {
        // Executors call back at this host and port; with a wrong one a job's results never arrive.
        external_host: config.advertised_host.clone().unwrap_or_else(|| address.ip().to_string()),
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        // Results are removed when they have been taken, not after a time, so that slow readers keep theirs.
        finished_job_data_clean_up_interval_seconds: 0,
        finished_job_state_clean_up_interval_seconds: FINISHED_JOB_SECONDS,
        grpc_server_max_decoding_message_size: message_bytes,
        grpc_server_max_encoding_message_size: message_bytes,
        grpc_client_max_message_size: message_bytes,
        executor_timeout_seconds: config.timeouts.executor.as_secs(),
        expire_dead_executor_interval_seconds: config.timeouts.check.as_secs().max(1),
        no_executors_grace_period_seconds: config.timeouts.no_executors.as_secs(),
        executor_termination_grace_period: config.timeouts.leaving.as_secs(),
        min_ready_executors: 1,
        override_config_producer: Some(Arc::new(move || configured.clone())),
        override_session_builder: Some(Arc::new(move |config| sessions.state(config))),
        override_physical_codec: Some(Arc::new(codec)),
        ..SchedulerConfig::default()
    }
}
