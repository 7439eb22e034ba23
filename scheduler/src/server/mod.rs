//! The scheduler as a server: a process with settings, probes and signals.
//!
//! ```text
//! settings ─→ state store, sessions, engine ─→ Scheduler ─→ the API
//!                 └─ election: stand by → lead           └─ SIGTERM: take no more runs, wait until the deadline, cancel, stop
//! ```

mod probes;
mod settings;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::Builder;
use tokio::sync::RwLock;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use windlass_base::config::SessionSettings;
use windlass_base::stack::THREAD_STACK_BYTES;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_process::{HostPort, HttpPort, LogGuard, ProcessError, ProcessFailure, Signals, WorkDir};

use self::probes::SchedulerProbes;
use self::settings::{ETCD_PASSWORD, ETCD_USER, PROGRAM, SchedulerSettings, advertised};
use crate::Scheduler;
use crate::cluster::SchedulerProcess;
use crate::execute::{Engine, SmallJobs};
use crate::leadership::{Election, LeaderAddress, LeadershipLost};
use crate::maintain::Turns;
use crate::metrics::ServiceMetrics;
use crate::service::{ApiConfig, ApiServer};
use crate::state::{EtcdConfig, EtcdStore, EtcdUser, RedbStore, StateStore};

/// What the folder of its temporary files begins with.
const SCHEDULER: &str = "scheduler";
/// The state store's file in the state folder.
const STATE_FILE: &str = "state.redb";
/// The API, until it is stopped.
type SharedApi = Arc<RwLock<Option<ApiServer>>>;

/// How long threads may take to end once everything is said and done.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the program, and of the link under which the command is this server.
pub const NAME: &str = "windlass-scheduler";

/// Runs a scheduler with the arguments of a process, the first of which is how it was called, until a signal ends it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    PROGRAM.main(args, |values| {
        let settings = SchedulerSettings::from_values(&values)?;
        let runtime = Builder::new_multi_thread()
            .thread_stack_size(THREAD_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|source| ProcessError::System { what: "start its threads", source })?;
        let logs = runtime.block_on(async { settings.logs.start(PROGRAM.name) })?;
        let outcome = runtime.block_on(serve(settings, &logs));
        drop(logs);
        runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        outcome
    })
}

async fn serve(settings: SchedulerSettings, _logs: &LogGuard) -> Result<(), ProcessFailure> {
    let mut signals = Signals::listen()?;
    let http = HttpPort::bind(settings.http_bind).await?;
    let http_address = http.address();
    let registry = Registry::new();
    let metrics = Arc::new(ServiceMetrics::register(&registry).map_err(metrics_failed)?);
    let state = open_state(&settings).await?;
    let work_dir = WorkDir::create(&settings.state_dir, SCHEDULER).map_err(ProcessFailure::new)?;
    let session = SessionSettings {
        memory_limit_bytes: settings.memory,
        spill_dir: Some(work_dir.spill_dir().map_err(ProcessFailure::new)?),
        message_limit_bytes: settings.message_limit,
        ..SessionSettings::default()
    };
    let sessions = Sessions::new(session, Functions::standard()).map_err(ProcessFailure::new)?;
    let leadership = settings.cluster.leadership.clone();
    let engine_host = settings.cluster.advertised_host.clone();
    let process = SchedulerProcess::start(settings.cluster, &sessions).await.map_err(ProcessFailure::new)?;
    let process = Arc::new(process);
    let engine = Engine::with_small_jobs(&process, SmallJobs::new(settings.small_job_limit));
    let scheduler = Arc::new(Scheduler {
        sessions: Arc::new(sessions),
        engine,
        state: Arc::clone(&state),
        turns: Turns::default(),
        leadership: leadership.clone(),
    });
    let config = ApiConfig {
        bind: settings.api_bind,
        home: settings.home.clone(),
        data: settings.data,
        project_limit: settings.project_limit,
        queue: settings.queue,
    };
    let api = ApiServer::start(config, Arc::clone(&scheduler), metrics).await.map_err(ProcessFailure::new)?;
    let api_address = api.address();
    let address = address_of(settings.api_advertise, api_address, engine_host, process.address());
    let election = Election::new(state, leadership.clone(), &address, settings.leader_lease);
    // Probes ask it for its runs until it is stopped.
    let api: SharedApi = Arc::new(RwLock::new(Some(api)));
    let probes =
        SchedulerProbes::new(Arc::clone(&process), scheduler, Arc::clone(&api), registry).map_err(metrics_failed)?;
    let probes = Arc::new(probes);
    let server = http.serve(probes.clone())?;
    tracing::info!(
        home = %settings.home,
        api = %api_address,
        engine = %process.address(),
        http = %http_address,
        "the scheduler is up"
    );
    let resign = CancellationToken::new();
    let leading = tokio::spawn(lead(election, Arc::clone(&api), resign.clone()));

    let signal = tokio::select! {
        lost = leadership.lost() => return Err(depose(&process, lost)),
        signal = signals.next() => signal,
    };
    signals.end_at_next();
    probes.begin_to_drain();
    if !leadership.is_elected() {
        resign.cancel();
    }
    tokio::select! {
        lost = leadership.lost() => return Err(depose(&process, lost)),
        () = drain(&api, signal, settings.drain_deadline) => {}
    }
    resign.cancel();
    // The next one leads at once.
    let _ = leading.await;
    drop(server);
    process.stop();
    drop(work_dir);
    tracing::info!("stopped");
    Ok(())
}

/// Where others are told to find this scheduler.
fn address_of(
    api: Option<HostPort>,
    api_bind: SocketAddr,
    engine_host: Option<String>,
    engine_bind: SocketAddr,
) -> LeaderAddress {
    let api = api.map_or_else(|| advertised(api_bind), |api| api.to_string());
    let engine = engine_host.map_or_else(|| advertised(engine_bind), |host| format!("{host}:{}", engine_bind.port()));
    LeaderAddress { api: format!("http://{api}"), engine }
}

/// Waits until this scheduler is elected, takes up the runs of the one before, and leads until `resign` fires.
async fn lead(mut election: Election, api: SharedApi, resign: CancellationToken) {
    let lease = tokio::select! {
        lease = election.win() => lease,
        () = resign.cancelled() => return,
    };
    tracing::info!("this scheduler leads");
    let keeping = tokio::spawn(election.keep(lease, resign));
    if let Some(api) = api.read().await.as_ref() {
        api.take_up().await;
    }
    // It ends when it is told to, or when the process does.
    let _ = keeping.await;
}

/// Takes no more runs, waits until those under way have ended, cancels them at the deadline, and closes the API.
async fn drain(api: &SharedApi, signal: &'static str, deadline: Duration) {
    if let Some(api) = api.read().await.as_ref() {
        let runs = api.active_runs();
        let queued = api.queued_runs();
        tracing::info!(signal, runs, queued, deadline = ?deadline, "draining: no more runs are taken");
        api.stop_accepting();
        match timeout(deadline, api.drained()).await {
            Ok(()) => tracing::info!("drained: no run is under way"),
            Err(_) => tracing::warn!(runs = api.active_runs(), "the drain deadline has passed: cancelling what runs"),
        }
    }
    let stopping = api.write().await.take();
    if let Some(api) = stopping {
        api.stop().await;
    }
}

/// Drops everything where it is: the scheduler that leads goes on with it.
fn depose(process: &SchedulerProcess, lost: LeadershipLost) -> ProcessFailure {
    tracing::error!(reason = %lost, "this scheduler leads no more: its runs are left to the one that does");
    process.stop();
    ProcessFailure::new(lost)
}

/// The state store: the etcd of the settings, or a file in the state folder.
async fn open_state(settings: &SchedulerSettings) -> Result<Arc<dyn StateStore>, ProcessFailure> {
    let Some(address) = settings.state.clone() else {
        let file = settings.state_dir.join(STATE_FILE);
        return Ok(Arc::new(RedbStore::create(file).await.map_err(ProcessFailure::new)?));
    };
    let config = EtcdConfig { user: etcd_user()?, ..EtcdConfig::new(address) };
    Ok(Arc::new(EtcdStore::connect(&config).await.map_err(ProcessFailure::new)?))
}

/// The user of etcd in the environment, if there is one.
fn etcd_user() -> Result<Option<EtcdUser>, ProcessError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(ETCD_USER), variable(ETCD_PASSWORD)) {
        (None, None) => Ok(None),
        (Some(name), Some(password)) => Ok(Some(EtcdUser { name, password })),
        _ => Err(ProcessError::Unusable {
            message: format!("only one of {ETCD_USER} and {ETCD_PASSWORD} is set"),
            help: "set both, or neither where etcd has no users".to_owned(),
        }),
    }
}

fn metrics_failed(source: prometheus::Error) -> ProcessFailure {
    ProcessError::System { what: "count its runs", source: std::io::Error::other(source) }.into()
}
