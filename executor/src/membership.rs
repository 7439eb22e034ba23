//! One membership in a scheduler's cluster, from joining it to losing it.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::serde::protobuf::{ExecutorRegistration, ExecutorStoppedParams};
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_executor::executor_server;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::shutdown::{Shutdown, ShutdownNotifier};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::running_jobs::RunningJobs;
use crate::services::{BoxError, Candidate, Services};

/// How many times to search for a free port, in case another process takes it first.
const PORT_ATTEMPTS: usize = 5;
/// How long a lost membership's service may take to finish its requests.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long its tasks may take to end after they were stopped.
const TASK_TIMEOUT: Duration = Duration::from_secs(10);
const TASK_POLL: Duration = Duration::from_millis(20);
/// How often it is looked whether another scheduler leads.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// An active membership, as far as the executor knows.
pub(crate) struct Membership {
    /// The scheduler.
    pub(crate) scheduler: Candidate,
    /// The executor's registration at the scheduler.
    pub(crate) registration: ExecutorRegistration,
    /// Whether the last heartbeat was answered.
    pub(crate) health: ExecutorHealth,
}

/// The services and tasks of a membership.
pub(crate) struct MembershipHandle {
    lost: Shutdown,
    shutdown: ShutdownNotifier,
    server: JoinHandle<Result<(), ballista_core::error::BallistaError>>,
    jobs: RunningJobs,
    stop_requests: JoinHandle<()>,
}

/// Joins the scheduler as `id`, or of several the one that leads. The services of the membership keep running on the current
/// runtime.
pub(crate) async fn join(services: &Services, id: &str) -> Result<(Membership, MembershipHandle), BoxError> {
    let candidates = services.candidates().await;
    if let [scheduler] = candidates.as_slice() {
        return join_at(services, id, scheduler.clone()).await;
    }
    for scheduler in candidates {
        if services.leads(&scheduler.resolved).await {
            return join_at(services, id, scheduler).await;
        }
    }
    Err("none of them leads".into())
}

async fn join_at(
    services: &Services,
    id: &str,
    candidate: Candidate,
) -> Result<(Membership, MembershipHandle), BoxError> {
    let scheduler = services.connect(&candidate.address).await?;
    let attempts = if services.config.grpc_port == 0 { PORT_ATTEMPTS } else { 1 };
    let mut attempt = 1;
    loop {
        let shutdown = ShutdownNotifier::new();
        let jobs = RunningJobs::default();
        let process = Arc::new(services.process_config(id, services.grpc_port()?));
        let executor = Arc::new(services.executor(&process, jobs.clone())?);
        let registration = executor.metadata.clone();
        let codec = BallistaCodec::<LogicalPlanNode, PhysicalPlanNode>::new(
            Arc::new(BallistaLogicalExtensionCodec::default()),
            Arc::new(services.codec()),
        );
        let (stop_sender, stop_requests) = mpsc::channel(10);
        let health = process.health.clone();
        let lost = shutdown.subscribe_for_shutdown();
        let started = executor_server::startup(
            scheduler.clone(),
            process,
            executor,
            codec,
            stop_sender,
            &shutdown,
            health.clone(),
        );
        match started.await {
            Ok(server) => {
                let stop_requests = tokio::spawn(log_stop_requests(id.to_owned(), stop_requests));
                tokio::spawn(jobs.clone().watch(scheduler, services.folder()));
                let ending = MembershipHandle { lost, shutdown, server, jobs, stop_requests };
                return Ok((Membership { scheduler: candidate, registration, health }, ending));
            }
            Err(error) if attempt == attempts => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, attempt, "the executor did not start, trying another port");
                attempt += 1;
            }
        }
    }
}

/// Logs the scheduler's stop requests.
///
/// The scheduler sends one after many missing heartbeats, for example after the machine slept. An executor that
/// receives it is alive, and its next heartbeat registers it again, so there is nothing to do.
async fn log_stop_requests(id: String, mut requests: mpsc::Receiver<bool>) {
    while requests.recv().await.is_some() {
        tracing::warn!(executor = %id, "the scheduler considered this executor lost; rejoining");
    }
}

impl MembershipHandle {
    /// Waits until the engine has given up the scheduler, because heartbeats failed too many times in a row.
    pub(crate) async fn lost(&mut self) {
        self.lost.recv().await;
    }

    /// Ends what is left of the membership, so that another can take its place: tasks whose results nobody would take,
    /// and the service on the port that the next one needs.
    pub(crate) async fn clean_up(self, services: &Services) {
        self.jobs.end();
        // There may be no receiver any more.
        let _ = self.shutdown.notify_shutdown.send(());
        let service = self.server.abort_handle();
        if timeout(SERVICE_TIMEOUT, self.server).await.is_err() {
            service.abort();
        }
        self.stop_requests.abort();
        let ended = timeout(TASK_TIMEOUT, async {
            while services.metrics.running() > 0 {
                sleep(TASK_POLL).await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(tasks = services.metrics.running(), "tasks of the lost scheduler do not end");
        }
    }
}

/// Returns when another scheduler than the joined one leads, and that one does not.
pub(crate) async fn another_leads(services: &Services, joined: &Candidate) {
    loop {
        sleep(LOOK_PERIOD).await;
        for other in services.candidates().await {
            let is_other = other.address != joined.address && other.resolved != joined.resolved;
            if is_other && services.leads(&other.resolved).await && !services.leads(&joined.resolved).await {
                return;
            }
        }
    }
}

/// Notifies the scheduler that a member has left.
pub(crate) async fn leave(services: &Services, member: &Membership) -> Result<(), BoxError> {
    let mut scheduler = services.connect(&member.scheduler.address).await?;
    let executor_id = member.registration.id.clone();
    let params = ExecutorStoppedParams { executor_id, reason: "stopped".to_owned() };
    scheduler.executor_stopped(params).await?;
    Ok(())
}
