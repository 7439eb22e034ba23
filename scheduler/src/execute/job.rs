//! A job while it runs.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::serde::protobuf::task_status::Status as TaskStatus;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_base::stack::with_large_stack;
use windlass_engine::codec::PlanCodec;

use super::cluster_engine::{JobControl, Outcome};
use super::local::LocalJob;
use super::{EngineError, FinishedJob, JobEvidence, evidence};

/// How often a job that is still being planned is looked at in order to cancel it: the scheduler cannot yet.
const PLANNING_POLL: Duration = Duration::from_millis(5);
/// After this time without an answer the scheduler is asked to cancel once more.
const CANCEL_REPEAT: Duration = Duration::from_secs(1);

/// A job of which someone may still want something; when the last one lets go, it is cancelled and its data removed.
pub(super) struct Job {
    pub(super) control: JobControl,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// In which its rows are read.
    pub(super) task: Arc<TaskContext>,
}

impl Job {
    /// Finds the reason why executors refused a plan, which they do not tell: the plan is sent to a session like theirs.
    fn explain(&self, error: EngineError) -> EngineError {
        if !error.is_unexplained_rejection() {
            return error;
        }
        let Ok(executor) = self.control.executor_session() else { return error };
        let codec = PlanCodec::default();
        let echoed = PhysicalPlanNode::try_from_physical_plan(Arc::clone(&self.plan), &codec)
            .and_then(|node| node.try_into_physical_plan(&executor.task_ctx(), &codec));
        match echoed {
            Ok(_) => error,
            Err(reason) => EngineError::from_refused_plan(&reason),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let control = self.control.clone();
        // The thread that drops it may have little stack, and the plan may be deep.
        let empty = Arc::new(EmptyExec::new(self.plan.schema()));
        let plan = std::mem::replace(&mut self.plan, empty);
        with_large_stack(|| drop(plan));
        match control.ended().as_deref() {
            Some(Outcome::Succeeded(_)) => control.remove_data(),
            // The engine removes the data of failed jobs.
            Some(Outcome::Failed(..)) => {}
            None => self.control.spawn(async move {
                cancel(&control).await;
                if matches!(control.ended().as_deref(), Some(Outcome::Succeeded(_))) {
                    control.remove_data();
                }
            }),
        }
    }
}

/// A job that was submitted. Dropping it cancels the job, unless its [`FinishedJob`] is in use.
pub struct RunningJob {
    job: Running,
}

enum Running {
    OnCluster(Arc<Job>),
    Here(Arc<LocalJob>),
}

impl RunningJob {
    pub(super) fn new(control: JobControl, plan: Arc<dyn ExecutionPlan>, task: Arc<TaskContext>) -> Self {
        Self { job: Running::OnCluster(Arc::new(Job { control, plan, task })) }
    }

    pub(super) fn here(job: LocalJob) -> Self {
        Self { job: Running::Here(Arc::new(job)) }
    }

    /// The job's id in the cluster.
    pub fn id(&self) -> &str {
        match &self.job {
            Running::OnCluster(job) => job.control.id.as_str(),
            Running::Here(job) => job.id(),
        }
    }

    /// How far the job is. Empty while it is being planned.
    pub async fn progress(&self) -> JobProgress {
        let control = match &self.job {
            Running::OnCluster(job) => &job.control,
            Running::Here(job) => return job.progress(),
        };
        match control.ended().as_deref() {
            Some(Outcome::Succeeded(graph) | Outcome::Failed(_, Some(graph))) => {
                JobProgress::of(graph.stages().values())
            }
            Some(Outcome::Failed(_, None)) => JobProgress::default(),
            None => match control.running() {
                Some(graph) => JobProgress::of(graph.read().await.stages().values()),
                None => JobProgress::default(),
            },
        }
    }

    /// Where executors are to join, if the job needs one and there is none now.
    pub fn lacks_executor(&self) -> Option<&str> {
        match &self.job {
            Running::OnCluster(job) => {
                let (control, engine) = (&job.control, &job.control.engine);
                (control.ended().is_none() && !engine.has_executor()).then(|| engine.address())
            }
            Running::Here(_) => None,
        }
    }

    /// Waits for the end of the job.
    ///
    /// # Errors
    /// Why the job failed, [`EngineError::Cancelled`], or [`EngineError::NoExecutorJoins`].
    pub async fn wait(&self) -> Result<FinishedJob, EngineError> {
        let job = match &self.job {
            Running::OnCluster(job) => job,
            Running::Here(job) => return FinishedJob::here(Arc::clone(job), job.wait().await),
        };
        match job.control.outcome().await?.as_deref() {
            None => Err(EngineError::Lost),
            Some(Outcome::Succeeded(graph)) => FinishedJob::new(Arc::clone(job), graph.cloned()),
            // Without stages it was the planning that failed.
            Some(Outcome::Failed(message, None)) => Err(EngineError::Plan(message.clone())),
            Some(Outcome::Failed(message, Some(_))) => Err(job.explain(EngineError::from_job_message(message))),
        }
    }

    /// Cancels the job and returns when it has ended; it may have succeeded or failed in the meantime, which
    /// [`RunningJob::wait`] tells.
    ///
    /// The engine stops what it can reach of a task at once. Parts of it that run in the background may go on until
    /// they next hand on rows, and whatever they still write is never used.
    pub async fn cancel(&self) {
        match &self.job {
            Running::OnCluster(job) => cancel(&job.control).await,
            Running::Here(job) => job.cancel().await,
        }
    }

    /// What is known of the stages, tasks and operators: of a running job until now, and of one that ended, however it
    /// did, of the whole. Empty if the job was not planned.
    pub async fn evidence(&self) -> JobEvidence {
        let control = match &self.job {
            Running::OnCluster(job) => &job.control,
            Running::Here(job) => return job.evidence(),
        };
        match control.ended().as_deref() {
            Some(Outcome::Succeeded(graph) | Outcome::Failed(_, Some(graph))) => evidence::of_graph(graph),
            Some(Outcome::Failed(_, None)) => evidence::of_unplanned(&control.id),
            None => match control.running() {
                Some(graph) => evidence::of_graph(&*graph.read().await),
                None => evidence::of_unplanned(&control.id),
            },
        }
    }
}

async fn cancel(control: &JobControl) {
    let mut outcome = control.outcome.clone();
    while outcome.borrow().is_none() {
        let patience = if control.running().is_some() {
            control.request_cancel().await;
            CANCEL_REPEAT
        } else {
            PLANNING_POLL
        };
        // An error here means that the scheduler is gone, and the job with it.
        if let Ok(Err(_)) = tokio::time::timeout(patience, outcome.changed()).await {
            return;
        }
    }
}

/// How far a job is, stage by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// The stages in the order of their numbers.
    pub stages: Vec<StageProgress>,
}

/// How far a stage is. A task works on one partition, or on all of them if the stage gathers its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageProgress {
    /// The stage's number.
    pub stage: usize,
    /// Partitions to work on; an estimate until the stages it reads from are done.
    pub partitions: usize,
    /// Partitions being worked on.
    pub running: usize,
    /// Partitions done.
    pub done: usize,
}

impl JobProgress {
    /// Partitions to work on, in all stages.
    pub fn partitions(&self) -> usize {
        self.stages.iter().map(|stage| stage.partitions).sum()
    }

    /// Partitions done, in all stages.
    pub fn done(&self) -> usize {
        self.stages.iter().map(|stage| stage.done).sum()
    }

    /// Of a job that runs as a whole, with a task for each partition.
    pub(super) fn of_whole(partitions: usize, done: usize) -> Self {
        Self { stages: vec![StageProgress { stage: 1, partitions, running: partitions - done, done }] }
    }

    fn of<'a>(stages: impl Iterator<Item = &'a ExecutionStage>) -> Self {
        let mut stages: Vec<_> = stages.map(stage_progress).collect();
        stages.sort_by_key(|stage| stage.stage);
        Self { stages }
    }
}

fn stage_progress(stage: &ExecutionStage) -> StageProgress {
    let (number, partitions) = match stage {
        ExecutionStage::UnResolved(stage) => (stage.stage_id, planned_partitions(&stage.plan)),
        ExecutionStage::Resolved(stage) => (stage.stage_id, stage.partitions),
        ExecutionStage::Running(stage) => (stage.stage_id, stage.partitions),
        ExecutionStage::Successful(stage) => (stage.stage_id, stage.partitions),
        ExecutionStage::Failed(stage) => (stage.stage_id, stage.partitions),
    };
    let tasks = stage.task_infos().unwrap_or_default();
    StageProgress {
        stage: number,
        partitions,
        running: count(tasks, |status| matches!(status, TaskStatus::Running(_))),
        done: count(tasks, |status| matches!(status, TaskStatus::Successful(_))),
    }
}

fn count(tasks: &[TaskInfo], wanted: impl Fn(&TaskStatus) -> bool) -> usize {
    tasks.iter().filter(|task| wanted(&task.task_status)).map(|task| task.global_input_partition_ids.len()).sum()
}

fn planned_partitions(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.children().first().map_or(1, |child| child.output_partitioning().partition_count())
}
