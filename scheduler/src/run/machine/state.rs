//! The run's state machine: a pure function from a state and an event to the next state and what to do.
//!
//! It has no clock, no I/O and no randomness of its own: the same schedule and the same events always give the same
//! states and the same actions, which is what makes a run resumable (replay its events) and testable (simulate it).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{RunStatus, StageReceipt};

use super::action::RunAction;
use super::error::{Refusal, ReplayError, StepError};
use super::event::{RunEvent, RunEventKind};
use super::phase::{Attempt, AttemptOutcome, Drain, StagePhase, StageState, Work};
use super::schedule::{RunSchedule, ScheduleError, StagePlanNode};
use crate::run::staged::Staged;

/// Everything that is known about a run; the sum of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    schedule: RunSchedule,
    stages: BTreeMap<NodeName, StageState>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    drain: Option<Drain>,
    status: RunStatus,
}

/// The next state of a run after an event, and what to do about it. The order of the actions is the order to begin
/// them in.
///
/// An event that makes no sense in the state is an error, and changes nothing.
pub fn step(mut state: RunState, event: &RunEvent) -> Result<(RunState, Vec<RunAction>), StepError> {
    let actions = state.advance(event)?;
    Ok((state, actions))
}

/// The state that a run's events add up to. What they gave rise to is not done again: to go on from here, give the
/// machine a `Resumed` event.
pub fn replay<'a>(
    schedule: RunSchedule,
    events: impl IntoIterator<Item = &'a RunEvent>,
) -> Result<RunState, ReplayError> {
    let mut state = RunState::new(schedule)?;
    for (position, event) in events.into_iter().enumerate() {
        state.advance(event).map_err(|source| ReplayError::Event { position, source })?;
    }
    Ok(state)
}

impl RunState {
    /// A run that has not begun.
    pub fn new(schedule: RunSchedule) -> Result<Self, ScheduleError> {
        schedule.validate()?;
        let stages = schedule
            .stages
            .iter()
            .map(|node| {
                let state = StageState { phase: StagePhase::Waiting, attempts: Vec::new(), failures: 0 };
                (node.name.clone(), state)
            })
            .collect();
        Ok(Self { schedule, stages, started_at: None, ended_at: None, drain: None, status: RunStatus::Pending })
    }

    /// What the run was to do.
    pub fn schedule(&self) -> &RunSchedule {
        &self.schedule
    }

    /// The stages and where they stand, by name.
    pub fn stages(&self) -> &BTreeMap<NodeName, StageState> {
        &self.stages
    }

    /// Where one stage stands.
    pub fn stage(&self, name: &NodeName) -> Option<&StageState> {
        self.stages.get(name)
    }

    /// Where the run stands.
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// Why the run is being wound up, if it is.
    pub fn drain(&self) -> Option<&Drain> {
        self.drain.as_ref()
    }

    /// When the run began.
    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        self.started_at
    }

    /// When the run ended.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.ended_at
    }

    /// [`step`] in place. After an error the state is what it was.
    pub fn advance(&mut self, event: &RunEvent) -> Result<Vec<RunAction>, StepError> {
        self.check(&event.kind)?;
        let mut actions = Vec::new();
        match &event.kind {
            RunEventKind::Started => {
                self.started_at = Some(event.at);
                self.status = RunStatus::Running;
                self.queue_ready();
            }
            RunEventKind::Resumed => self.resume(event.at, &mut actions),
            RunEventKind::ExecutionSucceeded { stage, staged, .. } => {
                self.execution_succeeded(stage, staged, event.at, &mut actions);
            }
            RunEventKind::StageCommitted { stage, receipt, .. } => {
                self.committed(stage, receipt, event.at, &mut actions);
            }
            RunEventKind::StageFailed { stage, failure, .. } => {
                self.failed(stage, failure, event.at, &mut actions);
            }
            RunEventKind::RetryDue { stage, .. } => self.retry_due(stage),
            RunEventKind::CancelRequested { reason } => {
                if self.drain.is_none() {
                    self.wind_up(Drain::Cancel { reason: reason.clone() }, &mut actions);
                }
            }
            RunEventKind::StageCancelled { stage, .. } => {
                self.close_attempt(stage, event.at, AttemptOutcome::Cancelled);
                self.end_stage(stage, StagePhase::Cancelled, &mut actions);
            }
            RunEventKind::LeaseLost => self.wind_up(Drain::LeaseLost, &mut actions),
        }
        self.dispatch(event.at, &mut actions);
        self.finish_if_over(event.at, &mut actions);
        Ok(actions)
    }

    /// Whether the event makes sense in this state.
    fn check(&self, kind: &RunEventKind) -> Result<(), StepError> {
        let refused = |why: Refusal| StepError { event: kind.name(), subject: kind.subject().map(own), why };
        match (self.status, kind) {
            (RunStatus::Pending, RunEventKind::Started) => return Ok(()),
            (RunStatus::Pending, _) => return Err(refused(Refusal::NotStarted)),
            (_, RunEventKind::Started) => return Err(refused(Refusal::AlreadyStarted)),
            (_, RunEventKind::Resumed) => return Ok(()),
            (status, _) if status.is_over() => return Err(refused(Refusal::RunOver)),
            _ => {}
        }
        let Some((name, attempt)) = kind.subject() else { return Ok(()) };
        let Some(stage) = self.stages.get(name) else { return Err(refused(Refusal::UnknownStage)) };
        let current = stage.attempts.last().map_or(0, |a| a.number);
        let begun = attempt <= current;
        let expects = match (kind, &stage.phase) {
            (RunEventKind::RetryDue { .. }, StagePhase::Backoff { .. }) => Some(current + 1),
            (RunEventKind::ExecutionSucceeded { .. }, StagePhase::Executing | StagePhase::Cancelling)
            | (RunEventKind::StageFailed { .. }, StagePhase::Executing | StagePhase::Cancelling)
            | (RunEventKind::StageCommitted { .. } | RunEventKind::StageFailed { .. }, StagePhase::Committing { .. })
            | (RunEventKind::StageCancelled { .. }, StagePhase::Cancelling) => Some(current),
            _ => None,
        };
        let over = match kind {
            RunEventKind::RetryDue { .. } => begun || stage.phase.ended().is_some(),
            _ => stage.attempts.iter().any(|a| a.number == attempt && a.outcome.is_some()),
        };
        match expects {
            Some(expected) if attempt == expected => Ok(()),
            _ if over => Err(refused(Refusal::Stale)),
            Some(expects) => Err(refused(Refusal::OtherAttempt { expects })),
            None => Err(refused(Refusal::WrongPhase { phase: stage.phase.name() })),
        }
    }

    fn execution_succeeded(
        &mut self,
        name: &NodeName,
        staged: &Staged,
        at: DateTime<Utc>,
        actions: &mut Vec<RunAction>,
    ) {
        if self.drain.is_some() {
            self.close_attempt(name, at, AttemptOutcome::Cancelled);
            self.end_stage(name, StagePhase::Cancelled, actions);
            return;
        }
        let Some(stage) = self.stages.get_mut(name) else { return };
        let Some(attempt) = stage.attempts.last_mut() else { return };
        attempt.staged_at = Some(at);
        actions.push(RunAction::CommitStage { stage: name.clone(), attempt: attempt.number, staged: staged.clone() });
        stage.phase = StagePhase::Committing { staged: staged.clone() };
    }

    fn committed(&mut self, name: &NodeName, receipt: &StageReceipt, at: DateTime<Utc>, actions: &mut Vec<RunAction>) {
        self.close_attempt(name, at, AttemptOutcome::Committed { receipt: receipt.clone() });
        self.end_stage(name, StagePhase::Committed { receipt: receipt.clone() }, actions);
        self.queue_ready();
    }

    fn failed(&mut self, name: &NodeName, failure: &Failure, at: DateTime<Utc>, actions: &mut Vec<RunAction>) {
        self.close_attempt(name, at, AttemptOutcome::Failed { failure: failure.clone() });
        let Some(index) = self.index_of(name) else { return };
        let Some(stage) = self.stages.get_mut(name) else { return };
        stage.failures = stage.failures.saturating_add(1);
        if stage.phase == StagePhase::Cancelling {
            self.end_stage(name, StagePhase::Cancelled, actions);
            return;
        }
        if self.drain.is_some() || !failure.retryable || stage.failures > self.schedule.stages[index].max_retries {
            self.give_up(name, failure, actions);
            return;
        }
        let random = mix(self.schedule.seed, index as u64, u64::from(stage.failures));
        let delay_ms = self.schedule.retry.delay_ms(stage.failures, random);
        let due = later(at, delay_ms);
        let next = match &stage.phase {
            StagePhase::Committing { staged } => Work::Commit { staged: staged.clone() },
            _ => Work::Execute,
        };
        stage.phase = StagePhase::Backoff { due, next };
        let attempt = next_attempt(stage);
        actions.push(RunAction::ScheduleRetry { stage: name.clone(), attempt, delay_ms, due });
    }

    /// A stage has failed for good: end it, and whatever cannot or should not run any more.
    fn give_up(&mut self, name: &NodeName, failure: &Failure, actions: &mut Vec<RunAction>) {
        self.end_stage(name, StagePhase::Failed { failure: failure.clone() }, actions);
        if self.drain.is_some() {
            return;
        }
        if self.schedule.fail_fast {
            self.wind_up(Drain::FailFast { stage: name.clone() }, actions);
        } else {
            for dependent in self.dependents_of(name) {
                self.end_stage(&dependent, StagePhase::Skipped { cause: name.clone() }, actions);
            }
        }
    }

    fn retry_due(&mut self, name: &NodeName) {
        let Some(stage) = self.stages.get_mut(name) else { return };
        if let StagePhase::Backoff { next, .. } = &stage.phase {
            stage.phase = StagePhase::Queued { next: next.clone() };
        }
    }

    /// Starts nothing more, stops what executes and waits for the commits that are under way.
    fn wind_up(&mut self, drain: Drain, actions: &mut Vec<RunAction>) {
        let skipped_for = match &drain {
            Drain::FailFast { stage } => Some(stage.clone()),
            Drain::Cancel { .. } | Drain::LeaseLost => None,
        };
        self.drain = Some(drain);
        for name in self.names() {
            let Some(stage) = self.stages.get_mut(&name) else { continue };
            match (&stage.phase, &skipped_for) {
                (StagePhase::Executing, _) => {
                    stage.phase = StagePhase::Cancelling;
                    let attempt = stage.attempts.last().map_or(0, |a| a.number);
                    actions.push(RunAction::CancelStage { stage: name, attempt });
                }
                (StagePhase::Waiting | StagePhase::Queued { .. }, Some(cause)) if stage.attempts.is_empty() => {
                    self.end_stage(&name, StagePhase::Skipped { cause: cause.clone() }, actions);
                }
                (StagePhase::Waiting | StagePhase::Queued { .. } | StagePhase::Backoff { .. }, _) => {
                    self.end_stage(&name, StagePhase::Cancelled, actions);
                }
                _ => {}
            }
        }
    }

    /// Takes up the work of a process that is gone.
    fn resume(&mut self, at: DateTime<Utc>, actions: &mut Vec<RunAction>) {
        for name in self.names() {
            let Some(stage) = self.stages.get_mut(&name) else { continue };
            let attempt = stage.attempts.last().map_or(0, |a| a.number);
            match &stage.phase {
                StagePhase::Executing => {
                    stage.phase = StagePhase::Queued { next: Work::Execute };
                    self.close_attempt(&name, at, AttemptOutcome::Interrupted);
                }
                StagePhase::Cancelling => {
                    self.close_attempt(&name, at, AttemptOutcome::Interrupted);
                    self.end_stage(&name, StagePhase::Cancelled, actions);
                }
                StagePhase::Committing { staged } => {
                    actions.push(RunAction::CommitStage { stage: name, attempt, staged: staged.clone() });
                }
                StagePhase::Backoff { due, .. } => {
                    let delay_ms = u64::try_from((*due - at).num_milliseconds()).unwrap_or(0);
                    actions.push(RunAction::ScheduleRetry { stage: name, attempt: attempt + 1, delay_ms, due: *due });
                }
                StagePhase::Waiting | StagePhase::Queued { .. } => {}
                StagePhase::Committed { .. }
                | StagePhase::Failed { .. }
                | StagePhase::Skipped { .. }
                | StagePhase::Cancelled => actions.push(RunAction::RecordStage { stage: name }),
            }
        }
    }

    /// Queues every waiting stage whose dependencies have all committed.
    fn queue_ready(&mut self) {
        for node in &self.schedule.stages {
            let committed = |name| {
                self.stages.get(name).is_some_and(|s: &StageState| matches!(s.phase, StagePhase::Committed { .. }))
            };
            let ready = node.depends_on.iter().all(committed);
            if let Some(stage) = self.stages.get_mut(&node.name)
                && ready
                && stage.phase == StagePhase::Waiting
            {
                stage.phase = StagePhase::Queued { next: Work::Execute };
            }
        }
    }

    /// Fills the free slots, the heaviest stage first.
    fn dispatch(&mut self, at: DateTime<Utc>, actions: &mut Vec<RunAction>) {
        let busy = self.stages.values().filter(|s| s.phase.is_busy()).count();
        let free = self.schedule.max_parallel.saturating_sub(busy);
        let mut queued: Vec<&StagePlanNode> = self
            .schedule
            .stages
            .iter()
            .filter(|n| self.stages.get(&n.name).is_some_and(|s| matches!(s.phase, StagePhase::Queued { .. })))
            .collect();
        queued.sort_by_key(|node| Reverse(node.weight));
        for node in queued.into_iter().take(free) {
            let Some(stage) = self.stages.get_mut(&node.name) else { continue };
            let StagePhase::Queued { next } = &stage.phase else { continue };
            let number = next_attempt(stage);
            let name = node.name.clone();
            let (phase, action, commit_only) = match next.clone() {
                Work::Execute => {
                    (StagePhase::Executing, RunAction::ExecuteStage { stage: name, attempt: number }, false)
                }
                Work::Commit { staged } => (
                    StagePhase::Committing { staged: staged.clone() },
                    RunAction::CommitStage { stage: name, attempt: number, staged },
                    true,
                ),
            };
            stage.phase = phase;
            stage.attempts.push(Attempt {
                number,
                commit_only,
                started_at: at,
                staged_at: commit_only.then_some(at),
                ended_at: None,
                outcome: None,
            });
            actions.push(action);
        }
    }

    fn finish_if_over(&mut self, at: DateTime<Utc>, actions: &mut Vec<RunAction>) {
        if self.stages.values().any(|s| s.phase.ended().is_none()) {
            return;
        }
        if !self.status.is_over() {
            let all_committed = self.stages.values().all(|s| matches!(s.phase, StagePhase::Committed { .. }));
            self.ended_at = Some(at);
            self.status = match &self.drain {
                _ if all_committed => RunStatus::Succeeded,
                Some(Drain::Cancel { .. }) => RunStatus::Cancelled,
                Some(Drain::FailFast { .. } | Drain::LeaseLost) | None => RunStatus::Failed,
            };
        }
        actions.push(RunAction::FinishRun { status: self.status, drain: self.drain.clone() });
    }

    fn end_stage(&mut self, name: &NodeName, phase: StagePhase, actions: &mut Vec<RunAction>) {
        if let Some(stage) = self.stages.get_mut(name) {
            stage.phase = phase;
            actions.push(RunAction::RecordStage { stage: name.clone() });
        }
    }

    fn close_attempt(&mut self, name: &NodeName, at: DateTime<Utc>, outcome: AttemptOutcome) {
        if let Some(attempt) = self.stages.get_mut(name).and_then(|s| s.attempts.last_mut()) {
            attempt.ended_at = Some(at);
            attempt.outcome = Some(outcome);
        }
    }

    /// The stages that need `name`, directly or not, in the order of the schedule.
    fn dependents_of(&self, name: &NodeName) -> Vec<NodeName> {
        let mut reached = vec![name];
        let mut next = 0;
        while next < reached.len() {
            let parent = reached[next];
            next += 1;
            for node in &self.schedule.stages {
                if node.depends_on.contains(parent) && !reached.contains(&&node.name) {
                    reached.push(&node.name);
                }
            }
        }
        let dependents = self.schedule.stages.iter().map(|n| &n.name);
        dependents.filter(|n| *n != name && reached.contains(n) && self.waits(n)).cloned().collect()
    }

    fn waits(&self, name: &NodeName) -> bool {
        self.stages.get(name).is_some_and(|s| s.phase == StagePhase::Waiting)
    }

    fn names(&self) -> Vec<NodeName> {
        self.schedule.stages.iter().map(|n| n.name.clone()).collect()
    }

    fn index_of(&self, name: &NodeName) -> Option<usize> {
        self.schedule.stages.iter().position(|n| n.name == *name)
    }
}

fn own((name, attempt): (&NodeName, u32)) -> (NodeName, u32) {
    (name.clone(), attempt)
}

fn next_attempt(stage: &StageState) -> u32 {
    stage.attempts.last().map_or(1, |a| a.number.saturating_add(1))
}

fn later(at: DateTime<Utc>, delay_ms: u64) -> DateTime<Utc> {
    let delay = i64::try_from(delay_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A number that looks random but follows from the three given ones (the finalizer of SplitMix64).
fn mix(seed: u64, stage: u64, failures: u64) -> u64 {
    let mut z = seed ^ stage.rotate_left(32) ^ failures;
    for _ in 0..2 {
        z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
    }
    z
}
