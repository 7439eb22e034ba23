//! Invariants after every step, checked without the machine's own code where possible.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{RunStatus, StageStatus};
use windlass_scheduler::run::machine::{
    AttemptOutcome, Drain, RunAction, RunEvent, RunEventKind, RunSchedule, RunState, StagePhase, StagePlanNode,
};
use windlass_scheduler::run::staged::Staged;

use super::tables::Tables;

/// What a stage is busy with, by the actions and events that have been seen.
#[derive(Debug, PartialEq)]
enum Doing {
    Executing,
    Committing(Staged),
}

pub(super) struct Rules {
    schedule: RunSchedule,
    state: RunState,
    /// How many events there have been.
    steps: u64,
    doing: BTreeMap<NodeName, Doing>,
    /// What each stage has staged and not yet committed.
    staged: BTreeMap<NodeName, Staged>,
    committed: Vec<NodeName>,
    ended: BTreeMap<NodeName, StageStatus>,
    wound_up: bool,
    finished: Option<RunStatus>,
}

impl Rules {
    pub(super) fn new(schedule: RunSchedule) -> Self {
        let state = RunState::new(schedule.clone()).unwrap();
        Self {
            schedule,
            state,
            steps: 0,
            doing: BTreeMap::new(),
            staged: BTreeMap::new(),
            committed: Vec::new(),
            ended: BTreeMap::new(),
            wound_up: false,
            finished: None,
        }
    }

    pub(super) fn state(&self) -> &RunState {
        &self.state
    }

    fn node(&self, stage: &NodeName) -> &StagePlanNode {
        self.schedule.stages.iter().find(|n| n.name == *stage).unwrap()
    }

    pub(super) fn check_step(&mut self, event: &RunEvent, state: RunState, actions: &[RunAction], tables: &Tables) {
        self.follow(event, tables);
        let resumed = event.kind == RunEventKind::Resumed;
        for action in actions {
            self.check_action(action, &state, resumed);
        }
        self.check_phases(&state, actions);
        self.check_history(&state);
        self.check_slots(&state, actions);
        let over = state.stages().values().all(|s| s.phase.ended().is_some());
        assert_eq!(over, state.status().is_over(), "a run ends with its last stage");
        assert_eq!(over, matches!(actions.last(), Some(RunAction::FinishRun { .. })), "and says so last");
        // The slowest of all checks.
        if over || self.steps.is_multiple_of(8) {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<RunState>(&json).unwrap(), state, "a state survives its JSON");
        }
        self.steps += 1;
        self.state = state;
    }

    /// What the event itself says.
    fn follow(&mut self, event: &RunEvent, tables: &Tables) {
        match &event.kind {
            RunEventKind::Resumed => self.doing.retain(|_, doing| matches!(doing, Doing::Committing(_))),
            RunEventKind::ExecutionSucceeded { stage, staged, .. } => {
                assert_eq!(self.doing.remove(stage), Some(Doing::Executing));
                self.staged.insert(stage.clone(), staged.clone());
            }
            RunEventKind::StageCommitted { stage, .. } => {
                assert!(matches!(self.doing.remove(stage), Some(Doing::Committing(_))));
                assert!(tables.has(stage));
                self.committed.push(stage.clone());
            }
            RunEventKind::StageFailed { stage, .. } | RunEventKind::StageCancelled { stage, .. } => {
                assert!(self.doing.remove(stage).is_some());
            }
            RunEventKind::CancelRequested { .. } | RunEventKind::LeaseLost => self.wound_up = true,
            RunEventKind::RetryDue { stage, .. } => {
                let StagePhase::Backoff { due, .. } = &self.state.stages()[stage].phase else {
                    panic!("{stage} waits")
                };
                // Waits are in whole milliseconds.
                assert!(event.at + TimeDelta::milliseconds(1) > *due, "{stage} is tried again too early");
            }
            RunEventKind::Started => {}
        }
    }

    fn check_action(&mut self, action: &RunAction, state: &RunState, resumed: bool) {
        if self.finished.is_some() {
            let again = matches!(action, RunAction::RecordStage { .. } | RunAction::FinishRun { .. });
            assert!(again, "{action:?} after the end");
        }
        match action {
            RunAction::ExecuteStage { stage, attempt } => {
                assert!(!self.wound_up, "{stage} starts while the run is wound up");
                assert!(self.doing.insert(stage.clone(), Doing::Executing).is_none(), "{stage} runs twice at once");
                let missing = self.node(stage).depends_on.iter().find(|d| !self.committed.contains(d));
                assert_eq!(missing, None, "{stage} starts before what it needs");
                assert!(!self.committed.contains(stage), "{stage} has committed");
                assert_eq!(*attempt as usize, state.stages()[stage].attempts.len());
            }
            RunAction::CommitStage { stage, staged, .. } => {
                assert_eq!(self.staged.get(stage), Some(staged), "{stage} commits what it staged last");
                assert!(!self.committed.contains(stage), "{stage} commits twice");
                let before = self.doing.insert(stage.clone(), Doing::Committing(staged.clone()));
                if resumed {
                    // The commit may be one that the dead process had begun, and then even a wound-up run must know.
                    assert!(matches!(before, Some(Doing::Committing(_)) | None));
                    assert!(before.is_some() || !self.wound_up, "{stage} commits again while the run is wound up");
                } else {
                    assert!(!self.wound_up, "{stage} commits while the run is wound up");
                    assert_eq!(before, None, "{stage} commits twice at once");
                }
            }
            RunAction::ScheduleRetry { stage, attempt, delay_ms, .. } => {
                assert!(!self.wound_up, "{stage} is to be tried again while the run is wound up");
                assert!(*delay_ms <= self.schedule.retry.cap_ms);
                assert_eq!(*attempt as usize, state.stages()[stage].attempts.len() + 1);
                assert!(state.stages()[stage].failures <= self.node(stage).max_retries, "{stage} has no tries left");
            }
            RunAction::CancelStage { stage, .. } => {
                self.wound_up = true;
                assert_eq!(self.doing.get(stage), Some(&Doing::Executing), "only what executes is cancelled");
            }
            RunAction::RecordStage { stage } => {
                let status = state.stages()[stage].phase.ended().expect("only an ended stage is recorded");
                self.wound_up |= self.schedule.fail_fast && status == StageStatus::Failed;
                let before = self.ended.insert(stage.clone(), status);
                match before {
                    None => {}
                    Some(before) => assert!(resumed && before == status, "{stage} ends twice"),
                }
            }
            RunAction::FinishRun { status, .. } => {
                assert!(self.doing.is_empty(), "{:?} goes on after the end", self.doing);
                assert!(self.finished.is_none_or(|before| resumed && before == *status));
                assert_eq!(*status, state.status());
                self.finished = Some(*status);
            }
        }
    }

    fn check_phases(&self, state: &RunState, actions: &[RunAction]) {
        for (name, stage) in state.stages() {
            let before = &self.state.stages()[name].phase;
            if before.ended().is_some() {
                assert_eq!(before, &stage.phase, "{name} has ended and does not change");
            } else if stage.phase.ended().is_some() {
                let records = actions.iter().filter(|a| **a == RunAction::RecordStage { stage: name.clone() }).count();
                assert_eq!(records, 1, "{name} is recorded when it ends");
            }
            assert_eq!(stage.phase.is_busy(), self.doing.contains_key(name), "{name} is {:?}", stage.phase);
            if let StagePhase::Skipped { cause } = &stage.phase {
                assert!(stage.attempts.is_empty(), "{name} was never tried");
                assert_eq!(state.stages()[cause].phase.ended(), Some(StageStatus::Failed));
                assert!(self.schedule.fail_fast || self.needs(name, cause), "{name} does not need {cause}");
            }
            let waits = matches!(stage.phase, StagePhase::Waiting);
            let ready = self.node(name).depends_on.iter().all(|d| self.committed.contains(d));
            let begun = state.status() != RunStatus::Pending;
            assert!(!(begun && waits && ready), "{name} waits for nothing");
        }
        assert_eq!(state.drain().is_some(), self.wound_up);
    }

    /// Whether `stage` depends on `other`, directly or indirectly.
    fn needs(&self, stage: &NodeName, other: &NodeName) -> bool {
        self.node(stage).depends_on.iter().any(|d| d == other || self.needs(d, other))
    }

    /// Attempts are only appended, and ended ones do not change.
    fn check_history(&self, state: &RunState) {
        for (name, stage) in state.stages() {
            let before = &self.state.stages()[name].attempts;
            assert!(stage.attempts.len() >= before.len());
            for (old, new) in before.iter().zip(&stage.attempts) {
                assert!(old.outcome.is_none() || old == new, "{name} changes its past");
            }
            for (number, attempt) in (1..).zip(&stage.attempts) {
                assert_eq!(attempt.number, number);
                assert_eq!(attempt.outcome.is_some(), attempt.ended_at.is_some());
            }
            let open = stage.attempts.iter().filter(|a| a.outcome.is_none()).count();
            assert_eq!(open, usize::from(stage.phase.is_busy()), "{name} is busy with its one open attempt");
            let failed = stage.attempts.iter().filter(|a| matches!(a.outcome, Some(AttemptOutcome::Failed { .. })));
            assert_eq!(failed.count(), stage.failures as usize);
        }
    }

    /// No slot too many, none left free, and the most expensive stage first.
    fn check_slots(&self, state: &RunState, actions: &[RunAction]) {
        assert!(self.doing.len() <= self.schedule.max_parallel, "too many at once: {:?}", self.doing);
        let queued = state.stages().iter().filter(|(_, s)| matches!(s.phase, StagePhase::Queued { .. }));
        let queued: Vec<u64> = queued.map(|(name, _)| self.node(name).weight).collect();
        if queued.is_empty() {
            return;
        }
        assert_eq!(state.drain(), None, "nothing is queued in a run that is wound up");
        assert_eq!(self.doing.len(), self.schedule.max_parallel, "a slot is free and a stage waits for it");
        for action in actions {
            if let RunAction::ExecuteStage { stage, .. } = action {
                let heavier = queued.iter().find(|weight| **weight > self.node(stage).weight);
                assert_eq!(heavier, None, "{stage} starts before a heavier one");
            }
        }
    }

    pub(super) fn check_end(&self, tables: &Tables) {
        let status = self.finished.expect("the run has finished");
        assert_eq!(self.ended.len(), self.schedule.stages.len(), "every stage has ended");
        let all_committed = self.ended.values().all(|s| *s == StageStatus::Committed);
        assert_eq!(status == RunStatus::Succeeded, all_committed);
        let cancelled = matches!(self.state.drain(), Some(Drain::Cancel { .. })) && !all_committed;
        assert_eq!(status == RunStatus::Cancelled, cancelled);
        for (name, stage) in self.state.stages() {
            let committed = self.ended[name] == StageStatus::Committed;
            assert!(!committed || tables.has(name), "{name} says that it has committed");
            // A table may have a version that its run does not know only if a commit returned an error.
            let unknown =
                matches!(stage.attempts.last().and_then(|a| a.outcome.as_ref()), Some(AttemptOutcome::Failed { .. }));
            assert!(committed || unknown || !tables.has(name), "{name} has committed and does not say so");
            if self.ended[name] == StageStatus::Cancelled {
                assert!(self.state.drain().is_some());
            }
        }
    }
}
