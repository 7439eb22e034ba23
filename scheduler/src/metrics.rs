//! What the service counts, for Prometheus.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};
use windlass_evidence::artifact::{MaintenanceKind, MaintenanceRecord, RunStatus, StageStatus};

use crate::maintain::{MaintainError, STOPPED};
use crate::run::RunError;

/// Layers that have series of their own. Tags are the users', and series stay in memory for good.
const MOST_LAYERS: usize = 32;
/// What layers beyond those are counted as.
const OTHER_LAYERS: &str = "other";

/// How turns of maintenance end.
const TURN_ENDS: [&str; 4] = ["succeeded", "failed", "stopped", "refused"];
/// What a failure is counted as that kept a turn from looking at a table.
const LOOK: &str = "look";

/// The seconds by which the times are counted that runs have waited: from one to a day.
const WAITS: [f64; 10] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];

/// The counters of the service.
#[derive(Debug, Clone)]
pub struct ServiceMetrics {
    runs: IntCounterVec,
    waited: Histogram,
    stages: IntCounterVec,
    turns: IntCounterVec,
    files_removed: IntCounterVec,
    bytes_removed: IntCounterVec,
    bytes_written: IntCounter,
    maintenance_failures: IntCounterVec,
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
        let kinds = MaintenanceKind::ALL.map(MaintenanceKind::as_str);
        let bytes_written = IntCounter::new(
            "windlass_maintenance_bytes_written_total",
            "Bytes of files that maintenance has written.",
        )?;
        registry.register(Box::new(bytes_written.clone()))?;
        let waited =
            HistogramOpts::new("windlass_runs_queued_seconds", "How long runs have waited before they started.");
        let waited = Histogram::with_opts(waited.buckets(WAITS.to_vec()))?;
        registry.register(Box::new(waited.clone()))?;
        Ok(Self {
            turns: counter(
                "windlass_maintenance_turns_total",
                "Turns of maintenance that have ended, by how they ended.",
                &["outcome"],
                &TURN_ENDS,
            )?,
            files_removed: counter(
                "windlass_maintenance_files_removed_total",
                "Files that maintenance has removed or replaced, by action.",
                &["action"],
                &kinds,
            )?,
            bytes_removed: counter(
                "windlass_maintenance_bytes_removed_total",
                "Bytes of the files that maintenance has removed or replaced, by action.",
                &["action"],
                &kinds,
            )?,
            bytes_written,
            waited,
            maintenance_failures: counter(
                "windlass_maintenance_failures_total",
                "Failures of maintenance, by action.",
                &["action"],
                &[&kinds[..], &[LOOK]].concat(),
            )?,
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

    /// A run that was in the queue for that long starts.
    pub fn run_waited(&self, time: Duration) {
        self.waited.observe(time.as_secs_f64());
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
    /// A turn of maintenance has ended: with its record, or without because it did not take place.
    pub fn turn_finished(&self, ended: &Result<MaintenanceRecord, MaintainError>) {
        let outcome = match ended {
            Ok(record) => self.count_turn(record),
            Err(MaintainError::Run(RunError::Busy(_) | RunError::Writer(_))) => "refused",
            Err(_) => "failed",
        };
        self.turns.with_label_values(&[outcome]).inc();
    }

    /// Counts what a turn has done; gives how it ended.
    fn count_turn(&self, record: &MaintenanceRecord) -> &'static str {
        let mut has_failed = false;
        let mut count_failure = |action: &str, code: &str| {
            if code != STOPPED {
                has_failed = true;
                self.maintenance_failures.with_label_values(&[action]).inc();
            }
        };
        for table in &record.tables {
            if let Some(failure) = &table.failure {
                count_failure(LOOK, &failure.code);
            }
            for action in &table.actions {
                let (kind, Some(outcome)) = (action.kind.as_str(), &action.outcome) else { continue };
                self.files_removed.with_label_values(&[kind]).inc_by(outcome.files_removed);
                self.bytes_removed.with_label_values(&[kind]).inc_by(outcome.bytes_removed);
                self.bytes_written.inc_by(outcome.bytes_added);
                if let Some(failure) = &outcome.failure {
                    count_failure(kind, &failure.code);
                }
            }
        }
        match (has_failed, record.stopped) {
            (true, _) => "failed",
            (false, true) => "stopped",
            (false, false) => "succeeded",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn failure(code: &str) -> Value {
        json!({"code": code, "message": "m", "help": null, "retryable": true})
    }

    fn action(kind: &str, outcome: Value) -> Value {
        json!({"kind": kind, "due": true, "reason": "r", "files": 0, "bytes": 0, "outcome": outcome})
    }

    fn outcome(removed: (u64, u64), bytes_added: u64, failure: Option<Value>) -> Value {
        json!({
            "version": null, "files_removed": removed.0, "bytes_removed": removed.1, "files_added": 0,
            "bytes_added": bytes_added, "duration_ms": 0, "failure": failure,
        })
    }

    fn turn(stopped: bool, failure: Option<Value>, actions: &[Value]) -> Result<MaintenanceRecord, MaintainError> {
        let size =
            json!({"version": 1, "files": 1, "bytes": 1, "with_deletion_vector": 0, "commits": 1, "log_bytes": 1});
        let table = json!({
            "table": "t", "location": "l", "before": size, "after": null, "actions": actions, "kept": [], "failure": failure,
        });
        let record = json!({
            "format": 1, "turn": "t", "pipeline": "p", "dry_run": false, "started_at": "2026-12-01T00:00:00Z",
            "ended_at": null, "stopped": stopped, "tables": [table],
        });
        Ok(serde_json::from_value(record).unwrap())
    }

    #[test]
    fn turns_are_counted_by_how_they_ended_and_what_they_did() {
        let registry = Registry::new();
        let metrics = ServiceMetrics::register(&registry).unwrap();
        let done = [
            action("compact", outcome((3, 30), 20, None)),
            action("vacuum", outcome((2, 5), 0, None)),
            action("clean_log", Value::Null),
        ];
        metrics.turn_finished(&turn(false, None, &done));
        let stopped = action("compact", outcome((0, 0), 7, Some(failure(STOPPED))));
        metrics.turn_finished(&turn(true, None, &[stopped]));
        metrics.turn_finished(&turn(false, Some(failure("WL0683")), &[]));
        let failed = action("vacuum", outcome((1, 1), 0, Some(failure("WL0687"))));
        metrics.turn_finished(&turn(true, None, &[failed]));
        let none = MaintainError::NoTable { table: "t".into(), help: None };
        metrics.turn_finished(&Err(none));

        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "windlass_maintenance_turns_total{outcome=\"succeeded\"} 1",
            "windlass_maintenance_turns_total{outcome=\"stopped\"} 1",
            "windlass_maintenance_turns_total{outcome=\"failed\"} 3",
            "windlass_maintenance_turns_total{outcome=\"refused\"} 0",
            "windlass_maintenance_files_removed_total{action=\"compact\"} 3",
            "windlass_maintenance_files_removed_total{action=\"vacuum\"} 3",
            "windlass_maintenance_bytes_removed_total{action=\"vacuum\"} 6",
            "windlass_maintenance_bytes_removed_total{action=\"clean_log\"} 0",
            "windlass_maintenance_bytes_written_total 27",
            "windlass_maintenance_failures_total{action=\"vacuum\"} 1",
            "windlass_maintenance_failures_total{action=\"look\"} 1",
            "windlass_maintenance_failures_total{action=\"compact\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
