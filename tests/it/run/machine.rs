//! The state machine by example.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{ReceiptOutcome, RunStatus, StageReceipt, StageStatus};
use windlass_scheduler::run::machine::{
    AttemptOutcome, Drain, Refusal, ReplayError, RetryPolicy, RunAction, RunEvent, RunEventKind, RunSchedule, RunState,
    ScheduleError, StagePhase, StagePlanNode, replay,
};
use windlass_scheduler::run::staged::{Staged, StagedWrite};

use super::simulation::random_schedule;

/// `a` feeds `b` and `c`, which feed `d`; `e` is independent. `b` is the most expensive.
fn diamond() -> RunSchedule {
    let node = |name: &str, depends_on: &[&str]| StagePlanNode {
        name: name.into(),
        depends_on: depends_on.iter().map(|d| NodeName::from(*d)).collect(),
        weight: 0,
        max_retries: 2,
    };
    let stages = vec![node("e", &[]), node("d", &["b", "c"]), node("c", &["a"]), node("b", &["a"]), node("a", &[])];
    let retry = RetryPolicy { base_ms: 100, cap_ms: 250, jitter_percent: 0 };
    let schedule = RunSchedule { stages, max_parallel: 2, fail_fast: false, retry, seed: 1 };
    schedule.with_longest_path_weights(|stage| if stage.as_str() == "b" { 5 } else { 1 }).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn staged(stage: &str) -> Staged {
    // A version that is the stage's alone.
    let version = stage.bytes().fold(0, |version, byte| version * 256 + u64::from(byte));
    Staged(Arc::new(StagedWrite::Nothing { version: TableVersion(version) }))
}

fn receipt() -> StageReceipt {
    StageReceipt {
        version: TableVersion(7),
        rows: 10,
        changed_rows: None,
        table_rows: None,
        bytes: 100,
        files: 1,
        outcome: ReceiptOutcome::Committed,
    }
}

fn failure(retryable: bool) -> Failure {
    Failure { code: "WL0501".into(), message: "no".into(), help: None, retryable }
}

/// A run and all its events, one second apart.
struct Run {
    state: RunState,
    events: Vec<RunEvent>,
}

impl Run {
    fn new(schedule: RunSchedule) -> Self {
        Self { state: RunState::new(schedule).unwrap(), events: Vec::new() }
    }

    fn started(schedule: RunSchedule) -> (Self, Vec<String>) {
        let mut run = Self::new(schedule);
        let actions = run.tell(RunEventKind::Started);
        (run, actions)
    }

    /// The actions that the machine returns for it, abbreviated.
    fn tell(&mut self, kind: RunEventKind) -> Vec<String> {
        let event = RunEvent::new(at(self.events.len() as i64), kind);
        let actions = self.state.advance(&event).unwrap();
        self.events.push(event);
        actions.iter().map(short).collect()
    }

    fn refused(&mut self, kind: RunEventKind) -> Refusal {
        let before = self.state.clone();
        let error = self.state.advance(&RunEvent::new(at(0), kind)).unwrap_err();
        assert_eq!(self.state, before);
        error.why
    }

    fn staged(&mut self, stage: &str, attempt: u32) -> Vec<String> {
        self.tell(RunEventKind::ExecutionSucceeded { stage: stage.into(), attempt, staged: staged(stage) })
    }

    fn committed(&mut self, stage: &str, attempt: u32) -> Vec<String> {
        self.tell(RunEventKind::StageCommitted { stage: stage.into(), attempt, receipt: receipt() })
    }

    fn done(&mut self, stage: &str) -> Vec<String> {
        assert_eq!(self.staged(stage, 1), [format!("commit {stage} 1")]);
        self.committed(stage, 1)
    }

    fn failed(&mut self, stage: &str, attempt: u32, retryable: bool) -> Vec<String> {
        self.tell(RunEventKind::StageFailed { stage: stage.into(), attempt, failure: failure(retryable) })
    }

    fn cancelled(&mut self, stage: &str, attempt: u32) -> Vec<String> {
        self.tell(RunEventKind::StageCancelled { stage: stage.into(), attempt })
    }

    fn due(&mut self, stage: &str, attempt: u32) -> Vec<String> {
        self.tell(RunEventKind::RetryDue { stage: stage.into(), attempt })
    }

    fn cancel(&mut self) -> Vec<String> {
        self.tell(RunEventKind::CancelRequested { reason: "ctrl-c".into() })
    }

    fn phase(&self, stage: &str) -> &StagePhase {
        &self.state.stage(&stage.into()).unwrap().phase
    }

    fn ended(&self) -> Vec<(String, StageStatus)> {
        let ended = self.state.stages().iter();
        ended.map(|(name, s)| (name.to_string(), s.phase.ended().unwrap())).collect()
    }
}

fn short(action: &RunAction) -> String {
    match action {
        RunAction::ExecuteStage { stage, attempt } => format!("execute {stage} {attempt}"),
        RunAction::CommitStage { stage, attempt, .. } => format!("commit {stage} {attempt}"),
        RunAction::ScheduleRetry { stage, attempt, delay_ms, .. } => format!("retry {stage} {attempt} in {delay_ms}"),
        RunAction::CancelStage { stage, attempt } => format!("cancel {stage} {attempt}"),
        RunAction::RecordStage { stage } => format!("record {stage}"),
        RunAction::FinishRun { status, .. } => format!("finish {}", status.as_str()),
    }
}

#[test]
fn weights_are_the_longest_paths() {
    let schedule = diamond();
    let weights: Vec<_> = schedule.stages.iter().map(|s| (s.name.as_str(), s.weight)).collect();
    assert_eq!(weights, [("e", 1), ("d", 1), ("c", 2), ("b", 6), ("a", 7)]);
}

#[test]
fn a_run_follows_the_longest_path_first_and_in_parallel() {
    let (mut run, actions) = Run::started(diamond());
    assert_eq!(actions, ["execute a 1", "execute e 1"]);
    assert_eq!(run.done("a"), ["record a", "execute b 1"]);
    assert_eq!(run.done("e"), ["record e", "execute c 1"]);
    assert_eq!(run.done("b"), ["record b"]);
    assert_eq!(run.done("c"), ["record c", "execute d 1"]);
    assert_eq!(run.done("d"), ["record d", "finish succeeded"]);
    assert_eq!(run.state.status(), RunStatus::Succeeded);
    assert_eq!(run.state.ended_at(), Some(at(10)));
}

#[test]
fn a_run_without_stages_succeeds() {
    let schedule = RunSchedule { stages: Vec::new(), ..diamond() };
    let (_, actions) = Run::started(schedule);
    assert_eq!(actions, ["finish succeeded"]);
}

#[test]
fn a_retryable_failure_is_retried_with_growing_waits_up_to_the_limit() {
    let (mut run, _) = Run::started(diamond());
    assert_eq!(run.failed("a", 1, true), ["retry a 2 in 100"]);
    assert_eq!(run.due("a", 2), ["execute a 2"]);
    assert_eq!(run.failed("a", 2, true), ["retry a 3 in 200"]);
    assert_eq!(run.due("a", 3), ["execute a 3"]);
    assert_eq!(run.failed("a", 3, true), ["record a", "record d", "record c", "record b"]);
    assert!(matches!(run.phase("d"), StagePhase::Skipped { cause } if cause.as_str() == "a"));
    assert_eq!(run.done("e"), ["record e", "finish failed"]);
    assert_eq!(run.state.stage(&"a".into()).unwrap().attempts.len(), 3);
}

#[test]
fn waits_grow_to_their_cap_and_jitter_only_shortens_them() {
    let policy = RetryPolicy { base_ms: 100, cap_ms: 1_000, jitter_percent: 50 };
    let longest: Vec<u64> = (1..=6).map(|failures| policy.delay_ms(failures, 0)).collect();
    assert_eq!(longest, [100, 200, 400, 800, 1_000, 1_000]);
    assert_eq!(policy.delay_ms(3, u64::MAX), 200);
    assert_eq!(policy.delay_ms(u32::MAX, 0), 1_000);
    let huge = RetryPolicy { base_ms: u64::MAX, cap_ms: u64::MAX, jitter_percent: 255 };
    assert_eq!((huge.delay_ms(64, 0), huge.delay_ms(64, u64::MAX)), (u64::MAX, 0));
}

#[test]
fn waits_of_different_stages_differ_and_a_replay_repeats_them() {
    let retry = RetryPolicy { base_ms: 100_000, cap_ms: 100_000, jitter_percent: 100 };
    let (mut run, _) = Run::started(RunSchedule { retry, ..diamond() });
    let (of_a, of_e) = (run.failed("a", 1, true), run.failed("e", 1, true));
    assert_ne!(of_a[0].rsplit(' ').next(), of_e[0].rsplit(' ').next());
    assert_eq!(replay(run.state.schedule().clone(), &run.events).unwrap(), run.state);
}

#[test]
fn a_permanent_failure_is_final_at_once() {
    let (mut run, _) = Run::started(diamond());
    run.done("a");
    run.done("e");
    assert_eq!(run.failed("b", 1, false), ["record b", "record d"]);
    assert_eq!(run.done("c"), ["record c", "finish failed"]);
}

#[test]
fn after_a_failed_commit_only_the_commit_is_retried() {
    let (mut run, _) = Run::started(diamond());
    run.staged("a", 1);
    assert_eq!(run.failed("a", 1, true), ["retry a 2 in 100"]);
    assert_eq!(run.due("a", 2), ["commit a 2"]);
    assert_eq!(run.phase("a"), &StagePhase::Committing { staged: staged("a") });
    assert_eq!(run.committed("a", 2), ["record a", "execute b 1"]);
    let attempts = &run.state.stage(&"a".into()).unwrap().attempts;
    assert_eq!(attempts.iter().map(|a| a.commit_only).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn failing_fast_cancels_what_runs_and_skips_the_rest() {
    let (mut run, _) = Run::started(RunSchedule { fail_fast: true, ..diamond() });
    run.done("a");
    assert_eq!(run.failed("b", 1, false), ["record b", "cancel e 1", "record d", "record c"]);
    assert_eq!(run.state.drain(), Some(&Drain::FailFast { stage: "b".into() }));
    assert_eq!(run.cancelled("e", 1), ["record e", "finish failed"]);
    let named = |name: &str, status| (name.to_owned(), status);
    assert_eq!(
        run.ended(),
        [
            named("a", StageStatus::Committed),
            named("b", StageStatus::Failed),
            named("c", StageStatus::Skipped),
            named("d", StageStatus::Skipped),
            named("e", StageStatus::Cancelled),
        ]
    );
}

#[test]
fn a_cancel_waits_for_the_active_commit_and_allows_no_other() {
    let (mut run, _) = Run::started(diamond());
    run.staged("a", 1);
    assert_eq!(run.cancel(), ["cancel e 1", "record d", "record c", "record b"]);
    assert!(run.cancel().is_empty(), "once is enough");
    // It had ended before the cancel reached it: nothing more is committed.
    assert_eq!(run.staged("e", 1), ["record e"]);
    assert_eq!(run.state.status(), RunStatus::Running);
    assert_eq!(run.committed("a", 1), ["record a", "finish cancelled"]);
    assert!(matches!(run.phase("a"), StagePhase::Committed { .. }), "its result is honoured");
    assert_eq!(run.phase("e"), &StagePhase::Cancelled);
}

#[test]
fn a_commit_that_fails_during_a_cancel_is_not_retried() {
    let (mut run, _) = Run::started(diamond());
    run.staged("a", 1);
    run.cancel();
    run.cancelled("e", 1);
    assert_eq!(run.failed("a", 1, true), ["record a", "finish cancelled"]);
    assert!(matches!(run.phase("a"), StagePhase::Failed { .. }));
}

#[test]
fn a_cancel_that_comes_too_late_leaves_a_success() {
    let mut schedule = diamond();
    schedule.stages.retain(|s| s.name.as_str() == "e");
    let (mut run, _) = Run::started(schedule);
    run.staged("e", 1);
    assert!(run.cancel().is_empty());
    assert_eq!(run.committed("e", 1), ["record e", "finish succeeded"]);
}

#[test]
fn a_failure_while_being_cancelled_is_kept_in_the_history() {
    let (mut run, _) = Run::started(diamond());
    run.cancel();
    run.cancelled("e", 1);
    assert_eq!(run.failed("a", 1, true), ["record a", "finish cancelled"]);
    assert_eq!(run.phase("a"), &StagePhase::Cancelled);
    let outcome = run.state.stage(&"a".into()).unwrap().attempts[0].outcome.clone();
    assert_eq!(outcome, Some(AttemptOutcome::Failed { failure: failure(true) }));
}

#[test]
fn a_stage_that_waits_for_a_retry_is_cancelled_at_once() {
    let (mut run, _) = Run::started(diamond());
    run.failed("a", 1, true);
    run.done("e");
    assert_eq!(run.cancel(), ["record d", "record c", "record b", "record a", "finish cancelled"]);
    assert_eq!(run.refused(RunEventKind::RetryDue { stage: "a".into(), attempt: 2 }), Refusal::RunOver);
}

#[test]
fn losing_the_lease_stops_everything_but_the_commit_under_way() {
    let (mut run, _) = Run::started(diamond());
    run.staged("a", 1);
    assert_eq!(run.tell(RunEventKind::LeaseLost), ["cancel e 1", "record d", "record c", "record b"]);
    run.cancelled("e", 1);
    assert_eq!(run.committed("a", 1), ["record a", "finish failed"]);
    assert_eq!(run.state.drain(), Some(&Drain::LeaseLost));
}

#[test]
fn a_resumed_run_continues_each_stage_where_its_phase_allows() {
    let (mut run, _) = Run::started(RunSchedule { max_parallel: 3, ..diamond() });
    run.done("a");
    // Now e executes, b commits and c waits to be retried.
    run.staged("b", 1);
    assert_eq!(run.failed("c", 1, true), ["retry c 2 in 100"]);
    let mut resumed =
        Run { state: replay(run.state.schedule().clone(), &run.events).unwrap(), events: run.events.clone() };
    assert_eq!(resumed.state, run.state);
    let actions = resumed.tell(RunEventKind::Resumed);
    assert_eq!(actions, ["retry c 2 in 0", "commit b 1", "record a", "execute e 2"]);
    let attempts = &resumed.state.stage(&"e".into()).unwrap().attempts;
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Interrupted));
    assert_eq!(resumed.state.stage(&"e".into()).unwrap().failures, 0, "an interruption is nobody's failure");
    assert_eq!(resumed.due("c", 2), ["execute c 2"]);
}

#[test]
fn a_run_that_is_resumed_after_its_end_only_records_again() {
    let (mut run, _) = Run::started(diamond());
    run.cancel();
    run.cancelled("a", 1);
    run.cancelled("e", 1);
    let ended = run.state.ended_at();
    let actions = run.tell(RunEventKind::Resumed);
    assert_eq!(actions, ["record e", "record d", "record c", "record b", "record a", "finish cancelled"]);
    assert_eq!(run.state.ended_at(), ended);
}

#[test]
fn a_resumed_cancel_does_not_start_anything_again() {
    let (mut run, _) = Run::started(diamond());
    run.staged("a", 1);
    run.cancel();
    let actions = run.tell(RunEventKind::Resumed);
    // Whether the commit was made must be known before the cancel can be acknowledged.
    assert_eq!(actions, ["record e", "record d", "record c", "record b", "commit a 1"]);
    assert_eq!(run.committed("a", 1), ["record a", "finish cancelled"]);
}

#[test]
fn events_out_of_turn_are_refused_and_change_nothing() {
    let mut run = Run::new(diamond());
    assert_eq!(run.refused(RunEventKind::Resumed), Refusal::NotStarted);
    run.tell(RunEventKind::Started);
    assert_eq!(run.refused(RunEventKind::Started), Refusal::AlreadyStarted);
    let failed =
        |stage: &str, attempt| RunEventKind::StageFailed { stage: stage.into(), attempt, failure: failure(true) };
    assert_eq!(run.refused(failed("nobody", 1)), Refusal::UnknownStage);
    assert_eq!(run.refused(failed("b", 1)), Refusal::WrongPhase { phase: "waiting" });
    assert_eq!(run.refused(failed("a", 2)), Refusal::OtherAttempt { expects: 1 });
    let cancelled = |stage: &str, attempt| RunEventKind::StageCancelled { stage: stage.into(), attempt };
    assert_eq!(run.refused(cancelled("a", 1)), Refusal::WrongPhase { phase: "executing" });
    run.failed("a", 1, true);
    assert_eq!(run.refused(failed("a", 1)), Refusal::Stale);
    assert_eq!(run.refused(RunEventKind::RetryDue { stage: "a".into(), attempt: 1 }), Refusal::Stale);
    run.due("a", 2);
    assert_eq!(run.refused(failed("a", 1)), Refusal::Stale);
    assert_eq!(run.refused(RunEventKind::RetryDue { stage: "a".into(), attempt: 2 }), Refusal::Stale);
}

/// Any event about any stage, as a driver would never tell it.
fn nonsense(random: &mut StdRng) -> RunEventKind {
    let stage = NodeName::from(format!("s{:02}", random.random_range(0..14)));
    let attempt = random.random_range(0..6);
    match random.random_range(0..9) {
        0 => RunEventKind::Started,
        1 => RunEventKind::Resumed,
        2 => RunEventKind::LeaseLost,
        3 => RunEventKind::CancelRequested { reason: "nonsense".into() },
        4 => RunEventKind::RetryDue { stage, attempt },
        5 => RunEventKind::StageCancelled { stage, attempt },
        6 => RunEventKind::StageFailed { stage, attempt, failure: failure(true) },
        7 => RunEventKind::ExecutionSucceeded { staged: staged(stage.as_str()), stage, attempt },
        _ => RunEventKind::StageCommitted { stage, attempt, receipt: receipt() },
    }
}

/// What a driver would tell of an action some time.
fn answer(action: RunAction, random: &mut StdRng) -> Option<RunEventKind> {
    let fails = random.random_bool(0.2);
    Some(match action {
        RunAction::ExecuteStage { stage, attempt } | RunAction::CommitStage { stage, attempt, .. } if fails => {
            RunEventKind::StageFailed { stage, attempt, failure: failure(random.random_bool(0.7)) }
        }
        RunAction::ExecuteStage { stage, attempt } => {
            RunEventKind::ExecutionSucceeded { staged: staged(stage.as_str()), stage, attempt }
        }
        RunAction::CommitStage { stage, attempt, .. } => {
            RunEventKind::StageCommitted { stage, attempt, receipt: receipt() }
        }
        RunAction::ScheduleRetry { stage, attempt, .. } => RunEventKind::RetryDue { stage, attempt },
        RunAction::CancelStage { stage, attempt } => RunEventKind::StageCancelled { stage, attempt },
        RunAction::RecordStage { .. } | RunAction::FinishRun { .. } => return None,
    })
}

#[test]
fn nonsense_is_refused_without_effect_or_does_no_harm() {
    let mut refused = 0;
    for seed in 0..500 {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut state = RunState::new(random_schedule(random)).unwrap();
        let mut next = Some(RunEventKind::Started);
        let mut under_way = Vec::new();
        let mut last = RunEventKind::LeaseLost;
        while !state.status().is_over() {
            for kind in [nonsense(random), last.clone()] {
                let mut other = state.clone();
                if other.advance(&RunEvent::new(at(1), kind)).is_err() {
                    assert_eq!(other, state, "seed {seed}: a refused event changes nothing");
                    refused += 1;
                }
            }
            let kind = next.take().or_else(|| {
                assert!(!under_way.is_empty(), "seed {seed}: the run has not ended and nothing is under way");
                answer(under_way.swap_remove(random.random_range(0..under_way.len())), random)
            });
            let Some(kind) = kind else { continue };
            match state.advance(&RunEvent::new(at(1), kind.clone())) {
                Ok(actions) => under_way.extend(actions),
                Err(error) => assert!(error.is_late(), "seed {seed}: {error}"),
            }
            last = kind;
        }
    }
    assert!(refused > 5_000, "{refused}");
}

#[test]
fn a_refusal_says_what_does_not_fit() {
    let (mut run, _) = Run::started(diamond());
    let kind = RunEventKind::RetryDue { stage: "b".into(), attempt: 1 };
    let error = run.state.advance(&RunEvent::new(at(0), kind)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the event `retry_due` of stage `b`, attempt 1, does not fit the run: the stage is waiting"
    );
    assert_eq!((error.code().0, error.is_retryable(), error.is_late()), ("WL0611", false, false));
    let events = [RunEvent::new(at(0), RunEventKind::LeaseLost)];
    let error = replay(run.state.schedule().clone(), &events).unwrap_err();
    assert!(matches!(error, ReplayError::Event { position: 0, .. }), "{error}");
    run.cancel();
}

#[test]
fn a_schedule_that_cannot_end_is_refused() {
    let refused = |change: fn(&mut RunSchedule)| {
        let mut schedule = diamond();
        change(&mut schedule);
        RunState::new(schedule).unwrap_err()
    };
    assert_eq!(refused(|s| s.max_parallel = 0), ScheduleError::NoSlot);
    assert_eq!(refused(|s| s.stages[0].name = "a".into()), ScheduleError::DuplicateStage { stage: "a".into() });
    let unknown = refused(|s| s.stages[0].depends_on.push("x".into()));
    assert_eq!(unknown, ScheduleError::UnknownDependency { stage: "e".into(), dependency: "x".into() });
    let cycle = refused(|s| s.stages[4].depends_on.push("d".into()));
    assert_eq!(cycle.to_string(), "the stages `d`, `c`, `b`, `a` wait for one another");
}

#[test]
fn events_are_stored_as_flat_json() {
    let kind = RunEventKind::StageFailed { stage: "a".into(), attempt: 2, failure: failure(true) };
    let event = RunEvent::new(at(1), kind);
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(
        json,
        json!({
            "at": "1970-01-01T00:00:01Z",
            "event": "stage_failed",
            "stage": "a",
            "attempt": 2,
            "failure": { "code": "WL0501", "message": "no", "retryable": true },
        })
    );
    assert_eq!(serde_json::from_value::<RunEvent>(json).unwrap(), event);
}
