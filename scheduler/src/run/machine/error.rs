//! What goes wrong when an event does not fit a run.

use windlass_base::coded;
use windlass_base::ids::NodeName;

use super::schedule::ScheduleError;

/// Why an event was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The run has not begun.
    NotStarted,
    /// The run has begun already.
    AlreadyStarted,
    /// The run has ended.
    RunOver,
    /// The run has no such stage.
    UnknownStage,
    /// The attempt is over: the news comes late.
    Stale,
    /// The stage is at another attempt.
    OtherAttempt {
        /// The attempt that is under way, or would be next.
        expects: u32,
    },
    /// The stage is not where the event could happen to it.
    WrongPhase {
        /// Where it is.
        phase: &'static str,
    },
}

/// An event that makes no sense in the state of the run. The state has not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event `{event}`{} does not fit the run: {}", about(.subject.as_ref()), explain(.why))]
pub struct StepError {
    /// The event's name.
    pub event: &'static str,
    /// The stage and attempt it is about.
    pub subject: Option<(NodeName, u32)>,
    /// Why it was refused.
    pub why: Refusal,
}

impl StepError {
    /// Whether the event only came too late, as happens when a stage ends while it is being cancelled: drop it.
    pub fn is_late(&self) -> bool {
        matches!(self.why, Refusal::Stale | Refusal::RunOver)
    }
}

fn about(subject: Option<&(NodeName, u32)>) -> String {
    subject.map(|(stage, attempt)| format!(" of stage `{stage}`, attempt {attempt},")).unwrap_or_default()
}

fn explain(why: &Refusal) -> String {
    match why {
        Refusal::NotStarted => "it has not begun".to_owned(),
        Refusal::AlreadyStarted => "it has begun already".to_owned(),
        Refusal::RunOver => "it has ended".to_owned(),
        Refusal::UnknownStage => "it has no such stage".to_owned(),
        Refusal::Stale => "that attempt is over".to_owned(),
        Refusal::OtherAttempt { expects } => format!("the stage is at attempt {expects}"),
        Refusal::WrongPhase { phase } => format!("the stage is {phase}"),
    }
}

coded! {
    struct StepError => "WL0611", "the run driver has sent an event out of turn; report it with the run's log";
}

/// A run whose recorded events do not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The schedule could never finish.
    #[error("the run's schedule is not valid")]
    Schedule(#[from] ScheduleError),
    /// An event does not follow from those before it.
    #[error("event {position} of the run does not follow from those before it")]
    Event {
        /// Its place in the log, counted from 0.
        position: usize,
        /// Why it does not.
        source: StepError,
    },
}

coded! {
    ReplayError {
        Schedule | Event => "WL0612", "the run cannot be resumed; start a new one";
    }
}
