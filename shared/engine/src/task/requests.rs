//! Counts a task's requests to object stores, and adds them to its metrics.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Count, Metric, MetricValue, MetricsSet};
use windlass_storage::{RequestCounts, counting};

use crate::session::with_stores_of;

/// The counts of one task.
#[derive(Debug, Default)]
pub struct TaskRequests {
    counts: Arc<RequestCounts>,
}

impl TaskRequests {
    /// `plan`, whose scans were made in `runtime`, with stores that count.
    ///
    /// # Errors
    /// The engine's, if a store cannot be opened.
    pub fn in_plan(&self, plan: Arc<dyn ExecutionPlan>, runtime: &RuntimeEnv) -> Result<Arc<dyn ExecutionPlan>> {
        with_stores_of(plan, &counting(runtime, &self.counts))
    }

    /// `context` with stores that count.
    pub fn in_context(&self, context: &TaskContext) -> Arc<TaskContext> {
        let runtime = counting(&context.runtime_env(), &self.counts);
        Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone(),
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            Arc::new(runtime),
        ))
    }

    /// Adds the counts to the metrics of the root operator, the first of `operators`.
    pub fn report(&self, operators: &mut [MetricsSet]) {
        let Some(root) = operators.first_mut() else { return };
        for (name, requests) in self.counts.named() {
            let count = Count::new();
            count.add(usize::try_from(requests).unwrap_or(usize::MAX));
            // As a metric of the task's partition, the engine replaces it if the task runs again.
            let partition = Some(0);
            root.push(Arc::new(Metric::new(MetricValue::Count { name: name.into(), count }, partition)));
        }
    }
}
