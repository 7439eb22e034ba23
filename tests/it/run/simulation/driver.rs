//! A simulated driver without time: the next event is chosen at random.

use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_evidence::artifact::{ReceiptOutcome, RunStatus};
use windlass_scheduler::run::drive::event_log::{EventLog, EventLogError};
use windlass_scheduler::run::machine::{RunAction, RunEvent, RunEventKind, RunSchedule, RunState, replay, step};
use windlass_scheduler::run::staged::{Staged, StagedWrite};

use super::faulty_store::FaultyStore;
use super::rules::Rules;
use super::world::{Tables, Troubles, failure, random_schedule, receipt};

/// A run has at most 12 stages with 4 tries each; with more events than this it loops.
const MAX_EVENTS: usize = 5_000;

/// What a process is busy with.
#[derive(Debug, Clone)]
enum Work {
    Execute { stage: NodeName, attempt: u32, cancelled: bool },
    Commit { stage: NodeName, attempt: u32, staged: Staged },
    Wait { stage: NodeName, attempt: u32, due: DateTime<Utc> },
}

/// Which kinds of faults a simulation has had, by seeds.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    lease_lost: u64,
    crashed: u64,
    store_failed: u64,
    retried: u64,
    commit_after_unknown: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.lease_lost += other.lease_lost;
        self.crashed += other.crashed;
        self.store_failed += other.store_failed;
        self.retried += other.retried;
        self.commit_after_unknown += other.commit_after_unknown;
    }

    pub(super) fn is_everything(&self, least: u64) -> bool {
        let Self { succeeded, failed, cancelled, lease_lost, crashed, store_failed, retried, commit_after_unknown } =
            *self;
        [succeeded, failed, cancelled, lease_lost, crashed, store_failed, retried, commit_after_unknown]
            .iter()
            .all(|count| *count >= least)
    }
}

pub(super) struct Simulation {
    random: StdRng,
    troubles: Troubles,
    schedule: RunSchedule,
    store: FaultyStore,
    tables: Tables,
    now: DateTime<Utc>,
    /// How many processes have driven the run.
    incarnation: u32,
    busy: Vec<Work>,
    events: Vec<RunEvent>,
    seen: Seen,
    trace: String,
}

/// The process has died.
struct Crash;

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let troubles = Troubles::random(&mut random);
        let schedule = random_schedule(&mut random);
        let store = FaultyStore::new(random.random(), troubles.store_fails);
        Self {
            random,
            troubles,
            schedule,
            store,
            tables: Tables::default(),
            now: DateTime::UNIX_EPOCH,
            incarnation: 0,
            busy: Vec::new(),
            events: Vec::new(),
            seen: Seen::default(),
            trace: String::new(),
        }
    }

    pub(super) fn trace(&self) -> &str {
        &self.trace
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Processes drive the run, one after the other, until it has ended.
    pub(super) async fn run(&mut self) {
        let schedule = serde_json::to_string(&self.schedule).unwrap();
        writeln!(self.trace, "{schedule}").unwrap();
        let mut rules = Rules::new(self.schedule.clone());
        while self.process(&mut rules).await.is_err() {
            self.seen.crashed = 1;
            self.crash();
        }
        rules.check_end(&self.tables);
        self.seen.store_failed = u64::from(self.store.failures() > 0);
        match rules.state().status() {
            RunStatus::Succeeded => self.seen.succeeded = 1,
            RunStatus::Failed => self.seen.failed = 1,
            RunStatus::Cancelled => self.seen.cancelled = 1,
            status => panic!("{status:?} is not a final status"),
        }
    }

    /// One process: begins or continues the run, until the run ends or the process dies.
    async fn process(&mut self, rules: &mut Rules) -> Result<(), Crash> {
        self.incarnation += 1;
        let run_id = RunId::from("r");
        let writer = format!("process {}", self.incarnation);
        let store = Arc::new(self.store.clone());
        let opened = EventLog::open(store.clone(), run_id.clone(), writer.clone()).await.unwrap();
        let (mut log, first) = match opened {
            Some((log, schedule, events)) => {
                assert_eq!(schedule, self.schedule);
                self.adopt(rules, &events);
                (log, if events.is_empty() { RunEventKind::Started } else { RunEventKind::Resumed })
            }
            None => {
                let log = loop {
                    let created = EventLog::create(store.clone(), run_id.clone(), writer.clone(), &self.schedule);
                    match created.await {
                        Ok(log) => break log,
                        Err(EventLogError::Store(_)) => self.may_crash()?,
                        Err(error) => panic!("{error}"),
                    }
                };
                (log, RunEventKind::Started)
            }
        };
        let mut over = self.happen(&mut log, rules, first).await?;
        while !over {
            let kind = self.what_happens_next(rules.state());
            over = self.happen(&mut log, rules, kind).await?;
        }
        Ok(())
    }

    /// The events in the store count: all that were acted on, and perhaps one more.
    fn adopt(&mut self, rules: &mut Rules, events: &[RunEvent]) {
        assert_eq!(events[..self.events.len()], self.events[..], "an event that was acted on is lost");
        assert!(events.len() <= self.events.len() + 1);
        let replayed = replay(self.schedule.clone(), &self.events).unwrap();
        assert_eq!(&replayed, rules.state(), "a replay gives the live state");
        if let Some(unseen) = events.get(self.events.len()) {
            // Appended by a process that died before it could act on it.
            self.events.push(unseen.clone());
            let (state, actions) = step(rules.state().clone(), unseen).unwrap();
            rules.check_step(unseen, state, &actions, &self.tables);
        }
    }

    /// Appends the event, steps, and begins the actions that the machine returns. Returns whether the run is over.
    async fn happen(&mut self, log: &mut EventLog, rules: &mut Rules, kind: RunEventKind) -> Result<bool, Crash> {
        self.now += TimeDelta::milliseconds(self.random.random_range(0..200));
        let event = RunEvent::new(self.now, kind);
        assert!(self.events.len() < MAX_EVENTS, "the run does not end");
        self.try_nonsense(rules);
        let (state, actions) = step(rules.state().clone(), &event).unwrap();
        self.may_crash()?;
        while let Err(error) = log.append(&event).await {
            assert!(matches!(error, EventLogError::Store(_)), "{error}");
            self.may_crash()?;
        }
        writeln!(self.trace, "> {}", serde_json::to_string(&event).unwrap()).unwrap();
        for action in &actions {
            writeln!(self.trace, "< {}", serde_json::to_string(action).unwrap()).unwrap();
        }
        self.events.push(event.clone());
        rules.check_step(&event, state, &actions, &self.tables);
        self.may_crash()?;
        let mut over = false;
        for action in actions {
            over |= self.begin(action);
            self.may_crash()?;
        }
        Ok(over)
    }

    fn begin(&mut self, action: RunAction) -> bool {
        match action {
            RunAction::ExecuteStage { stage, attempt } => {
                self.busy.push(Work::Execute { stage, attempt, cancelled: false });
            }
            RunAction::CommitStage { stage, attempt, staged } => {
                self.busy.push(Work::Commit { stage, attempt, staged });
            }
            RunAction::ScheduleRetry { stage, attempt, due, .. } => {
                self.seen.retried = 1;
                self.busy.push(Work::Wait { stage, attempt, due });
            }
            RunAction::CancelStage { stage, .. } => {
                for work in &mut self.busy {
                    if let Work::Execute { stage: executing, cancelled, .. } = work
                        && *executing == stage
                    {
                        *cancelled = true;
                    }
                }
            }
            RunAction::RecordStage { .. } => {}
            RunAction::FinishRun { .. } => return true,
        }
        false
    }

    /// Something that the process is busy with ends, or a fault occurs.
    fn what_happens_next(&mut self, state: &RunState) -> RunEventKind {
        if self.random.random_bool(self.troubles.cancel) {
            return RunEventKind::CancelRequested { reason: "simulated".into() };
        }
        if self.random.random_bool(self.troubles.lease_lost) {
            self.seen.lease_lost = 1;
            return RunEventKind::LeaseLost;
        }
        if state.drain().is_some() {
            // A driver drops its timers when the run is wound up.
            self.busy.retain(|work| !matches!(work, Work::Wait { .. }));
        }
        assert!(!self.busy.is_empty(), "the run has not ended and nothing is under way: {state:?}");
        let chosen = self.random.random_range(0..self.busy.len());
        match self.busy.swap_remove(chosen) {
            Work::Execute { stage, attempt, cancelled } => self.end_execution(stage, attempt, cancelled),
            Work::Commit { stage, attempt, staged } => self.end_commit(stage, attempt, &staged),
            Work::Wait { stage, attempt, due } => {
                self.now = self.now.max(due);
                RunEventKind::RetryDue { stage, attempt }
            }
        }
    }

    fn end_execution(&mut self, stage: NodeName, attempt: u32, cancelled: bool) -> RunEventKind {
        if cancelled && self.random.random_bool(0.6) {
            return RunEventKind::StageCancelled { stage, attempt };
        }
        if self.random.random_bool(self.troubles.execution_fails) {
            let failure = failure(self.random.random_bool(self.troubles.retryable));
            return RunEventKind::StageFailed { stage, attempt, failure };
        }
        let staged = self.tables.stage(&stage, attempt, self.incarnation);
        RunEventKind::ExecutionSucceeded { stage, attempt, staged }
    }

    fn end_commit(&mut self, stage: NodeName, attempt: u32, staged: &Staged) -> RunEventKind {
        let fails = self.random.random_bool(self.troubles.commit_fails);
        if fails && self.random.random_bool(0.5) {
            let failure = failure(self.random.random_bool(self.troubles.retryable));
            return RunEventKind::StageFailed { stage, attempt, failure };
        }
        let receipt = self.tables.commit(&stage, staged);
        if fails {
            self.seen.commit_after_unknown = 1;
            return RunEventKind::StageFailed { stage, attempt, failure: failure(true) };
        }
        RunEventKind::StageCommitted { stage, attempt, receipt }
    }

    fn may_crash(&mut self) -> Result<(), Crash> {
        // Every run ends eventually.
        let crash = self.incarnation < 20 && self.random.random_bool(self.troubles.crash / 4.0);
        if crash { Err(Crash) } else { Ok(()) }
    }

    /// Work in progress is lost; a commit may have been made.
    fn crash(&mut self) {
        writeln!(self.trace, "! crash").unwrap();
        for work in std::mem::take(&mut self.busy) {
            if let Work::Commit { stage, staged, .. } = work
                && self.random.random_bool(0.5)
            {
                self.tables.commit(&stage, &staged);
            }
        }
    }

    /// Invalid events are refused or harmless, and never cause a panic.
    fn try_nonsense(&mut self, rules: &Rules) {
        let stage = NodeName::from(format!("s{:02}", self.random.random_range(0..14)));
        let attempt = self.random.random_range(0..6);
        let kind = match self.random.random_range(0..7) {
            0 => RunEventKind::Started,
            1 => RunEventKind::RetryDue { stage, attempt },
            2 => RunEventKind::StageCancelled { stage, attempt },
            3 => RunEventKind::StageFailed { stage, attempt, failure: failure(true) },
            4 => RunEventKind::ExecutionSucceeded { stage, attempt, staged: nonsense() },
            5 => RunEventKind::StageCommitted { stage, attempt, receipt: receipt(ReceiptOutcome::Committed) },
            _ => match self.events.last() {
                Some(last) => last.kind.clone(),
                None => RunEventKind::LeaseLost,
            },
        };
        let mut state = rules.state().clone();
        if state.advance(&RunEvent::new(self.now, kind)).is_err() {
            assert_eq!(&state, rules.state(), "a refused event changes nothing");
        }
    }
}

/// What no execution has staged.
fn nonsense() -> Staged {
    Staged(Arc::new(StagedWrite::Nothing { version: TableVersion(u64::MAX) }))
}
