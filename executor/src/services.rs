//! The parts of an executor: the service for shuffle files, and what it needs to join a scheduler.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::PollWorkParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::utils::{
    GrpcClientConfig, GrpcServerConfig, create_grpc_client_connection, create_grpc_server, create_grpc_server_incoming,
};
use ballista_executor::executor::Executor;
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use ballista_executor::metrics::{ExecutorMetricCollectionPolicy, LoggingMetricsCollector};
use tokio::net::lookup_host;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;
use windlass_engine::codec::PlanCodec;
use windlass_engine::session::Sessions;

use crate::ExecutorConfig;
use crate::metrics::TaskMetrics;
use crate::running_jobs::RunningJobs;
use crate::shuffle_service::ShuffleService;
use crate::task::TaskEngine;

/// How long a scheduler may take to say whether it leads. One that is paused never does.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A scheduler that may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where it is called.
    pub(crate) address: String,
    /// Its address now, which tells it from others.
    pub(crate) resolved: String,
}

/// The parts that are independent of the executor's memberships.
pub(crate) struct Services {
    pub(crate) config: ExecutorConfig,
    pub(crate) metrics: TaskMetrics,
    sessions: Sessions,
    folder: String,
    flight_port: u16,
}

impl Services {
    /// Serves the shuffle files in `folder` on the current runtime, and checks whether the other port is available.
    pub(crate) fn start(
        config: ExecutorConfig,
        folder: &Path,
        sessions: Sessions,
        metrics: TaskMetrics,
    ) -> Result<Self, BoxError> {
        let folder = folder.to_string_lossy().into_owned();
        let limit = sessions.settings().message_limit_bytes;
        let flight_port = serve_flight(&folder, &config, limit)
            .map_err(|error| format!("port {} for shuffle files: {error}", config.flight_port))?;
        let services = Self { config, metrics, sessions, folder, flight_port };
        let grpc_port = services.config.grpc_port;
        services.grpc_port().map_err(|error| format!("port {grpc_port} for tasks: {error}"))?;
        Ok(services)
    }

    /// A client of a scheduler.
    pub(crate) async fn connect(&self, scheduler: &str) -> Result<SchedulerGrpcClient<Channel>, BoxError> {
        let url = format!("http://{scheduler}");
        let channel = create_grpc_client_connection(url, &GrpcClientConfig::default()).await?;
        let limit = self.message_limit();
        Ok(SchedulerGrpcClient::new(channel).max_encoding_message_size(limit).max_decoding_message_size(limit))
    }

    /// Where there may be a scheduler that leads. A name with several addresses stands for as many schedulers.
    pub(crate) async fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for name in &self.config.schedulers {
            let found: Vec<String> = match lookup_host(name).await {
                Ok(found) => found.map(|address| address.to_string()).collect(),
                Err(_) => Vec::new(),
            };
            match found.as_slice() {
                [] => candidates.push(Candidate { address: name.clone(), resolved: name.clone() }),
                // By its name it is found again when it has another address.
                [one] => candidates.push(Candidate { address: name.clone(), resolved: one.clone() }),
                several => candidates
                    .extend(several.iter().map(|one| Candidate { address: one.clone(), resolved: one.clone() })),
            }
        }
        candidates
    }

    /// Whether a scheduler answers that it leads: it refuses a call that is not for us by itself, and a standby refuses
    /// every call.
    pub(crate) async fn leads(&self, scheduler: &str) -> bool {
        let asking = async {
            let mut client = self.connect(scheduler).await.ok()?;
            let refusal = client.poll_work(PollWorkParams::default()).await.err()?;
            Some(refusal.code() == Code::Unimplemented)
        };
        matches!(timeout(ANSWER_TIMEOUT, asking).await, Ok(Some(true)))
    }

    /// All schedulers, for messages.
    pub(crate) fn schedulers(&self) -> String {
        self.config.schedulers.join(", ")
    }

    /// The port for tasks: the configured one, or a currently free one. The engine needs the number before it listens.
    pub(crate) fn grpc_port(&self) -> std::io::Result<u16> {
        let address = SocketAddr::new(self.config.bind, self.config.grpc_port);
        Ok(TcpListener::bind(address)?.local_addr()?.port())
    }

    /// The engine's configuration for the member `id`.
    pub(crate) fn process_config(&self, id: &str, grpc_port: u16) -> ExecutorProcessConfig {
        let message_bytes = u32::try_from(self.message_limit()).unwrap_or(u32::MAX);
        let bind = self.config.bind.to_string();
        ExecutorProcessConfig {
            executor_id: id.to_owned(),
            external_host: Some(self.config.advertised_host.clone().unwrap_or_else(|| bind.clone())),
            bind_host: bind,
            port: self.flight_port,
            grpc_port,
            vcores: self.config.vcores.max(1),
            task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
            work_dir: Some(self.folder.clone()),
            grpc_max_decoding_message_size: message_bytes,
            grpc_max_encoding_message_size: message_bytes,
            executor_heartbeat_interval_seconds: self.config.heartbeat.as_secs().max(1),
            metric_collection_policy: ExecutorMetricCollectionPolicy::ProcessOnly,
            ..ExecutorProcessConfig::default()
        }
    }

    /// The codec for plans of tasks.
    pub(crate) fn codec(&self) -> PlanCodec {
        PlanCodec::new(self.sessions.functions())
    }

    /// The engine's executor, which runs the tasks of a member; `jobs` tracks their jobs.
    pub(crate) fn executor(
        &self,
        process: &Arc<ExecutorProcessConfig>,
        jobs: RunningJobs,
    ) -> datafusion::error::Result<Executor> {
        let vcores = process.vcores;
        let registration = structure_executor_metadata(process, u32::try_from(vcores).unwrap_or(u32::MAX));
        let runtime = Arc::clone(self.sessions.runtime());
        let engine = TaskEngine::new(Arc::clone(&runtime), self.metrics.clone(), jobs);
        let config = self.sessions.config();
        // Tasks have the same functions as sessions.
        let functions = BallistaFunctionRegistry::from(&self.sessions.state(self.sessions.config())?);
        Ok(Executor::new(
            registration,
            &self.folder,
            Arc::new(move |_| Ok(Arc::clone(&runtime))),
            Arc::new(move || config.clone()),
            Arc::new(functions),
            Arc::new(LoggingMetricsCollector::default()),
            vcores,
            Arc::new(engine),
        ))
    }

    /// The folder of shuffle files.
    pub(crate) fn folder(&self) -> PathBuf {
        PathBuf::from(&self.folder)
    }

    fn message_limit(&self) -> usize {
        self.sessions.settings().message_limit_bytes
    }
}

/// Serves the shuffle files in `folder`; the port is returned.
fn serve_flight(folder: &str, config: &ExecutorConfig, message_limit: usize) -> Result<u16, BoxError> {
    let server = GrpcServerConfig::default();
    let incoming = create_grpc_server_incoming(SocketAddr::new(config.bind, config.flight_port), &server)?;
    let port = incoming.local_addr()?.port();
    let service = FlightServiceServer::new(ShuffleService::new(folder))
        .max_decoding_message_size(message_limit)
        .max_encoding_message_size(message_limit);
    let serving = create_grpc_server(&server).add_service(service).serve_with_incoming(incoming);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "serving shuffle files ended");
        }
    });
    Ok(port)
}
