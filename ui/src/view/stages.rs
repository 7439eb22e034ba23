//! The stages of a run, however far it has come: from its plan, its record, and while it runs from its log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{
    LogEvent, LogKind, PlanDecision, PlanRecord, RunRecord, RunStatus, StageDecision, StageReceipt, StageSummary,
};
use windlass_project::strategy::Strategy;

use super::state::{State, is_live};
use super::text::elapsed_ms;

/// What is known of a stage of a run.
#[derive(Debug, Clone)]
pub(crate) struct StageFacts {
    /// The stage.
    pub(crate) name: NodeName,
    /// How its rows were to come about.
    pub(crate) decision: Option<PlanDecision>,
    /// How its table was brought up to date, or is to be.
    pub(crate) strategy: Option<Strategy>,
    /// The stages that it waits for.
    pub(crate) depends_on: Vec<NodeName>,
    /// Where it stands.
    pub(crate) state: State,
    /// How many attempts it had.
    pub(crate) attempts: u32,
    /// When its first attempt began, if the log was read.
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// How long it took, or takes until now.
    pub(crate) duration_ms: u64,
    /// Tasks that have ended, and those known, while it runs.
    pub(crate) tasks: Option<(u64, u64)>,
    /// The outcome of its commit.
    pub(crate) receipt: Option<StageReceipt>,
    /// Why it failed.
    pub(crate) failure: Option<Failure>,
    /// The stage whose failure made this one be skipped.
    pub(crate) skipped_because_of: Option<NodeName>,
    /// Why all rows were computed although changes were to be applied.
    pub(crate) fallback: Option<String>,
}

impl StageFacts {
    fn new(name: NodeName) -> Self {
        Self {
            name,
            decision: None,
            strategy: None,
            depends_on: Vec::new(),
            state: State::Pending,
            attempts: 0,
            started_at: None,
            duration_ms: 0,
            tasks: None,
            receipt: None,
            failure: None,
            skipped_because_of: None,
            fallback: None,
        }
    }

    fn planned(decision: &StageDecision) -> Self {
        Self {
            decision: Some(decision.decision),
            strategy: decision.strategy,
            depends_on: decision.depends_on.clone(),
            state: State::planned(decision.decision),
            ..Self::new(decision.stage.clone())
        }
    }

    fn end(&mut self, summary: &StageSummary) {
        self.state = State::of(summary);
        self.strategy = summary.strategy.or(self.strategy);
        self.attempts = summary.attempts;
        self.duration_ms = summary.duration_ms;
        self.receipt = summary.receipt.clone();
        self.failure = summary.failure.clone();
        self.skipped_because_of = summary.skipped_because_of.clone();
        self.fallback = summary.fallback.clone();
    }

    fn follow(&mut self, at: DateTime<Utc>, kind: &LogKind) {
        match kind {
            LogKind::StageStarted { attempt, .. } => {
                self.state = State::Running;
                self.attempts = *attempt;
                self.tasks = None;
                self.started_at.get_or_insert(at);
            }
            LogKind::StageProgress { tasks_done, tasks_total, .. } => self.tasks = Some((*tasks_done, *tasks_total)),
            LogKind::StageCommitted { receipt, .. } => {
                self.state = State::committed(Some(receipt.outcome), self.strategy);
                self.receipt = Some(receipt.clone());
                self.failure = None;
            }
            LogKind::StageFailed { failure, .. } => {
                self.state = State::Failed;
                self.failure = Some(failure.clone());
            }
            LogKind::StageRetry { .. } => self.state = State::Running,
            LogKind::StageSkipped { cause, .. } => {
                self.state = State::Skipped;
                self.skipped_because_of = Some(cause.clone());
            }
            LogKind::StageCancelled { .. } => self.state = State::Cancelled,
            _ => return,
        }
        self.duration_ms = self.started_at.map_or(0, |started| elapsed_ms(started, at));
    }
}

/// The stages of a run, in the order of its plan. `now` is the end of those that still run.
pub(crate) fn stages_of(
    record: &RunRecord,
    plan: Option<&PlanRecord>,
    log: &[LogEvent],
    now: DateTime<Utc>,
) -> Vec<StageFacts> {
    let mut stages: Vec<StageFacts> =
        plan.map(|plan| plan.stages.iter().map(StageFacts::planned).collect()).unwrap_or_default();
    let known: Vec<NodeName> = stages.iter().map(|stage| stage.name.clone()).collect();
    let unplanned = record.stages.iter().filter(|summary| !known.contains(&summary.stage));
    stages.extend(unplanned.map(|summary| StageFacts::new(summary.stage.clone())));
    let places: BTreeMap<NodeName, usize> =
        stages.iter().enumerate().map(|(place, stage)| (stage.name.clone(), place)).collect();
    let place = |name: &NodeName| places.get(name).copied();

    for event in log {
        if let Some(place) = stage_of(&event.kind).and_then(place) {
            stages[place].follow(event.ts, &event.kind);
        }
    }
    for summary in &record.stages {
        if let Some(place) = place(&summary.stage) {
            stages[place].end(summary);
        }
    }
    for stage in stages.iter_mut().filter(|stage| stage.state == State::Running) {
        match is_live(record.status) {
            true => stage.duration_ms = stage.started_at.map_or(0, |started| elapsed_ms(started, now)),
            false => stage.state = State::Interrupted,
        }
    }
    if record.status == RunStatus::Cancelled {
        stages
            .iter_mut()
            .filter(|stage| stage.state == State::Pending)
            .for_each(|stage| stage.state = State::Cancelled);
    }
    stages
}

/// The stage that an event moves.
fn stage_of(kind: &LogKind) -> Option<&NodeName> {
    match kind {
        LogKind::StageStarted { stage, .. }
        | LogKind::StageProgress { stage, .. }
        | LogKind::StageStaged { stage, .. }
        | LogKind::StageCommitted { stage, .. }
        | LogKind::StageFailed { stage, .. }
        | LogKind::StageRetry { stage, .. }
        | LogKind::StageSkipped { stage, .. }
        | LogKind::StageCancelled { stage } => Some(stage),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use windlass_evidence::artifact::Cause;

    use super::*;

    fn record(status: &str, stages: serde_json::Value) -> RunRecord {
        let versions = serde_json::json!({ "windlass": "1", "ballista": "1", "datafusion": "1", "deltalake": "1" });
        serde_json::from_value(serde_json::json!({
            "format": 1, "run_id": "r", "sequence": 1, "pipeline": "shop", "project_fingerprint": "f",
            "versions": versions, "session_identity": "s", "host": "here",
            "started_at": "2026-01-01T00:00:00Z", "status": status, "stages": stages,
        }))
        .unwrap()
    }

    fn plan() -> PlanRecord {
        let decision = |name: &str, decision| {
            StageDecision::new(name.into(), decision, Cause::NotBuilt, "not built yet".to_owned())
        };
        let stages = vec![
            decision("clean", PlanDecision::Full),
            decision("view", PlanDecision::View),
            decision("totals", PlanDecision::Full),
        ];
        PlanRecord { stages }
    }

    fn event(second: u32, kind: serde_json::Value) -> LogEvent {
        let mut event = serde_json::json!({
            "v": 1, "ts": format!("2026-01-01T00:00:{second:02}Z"), "run_id": "r", "seq": 0, "level": "info",
        });
        event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    fn at(second: u32) -> DateTime<Utc> {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn states(stages: &[StageFacts]) -> Vec<State> {
        stages.iter().map(|stage| stage.state).collect()
    }

    #[test]
    fn a_run_under_way_is_known_from_its_log() {
        let receipt = serde_json::json!({
            "event": "stage_committed", "stage": "clean", "attempt": 1, "version": 1, "rows": 5, "bytes": 10,
            "files": 1, "outcome": "committed", "duration_ms": 2000,
        });
        let mut log = vec![
            event(1, serde_json::json!({ "event": "stage_started", "stage": "clean", "attempt": 1 })),
            event(3, receipt),
            event(4, serde_json::json!({ "event": "stage_started", "stage": "totals", "attempt": 1 })),
            event(
                5,
                serde_json::json!({
                    "event": "stage_progress", "stage": "totals", "attempt": 1, "tasks_done": 2, "tasks_total": 8,
                }),
            ),
        ];
        let stages = stages_of(&record("running", serde_json::json!([])), Some(&plan()), &log, at(9));
        assert_eq!(states(&stages), [State::Full, State::Inlined, State::Running]);
        assert_eq!((stages[0].duration_ms, stages[2].duration_ms), (2_000, 5_000));
        assert_eq!(stages[2].tasks, Some((2, 8)));

        let interrupted = stages_of(&record("interrupted", serde_json::json!([])), Some(&plan()), &log, at(9));
        assert_eq!(states(&interrupted), [State::Full, State::Inlined, State::Interrupted]);

        let failure = serde_json::json!({ "code": "WL0503", "message": "no", "retryable": true });
        log.push(event(
            6,
            serde_json::json!({
                "event": "stage_failed", "stage": "totals", "attempt": 1, "failure": failure,
            }),
        ));
        let failed = stages_of(&record("running", serde_json::json!([])), Some(&plan()), &log, at(9));
        assert_eq!((failed[2].state, failed[2].duration_ms), (State::Failed, 2_000));
        log.push(event(
            6,
            serde_json::json!({
                "event": "stage_retry", "stage": "totals", "attempt": 2, "delay_ms": 100,
            }),
        ));
        let again = stages_of(&record("running", serde_json::json!([])), Some(&plan()), &log, at(9));
        assert_eq!(again[2].state, State::Running);
    }

    #[test]
    fn a_run_that_has_ended_is_known_from_its_record() {
        let summaries = serde_json::json!([
            { "stage": "clean", "status": "committed", "attempts": 0, "receipt":
                { "version": 1, "rows": 0, "bytes": 0, "files": 0, "outcome": "reused" } },
            { "stage": "totals", "status": "failed", "attempts": 2, "duration_ms": 70 },
            { "stage": "unplanned", "status": "skipped", "attempts": 0, "skipped_because_of": "totals" },
        ]);
        let stages = stages_of(&record("failed", summaries), Some(&plan()), &[], at(9));
        assert_eq!(states(&stages), [State::Reused, State::Inlined, State::Failed, State::Skipped]);
        assert_eq!((stages[2].attempts, stages[2].duration_ms), (2, 70));
    }
}
