//! What a run does next: a pure state machine, events in and actions out, without a clock, I/O or a runtime.

mod action;
mod error;
mod event;
mod phase;
mod schedule;
mod state;

pub use action::RunAction;
pub use error::{Refusal, ReplayError, StepError};
pub use event::{RunEvent, RunEventKind};
pub use phase::{Attempt, AttemptOutcome, Drain, StagePhase, StageState, Work};
pub use schedule::{RetryPolicy, RunSchedule, ScheduleError, StagePlanNode};
pub use state::{RunState, replay, step};
