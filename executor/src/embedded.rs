//! An executor inside this process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::ExecutorStoppedParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_core::utils::{
    GrpcClientConfig, GrpcServerConfig, create_grpc_client_connection, create_grpc_server, create_grpc_server_incoming,
};
use ballista_executor::executor::Executor;
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use ballista_executor::executor_server;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::metrics::{ExecutorMetricCollectionPolicy, LoggingMetricsCollector};
use ballista_executor::shutdown::ShutdownNotifier;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use windlass_shared::codec::PlanCodec;
use windlass_shared::session::{ENGINE_MESSAGE_BYTES, Sessions};

use crate::task::TaskEngine;
use crate::work_dir::WorkDir;
use crate::{ExecutorConfig, ExecutorError};

/// Threads for what an executor does besides its tasks: heartbeats, messages, serving shuffle files.
const SERVICE_THREADS: usize = 2;
/// How often a free port is looked for, should another process take it at the last moment.
const PORT_ATTEMPTS: usize = 5;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An executor inside this process, with threads of its own. Several may live side by side.
///
/// It installs no signal handlers. Call [`EmbeddedExecutor::stop`] to leave the cluster in order; when merely dropped it
/// stops as well, but the scheduler learns of it only from missing heartbeats.
#[derive(Debug)]
pub struct EmbeddedExecutor {
    id: String,
    scheduler: String,
    // Fields are dropped in this order: the threads must end before the folder goes.
    runtime: Option<Runtime>,
    work_dir: WorkDir,
}

impl EmbeddedExecutor {
    /// Starts an executor and returns when the scheduler has accepted it.
    ///
    /// Its tasks run in sessions of `sessions`: with their functions, object stores, caches and memory pool.
    ///
    /// # Errors
    /// [`ExecutorError`]: the work folder, the threads and ports, or joining the scheduler.
    pub async fn start(config: ExecutorConfig, sessions: Sessions) -> Result<Self, ExecutorError> {
        let id = uuid::Uuid::new_v4().to_string();
        let work_dir = WorkDir::create(&config.work_dir, &id)
            .map_err(|source| ExecutorError::WorkDir { folder: config.work_dir.display().to_string(), source })?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(SERVICE_THREADS)
            .thread_name("windlass-executor")
            .enable_all()
            .build()
            .map_err(|error| ExecutorError::Services(error.into()))?;
        let executor = Self { id, scheduler: config.scheduler.clone(), runtime: Some(runtime), work_dir };
        let folder = executor.work_dir().to_string_lossy().into_owned();
        let joining = join(executor.id.clone(), folder, config, sessions);
        match executor.runtime.as_ref().map(|runtime| runtime.spawn(joining)) {
            Some(joined) => joined.await.map_err(|error| ExecutorError::Services(error.into()))??,
            None => return Err(ExecutorError::Services("no threads".into())),
        }
        Ok(executor)
    }

    /// The executor's id in the cluster.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder that holds this executor's shuffle files.
    pub fn work_dir(&self) -> &Path {
        self.work_dir.path()
    }

    /// Leaves the cluster, ends running tasks without waiting for them and removes the work folder.
    pub async fn stop(mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let (id, scheduler) = (self.id.clone(), self.scheduler.clone());
        let leaving = runtime.spawn(async move {
            if let Err(error) = leave(id, &scheduler).await {
                tracing::debug!(%error, "the scheduler was not told that the executor stops");
            }
        });
        let _ = leaving.await;
        runtime.shutdown_background();
    }
}

impl Drop for EmbeddedExecutor {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts the services, registers with the scheduler, and leaves all of it running on the current runtime.
async fn join(id: String, folder: String, config: ExecutorConfig, sessions: Sessions) -> Result<(), ExecutorError> {
    let failed = |source: BoxError| ExecutorError::Join { address: config.scheduler.clone(), source };
    let scheduler = connect(&config.scheduler).await.map_err(failed)?;
    let shutdown = ShutdownNotifier::new();
    let flight_port = serve_flight(&folder, &config).map_err(ExecutorError::Services)?;
    let mut attempt = 1;
    let _service = loop {
        let grpc_port = free_port(&config).map_err(|error| ExecutorError::Services(error.into()))?;
        let process = Arc::new(process_config(&id, &folder, &config, flight_port, grpc_port));
        let functions = registry(&sessions).map_err(|error| ExecutorError::Services(error.into()))?;
        let executor = Arc::new(executor(&process, &folder, &sessions, functions));
        let codec = BallistaCodec::<LogicalPlanNode, PhysicalPlanNode>::new(
            Arc::new(BallistaLogicalExtensionCodec::default()),
            Arc::new(PlanCodec::default()),
        );
        let (stop_sender, stop_requests) = mpsc::channel(10);
        let health = process.health.clone();
        match executor_server::startup(scheduler.clone(), process, executor, codec, stop_sender, &shutdown, health)
            .await
        {
            Ok(service) => {
                tokio::spawn(keep_alive(id, shutdown, stop_requests));
                break service;
            }
            Err(error) if attempt == PORT_ATTEMPTS => return Err(failed(error.into())),
            Err(error) => {
                tracing::debug!(%error, attempt, "the executor did not start, trying another port");
                attempt += 1;
            }
        }
    };
    Ok(())
}

/// Holds what the services need to go on, and hears the scheduler's requests to stop.
///
/// The scheduler makes one when heartbeats were missing for long, as after the machine slept. The executor is alive if
/// it hears that, and its next heartbeat registers it anew, so there is nothing to do.
async fn keep_alive(id: String, shutdown: ShutdownNotifier, mut stop_requests: mpsc::Receiver<bool>) {
    while stop_requests.recv().await.is_some() {
        tracing::warn!(executor = %id, "the scheduler had given up on this executor, which joins again");
    }
    drop(shutdown);
}

async fn connect(address: &str) -> Result<SchedulerGrpcClient<tonic::transport::Channel>, BoxError> {
    let channel = create_grpc_client_connection(format!("http://{address}"), &GrpcClientConfig::default()).await?;
    Ok(SchedulerGrpcClient::new(channel)
        .max_encoding_message_size(ENGINE_MESSAGE_BYTES)
        .max_decoding_message_size(ENGINE_MESSAGE_BYTES))
}

async fn leave(id: String, scheduler: &str) -> Result<(), BoxError> {
    let mut scheduler = connect(scheduler).await?;
    scheduler.executor_stopped(ExecutorStoppedParams { executor_id: id, reason: "stopped".to_owned() }).await?;
    Ok(())
}

/// Serves the shuffle files in `folder` on a free port, which is returned.
fn serve_flight(folder: &str, config: &ExecutorConfig) -> Result<u16, BoxError> {
    let server = GrpcServerConfig::default();
    let incoming = create_grpc_server_incoming(SocketAddr::new(config.bind, 0), &server)?;
    let port = incoming.local_addr()?.port();
    let service = FlightServiceServer::new(BallistaFlightService::new(folder.to_owned()))
        .max_decoding_message_size(ENGINE_MESSAGE_BYTES)
        .max_encoding_message_size(ENGINE_MESSAGE_BYTES);
    let serving = create_grpc_server(&server).add_service(service).serve_with_incoming(incoming);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "serving shuffle files ended");
        }
    });
    Ok(port)
}

/// A port that was free just now. The engine wants a number before it listens.
fn free_port(config: &ExecutorConfig) -> std::io::Result<u16> {
    Ok(TcpListener::bind(SocketAddr::new(config.bind, 0))?.local_addr()?.port())
}

fn process_config(
    id: &str,
    folder: &str,
    config: &ExecutorConfig,
    flight_port: u16,
    grpc_port: u16,
) -> ExecutorProcessConfig {
    let message_bytes = u32::try_from(ENGINE_MESSAGE_BYTES).unwrap_or(u32::MAX);
    let bind = config.bind.to_string();
    ExecutorProcessConfig {
        executor_id: id.to_owned(),
        external_host: Some(config.advertised_host.clone().unwrap_or_else(|| bind.clone())),
        bind_host: bind,
        port: flight_port,
        grpc_port,
        vcores: config.vcores.max(1),
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir: Some(folder.to_owned()),
        grpc_max_decoding_message_size: message_bytes,
        grpc_max_encoding_message_size: message_bytes,
        executor_heartbeat_interval_seconds: config.heartbeat.as_secs().max(1),
        metric_collection_policy: ExecutorMetricCollectionPolicy::ProcessOnly,
        ..ExecutorProcessConfig::default()
    }
}

/// The functions that tasks may call: those of every session.
fn registry(sessions: &Sessions) -> datafusion::error::Result<BallistaFunctionRegistry> {
    Ok(BallistaFunctionRegistry::from(&sessions.state(sessions.config())?))
}

fn executor(
    process: &Arc<ExecutorProcessConfig>,
    folder: &str,
    sessions: &Sessions,
    functions: BallistaFunctionRegistry,
) -> Executor {
    let vcores = process.vcores;
    let registration = structure_executor_metadata(process, u32::try_from(vcores).unwrap_or(u32::MAX));
    let runtime = Arc::clone(sessions.runtime());
    let engine = TaskEngine::new(Arc::clone(&runtime));
    let config = sessions.config();
    Executor::new(
        registration,
        folder,
        Arc::new(move |_| Ok(Arc::clone(&runtime))),
        Arc::new(move || config.clone()),
        Arc::new(functions),
        Arc::new(LoggingMetricsCollector::default()),
        vcores,
        Arc::new(engine),
    )
}
