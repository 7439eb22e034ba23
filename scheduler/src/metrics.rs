//! What the service counts, for Prometheus.

use prometheus::{IntCounterVec, Opts, Registry};
use windlass_shared::artifact::{RunStatus, StageStatus};

/// The counters of the service.
#[derive(Debug, Clone)]
pub struct ServiceMetrics {
    runs: IntCounterVec,
    stages: IntCounterVec,
}

impl ServiceMetrics {
    /// The counters, registered in `registry`.
    ///
    /// # Errors
    /// If the registry has metrics of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, statuses: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["status"])?;
            registry.register(Box::new(counter.clone()))?;
            for status in statuses {
                // So that a series is there before the first run ends.
                counter.with_label_values(&[*status]);
            }
            Ok::<_, prometheus::Error>(counter)
        };
        let runs = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled].map(RunStatus::as_str);
        let stages = [StageStatus::Committed, StageStatus::Failed, StageStatus::Skipped, StageStatus::Cancelled]
            .map(StageStatus::as_str);
        Ok(Self {
            runs: counter("windlass_runs_total", "Runs that have ended, by how they ended.", &runs)?,
            stages: counter("windlass_stages_total", "Stages that have ended, by how they ended.", &stages)?,
        })
    }

    /// A run has ended.
    pub fn run_finished(&self, status: &str) {
        self.runs.with_label_values(&[status]).inc();
    }

    /// A stage has ended.
    pub fn stage_finished(&self, status: &str) {
        self.stages.with_label_values(&[status]).inc();
    }
}
