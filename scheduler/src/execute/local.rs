//! A job that runs as a whole in this process, because it cannot be cut into tasks or sent.
//!
//! It keeps the contract of a job on the cluster: the same plans and writers, rows, cancellation and evidence. Its rows are
//! held in memory until they have been taken, and count as memory of queries.

use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_base::error::Failure;
use windlass_base::stack::with_large_stack;

use super::{EngineError, EngineStageState, JobEvidence, JobRequest, TaskState, evidence};
use crate::planning::running_threads;

/// The rows of a job, or why there are none.
pub(super) type LocalOutcome = Result<Vec<RecordBatch>, EngineError>;

/// A job in this process. Dropping it cancels the job.
pub(super) struct LocalJob {
    id: String,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    stop: CancellationToken,
    outcome: watch::Receiver<Option<Arc<LocalOutcome>>>,
    started_ms: i64,
    ended_ms: Arc<Mutex<Option<i64>>>,
}

impl LocalJob {
    /// Starts the job.
    pub(super) fn start(request: JobRequest) -> Self {
        let JobRequest { plan, session, .. } = request;
        let (told, outcome) = watch::channel(None);
        let stop = CancellationToken::new();
        let ended_ms = Arc::new(Mutex::new(None));
        let threads = running_threads();
        let running = threads.spawn(collect(Arc::clone(&plan), session));
        let (stopped, ended) = (stop.clone(), Arc::clone(&ended_ms));
        threads.spawn(async move {
            let abort = running.abort_handle();
            let rows = tokio::select! {
                ended = running => match ended {
                    Ok(rows) => rows,
                    Err(error) if error.is_panic() => Err(EngineError::Panicked(panic_text(error.into_panic().as_ref()))),
                    Err(_) => Err(EngineError::Lost),
                },
                () = stopped.cancelled() => {
                    abort.abort();
                    Err(EngineError::Cancelled)
                }
            };
            *ended.lock() = Some(Utc::now().timestamp_millis());
            told.send_replace(Some(Arc::new(rows)));
        });
        let id = format!("local-{}", uuid::Uuid::new_v4().simple());
        Self { id, plan, stop, outcome, started_ms: Utc::now().timestamp_millis(), ended_ms }
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

    /// Whether it has ended.
    pub(super) fn is_done(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// One stage of one task.
    pub(super) fn evidence(&self) -> JobEvidence {
        let outcome = self.outcome.borrow().clone();
        let (state, task, rows) = match outcome.as_deref() {
            None => (EngineStageState::Running, TaskState::Running, 0),
            Some(Ok(rows)) => {
                let rows = rows.iter().map(|batch| batch.num_rows() as u64).sum();
                (EngineStageState::Succeeded, TaskState::Succeeded, rows)
            }
            Some(Err(error)) => (EngineStageState::Failed, TaskState::Failed(error.to_string()), 0),
        };
        evidence::of_whole(&self.id, self.plan.as_ref(), state, evidence::whole_task(task, self.times(), rows))
    }

    fn times(&self) -> (i64, Option<i64>) {
        (self.started_ms, *self.ended_ms.lock())
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

/// All rows of the plan.
async fn collect(plan: Arc<dyn ExecutionPlan>, session: Arc<SessionContext>) -> LocalOutcome {
    let rows = async {
        let task = session.task_ctx();
        let held = MemoryConsumer::new("rows of a job").register(task.memory_pool());
        let mut rows = Vec::new();
        let mut stream = execute_stream(plan, task)?;
        while let Some(batch) = stream.try_next().await? {
            held.try_grow(batch.get_array_memory_size())?;
            rows.push(batch);
        }
        Ok::<_, DataFusionError>(rows)
    };
    rows.await.map_err(|error| engine_error(&error))
}

/// The error as a job on the cluster would end with it.
fn engine_error(error: &DataFusionError) -> EngineError {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<Failure>() {
            Some(failure) => EngineError::Raised(failure.clone()),
            None => EngineError::Execution(inner.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => EngineError::OutOfResources(message.clone()),
        DataFusionError::IoError(io) => EngineError::Io(io.to_string()),
        DataFusionError::ObjectStore(store) => EngineError::Io(store.to_string()),
        DataFusionError::ExecutionJoin(join) if join.is_panic() => EngineError::Panicked(join.to_string()),
        DataFusionError::Internal(message) => EngineError::Execution(message.clone()),
        other => EngineError::Execution(other.message().into_owned()),
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
