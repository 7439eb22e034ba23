//! What the service counts, for Prometheus.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts, Registry};
use windlass_evidence::artifact::{RunStatus, StageStatus};

/// Layers that have series of their own. Tags are the users', and series stay in memory for good.
const MOST_LAYERS: usize = 32;
/// What layers beyond those are counted as.
const OTHER_LAYERS: &str = "other";

/// The counters of the service.
#[derive(Debug, Clone)]
pub struct ServiceMetrics {
    runs: IntCounterVec,
    stages: IntCounterVec,
    layers: Arc<Mutex<BTreeSet<String>>>,
}

impl ServiceMetrics {
    /// The counters, registered in `registry`.
    ///
    /// # Errors
    /// If the registry has metrics of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str], statuses: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            for status in statuses {
                // So that a series is there before the first run ends.
                counter.with_label_values(&[&[*status][..], &vec![""; labels.len() - 1]].concat());
            }
            Ok::<_, prometheus::Error>(counter)
        };
        let runs = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled].map(RunStatus::as_str);
        let stages = [StageStatus::Committed, StageStatus::Failed, StageStatus::Skipped, StageStatus::Cancelled]
            .map(StageStatus::as_str);
        Ok(Self {
            runs: counter("windlass_runs_total", "Runs that have ended, by how they ended.", &["status"], &runs)?,
            stages: counter(
                "windlass_stages_total",
                "Stages that have ended, by how they ended and by their tag `layer`.",
                &["status", "layer"],
                &stages,
            )?,
            layers: Arc::default(),
        })
    }

    /// A run has ended.
    pub fn run_finished(&self, status: &str) {
        self.runs.with_label_values(&[status]).inc();
    }

    /// A stage of a layer, or of none if that is empty, has ended.
    pub fn stage_finished(&self, status: &str, layer: &str) {
        let mut layers = self.layers.lock();
        let known = layer.is_empty() || layers.contains(layer) || layers.len() < MOST_LAYERS;
        let layer = if known { layer } else { OTHER_LAYERS };
        if !layer.is_empty() {
            layers.insert(layer.to_owned());
        }
        self.stages.with_label_values(&[status, layer]).inc();
    }
}
