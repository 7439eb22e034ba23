//! How long the stages of a pipeline took in an earlier run.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_base::ids::NodeName;
use windlass_client::Runs;
use windlass_evidence::artifact::{ReceiptOutcome, RunRecord, RunStatus};
use windlass_project::strategy::Strategy;

/// How many of the newest runs are looked at for one that succeeded.
const LOOKED_AT: usize = 5;

/// How long the stages of a pipeline took in an earlier run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The stages that computed all their rows.
    full: BTreeMap<NodeName, Duration>,
    /// How many stages ran side by side, on average; at least 1.
    side_by_side: Option<f64>,
}

impl History {
    /// Less than this says nothing about how long something takes.
    pub(super) const MEASURABLE: Duration = Duration::from_secs(1);

    /// From the newest runs that succeeded, for each stage the newest in which all its rows were computed. What cannot be
    /// read is left out: it is about an estimate only.
    pub(crate) async fn of(runs: &Runs) -> Self {
        let listed = runs.bundles.list(&runs.live, Some(LOOKED_AT)).await.unwrap_or_default();
        let records = listed.into_iter().filter_map(|run| run.record.ok());
        let mut history = Self::default();
        for record in records.filter(|record| record.status == RunStatus::Succeeded) {
            history.add(&record);
        }
        history
    }

    fn add(&mut self, record: &RunRecord) {
        let mut sum = Duration::ZERO;
        for stage in &record.stages {
            let time = Duration::from_millis(stage.duration_ms);
            sum += time;
            let reused = stage.receipt.as_ref().is_none_or(|receipt| receipt.outcome == ReceiptOutcome::Reused);
            if !reused && matches!(stage.strategy, None | Some(Strategy::Full)) {
                self.full.entry(stage.stage.clone()).or_insert(time);
            }
        }
        let wall = record.ended_at.and_then(|ended| (ended - record.started_at).to_std().ok());
        let side_by_side = wall.filter(|wall| !wall.is_zero()).map(|wall| sum.div_duration_f64(wall).max(1.0));
        self.side_by_side = self.side_by_side.or(side_by_side);
    }

    /// How long a stage took to compute all its rows.
    pub(super) fn full(&self, stage: &NodeName) -> Option<Duration> {
        self.full.get(stage).copied()
    }

    /// How many stages ran side by side, on average; at least 1.
    pub(super) fn side_by_side(&self) -> f64 {
        self.side_by_side.unwrap_or(1.0)
    }
}

#[cfg(test)]
impl History {
    pub(super) fn for_test(full: &[(&str, u64)]) -> Self {
        let full = full.iter().map(|(stage, seconds)| (NodeName::new(*stage), Duration::from_secs(*seconds)));
        Self { full: full.collect(), side_by_side: None }
    }
}
