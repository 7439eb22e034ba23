//! Runs the tasks of a stage with the engine's executor, with structured failures, complete metrics, and counts of
//! object store requests.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::prelude::SessionConfig;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use windlass_base::error::Coded;
use windlass_base::ids::{EngineJobId, Refused};
use windlass_engine::task::{TaskRequests, yielding};

use crate::failure;
use crate::metrics::{RunningTask, TaskMetrics};
use crate::running_jobs::{JobTask, RunningJobs};

/// Wraps the engine's execution of a stage.
pub(crate) struct TaskEngine {
    inner: DefaultExecutionEngine,
    runtime: Arc<RuntimeEnv>,
    metrics: TaskMetrics,
    jobs: RunningJobs,
}

impl TaskEngine {
    /// Runs tasks whose plans are decoded in `runtime`. Records them in `metrics`, and in `jobs`, which may end them.
    pub(crate) fn new(runtime: Arc<RuntimeEnv>, metrics: TaskMetrics, jobs: RunningJobs) -> Self {
        Self { inner: DefaultExecutionEngine::default(), runtime, metrics, jobs }
    }
}

impl ExecutionEngine for TaskEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        // Its files are in a folder with that name, and are removed with it.
        let job = EngineJobId::parse(job_id.as_str()).map_err(refused)?;
        let (requests, stopped) = (TaskRequests::default(), CancellationToken::new());
        let (mut counted, job) = (self.metrics.start(), self.jobs.start(&job));
        let span = tracing::info_span!("task", job = %job_id, stage = stage_id, task = task_id);
        // After a panic here the task would never report, and so the job would never end.
        let created = catch_unwind(AssertUnwindSafe(|| {
            let plan = stoppable(requests.in_plan(plan, &self.runtime)?, work_dir, &stopped)?;
            self.inner.create_query_stage_exec(
                job_id,
                stage_id,
                task_id,
                global_output_partition_ids,
                plan,
                work_dir,
                config,
            )
        }));
        match created {
            Ok(Ok(inner)) => {
                let counted = Mutex::new(Some(counted));
                Ok(Arc::new(Task { inner, requests, counted, job, stopped, span }))
            }
            Ok(Err(error)) => {
                counted.ended(false);
                Err(failure::marked(error))
            }
            Err(payload) => {
                counted.ended(false);
                Err(failure::from_panic(payload.as_ref()))
            }
        }
    }
}

/// `plan` with every operator below its root yielding. The root, which writes the shuffle files, stays what it is, because the
/// engine looks for it. `work_dir` holds the shuffle files of this executor: the engine would tell it to the readers itself,
/// but does not find them any more.
fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    work_dir: &str,
    stopped: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let read_here = |node: Arc<dyn ExecutionPlan>| {
        let reader: Arc<dyn ExecutionPlan> = if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
            Arc::new(reader.with_work_dir(work_dir.to_owned()))
        } else if let Some(reader) = node.downcast_ref::<RangeShuffleReaderExec>() {
            Arc::new(reader.with_work_dir(work_dir.to_owned()))
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(reader))
    };
    let below = plan.children().into_iter().cloned();
    let below = below.map(|child| yielding(child.transform_up(read_here).data()?, stopped));
    let below = below.collect::<Result<Vec<_>>>()?;
    plan.replace_children(below, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

#[derive(Debug)]
struct Task {
    inner: Arc<dyn QueryStageExecutor>,
    requests: TaskRequests,
    /// Taken when the task is executed.
    counted: Mutex<Option<RunningTask>>,
    job: JobTask,
    /// Ends what the engine has spawned of the task.
    stopped: CancellationToken,
    span: Span,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Task {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let context = self.requests.in_context(&context);
        // Fires when the engine drops the task; tasks that it has spawned would continue otherwise.
        let dropped = self.stopped.clone().drop_guard();
        let mut counted = self.counted.lock().map_or(None, |mut counted| counted.take());
        let execution = self.inner.execute_query_stage(task_id, context).instrument(self.span.clone());
        let result = tokio::select! {
            executed = AssertUnwindSafe(execution).catch_unwind() => match executed {
                Ok(result) => result.map_err(failure::marked),
                Err(payload) => Err(failure::from_panic(payload.as_ref())),
            },
            () = self.job.to_end() => return Err(DataFusionError::External(Box::new(BallistaError::Cancelled))),
        };
        if result.is_ok() {
            dropped.disarm();
        }
        if let Some(counted) = counted.as_mut() {
            counted.ended(result.is_ok());
        }
        result
    }

    /// The metrics without those that cannot be encoded: one of them would lose all metrics of the task. The request
    /// counts are added.
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        let mut operators = self.inner.collect_plan_metrics();
        for operator in &mut operators {
            if operator.iter().any(|metric| is_custom(metric.value())) {
                let mut kept = MetricsSet::new();
                operator.iter().filter(|metric| !is_custom(metric.value())).for_each(|metric| {
                    kept.push(Arc::clone(metric));
                });
                *operator = kept;
            }
        }
        self.requests.report(&mut operators);
        operators
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

/// A task with an invalid job id.
fn refused(error: Refused) -> DataFusionError {
    tracing::warn!(code = %error.code(), %error, "a task is refused");
    failure::marked(DataFusionError::External(Box::new(error.to_failure())))
}

fn is_custom(value: &MetricValue) -> bool {
    matches!(value, MetricValue::Custom { .. })
}
