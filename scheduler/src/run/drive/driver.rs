//! The driver: feeds the state machine with what happens and performs what it asks for.
//!
//! ```text
//! events ─advance→ state machine ─append→ event log ─perform→ actions ─┐
//!    └───────────────── the outcome of each action ←──────────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{RunStatus, StageReceipt};

use super::event_log::{EventLog, EventLogError};
use super::logged_run::LoggedRun;
use crate::clock::Clock;
use crate::leadership::Leadership;
use crate::run::error::RunError;
use crate::run::machine::{RunAction, RunEvent, RunEventKind, RunState};
use crate::run::staged::Staged;

/// How often an event is offered to the event log, and the pause after the first refusal; it doubles.
const APPEND_TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The steps of the arrow that the driver has done for a stage. What is to be said of the stage goes along: each step
/// takes the notes of those before it, and gives them back with its own. Notes are this process's alone: those of a run
/// that is resumed begin anew.
#[async_trait]
pub trait StageWork: Send + Sync + 'static {
    /// What is to be said of a stage besides the machine's state. The driver keeps it, unread.
    type Notes: Send + Sync + 'static;

    /// Plans and executes a stage: its files are written, nothing is visible. When `stop` fires, ends as soon as no
    /// task of the stage is known to run; the result is not used then.
    async fn execute(
        &self,
        stage: &NodeName,
        attempt: u32,
        notes: Option<Self::Notes>,
        stop: CancellationToken,
    ) -> (Result<Staged, Failure>, Option<Self::Notes>);

    /// Commits what an execution has staged. Doing it twice is harmless.
    async fn commit(
        &self,
        stage: &NodeName,
        staged: &Staged,
        notes: Option<Self::Notes>,
    ) -> (Result<StageReceipt, Failure>, Option<Self::Notes>);

    /// Reports what happened, after it is in the event log; `state` is the state that it led to.
    async fn observe(&self, event: &RunEvent, actions: &[RunAction], state: &RunState);

    /// Writes down how a stage ended.
    async fn record(&self, stage: &NodeName, state: &RunState, notes: Option<&Self::Notes>);
}

/// What may end a run from outside.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Fires when someone wants the run to stop.
    pub cancel: CancellationToken,
    /// Fires when the process does not hold the run's lease any more.
    pub lease_lost: CancellationToken,
    /// Whether the process leads: it keeps no event while another may.
    pub leadership: Leadership,
}

/// Drives a run to its end: from its beginning, or from where the process stopped that drove it before. Gives how it
/// ended, and the notes of its stages. `clock` stamps the events and times the waits.
///
/// Dropping the future stops what runs; the run can be resumed. A commit that is under way then may be made or not.
///
/// # Errors
/// [`RunError::EventLog`] if an event cannot be kept, or another process has gone on with the run: then nothing further
/// is begun, and what runs is stopped.
pub async fn drive<W: StageWork>(
    run: LoggedRun,
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    signals: Signals,
) -> Result<(RunState, BTreeMap<NodeName, W::Notes>), RunError> {
    let LoggedRun { mut state, mut log } = run;
    let (events, mut inbox) = mpsc::unbounded_channel();
    let (tasks, stops, notes) = (JoinSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut runner = ActionRunner { work, clock: Arc::clone(&clock), events, tasks, stops, notes };
    let mut cancel_seen = false;
    let mut lease_seen = false;
    let mut next = Some(match state.status() {
        RunStatus::Pending => RunEventKind::Started,
        _ => RunEventKind::Resumed,
    });
    loop {
        let kind = match next.take() {
            Some(kind) => kind,
            None => tokio::select! {
                biased;
                () = signals.lease_lost.cancelled(), if !lease_seen => {
                    lease_seen = true;
                    RunEventKind::LeaseLost
                }
                () = signals.cancel.cancelled(), if !cancel_seen => {
                    cancel_seen = true;
                    RunEventKind::CancelRequested { reason: "stopped by request".to_owned() }
                }
                Some(outcome) = inbox.recv() => {
                    runner.notes.extend(outcome.notes);
                    outcome.kind
                }
                Some(ended) = runner.tasks.join_next() => match ended {
                    Ok(()) => continue,
                    Err(error) => return Err(RunError::TaskLost(error)),
                },
            },
        };
        let event = RunEvent::new(clock.now(), kind);
        let actions = match state.advance(&event) {
            Ok(actions) => actions,
            Err(error) if error.is_late() => continue,
            Err(error) => return Err(error.into()),
        };
        // What happened to a leader that was paused may be no more than that another one leads.
        signals.leadership.sure().await;
        append(&mut log, &event, &*clock).await?;
        runner.work.observe(&event, &actions, &state).await;
        for action in actions {
            if let RunAction::FinishRun { .. } = action {
                return Ok((state, std::mem::take(&mut runner.notes)));
            }
            runner.perform(action, &state).await;
        }
    }
}

/// Appends an event, patiently: a state store that is out of reach for a moment shall not end a run.
async fn append(log: &mut EventLog, event: &RunEvent, clock: &dyn Clock) -> Result<(), EventLogError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..APPEND_TRIES {
        match log.append(event).await {
            Err(error) if error.is_retryable() => clock.sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    log.append(event).await
}

/// What has come of an action, and the notes of the stage that it was for.
struct ActionOutcome<N> {
    kind: RunEventKind,
    notes: Option<(NodeName, N)>,
}

/// Performs the machine's actions, each in a task of its own. Dropping it stops them all.
struct ActionRunner<W: StageWork> {
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    events: mpsc::UnboundedSender<ActionOutcome<W::Notes>>,
    tasks: JoinSet<()>,
    stops: BTreeMap<NodeName, CancellationToken>,
    /// The notes of stages for which no action is under way.
    notes: BTreeMap<NodeName, W::Notes>,
}

impl<W: StageWork> ActionRunner<W> {
    async fn perform(&mut self, action: RunAction, state: &RunState) {
        let work = Arc::clone(&self.work);
        let events = self.events.clone();
        match action {
            RunAction::ExecuteStage { stage, attempt } => {
                let stop = CancellationToken::new();
                self.stops.insert(stage.clone(), stop.clone());
                let notes = self.notes.remove(&stage);
                self.tasks.spawn(async move {
                    let (outcome, notes) = work.execute(&stage, attempt, notes, stop.clone()).await;
                    let notes = notes.map(|notes| (stage.clone(), notes));
                    let kind = executed(stage, attempt, outcome, &stop);
                    // The receiver is gone only when the run is over.
                    let _ = events.send(ActionOutcome { kind, notes });
                });
            }
            RunAction::CommitStage { stage, attempt, staged } => {
                let notes = self.notes.remove(&stage);
                self.tasks.spawn(async move {
                    let (outcome, notes) = work.commit(&stage, &staged, notes).await;
                    let notes = notes.map(|notes| (stage.clone(), notes));
                    let kind = match outcome {
                        Ok(receipt) => RunEventKind::StageCommitted { stage, attempt, receipt },
                        Err(failure) => RunEventKind::StageFailed { stage, attempt, failure },
                    };
                    let _ = events.send(ActionOutcome { kind, notes });
                });
            }
            RunAction::ScheduleRetry { stage, attempt, delay_ms, .. } => {
                let clock = Arc::clone(&self.clock);
                self.tasks.spawn(async move {
                    clock.sleep(Duration::from_millis(delay_ms)).await;
                    let kind = RunEventKind::RetryDue { stage, attempt };
                    let _ = events.send(ActionOutcome { kind, notes: None });
                });
            }
            RunAction::CancelStage { stage, .. } => {
                if let Some(stop) = self.stops.get(&stage) {
                    stop.cancel();
                }
            }
            RunAction::RecordStage { stage } => work.record(&stage, state, self.notes.get(&stage)).await,
            RunAction::FinishRun { .. } => {}
        }
    }
}

impl<W: StageWork> Drop for ActionRunner<W> {
    fn drop(&mut self) {
        for stop in self.stops.values() {
            stop.cancel();
        }
    }
}

fn executed(stage: NodeName, attempt: u32, outcome: Result<Staged, Failure>, stop: &CancellationToken) -> RunEventKind {
    match outcome {
        _ if stop.is_cancelled() => RunEventKind::StageCancelled { stage, attempt },
        Ok(staged) => RunEventKind::ExecutionSucceeded { stage, attempt, staged },
        Err(failure) => RunEventKind::StageFailed { stage, attempt, failure },
    }
}
