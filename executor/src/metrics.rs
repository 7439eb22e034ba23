//! Task metrics of an executor.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// The number of running tasks, and of ended tasks by outcome. Clones share the counts.
#[derive(Debug, Clone)]
pub struct TaskMetrics {
    running: IntGauge,
    ended: IntCounterVec,
}

const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";
const CANCELLED: &str = "cancelled";

impl TaskMetrics {
    /// Starts with zero counts.
    ///
    /// # Errors
    /// Never with these names.
    pub fn new() -> prometheus::Result<Self> {
        let running = IntGauge::new("windlass_executor_tasks_running", "Tasks that run now")?;
        let ended = Opts::new("windlass_executor_tasks_total", "Tasks that have ended, by outcome");
        let ended = IntCounterVec::new(ended, &["outcome"])?;
        for outcome in [SUCCEEDED, FAILED, CANCELLED] {
            // So that the series exist before the first task ends.
            ended.with_label_values(&[outcome]);
        }
        Ok(Self { running, ended })
    }

    /// Registers the metrics in `registry`.
    ///
    /// # Errors
    /// If metrics with these names already exist.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.running.clone()))?;
        registry.register(Box::new(self.ended.clone()))
    }

    /// The number of running tasks.
    pub fn running(&self) -> usize {
        usize::try_from(self.running.get()).unwrap_or(0)
    }

    /// Counts a task until the value is dropped.
    pub(crate) fn start(&self) -> RunningTask {
        self.running.inc();
        RunningTask { metrics: self.clone(), outcome: CANCELLED }
    }
}

/// A running task. If dropped without a result, it was cancelled.
#[derive(Debug)]
pub(crate) struct RunningTask {
    metrics: TaskMetrics,
    outcome: &'static str,
}

impl RunningTask {
    pub(crate) fn ended(&mut self, well: bool) {
        self.outcome = if well { SUCCEEDED } else { FAILED };
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.metrics.ended.with_label_values(&[self.outcome]).inc();
        self.metrics.running.dec();
    }
}
