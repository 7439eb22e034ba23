//! The progress of a run, as far as it follows from its events.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{LogKind, PlanDecision, ReceiptOutcome};

use super::history::History;
use crate::output::{bytes, counted, width_of};

/// The progress of a run. Times are counted from its beginning.
#[derive(Debug, Default)]
pub(super) struct RunState {
    /// What each stage that is to run does.
    to_run: BTreeMap<NodeName, PlanDecision>,
    /// The stages that have ended, with their times if they committed.
    ended: BTreeMap<NodeName, Option<Duration>>,
    /// The stages that run.
    running: BTreeMap<NodeName, Running>,
    /// How many stages run altogether, as the run says.
    stages: u64,
    rows: u64,
    bytes: u64,
}

/// A stage that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) attempt: u32,
    pub(super) since: Duration,
    /// Tasks that have ended, and all; if they are counted.
    pub(super) tasks: Option<(u64, u64)>,
    pub(super) committing: bool,
}

impl RunState {
    /// Takes in an event that happened `now`.
    pub(super) fn take(&mut self, kind: &LogKind, now: Duration) {
        match kind {
            LogKind::RunStarted { stages, .. } => self.stages = *stages,
            LogKind::StagePlanned { decision: PlanDecision::Reuse | PlanDecision::View, .. } => {}
            LogKind::StagePlanned { stage, decision, .. } => {
                self.to_run.insert(stage.clone(), *decision);
            }
            LogKind::StageStarted { stage, attempt } => {
                let running = Running { attempt: *attempt, since: now, tasks: None, committing: false };
                self.running.insert(stage.clone(), running);
            }
            LogKind::StageProgress { stage, tasks_done, tasks_total, .. } => {
                if let Some(running) = self.running.get_mut(stage) {
                    running.tasks = Some((*tasks_done, *tasks_total));
                }
            }
            LogKind::StageStaged { stage, .. } => {
                if let Some(running) = self.running.get_mut(stage) {
                    running.committing = true;
                }
            }
            LogKind::StageCommitted { stage, receipt, duration_ms, .. } => {
                self.running.remove(stage);
                self.ended.insert(stage.clone(), Some(Duration::from_millis(*duration_ms)));
                if receipt.outcome != ReceiptOutcome::Reused {
                    self.rows += receipt.rows;
                    self.bytes += receipt.bytes;
                }
            }
            LogKind::StageFailed { stage, .. }
            | LogKind::StageCancelled { stage }
            | LogKind::StageSkipped { stage, .. } => {
                self.running.remove(stage);
                self.ended.insert(stage.clone(), None);
            }
            LogKind::StageRetry { stage, .. } => drop(self.ended.remove(stage)),
            _ => {}
        }
    }

    /// The stages that run, by name.
    pub(super) fn running(&self) -> impl Iterator<Item = (&NodeName, &Running)> {
        self.running.iter()
    }

    /// One line about the whole run, of at most `width` columns if that is given: what matters least is left out first.
    pub(super) fn line(&self, now: Duration, history: &History, width: Option<usize>) -> String {
        let mut parts = vec![
            (0, format!("{} of {}", self.ended.len(), counted(self.stages, "stage"))),
            (3, counted(self.rows, "row")),
            (4, bytes(self.bytes)),
            (1, seconds(now)),
        ];
        if let Some(left) = self.left(now, history) {
            parts.push((2, format!("about {} left", seconds(left))));
        }
        if !self.running.is_empty() {
            let names: Vec<&str> = self.running.keys().map(NodeName::as_str).collect();
            parts.push((5, names.join(" ")));
        }
        loop {
            let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
            let line = texts.join(", ");
            let fits = width.is_none_or(|width| width_of(&line) <= width);
            let least = parts.iter().enumerate().max_by_key(|(_, (rank, _))| *rank).map(|(index, _)| index);
            match least.filter(|_| !fits && parts.len() > 1) {
                Some(least) => drop(parts.remove(least)),
                None => return line,
            }
        }
    }

    /// The time left, if an earlier run tells how long every stage takes that has not ended. How long stages with changes
    /// to apply take depends on how much has changed, which no earlier run can tell.
    fn left(&self, now: Duration, history: &History) -> Option<Duration> {
        let open = || self.to_run.iter().filter(|(stage, _)| !self.ended.contains_key(*stage));
        if self.to_run.len() as u64 != self.stages || open().next().is_none() {
            return None;
        }
        let (mut before, mut taken) = (Duration::ZERO, Duration::ZERO);
        for (stage, time) in &self.ended {
            if let (Some(time), Some(last)) = (time, history.full(stage)) {
                before += last;
                taken += *time;
            }
        }
        // Data grow and machines differ: what has ended shows by how much.
        let pace = if before >= History::MEASURABLE { taken.div_duration_f64(before) } else { 1.0 };
        let mut left = Duration::ZERO;
        for (stage, decision) in open() {
            let computes_all = matches!(decision, PlanDecision::Full | PlanDecision::Cache);
            let whole = history.full(stage).filter(|_| computes_all)?.mul_f64(pace);
            let done = self.running.get(stage).map_or(Duration::ZERO, |running| now.saturating_sub(running.since));
            left += whole.saturating_sub(done);
        }
        Some(left.div_f64(history.side_by_side())).filter(|left| *left >= History::MEASURABLE)
    }
}

/// A time in whole seconds.
pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
