//! What the service counts, for Prometheus.

use prometheus::{IntCounterVec, Opts, Registry};

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
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["status"])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            runs: counter("windlass_runs_total", "Runs that have ended, by how they ended.")?,
            stages: counter("windlass_stages_total", "Stages that have ended, by how they ended.")?,
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
