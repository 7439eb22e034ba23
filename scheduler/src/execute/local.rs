//! A job that runs as a whole in this process.
//!
//! It keeps the contract of a job on the cluster: the same plans and writers, rows, cancellation and evidence. Every partition of
//! the plan is computed by a task of its own.

use std::sync::Arc;

use chrono::Utc;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionContext;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use windlass_base::stack::with_large_stack;
use windlass_engine::task::{TaskRequests, yielding};
use windlass_engine::task_failure::raised_in;

use super::job::JobProgress;
use super::kept_rows::KeptRows;
use super::{EngineError, EngineStageState, JobEvidence, JobRequest, TaskEvidence, TaskState, evidence};
use crate::planning::running_threads;

/// The rows of a job, partition by partition, or why there are none.
pub(super) type LocalOutcome = Result<Vec<Arc<KeptRows>>, EngineError>;

/// A job in this process. Dropping it cancels the job.
pub(super) struct LocalJob {
    id: String,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    stop: CancellationToken,
    outcome: watch::Receiver<Option<Arc<LocalOutcome>>>,
    tasks: Tasks,
    requests: Arc<TaskRequests>,
}

impl LocalJob {
    /// Starts the job, as soon as there is a turn for it.
    ///
    /// # Errors
    /// The engine's, if the plan cannot be made one that can be stopped.
    pub(super) fn start(request: JobRequest, turns: Option<Arc<Semaphore>>) -> Result<Self, EngineError> {
        let JobRequest { plan, session, .. } = request;
        let (stop, requests) = (CancellationToken::new(), Arc::new(TaskRequests::default()));
        // What ends the operators is not what tells that somebody has cancelled: a failure ends them too.
        let end = stop.child_token();
        let stoppable = with_large_stack(|| {
            let counting = requests.in_plan(plan, session.runtime_env().as_ref())?;
            yielding(counting, &end)
        });
        let plan = stoppable.map_err(|error| engine_error(&error))?;
        let tasks = Tasks::of(plan.output_partitioning().partition_count());
        let (told, outcome) = watch::channel(None);
        let work = Work {
            plan: Arc::clone(&plan),
            session,
            requests: Arc::clone(&requests),
            tasks: tasks.clone(),
            turns,
            // Parts of the plan that run in the background are told to end when the job has failed.
            end: end.drop_guard(),
        };
        let cancelled = stop.clone();
        let running = running_threads().spawn(work.rows());
        // Not on the threads that run plans: an operator may keep these busy for long, whatever it is told.
        tokio::spawn(async move {
            let abort = running.abort_handle();
            let rows = tokio::select! {
                ended = running => match ended {
                    Ok(rows) => rows,
                    Err(error) if error.is_panic() => Err(EngineError::Panicked(panic_text(error.into_panic().as_ref()))),
                    Err(_) => Err(EngineError::Lost),
                },
                () = cancelled.cancelled() => {
                    abort.abort();
                    Err(EngineError::Cancelled)
                }
            };
            told.send_replace(Some(Arc::new(rows)));
        });
        let id = format!("local-{}", uuid::Uuid::new_v4().simple());
        Ok(Self { id, plan, stop, outcome, tasks, requests })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the end of the job.
    pub(super) async fn wait(&self) -> Arc<LocalOutcome> {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| Arc::new(Err(EngineError::Lost)))
    }

    /// Cancels the job and returns when it has ended.
    pub(super) async fn cancel(&self) {
        self.stop.cancel();
        self.wait().await;
    }

    /// How far it is.
    pub(super) fn progress(&self) -> JobProgress {
        let tasks = self.tasks.0.lock();
        JobProgress::of_whole(tasks.len(), tasks.iter().filter(|task| task.state == TaskState::Succeeded).count())
    }

    /// One stage with a task for each partition.
    pub(super) fn evidence(&self) -> JobEvidence {
        let outcome = self.outcome.borrow().clone();
        let state = match outcome.as_deref() {
            None => EngineStageState::Running,
            Some(Ok(_)) => EngineStageState::Succeeded,
            Some(Err(_)) => EngineStageState::Failed,
        };
        let mut tasks = self.tasks.0.lock().clone();
        if let Some(Err(error)) = outcome.as_deref() {
            let ended = Utc::now().timestamp_millis();
            for task in tasks.iter_mut().filter(|task| task.state == TaskState::Running) {
                (task.state, task.ended_ms) = (TaskState::Failed(error.to_string()), Some(ended));
            }
        }
        evidence::of_whole(&self.id, self.plan.as_ref(), state, tasks, &self.requests)
    }
}

impl Drop for LocalJob {
    fn drop(&mut self) {
        self.stop.cancel();
        // The thread that drops it may have little stack, and the plan may be deep.
        let empty = Arc::new(EmptyExec::new(self.plan.schema()));
        let plan = std::mem::replace(&mut self.plan, empty);
        with_large_stack(|| drop(plan));
    }
}

/// What is known of the tasks, by partition.
#[derive(Clone)]
struct Tasks(Arc<Mutex<Vec<TaskEvidence>>>);

impl Tasks {
    fn of(partitions: usize) -> Self {
        Self(Arc::new(Mutex::new((0..partitions).map(evidence::local_task).collect())))
    }

    fn note(&self, partition: usize, change: impl FnOnce(&mut TaskEvidence)) {
        if let Some(task) = self.0.lock().get_mut(partition) {
            change(task);
        }
    }
}

/// The work of a job.
struct Work {
    plan: Arc<dyn ExecutionPlan>,
    session: Arc<SessionContext>,
    requests: Arc<TaskRequests>,
    tasks: Tasks,
    turns: Option<Arc<Semaphore>>,
    end: DropGuard,
}

impl Work {
    /// All rows of the plan.
    async fn rows(self) -> LocalOutcome {
        let _turn = match &self.turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let task = self.requests.in_context(&self.session.task_ctx());
        let partitions = self.plan.output_partitioning().partition_count();
        let mut running = JoinSet::new();
        for partition in 0..partitions {
            let (plan, task, tasks) = (Arc::clone(&self.plan), Arc::clone(&task), self.tasks.clone());
            running.spawn(async move {
                tasks.note(partition, |task| task.started_ms = Some(Utc::now().timestamp_millis()));
                let kept = async { KeptRows::take(plan.execute(partition, Arc::clone(&task))?, &task).await };
                let kept = kept.await.map_err(|error| engine_error(&error))?;
                tasks.note(partition, |task| {
                    task.state = TaskState::Succeeded;
                    task.ended_ms = Some(Utc::now().timestamp_millis());
                    task.rows = kept.row_count();
                });
                Ok::<_, EngineError>((partition, Arc::new(kept)))
            });
        }
        let mut kept = Vec::with_capacity(partitions);
        while let Some(ended) = running.join_next().await {
            kept.push(match ended {
                Ok(ended) => ended?,
                Err(error) if error.is_panic() => {
                    return Err(EngineError::Panicked(panic_text(error.into_panic().as_ref())));
                }
                Err(_) => return Err(EngineError::Lost),
            });
        }
        // All has been done: nothing is left to be ended.
        drop(self.end.disarm());
        kept.sort_by_key(|(partition, _)| *partition);
        Ok(kept.into_iter().map(|(_, rows)| rows).collect())
    }
}

/// The error as a job on the cluster would end with it.
fn engine_error(error: &DataFusionError) -> EngineError {
    if let Some(failure) = raised_in(error) {
        return EngineError::Raised(failure.clone());
    }
    match error.find_root() {
        DataFusionError::External(inner) => EngineError::execution(&inner.to_string()),
        DataFusionError::ResourcesExhausted(message) => EngineError::OutOfResources(message.clone()),
        DataFusionError::IoError(io) => EngineError::Io(io.to_string()),
        DataFusionError::ObjectStore(store) => EngineError::Io(store.to_string()),
        DataFusionError::ExecutionJoin(join) if join.is_panic() => EngineError::Panicked(join.to_string()),
        DataFusionError::Internal(message) => EngineError::execution(message),
        other => EngineError::execution(&other.message()),
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
