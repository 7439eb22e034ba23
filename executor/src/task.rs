//! Runs the tasks of a stage: the engine's own way, with legible failures, no lost metrics, and counts of what each task
//! asks of object stores.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Count, Metric, MetricValue, MetricsSet};
use datafusion::prelude::SessionConfig;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use windlass_shared::session::with_stores_of;
use windlass_shared::storage::{RequestCounts, counting};

use crate::failure;
use crate::metrics::{RunningTask, TaskMetrics};

/// The engine's own execution of a stage, wrapped.
pub(crate) struct TaskEngine {
    inner: DefaultExecutionEngine,
    runtime: Arc<RuntimeEnv>,
    metrics: TaskMetrics,
    abandon: CancellationToken,
}

impl TaskEngine {
    /// Runs tasks with the object stores of `runtime`, whose requests are counted for each task alone. Counts tasks in
    /// `metrics`; once `abandon` fires, no task goes on.
    pub(crate) fn new(runtime: Arc<RuntimeEnv>, metrics: TaskMetrics, abandon: CancellationToken) -> Self {
        Self { inner: DefaultExecutionEngine::default(), runtime, metrics, abandon }
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
        let counts = Arc::default();
        let mut counted = self.metrics.start();
        let span = tracing::info_span!("task", job = %job_id, stage = stage_id, task = task_id);
        // A panic here would leave a task that never reports, and so a job that never ends.
        let created = catch_unwind(AssertUnwindSafe(|| {
            let plan = with_stores_of(plan, &counting(&self.runtime, &counts))?;
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
                let (counted, abandon) = (Mutex::new(Some(counted)), self.abandon.clone());
                Ok(Arc::new(Task { inner, counts, counted, abandon, span }))
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

#[derive(Debug)]
struct Task {
    inner: Arc<dyn QueryStageExecutor>,
    /// What the task asks of object stores.
    counts: Arc<RequestCounts>,
    /// Taken when the task is executed.
    counted: Mutex<Option<RunningTask>>,
    abandon: CancellationToken,
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
        let runtime = counting(&context.runtime_env(), &self.counts);
        let context = Arc::new(in_runtime(&context, runtime));
        let mut counted = self.counted.lock().map_or(None, |mut counted| counted.take());
        let execution = self.inner.execute_query_stage(task_id, context).instrument(self.span.clone());
        let result = tokio::select! {
            executed = AssertUnwindSafe(execution).catch_unwind() => match executed {
                Ok(result) => result.map_err(failure::marked),
                Err(payload) => Err(failure::from_panic(payload.as_ref())),
            },
            () = self.abandon.cancelled() => return Err(DataFusionError::External(Box::new(BallistaError::Cancelled))),
        };
        if let Some(counted) = counted.as_mut() {
            counted.ended(result.is_ok());
        }
        result
    }

    /// The metrics without those that have no form on the wire: one of them would cost the task all of its metrics. The
    /// counts of the task's requests go to the root operator.
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
        if let Some(root) = operators.first_mut() {
            for (name, requests) in self.counts.named() {
                root.push(Arc::new(counted(name, requests)));
            }
        }
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

/// `context` with another runtime.
fn in_runtime(context: &TaskContext, runtime: RuntimeEnv) -> TaskContext {
    TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone(),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        Arc::new(runtime),
    )
}

/// A count of the task as a metric of the first of its partitions: the engine replaces it if the task runs again.
fn counted(name: &'static str, requests: u64) -> Metric {
    let count = Count::new();
    count.add(usize::try_from(requests).unwrap_or(usize::MAX));
    Metric::new(MetricValue::Count { name: name.into(), count }, Some(0))
}

fn is_custom(value: &MetricValue) -> bool {
    matches!(value, MetricValue::Custom { .. })
}
