//! The lifecycle of an executor: it joins a scheduler, and rejoins after that was unavailable, or another one leads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;
use windlass_base::stack::THREAD_STACK_BYTES;
use windlass_engine::session::Sessions;
use windlass_process::WorkDir;

use crate::drain::{Drained, drain};
use crate::membership::{Membership, MembershipHandle, another_leads, join, leave};
use crate::metrics::TaskMetrics;
use crate::services::{BoxError, Services};
use crate::{ExecutorConfig, ExecutorError};

/// The number of threads for everything except tasks: heartbeats, messages, serving shuffle files.
const SERVICE_THREADS: usize = 2;
/// The delay after the first failed attempt to join; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The longest delay if there are several schedulers, one of which will lead in a moment.
const MAX_PAUSE_OF_SEVERAL: Duration = Duration::from_secs(2);

/// The state of an executor's membership.
enum MembershipState {
    /// It is trying to join; with the reason of failure after the first attempt.
    Joining(Option<String>),
    /// It has joined.
    Member(Arc<Membership>),
}

struct Shared {
    services: Services,
    membership: watch::Sender<MembershipState>,
    draining: AtomicBool,
}

/// The status of an executor's membership.
#[derive(Clone)]
pub struct ExecutorStatus {
    id: String,
    shared: Arc<Shared>,
}

impl ExecutorStatus {
    /// The executor's current id at the scheduler, or its first one while it has none.
    pub fn id(&self) -> String {
        match &*self.shared.membership.borrow() {
            MembershipState::Member(member) => member.registration.id.clone(),
            MembershipState::Joining(_) => self.id.clone(),
        }
    }

    /// Whether the scheduler has accepted the executor and answered its last heartbeat.
    pub fn is_connected(&self) -> bool {
        self.obstacle().is_none()
    }

    /// Why the executor gets no tasks, if it does not.
    pub fn obstacle(&self) -> Option<String> {
        let scheduler = self.shared.services.schedulers();
        match &*self.shared.membership.borrow() {
            MembershipState::Joining(None) => Some(format!("joining the scheduler at {scheduler}")),
            MembershipState::Joining(Some(reason)) => {
                Some(format!("the scheduler at {scheduler} cannot be joined: {reason}"))
            }
            MembershipState::Member(member) if !member.health.is_ready() => {
                let scheduler = &member.scheduler.address;
                Some(format!("the scheduler at {scheduler} does not answer heartbeats"))
            }
            MembershipState::Member(_) => None,
        }
    }
}

/// An executor, with its own threads. It serves shuffle files as long as it lives, and is a member of a cluster
/// whenever there is a scheduler to join.
///
/// It installs no signal handlers. Call [`ExecutorNode::stop`] to leave the cluster cleanly; if merely dropped, it
/// stops as well, but the scheduler only notices missing heartbeats.
pub struct ExecutorNode {
    // Fields are dropped in this order: the threads must end before the folder is removed.
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    work_dir: WorkDir,
}

impl ExecutorNode {
    /// Starts an executor that joins its scheduler as soon as it is available.
    ///
    /// Its tasks run in sessions of `sessions`: with their functions, object stores, caches and memory pool.
    ///
    /// # Errors
    /// [`ExecutorError::Services`].
    pub async fn start(
        config: ExecutorConfig,
        work_dir: WorkDir,
        sessions: Sessions,
        metrics: TaskMetrics,
    ) -> Result<Self, ExecutorError> {
        let node = Self::prepare(config, work_dir, sessions, metrics).await?;
        let id = node.work_dir.id().to_owned();
        node.spawn(supervise(Arc::clone(&node.shared), id, None));
        Ok(node)
    }

    /// Starts an executor and returns when its scheduler has accepted it.
    ///
    /// # Errors
    /// [`ExecutorError::Services`], or [`ExecutorError::Join`] if the scheduler does not accept it immediately.
    pub async fn start_joined(
        config: ExecutorConfig,
        work_dir: WorkDir,
        sessions: Sessions,
        metrics: TaskMetrics,
    ) -> Result<Self, ExecutorError> {
        let address = config.schedulers.join(", ");
        let node = Self::prepare(config, work_dir, sessions, metrics).await?;
        let id = node.work_dir.id().to_owned();
        let shared = Arc::clone(&node.shared);
        let member_id = id.clone();
        let joined = node.call(async move { join(&shared.services, &member_id).await }).await?;
        let joined = joined.map_err(|source| ExecutorError::Join { address, source })?;
        node.spawn(supervise(Arc::clone(&node.shared), id, Some(joined)));
        Ok(node)
    }

    async fn prepare(
        config: ExecutorConfig,
        work_dir: WorkDir,
        sessions: Sessions,
        metrics: TaskMetrics,
    ) -> Result<Self, ExecutorError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(SERVICE_THREADS)
            .thread_name("windlass-executor")
            // Plans of tasks are decoded here.
            .thread_stack_size(THREAD_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| ExecutorError::Services(error.into()))?;
        // The services, and the client of the scheduler, must start on the executor's own threads.
        let services = {
            let _threads = runtime.enter();
            Services::start(config, work_dir.jobs(), sessions, metrics)
        };
        match services {
            Ok(services) => {
                let (membership, _) = watch::channel(MembershipState::Joining(None));
                let shared = Arc::new(Shared { services, membership, draining: AtomicBool::new(false) });
                Ok(Self { runtime: Some(runtime), shared, work_dir })
            }
            Err(error) => {
                // A runtime must not be dropped on a thread that runs async code.
                runtime.shutdown_background();
                Err(ExecutorError::Services(error))
            }
        }
    }

    /// The executor's first id in a cluster, and its only one unless it had to join again.
    pub fn id(&self) -> &str {
        self.work_dir.id()
    }

    /// The folder with this executor's shuffle files.
    pub fn work_dir(&self) -> &Path {
        self.work_dir.jobs()
    }

    /// A handle for the executor's status, which remains valid after it has stopped.
    pub fn status(&self) -> ExecutorStatus {
        ExecutorStatus { id: self.id().to_owned(), shared: Arc::clone(&self.shared) }
    }

    /// Tells the scheduler to send nothing more, and waits until no task runs and no job needs the executor's files, at
    /// most until the deadline. It affects all executors of the process: use it only if there is one.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.shared.draining.store(true, Ordering::Release);
        let member = match &*self.shared.membership.borrow() {
            MembershipState::Member(member) => Arc::clone(member),
            MembershipState::Joining(_) => return Drained::NobodyWaits,
        };
        let (shared, folder) = (Arc::clone(&self.shared), self.work_dir.jobs().to_owned());
        let drained = self.call(async move { drain(&shared.services, &member, &folder, deadline).await }).await;
        drained.unwrap_or(Drained::NobodyWaits)
    }

    /// Leaves the cluster, ends running tasks without waiting for them and removes the work folder.
    pub async fn stop(self) {
        self.shared.draining.store(true, Ordering::Release);
        let member = match &*self.shared.membership.borrow() {
            MembershipState::Member(member) => Arc::clone(member),
            MembershipState::Joining(_) => return,
        };
        let shared = Arc::clone(&self.shared);
        let left = self.call(async move { leave(&shared.services, &member).await.map_err(|error| error.to_string()) });
        if let Ok(Err(error)) = left.await {
            tracing::debug!(%error, "the scheduler could not be notified that the executor stops");
        }
    }

    /// Runs `work` on the executor's own threads.
    async fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ExecutorError> {
        match &self.runtime {
            Some(runtime) => runtime.spawn(work).await.map_err(|error| ExecutorError::Services(error.into())),
            None => Err(ExecutorError::Services("the executor has stopped".into())),
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }
}

impl std::fmt::Debug for ExecutorNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutorNode").field("work_dir", &self.work_dir).finish_non_exhaustive()
    }
}

impl Drop for ExecutorNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Keeps the executor in a cluster: joins, detects that the scheduler was lost, and rejoins under a new id, because a
/// scheduler that was only unreachable still knows the old one, with tasks that it will reassign.
async fn supervise(shared: Arc<Shared>, id: String, mut joined: Option<(Membership, MembershipHandle)>) {
    let mut id = id;
    loop {
        let (member, mut ending) = match joined.take() {
            Some(joined) => joined,
            None => match join_with_retries(&shared, &id).await {
                Some(joined) => joined,
                None => return,
            },
        };
        tracing::info!(executor = %id, scheduler = %member.scheduler.address, "joined the scheduler");
        let scheduler = member.scheduler.clone();
        shared.membership.send_replace(MembershipState::Member(Arc::new(member)));
        let reason = tokio::select! {
            () = ending.lost() => "it did not answer heartbeats",
            () = another_leads(&shared.services, &scheduler) => "another one leads",
        };
        if shared.draining.load(Ordering::Acquire) {
            return;
        }
        tracing::warn!(
            executor = %id,
            scheduler = %scheduler.address,
            reason,
            "the scheduler is lost: ending its tasks and rejoining"
        );
        shared.membership.send_replace(MembershipState::Joining(Some(reason.to_owned())));
        ending.clean_up(&shared.services).await;
        id = uuid::Uuid::new_v4().to_string();
    }
}

/// Tries to join until it succeeds; `None` if the executor is stopped meanwhile.
async fn join_with_retries(shared: &Shared, id: &str) -> Option<(Membership, MembershipHandle)> {
    let mut pause = FIRST_PAUSE;
    while !shared.draining.load(Ordering::Acquire) {
        let error: BoxError = match join(&shared.services, id).await {
            Ok(joined) => return Some(joined),
            Err(error) => error,
        };
        let reason = windlass_base::error::full_message(error.as_ref());
        tracing::warn!(
            scheduler = %shared.services.schedulers(),
            reason,
            again_in = ?pause,
            "cannot join the scheduler"
        );
        shared.membership.send_replace(MembershipState::Joining(Some(reason)));
        sleep(pause).await;
        let is_one = shared.services.candidates().await.len() == 1;
        pause = (pause * 2).min(if is_one { MAX_PAUSE } else { MAX_PAUSE_OF_SEVERAL });
    }
    None
}
