use windlass_base::ids::{RunSequence, TableVersion};
use windlass_evidence::artifact::{PlanDecision, StageReceipt};

use super::*;
use crate::output::width_of;

fn started(stages: u64, reused: u64) -> LogKind {
    LogKind::RunStarted {
        pipeline: "shop".into(),
        sequence: RunSequence(3),
        stages,
        reused,
        target: None,
        select: None,
        exclude: None,
        max_parallel: 2,
        windlass: "0".to_owned(),
        host: "here".to_owned(),
    }
}

fn planned(stage: &str, decision: PlanDecision) -> LogKind {
    let (reason, tags) = (String::new(), Default::default());
    LogKind::StagePlanned { stage: stage.into(), decision, reason, strategy: None, tags }
}

fn starts(stage: &str) -> LogKind {
    LogKind::StageStarted { stage: stage.into(), attempt: 1 }
}

fn committed(stage: &str, seconds: u64, outcome: ReceiptOutcome) -> LogKind {
    let version = TableVersion(1);
    let receipt =
        StageReceipt { version, rows: 1_200, changed_rows: None, table_rows: None, bytes: 2_048, files: 1, outcome };
    LogKind::StageCommitted { stage: stage.into(), attempt: 1, receipt, duration_ms: seconds * 1_000 }
}

/// A run that has committed one of three stages in 20 s and has run another for 5 s.
fn under_way(last: PlanDecision) -> RunState {
    let mut state = RunState::default();
    let mut take = |seconds, kind: LogKind| state.take(&kind, Duration::from_secs(seconds));
    take(0, started(3, 7));
    for (stage, decision) in [("a", PlanDecision::Full), ("b", PlanDecision::Cache), ("c", last)] {
        take(0, planned(stage, decision));
    }
    take(0, planned("d", PlanDecision::Reuse));
    take(0, starts("a"));
    take(20, committed("a", 20, ReceiptOutcome::Committed));
    take(20, starts("b"));
    state
}

#[test]
fn one_line_tells_how_far_the_run_is() {
    let (state, now) = (under_way(PlanDecision::Full), Duration::from_secs(25));
    let line = |width| state.line(now, &History::default(), width);
    assert_eq!(line(None), "1 of 3 stages, 1,200 rows, 2.00 KiB, 25 s, b");
    assert_eq!(line(Some(42)), "1 of 3 stages, 1,200 rows, 2.00 KiB, 25 s");
    assert_eq!(line(Some(31)), "1 of 3 stages, 1,200 rows, 25 s");
    assert_eq!(line(Some(30)), "1 of 3 stages, 25 s");
    assert_eq!(line(Some(3)), "1 of 3 stages");
    for width in 13..60 {
        assert!(width_of(&line(Some(width))) <= width, "{width}");
    }
}

#[test]
fn the_time_left_follows_from_an_earlier_run_and_the_pace_of_this_one() {
    let now = Duration::from_secs(25);
    let left = |state: RunState, last: &[(&str, u64)]| {
        let line = state.line(now, &History::for_test(last), None);
        line.split(", ").find(|part| part.starts_with("about")).map(str::to_owned)
    };
    // `a` took twice as long as last time, so 2 × 15 s for `b`, of which 5 s are over, and 2 × 20 s for `c`.
    let all = [("a", 10), ("b", 15), ("c", 20)];
    assert_eq!(left(under_way(PlanDecision::Full), &all).as_deref(), Some("about 1 min 05 s left"));
    // Nothing tells how long changes take, or a stage that has never run.
    assert_eq!(left(under_way(PlanDecision::Incremental), &all), None);
    assert_eq!(left(under_way(PlanDecision::Full), &all[..2]), None);
    assert_eq!(left(under_way(PlanDecision::Full), &[]), None);
}

#[test]
fn what_is_reused_adds_no_rows() {
    let mut state = under_way(PlanDecision::Full);
    state.take(&committed("b", 1, ReceiptOutcome::Reused), Duration::from_secs(26));
    assert_eq!(
        state.line(Duration::from_secs(26), &History::default(), Some(42)),
        "2 of 3 stages, 1,200 rows, 2.00 KiB, 26 s"
    );
}

#[test]
fn a_stage_that_is_tried_again_has_not_ended() {
    let mut state = under_way(PlanDecision::Full);
    let failure =
        windlass_base::error::Failure { code: "WL0501".into(), message: "no".into(), help: None, retryable: true };
    state.take(&LogKind::StageFailed { stage: "b".into(), attempt: 1, failure }, Duration::from_secs(26));
    assert!(state.line(Duration::from_secs(26), &History::default(), None).starts_with("2 of 3"));
    state.take(&LogKind::StageRetry { stage: "b".into(), attempt: 2, delay_ms: 100 }, Duration::from_secs(26));
    assert!(state.line(Duration::from_secs(26), &History::default(), None).starts_with("1 of 3"));
}

#[test]
fn a_run_that_is_not_on_a_terminal_gives_signs_of_life() {
    let begun = Instant::now();
    let mut progress = Progress::of(Screen::Lines { last: begun }, History::default());
    progress.began = begun;
    progress.state = under_way(PlanDecision::Full);
    let mut at = |seconds| progress.sign_of_life(begun + Duration::from_secs(seconds));
    assert_eq!(at(9), None);
    assert_eq!(at(10).as_deref(), Some("1 of 3 stages, 1,200 rows, 2.00 KiB, 10 s, b"));
    assert_eq!(at(19), None);
    assert!(at(20).is_some());
}

#[test]
fn a_run_that_waits_says_how_many_are_before_it() {
    let begun = Instant::now();
    let mut progress = Progress::of(Screen::Lines { last: begun }, History::default());
    let mut line = |position, seconds| {
        progress.queued = Some(position);
        progress.sign_of_life(begun + Duration::from_secs(seconds)).unwrap()
    };
    assert_eq!(line(4, 10), "queued, 3 runs before it");
    assert_eq!(line(2, 20), "queued, 1 run before it");
    assert_eq!(line(1, 30), "queued: it starts next");
}

#[test]
fn the_first_line_counts_what_runs_and_what_is_reused() {
    let progress = Progress { layout: Layout { width: None, colour: false }, ..Progress::silent() };
    assert_eq!(progress.line(&started(2, 8)).unwrap(), "run of shop: 2 stages to run, 8 reused");
    assert_eq!(progress.line(&started(1, 0)).unwrap(), "run of shop: 1 stage");
}
