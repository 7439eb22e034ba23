//! The scheduler as a server: a process with settings, probes and signals.
//!
//! ```text
//! settings ─→ state store, sessions, engine ─→ Scheduler ─→ the API
//!                                               └─ SIGTERM: take no more runs, wait until the deadline, cancel, stop
//! ```

mod probes;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::Builder;
use tokio::sync::RwLock;
use tokio::time::timeout;
use windlass_base::config::SessionSettings;
use windlass_base::stack::THREAD_STACK_BYTES;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_process::{HttpPort, LogGuard, ProcessError, ProcessFailure, Signals, WorkDir};

use self::probes::SchedulerProbes;
use self::settings::{ETCD_PASSWORD, ETCD_USER, PROGRAM, SchedulerSettings};
use crate::Scheduler;
use crate::cluster::SchedulerProcess;
use crate::execute::{Engine, SmallJobs};
use crate::maintain::Turns;
use crate::metrics::ServiceMetrics;
use crate::service::{ApiConfig, ApiServer};
use crate::state::{EtcdConfig, EtcdStore, EtcdUser, RedbStore, StateStore};

/// What the folder of its temporary files begins with.
const SCHEDULER: &str = "scheduler";
/// The state store's file in the state folder.
const STATE_FILE: &str = "state.redb";
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
    let process = SchedulerProcess::start(settings.cluster, &sessions).await.map_err(ProcessFailure::new)?;
    let process = Arc::new(process);
    let engine = Engine::with_small_jobs(&process, SmallJobs::new(settings.small_job_limit));
    let scheduler = Arc::new(Scheduler { sessions: Arc::new(sessions), engine, state, turns: Turns::default() });
    let config = ApiConfig {
        bind: settings.api_bind,
        home: settings.home.clone(),
        data: settings.data,
        project_limit: settings.project_limit,
        queue: settings.queue,
    };
    let api = ApiServer::start(config, Arc::clone(&scheduler), metrics).await.map_err(ProcessFailure::new)?;
    let api_address = api.address();
    // Probes ask it for its runs until it is stopped.
    let api = Arc::new(RwLock::new(Some(api)));
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

    let signal = signals.next().await;
    signals.end_at_next();
    probes.begin_to_drain();
    if let Some(api) = api.read().await.as_ref() {
        let runs = api.active_runs();
        let queued = api.queued_runs();
        tracing::info!(signal, runs, queued, deadline = ?settings.drain_deadline, "draining: no more runs are taken");
        api.stop_accepting();
        match timeout(settings.drain_deadline, api.drained()).await {
            Ok(()) => tracing::info!("drained: no run is under way"),
            Err(_) => tracing::warn!(runs = api.active_runs(), "the drain deadline has passed: cancelling what runs"),
        }
    }
    let stopping = api.write().await.take();
    if let Some(api) = stopping {
        api.stop().await;
    }
    drop(server);
    process.stop();
    drop(work_dir);
    tracing::info!("stopped");
    Ok(())
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
