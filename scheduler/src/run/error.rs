//! Why a run did not take place or could not be carried on. A stage that fails is not one of these: the run's record
//! tells of it.

use windlass_base::error::{Coded, ErrorCode};
use windlass_evidence::artifact::PlanMoved;
use windlass_project::spec::Problems;

use super::drive::event_log::EventLogError;
use super::machine::{ReplayError, ScheduleError, StepError};
use crate::plan::PlanError;
use crate::record::RecordError;
use crate::state::{LeaseHeld, StateError};
use crate::writer::WriterError;

/// Why a run did not take place or could not be carried on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The project, the selection or a parameter is wrong.
    #[error(transparent)]
    Project(#[from] Problems),
    /// The run cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The approved plan does not hold any more.
    #[error(transparent)]
    PlanMoved(#[from] PlanMoved),
    /// Another run of the project is under way.
    #[error(transparent)]
    Busy(Box<LeaseHeld>),
    /// Another process writes to the home, or it cannot be told.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The run's events cannot be kept.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The state machine refuses what happened.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The recorded events do not add up.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The schedule could never finish.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Nothing is left to run.
    #[error("nothing to run: the selection holds no stage that writes a table")]
    NothingSelected,
    /// A task of the driver ended by a panic.
    #[error("a task of the run driver broke down")]
    TaskLost(#[source] tokio::task::JoinError),
}

impl Coded for RunError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Project(error) => error.code(),
            Self::Plan(error) => error.code(),
            Self::PlanMoved(error) => error.code(),
            Self::Busy(error) => error.code(),
            Self::Writer(error) => error.code(),
            Self::State(error) => error.code(),
            Self::EventLog(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Step(error) => error.code(),
            Self::Replay(error) => error.code(),
            Self::Schedule(error) => error.code(),
            Self::NothingSelected => ErrorCode("WL0651"),
            Self::TaskLost(_) => ErrorCode("WL0652"),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.help(),
            Self::Plan(error) => error.help(),
            Self::PlanMoved(error) => error.help(),
            Self::Busy(error) => error.help(),
            Self::Writer(error) => error.help(),
            Self::State(error) => error.help(),
            Self::EventLog(error) => error.help(),
            Self::Record(error) => error.help(),
            Self::Step(error) => error.help(),
            Self::Replay(error) => error.help(),
            Self::Schedule(error) => error.help(),
            Self::NothingSelected => {
                Some("views are computed inside their readers; select a stage that is a table or a cache".to_owned())
            }
            Self::TaskLost(_) => {
                Some("this is a defect of Windlass; run again with -vvv and report the log".to_owned())
            }
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Plan(error) => error.is_retryable(),
            Self::Writer(error) => error.is_retryable(),
            Self::State(error) => error.is_retryable(),
            Self::EventLog(error) => error.is_retryable(),
            Self::Record(error) => error.is_retryable(),
            _ => false,
        }
    }
}
