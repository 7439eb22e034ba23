//! What one process has been told to do and what it has done, by the calls of its driver.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use windlass_base::ids::NodeName;
use windlass_scheduler::run::machine::{RunAction, RunEvent, RunEventKind, RunState};
use windlass_scheduler::run::staged::Staged;

use super::history::History;
use super::troubles::Fate;

/// The numbers of the steps that have been done for a stage.
pub(super) type Notes = Vec<u64>;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The store failed before it could drive the run.
    NotBegun,
    /// It brought the run to its end.
    Finished,
    /// Another process had gone on with the run.
    Fenced,
    /// It could not append an event.
    StoreFailed,
    /// It died.
    Crashed,
}

/// When signals reach a process; none once it has heeded them.
pub(super) struct Signalled {
    cancel: Option<DateTime<Utc>>,
    lease_lost: Option<DateTime<Utc>>,
}

impl Signalled {
    pub(super) fn new(start: DateTime<Utc>, fate: &Fate) -> Self {
        let time = |after: Option<Duration>| after.map(|after| start + TimeDelta::from_std(after).unwrap());
        Self { cancel: time(fate.cancel), lease_lost: time(fate.lease_lost) }
    }

    /// After a signal, nothing else happens to the run before the machine is told of it.
    fn check(&mut self, event: &RunEvent) {
        match &event.kind {
            // A driver begins with one of these whatever has been signalled.
            RunEventKind::Started | RunEventKind::Resumed => return,
            RunEventKind::LeaseLost => self.lease_lost = None,
            RunEventKind::CancelRequested { .. } => self.cancel = None,
            _ => {}
        }
        let is_heeded = |signal: Option<DateTime<Utc>>| signal.is_none_or(|signal| event.at <= signal);
        assert!(is_heeded(self.lease_lost), "the lost lease is not heeded");
        let is_lease_lost = event.kind == RunEventKind::LeaseLost;
        assert!(is_lease_lost || is_heeded(self.cancel), "the cancel is not heeded");
    }
}

pub(super) struct Ledger {
    writer: String,
    signalled: Signalled,
    ended: Option<Ended>,
    /// The places in the log of the events that it has reported.
    observed: Vec<usize>,
    /// What it was told to do and has not begun.
    due: Vec<RunAction>,
    /// The stages that it was told to stop with the last event.
    to_stop: Vec<NodeName>,
    /// What it executes, and what would stop it.
    executing: BTreeMap<NodeName, CancellationToken>,
    /// Whether executions that have ended had been told to stop.
    stopped: BTreeMap<NodeName, bool>,
    /// The notes of the stages for which nothing is under way.
    notes: BTreeMap<NodeName, Notes>,
    steps: u64,
}

impl Ledger {
    pub(super) fn new(writer: String, signalled: Signalled) -> Self {
        Self {
            writer,
            signalled,
            ended: None,
            observed: Vec::new(),
            due: Vec::new(),
            to_stop: Vec::new(),
            executing: BTreeMap::new(),
            stopped: BTreeMap::new(),
            notes: BTreeMap::new(),
            steps: 0,
        }
    }

    /// An event is reported only when it is in the log, with what the machine makes of all events up to it.
    pub(super) fn observe(&mut self, history: &History, event: &RunEvent, actions: &[RunAction], state: &RunState) {
        self.check_alive();
        self.check_performed();
        let places = history.places_of(&self.writer);
        let place = *places.get(self.observed.len()).expect("what is reported is in the log");
        if let Some(before) = self.observed.last() {
            assert_eq!(place, before + 1, "no other process comes in between unnoticed");
        }
        let step = &history.steps()[place];
        assert_eq!(
            (event, actions, state),
            (&step.event, &step.actions[..], &step.state),
            "a replay gives the live state"
        );
        self.observed.push(place);
        self.signalled.check(event);
        self.check_result_is_used(event);
        for action in actions {
            match action {
                RunAction::CancelStage { stage, .. } => self.to_stop.push(stage.clone()),
                RunAction::ScheduleRetry { .. } | RunAction::FinishRun { .. } => {}
                _ => self.due.push(action.clone()),
            }
        }
    }

    /// The result of an execution is used, unless it had been told to stop.
    fn check_result_is_used(&mut self, event: &RunEvent) {
        if let Some((stage, _)) = event.kind.subject()
            && let Some(stopped) = self.stopped.remove(stage)
        {
            let is_cancelled = matches!(event.kind, RunEventKind::StageCancelled { .. });
            assert_eq!(is_cancelled, stopped, "how the execution of {stage} is reported");
        }
    }

    /// Before the next event, stages are recorded and stopped as the last one demanded.
    fn check_performed(&mut self) {
        let unrecorded = self.due.iter().find(|action| matches!(action, RunAction::RecordStage { .. }));
        assert_eq!(unrecorded, None, "a stage that has ended is recorded");
        for stage in self.to_stop.drain(..) {
            let stopped = self.executing.get(&stage).is_none_or(CancellationToken::is_cancelled);
            assert!(stopped, "{stage} is not told to stop");
        }
    }

    fn check_alive(&self) {
        assert_eq!(self.ended, None, "{} goes on after its end", self.writer);
    }

    pub(super) fn begin_execution(
        &mut self,
        stage: &NodeName,
        attempt: u32,
        notes: Option<Notes>,
        stop: &CancellationToken,
    ) -> Notes {
        self.executing.insert(stage.clone(), stop.clone());
        let execution = RunAction::ExecuteStage { stage: stage.clone(), attempt };
        self.begin(stage, notes, |action| *action == execution)
    }

    pub(super) fn begin_commit(&mut self, stage: &NodeName, staged: &Staged, notes: Option<Notes>) -> Notes {
        self.begin(stage, notes, |action| match action {
            RunAction::CommitStage { stage: of, staged: what, .. } => of == stage && what == staged,
            _ => false,
        })
    }

    /// Only what was asked for is begun, once, with the notes of what went before.
    fn begin(&mut self, stage: &NodeName, notes: Option<Notes>, is_meant: impl Fn(&RunAction) -> bool) -> Notes {
        self.check_alive();
        let place = self.due.iter().position(is_meant).expect("nothing is begun that no event in the log asks for");
        self.due.remove(place);
        assert_eq!(notes, self.notes.remove(stage), "the notes of {stage} are handed on");
        notes.unwrap_or_default()
    }

    /// An execution or a commit has ended; gives its notes.
    pub(super) fn end_step(&mut self, stage: &NodeName, mut notes: Notes) -> Option<Notes> {
        if let Some(stop) = self.executing.remove(stage) {
            self.stopped.insert(stage.clone(), stop.is_cancelled());
        }
        self.steps += 1;
        notes.push(self.steps);
        self.notes.insert(stage.clone(), notes.clone());
        Some(notes)
    }

    pub(super) fn record(&mut self, history: &History, stage: &NodeName, state: &RunState, notes: Option<&Notes>) {
        let record = RunAction::RecordStage { stage: stage.clone() };
        let place =
            self.due.iter().position(|action| *action == record).expect("only an ended stage is recorded, once");
        self.due.remove(place);
        self.check_alive();
        assert_eq!(notes, self.notes.get(stage), "the notes of {stage} are recorded");
        let last = self.observed.last().map(|place| &history.steps()[*place].state);
        assert_eq!(Some(state), last, "{stage} is recorded as it ended");
    }

    /// The driver has returned.
    pub(super) fn end(&mut self, ended: Ended) {
        self.check_performed();
        if ended != Ended::Finished {
            let running = self.executing.iter().find(|(_, stop)| !stop.is_cancelled());
            assert!(running.is_none(), "{running:?} is not told to stop by the end of {}", self.writer);
        }
        self.ended = Some(ended);
    }

    /// The process is gone, whatever it was at.
    pub(super) fn crash(&mut self) {
        self.ended = Some(Ended::Crashed);
    }

    /// How the run ended, as its driver returned it.
    pub(super) fn check_finish(&self, history: &History, state: &RunState, notes: &BTreeMap<NodeName, Notes>) {
        let last = &history.steps()[*self.observed.last().expect("a run has events")];
        assert!(
            matches!(last.actions.last(), Some(RunAction::FinishRun { .. })),
            "the run ends when the machine says so"
        );
        assert!(self.due.is_empty(), "{:?} is left to do", self.due);
        assert_eq!((state, notes), (&last.state, &self.notes));
    }

    /// The place of the event that took the place of this process's next one, if there is one.
    pub(super) fn fenced_at(&self, history: &History) -> Option<usize> {
        let next = self.observed.last().map_or(0, |last| last + 1);
        (next..history.steps().len()).find(|place| history.steps()[*place].writer != self.writer)
    }

    /// The events in the log are those that the process has reported; of one that has died or given up on the store,
    /// perhaps one more. Returns whether there is one.
    pub(super) fn check_log(&self, history: &History) -> bool {
        let places = history.places_of(&self.writer);
        assert!(places.starts_with(&self.observed), "an event that was acted on is lost");
        let more = places.len() - self.observed.len();
        let ended = self.ended.expect("every process has ended");
        let most = usize::from(matches!(ended, Ended::Crashed | Ended::StoreFailed));
        assert!(more <= most, "{} has appended {more} events that it has not acted on", self.writer);
        more > 0
    }
}
