//! The executor as a server: a process with settings, probes and signals.
//!
//! ```text
//! settings ─→ work folder, sessions, ports ─→ ExecutorNode (joins, runs tasks, rejoins)
//!                                              └─ SIGTERM: drain until the deadline, leave, remove the work folder
//! ```

mod probes;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use windlass_base::config::SessionSettings;
use windlass_base::stack::THREAD_STACK_BYTES;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_process::{HttpPort, LogGuard, ProcessError, ProcessFailure, Signals, Size, WorkDir, memory};

use self::probes::ExecutorProbes;
use self::settings::{ExecutorSettings, PROGRAM};
use crate::{Drained, EXECUTOR, ExecutorError, ExecutorNode, TaskMetrics};

/// How long threads may take to end at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the program, and of the link under which the command is this server.
pub const NAME: &str = "windlass-executor";

/// Runs an executor with the arguments of a process, the first of which is how it was called, until a signal ends it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    PROGRAM.main(args, |values| {
        let settings = ExecutorSettings::from_values(&values)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
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

async fn serve(settings: ExecutorSettings, _logs: &LogGuard) -> Result<(), ProcessFailure> {
    let mut signals = Signals::listen()?;
    let http = HttpPort::bind(settings.http_bind).await?;
    let http_address = http.address();
    let work_dir = WorkDir::create(&settings.executor.work_dir, EXECUTOR).map_err(ProcessFailure::new)?;
    // A spill folder outside the work folder is managed like one: nothing is left in it.
    let spill = settings
        .spill_dir
        .as_deref()
        .map(|folder| WorkDir::create(folder, EXECUTOR))
        .transpose()
        .map_err(ProcessFailure::new)?;
    let spill_dir = match &spill {
        Some(folder) => folder.path().to_owned(),
        None => work_dir.spill_dir().map_err(ProcessFailure::new)?,
    };
    warn_of_memory(settings.memory);
    let session = SessionSettings {
        target_partitions: settings.executor.vcores,
        memory_limit_bytes: settings.memory,
        spill_dir: Some(spill_dir),
        message_limit_bytes: settings.message_limit,
        ..SessionSettings::default()
    };
    let sessions = Sessions::new(session, Functions::standard()).map_err(ProcessFailure::new)?;
    let pool = Arc::clone(&sessions.runtime().memory_pool);
    let metrics = TaskMetrics::new().map_err(metrics_failed)?;
    let (vcores, scheduler) = (settings.executor.vcores, settings.executor.schedulers.join(","));
    let node = ExecutorNode::start(settings.executor, work_dir, sessions, metrics.clone())
        .await
        .map_err(ProcessFailure::new)?;
    tracing::info!(
        executor = node.id(),
        %scheduler,
        vcores,
        memory = settings.memory.map(|bytes| Size(bytes as u64).to_string()),
        work_dir = %node.work_dir().display(),
        http = %http_address,
        "the executor is up"
    );
    let probes = ExecutorProbes::new(node.status(), pool, vcores, settings.memory, &metrics).map_err(metrics_failed)?;
    let probes = Arc::new(probes);
    let server = http.serve(probes.clone())?;

    let signal = signals.next().await;
    signals.end_at_next();
    tracing::info!(signal, deadline = ?settings.drain_deadline, "draining: no new tasks are taken");
    probes.begin_to_drain();
    match node.drain(settings.drain_deadline).await {
        Drained::Finished => tracing::info!("drained: leaving the cluster"),
        Drained::NobodyWaits => tracing::info!("no scheduler is waiting for this executor: leaving"),
        Drained::DeadlinePassed { tasks } => {
            tracing::warn!(tasks, "the drain deadline has passed: leaving with work unfinished");
        }
    }
    node.stop().await;
    drop(server);
    tracing::info!("stopped");
    Ok(())
}

/// Warns if queries may use more memory than available: the process would be killed instead of spilling.
fn warn_of_memory(memory: Option<usize>) {
    let available = memory::process_memory();
    match (memory, available) {
        (None, _) => tracing::warn!("the machine's memory is unknown: queries are not limited; set `memory`"),
        (Some(memory), Some(available)) if memory as u64 > available => tracing::warn!(
            memory = %Size(memory as u64),
            available = %Size(available),
            "`memory` is more than the container or the machine has"
        ),
        _ => {}
    }
}

fn metrics_failed(error: prometheus::Error) -> ProcessFailure {
    ProcessFailure::new(ExecutorError::Services(error.into()))
}
