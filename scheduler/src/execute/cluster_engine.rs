//! Jobs on the cluster: plans are handed to its scheduler, and followed to their end.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, executor_status, job_status};
use ballista_scheduler::cluster::JobState;
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use datafusion::prelude::SessionContext;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::sync::{RwLock as AsyncRwLock, mpsc, watch};
use windlass_engine::codec::PlanCodec;
use windlass_engine::session::{SessionError, Sessions};

use super::{Capacity, EngineError, JobRequest, RunningJob, Shortage};
use crate::cluster::{EngineServer, SchedulerProcess, remove_from_leaving};

/// How many status changes of a job may wait to be read; the engine drops those beyond.
const STATUS_BUFFER: usize = 1024;
/// How often it is looked whether there are executors.
const EXECUTORS_PERIOD: Duration = Duration::from_millis(250);

/// Runs plans on the cluster. Clones share the cluster.
#[derive(Clone)]
pub(super) struct ClusterEngine {
    inner: Arc<Inner>,
}

struct Inner {
    server: Arc<EngineServer>,
    jobs: Arc<dyn JobState>,
    handle: Handle,
    sessions: Sessions,
    /// How long a job waits while there is no executor; `None` is for ever.
    patience: Option<Duration>,
    /// The folders of the executors on this machine, by executor.
    work_dirs: RwLock<HashMap<String, String>>,
}

impl fmt::Debug for ClusterEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterEngine")
            .field("scheduler", &self.inner.server.scheduler_endpoint)
            .finish_non_exhaustive()
    }
}

impl ClusterEngine {
    /// The engine whose jobs `scheduler` runs.
    pub(super) fn new(scheduler: &SchedulerProcess) -> Self {
        Self {
            inner: Arc::new(Inner {
                server: Arc::clone(scheduler.server()),
                jobs: scheduler.jobs(),
                handle: scheduler.handle().clone(),
                sessions: scheduler.sessions().clone(),
                patience: scheduler.patience(),
                work_dirs: RwLock::default(),
            }),
        }
    }

    pub(super) fn add_local_executor(&self, executor: &str, work_dir: &Path) {
        let folder = work_dir.to_string_lossy().into_owned();
        self.inner.work_dirs.write().insert(executor.to_owned(), folder);
    }

    pub(super) async fn capacity(&self) -> Capacity {
        let mut executors = self.inner.server.state.executor_manager.get_executors_state().await.unwrap_or_default();
        executors.retain(|(executor, ..)| self.takes_tasks(&executor.id));
        let vcores = executors.iter().map(|(executor, ..)| executor.specification.vcores as usize).sum();
        Capacity { executors: executors.len(), vcores }
    }

    fn takes_tasks(&self, executor: &str) -> bool {
        let heartbeat = self.inner.server.state.executor_manager.get_executor_hearbeat(executor);
        let status = heartbeat.and_then(|heartbeat| heartbeat.status?.status);
        matches!(status, Some(executor_status::Status::Active(_)))
    }

    /// Whether there is an executor that takes tasks.
    pub(super) fn has_executor(&self) -> bool {
        self.inner.server.is_ready()
    }

    /// Where executors join.
    pub(super) fn address(&self) -> &str {
        &self.inner.server.scheduler_endpoint
    }

    /// Waits until a job has waited for an executor long enough.
    async fn out_of_patience(&self) -> EngineError {
        let Some(patience) = self.inner.patience else { return std::future::pending().await };
        let mut shortage = Shortage::default();
        let mut clock = tokio::time::interval(EXECUTORS_PERIOD);
        loop {
            clock.tick().await;
            if shortage.observe(self.has_executor(), Instant::now()) >= patience {
                let address = self.address().to_owned();
                return EngineError::NoExecutorJoins { address, seconds: patience.as_secs() };
            }
        }
    }

    /// How plans are encoded for executors.
    pub(super) fn codec(&self) -> PlanCodec {
        PlanCodec::new(self.inner.sessions.functions())
    }

    /// Starts a job whose plan can be cut into tasks and sent.
    pub(super) async fn send(&self, request: JobRequest) -> Result<RunningJob, EngineError> {
        let plan = request.plan;
        let (sender, statuses) = mpsc::channel(STATUS_BUFFER);
        let server = &self.inner.server;
        let submitted = server
            .submit_physical_plan(&request.name, Arc::clone(&request.session), Arc::clone(&plan), Some(sender))
            .await;
        let id = submitted.map_err(|_| EngineError::Lost)?;
        let (outcome, watched) = watch::channel(None);
        self.inner.handle.spawn(follow(id.clone(), statuses, Arc::clone(&self.inner.jobs), outcome));
        let control = JobControl { engine: self.clone(), id, outcome: watched };
        Ok(RunningJob::new(control, plan, request.session.task_ctx()))
    }

    /// The folder of an executor on this machine.
    pub(super) fn work_dir(&self, executor: &str) -> Option<String> {
        self.inner.work_dirs.read().get(executor).cloned()
    }
}

/// How a job ended.
pub(super) enum Outcome {
    Succeeded(ExecutionGraphBox),
    /// The engine's message, and the stages if the job was planned.
    Failed(String, Option<ExecutionGraphBox>),
}

/// `None` while the job runs; the sender goes away without a value if the scheduler loses it.
pub(super) type OutcomeWatch = watch::Receiver<Option<Arc<Outcome>>>;

/// Waits for the end of a job, reading every status so that the last one is never dropped.
async fn follow(
    id: JobId,
    mut statuses: mpsc::Receiver<JobStatus>,
    jobs: Arc<dyn JobState>,
    outcome: watch::Sender<Option<Arc<Outcome>>>,
) {
    while let Some(status) = statuses.recv().await {
        let failed = match status.status {
            Some(job_status::Status::Successful(_)) => None,
            Some(job_status::Status::Failed(failed)) => Some(failed.error),
            _ => continue,
        };
        let graph = stored_graph(&jobs, &id).await;
        let ended = match (failed, graph) {
            (None, Some(graph)) => Outcome::Succeeded(graph),
            (None, None) => return,
            (Some(message), graph) => Outcome::Failed(message, graph),
        };
        outcome.send_replace(Some(Arc::new(ended)));
        return;
    }
}

/// The stages of a job that has ended; `None` if it was never planned.
///
/// The subscriber is told just before the stages are stored, hence the loop.
async fn stored_graph(jobs: &Arc<dyn JobState>, id: &JobId) -> Option<ExecutionGraphBox> {
    use job_status::Status::{Failed, Queued, Successful};
    loop {
        // The status is asked for first: if it is final, the stages are stored, or there are none.
        let status = jobs.get_job_status(id).await.ok().flatten().and_then(|status| status.status);
        let graph = jobs.get_execution_graph(id).await.ok().flatten();
        if graph.is_some() || matches!(status, Some(Queued(_) | Failed(_) | Successful(_))) {
            return graph;
        }
        tokio::task::yield_now().await;
    }
}

/// A job's id, what is known of it and what can be done to it.
#[derive(Clone)]
pub(super) struct JobControl {
    pub(super) engine: ClusterEngine,
    pub(super) id: JobId,
    pub(super) outcome: OutcomeWatch,
}

impl JobControl {
    /// The stages of the job while it runs.
    pub(super) fn running(&self) -> Option<Arc<AsyncRwLock<ExecutionGraphBox>>> {
        let running = self.engine.inner.server.state.task_manager.get_running_job_cache();
        running.get(&self.id).map(|job| Arc::clone(&job.execution_graph))
    }

    pub(super) fn ended(&self) -> Option<Arc<Outcome>> {
        self.outcome.borrow().clone()
    }

    /// The outcome of the job, if the scheduler ends it before it has waited too long for an executor.
    pub(super) async fn outcome(&self) -> Result<Option<Arc<Outcome>>, EngineError> {
        let mut outcome = self.outcome.clone();
        let ended = async move { outcome.wait_for(Option::is_some).await.map(|ended| ended.clone()) };
        tokio::select! {
            ended = ended => ended.map_err(|_| EngineError::Lost),
            error = self.engine.out_of_patience() => Err(error),
        }
    }

    /// Asks the scheduler to cancel the job.
    pub(super) async fn request_cancel(&self) {
        // It fails only if the scheduler is gone, and the job with it.
        let _ = self.engine.inner.server.cancel_job(self.id.clone()).await;
    }

    /// A session such as executors have: without what a caller added to its own.
    pub(super) fn executor_session(&self) -> Result<SessionContext, SessionError> {
        self.engine.inner.sessions.context()
    }

    /// Removes what the job has written on the executors.
    pub(super) fn remove_data(&self) {
        // The scheduler keeps its connections to executors: they must be made on its own threads.
        let _scheduler = self.engine.inner.handle.enter();
        let inner = &self.engine.inner;
        inner.server.state.executor_manager.clean_up_job_data(self.id.clone());
        inner.handle.spawn(remove_from_leaving(Arc::clone(&inner.server), self.id.clone()));
    }

    /// Runs `work` on the scheduler's threads, whatever becomes of the caller.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.engine.inner.handle.spawn(work);
    }
}
