//! Why a run did not take place or could not be carried on. A stage that fails is not one of these: the run's record
//! tells of it.

use windlass_base::coded;
use windlass_evidence::artifact::PlanMoved;
use windlass_project::spec::Problems;

use super::drive::event_log::EventLogError;
use super::machine::{ReplayError, ScheduleError, StepError};
use super::resume::ResumeError;
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
    /// The run cannot be taken up.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Nothing is left to run.
    #[error("nothing to run: the selection holds no stage that writes a table")]
    NothingSelected,
    /// A task of the driver ended by a panic.
    #[error("a task of the run driver panicked")]
    TaskLost(#[source] tokio::task::JoinError),
}

coded! {
    RunError {
        Project => inner;
        Plan => inner;
        PlanMoved => inner;
        Busy => inner;
        Writer => inner;
        State => inner;
        EventLog => inner;
        Record => inner;
        Step => inner;
        Replay => inner;
        Schedule => inner;
        Resume => inner;
        NothingSelected => "WL0651",
            "views are computed inside their readers; select a stage that is a table or a cache";
        TaskLost => "WL0652", "this is a defect of Windlass; run again with -vvv and report the log";
    }
}
