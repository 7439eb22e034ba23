//! The engines behind one door: it takes plans and hands out jobs.
//!
//! ```text
//!            ┌ on a cluster ─ Place: in tasks on executors (cluster_engine), or as a whole here (local), if a plan is small or
//! JobRequest ┤                        cannot be cut or sent
//!            └ in this process ─ Place: as a whole here (local)
//! ```
//!
//! The plans, the writers, the evidence and the rows are the same.

use std::path::Path;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use windlass_base::stack::with_large_stack;

use super::arrival;
use super::cluster_engine::ClusterEngine;
use super::distributable::distributable;
use super::local::LocalJob;
use super::small_jobs::SmallJobs;
use super::{EngineError, Place, RunningJob};
use crate::cluster::SchedulerProcess;

/// A plan to run.
pub struct JobRequest {
    /// What people see in logs.
    pub name: String,
    /// The plan. On a cluster its leaves must be scans of files or of memory, or have one partition.
    pub plan: Arc<dyn ExecutionPlan>,
    /// The session that the plan was made in; its options hold for every task.
    pub session: Arc<SessionContext>,
}

/// What an engine has to run tasks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Executors that take tasks.
    pub executors: usize,
    /// Tasks that they can run side by side.
    pub vcores: usize,
}

/// Runs plans. Clones share the cluster, if there is one.
#[derive(Debug, Clone)]
pub struct Engine {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Cluster { cluster: ClusterEngine, small: SmallJobs },
    InProcess { vcores: usize },
}

impl Engine {
    /// The engine whose jobs `scheduler` runs, all in tasks. Stop the scheduler last: without it, jobs are lost.
    pub fn new(scheduler: &SchedulerProcess) -> Self {
        Self::with_small_jobs(scheduler, SmallJobs::new(0))
    }

    /// As [`Engine::new`], with `small` jobs in this process.
    pub fn with_small_jobs(scheduler: &SchedulerProcess, small: SmallJobs) -> Self {
        Self { kind: Kind::Cluster { cluster: ClusterEngine::new(scheduler), small } }
    }

    /// An engine that runs every plan as a whole in this process, on as many threads as the machine has processors: no task is
    /// cut, nothing is sent, and nothing listens on a port.
    pub fn in_process() -> Self {
        let vcores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { kind: Kind::InProcess { vcores } }
    }

    /// Tells the engine that `executor` keeps its files in `work_dir` on this machine: results are then read there
    /// instead of being sent over a socket.
    pub fn add_local_executor(&self, executor: &str, work_dir: &Path) {
        if let Kind::Cluster { cluster, .. } = &self.kind {
            cluster.add_local_executor(executor, work_dir);
        }
    }

    /// How many executors take tasks, and how many tasks can run side by side.
    pub async fn capacity(&self) -> Capacity {
        match &self.kind {
            Kind::Cluster { cluster, .. } => cluster.capacity().await,
            Kind::InProcess { vcores } => Capacity { executors: 0, vcores: *vcores },
        }
    }

    /// Where `plan`, which was made in the session `context`, can run.
    pub fn place(&self, plan: &Arc<dyn ExecutionPlan>, context: &SessionContext) -> Place {
        match &self.kind {
            Kind::Cluster { cluster, small } => match small.reason(plan) {
                Some(reason) => Place::Scheduler { reason },
                None => Place::of(plan, context, &cluster.codec()),
            },
            Kind::InProcess { .. } => Place::Process,
        }
    }

    /// Starts a job where its plan can run.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn start(&self, request: JobRequest, place: &Place) -> Result<RunningJob, EngineError> {
        match (&self.kind, place) {
            (Kind::Cluster { cluster, .. }, Place::Cluster { .. }) => {
                let plan = with_large_stack(|| distributable(request.plan))?;
                cluster.send(JobRequest { plan, ..request }).await
            }
            (Kind::Cluster { small, .. }, Place::Scheduler { reason }) => {
                tracing::info!(job = request.name, reason, "a job runs as a whole in this process");
                Ok(RunningJob::here(LocalJob::start(request, Some(Arc::clone(&small.turns)))?))
            }
            _ => Ok(RunningJob::here(LocalJob::start(request, None)?)),
        }
    }

    /// Starts a job: on a cluster in tasks, without looking first whether that is possible.
    ///
    /// # Errors
    /// [`EngineError::Unsplittable`] and [`EngineError::Plan`] if the plan cannot be distributed, [`EngineError::Lost`]
    /// if the scheduler has stopped. Most other faults show when the job is waited for.
    pub async fn submit(&self, request: JobRequest) -> Result<RunningJob, EngineError> {
        match &self.kind {
            Kind::Cluster { cluster, .. } => {
                let plan = with_large_stack(|| distributable(request.plan))?;
                with_large_stack(|| arrival::check(&plan, &request.session.task_ctx(), &cluster.codec()))?;
                cluster.send(JobRequest { plan, ..request }).await
            }
            Kind::InProcess { .. } => Ok(RunningJob::here(LocalJob::start(request, None)?)),
        }
    }
}
