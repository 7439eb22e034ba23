//! The service's process: where it listens, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};
use windlass_api::v1::windlass_service_server::WindlassServiceServer;
use windlass_api::{API_HEADER, API_MESSAGE_BYTES, API_VERSION};
use windlass_storage::Location;

use super::api::Api;
use super::error::ServiceError;
use super::file_cache::FileCache;
use super::flight::DataService;
use super::maintenance::Turns;
use super::queue::QueueLimits;
use super::runs::LiveRuns;
use super::start;
use crate::Scheduler;
use crate::metrics::ServiceMetrics;

/// How many of the largest projects the scheduler holds the files of.
const PROJECTS_HELD: u64 = 8;
/// How often a silent connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How often it is looked whether the last run has ended.
const DRAIN_POLL: Duration = Duration::from_millis(100);
/// How long open calls may take to end when the service stops.
const CLOSING: Duration = Duration::from_secs(2);

/// How the service is set up.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where tables and bundles go: `<home>/<pipeline>/…`.
    pub home: Location,
    /// Where relative locations of submitted projects start.
    pub data: Location,
    /// Bytes that the files of a project may have together.
    pub project_limit: u64,
    /// How many runs may be under way, and how many may wait.
    pub queue: QueueLimits,
}

/// What every call needs.
pub(super) struct Shared {
    pub(super) config: ApiConfig,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) metrics: Arc<ServiceMetrics>,
    pub(super) files: FileCache,
    pub(super) runs: LiveRuns,
    pub(super) turns: Turns,
}

impl Shared {
    /// Whether this scheduler leads; otherwise it says who does.
    pub(super) fn check_leads(&self) -> Result<(), ServiceError> {
        match self.scheduler.leadership.leads() {
            true => Ok(()),
            false => Err(self.standby()),
        }
    }

    /// The refusal of a scheduler that stands by.
    pub(super) fn standby(&self) -> ServiceError {
        ServiceError::Standby { leader: self.scheduler.leadership.leader().map(|leader| leader.api) }
    }
}

/// The API, listening.
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ApiServer {
    /// Starts the service; it listens when this returns. Runs are driven on the current runtime. Where several schedulers
    /// share the state, it refuses what the leader does until this one leads and has taken up the runs.
    ///
    /// # Errors
    /// [`ServiceError::Bind`].
    pub async fn start(
        config: ApiConfig,
        scheduler: Arc<Scheduler>,
        metrics: Arc<ServiceMetrics>,
    ) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Bind { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let room = usize::try_from(config.project_limit.saturating_mul(PROJECTS_HELD)).unwrap_or(usize::MAX);
        let runs = LiveRuns::new(config.queue);
        let (files, turns) = (FileCache::new(room), Turns::new(Arc::clone(&metrics)));
        let shared = Arc::new(Shared { config, scheduler, metrics, files, runs, turns });
        let stop = CancellationToken::new();
        if shared.scheduler.leadership.leads() {
            // Before anyone can ask for them.
            start::take_up(&shared).await;
        }
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, shared, stop, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes up the runs that the leader before has not ended, and accepts work from then on.
    pub(crate) async fn take_up(&self) {
        start::take_up(&self.shared).await;
        self.shared.scheduler.leadership.open();
    }

    /// How many runs are under way.
    pub fn active_runs(&self) -> usize {
        self.shared.runs.active().len()
    }

    /// How many runs are in the queue.
    pub fn queued_runs(&self) -> usize {
        self.shared.runs.queued_count()
    }

    /// From now on no run starts, and the queue is left to the next scheduler; runs under way go on, and can be watched and
    /// cancelled. Maintenance stops: the next turn does what is left.
    pub fn stop_accepting(&self) {
        self.shared.runs.stop_accepting();
        self.shared.turns.stop();
    }

    /// Waits until no run and no turn of maintenance is under way, after [`ApiServer::stop_accepting`].
    pub async fn drained(&self) {
        self.shared.turns.ended().await;
        while self.active_runs() > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Cancels what still runs, waits for it to end, and closes the service.
    pub async fn stop(self) {
        self.stop_accepting();
        for run in self.shared.runs.active() {
            run.cancel();
            run.end().await;
        }
        self.shared.turns.ended().await;
        self.stop.cancel();
        let closing = self.serving.abort_handle();
        if tokio::time::timeout(CLOSING, self.serving).await.is_err() {
            closing.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let api = WindlassServiceServer::new(Api::new(Arc::clone(&shared)))
        .max_decoding_message_size(API_MESSAGE_BYTES)
        .max_encoding_message_size(API_MESSAGE_BYTES);
    let data = FlightServiceServer::new(DataService::new(shared)).max_decoding_message_size(API_MESSAGE_BYTES);
    let server = Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(InterceptedService::new(api, same_version))
        .add_service(InterceptedService::new(data, same_version));
    let incoming = TcpListenerStream::new(listener);
    if let Err(error) = server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await {
        tracing::error!(%error, "the API is no longer served");
    }
}

/// Refuses clients that say they speak another version. Those that say nothing are taken at the name of the service.
#[allow(clippy::result_large_err)]
fn same_version(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get(API_HEADER) {
        Some(version) if version.as_bytes() != API_VERSION.to_string().as_bytes() => {
            let found = String::from_utf8_lossy(version.as_bytes()).into_owned();
            Err(ServiceError::Version { found }.into())
        }
        _ => Ok(request),
    }
}
