//! Why the library cannot do what it was asked to.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use windlass_base::error::{Coded, ErrorCode, Failure};
use windlass_evidence::artifact::{Moved, PlanMoved, SavedPlanError};
use windlass_evidence::bundle::RecordError;
use windlass_project::spec::Problems;

use crate::builder::BuildError;
use crate::project::LoadError;

/// Why the library cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The project cannot be read from its folder.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The project, the selection or a parameter is wrong.
    #[error(transparent)]
    Project(#[from] Problems),
    /// A project that was made in code cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Fixtures cannot be run.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Fixture(#[from] crate::fixture_runner::FixtureError),
    /// A location is wrong.
    #[error(transparent)]
    Storage(#[from] windlass_storage::StorageError),
    /// The sessions cannot be built.
    #[error(transparent)]
    Session(#[from] windlass_engine::session::SessionError),
    /// The home's folder cannot be made.
    #[error("the home folder {} cannot be made", .folder.display())]
    Home {
        /// The folder.
        folder: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// An embedded cluster keeps its state on a local disk, and there is none for a home in an object store.
    #[error("the home `{home}` is not on a local disk, and no local folder is known for the state of its runs")]
    RemoteHome {
        /// The home.
        home: String,
    },
    /// No run, or more than one, is meant.
    #[error("{} run has an id that begins with `{wanted}`", if *.several { "more than one" } else { "no" })]
    NoSuchRun {
        /// What was asked for.
        wanted: String,
        /// Whether several would fit.
        several: bool,
    },
    /// A run of an embedded Windlass cannot be stopped by its id.
    #[error("a run in this process is stopped through its handle")]
    OwnRun,
    /// The address of a cluster cannot be used.
    #[error("`{url}` is not the address of a cluster: {reason}")]
    BadAddress {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Nobody answers at the address of a cluster.
    #[error("no scheduler answers at {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened instead.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What answers is not a scheduler, or speaks another version of the API.
    #[error("what answers at {url} is no scheduler that this client can talk to: {answer}")]
    NotWindlass {
        /// The address.
        url: String,
        /// What it said.
        answer: String,
    },
    /// A file is not a plan to be applied.
    #[error(transparent)]
    SavedPlan(#[from] SavedPlanError),
    /// The plan to be applied does not hold any more, says a scheduler.
    #[error(transparent)]
    PlanMoved(PlanMoved),
    /// The scheduler's word.
    #[error("{}", .0.message)]
    Remote(Failure),
    /// A run's bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] RecordError),
    /// The rows of an answer cannot be fetched to the end.
    #[error("the rows cannot be fetched")]
    Rows(#[source] DataFusionError),
    /// The task that follows a run ended by a panic.
    #[error("the task that follows the run broke down")]
    Follower(#[source] tokio::task::JoinError),
    /// The state store failed.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    State(#[from] windlass_scheduler::state::StateError),
    /// The scheduler does not start.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Scheduler(#[from] windlass_scheduler::cluster::ClusterError),
    /// The executor does not start.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Executor(#[from] windlass_executor::ExecutorError),
    /// A run did not take place or could not be continued.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Run(#[from] windlass_scheduler::run::RunError),
    /// A cursor is not reset.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Reset(#[from] windlass_scheduler::cursors::ResetError),
    /// A question cannot be answered.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Query(#[from] windlass_scheduler::query::QueryError),
}

impl ClientError {
    /// Why rows cannot be fetched, in our own words if there are any.
    pub fn rows(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(source) => match source.downcast::<Self>() {
                Ok(told) => *told,
                Err(source) => Self::Rows(DataFusionError::External(source)),
            },
            other => Self::Rows(other),
        }
    }

    /// The problems of the project, if that is what is wrong.
    pub fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Project(problems) => Some(problems),
            #[cfg(feature = "embedded")]
            Self::Run(windlass_scheduler::run::RunError::Project(problems)) => Some(problems),
            #[cfg(feature = "embedded")]
            Self::Run(windlass_scheduler::run::RunError::Plan(windlass_scheduler::plan::PlanError::Sql(problems))) => {
                Some(problems)
            }
            #[cfg(feature = "embedded")]
            Self::Query(windlass_scheduler::query::QueryError::Plan(windlass_scheduler::plan::PlanError::Sql(
                problems,
            ))) => Some(problems),
            _ => None,
        }
    }

    /// What has changed since a plan was saved, if that is why it is not applied.
    pub fn moved(&self) -> Option<&[Moved]> {
        match self {
            Self::PlanMoved(error) => Some(&error.moved),
            #[cfg(feature = "embedded")]
            Self::Run(windlass_scheduler::run::RunError::PlanMoved(error)) => Some(&error.moved),
            _ => None,
        }
    }

    /// The error that speaks, if this one only passes it on.
    fn inner(&self) -> Option<&dyn Coded> {
        Some(match self {
            Self::Load(error) => error,
            Self::Project(error) => error,
            Self::Build(error) => error,
            #[cfg(feature = "embedded")]
            Self::Fixture(error) => error,
            Self::Storage(error) => error,
            Self::Session(error) => error,
            #[cfg(feature = "embedded")]
            Self::State(error) => error,
            #[cfg(feature = "embedded")]
            Self::Scheduler(error) => error,
            #[cfg(feature = "embedded")]
            Self::Executor(error) => error,
            #[cfg(feature = "embedded")]
            Self::Run(error) => error,
            #[cfg(feature = "embedded")]
            Self::Reset(error) => error,
            #[cfg(feature = "embedded")]
            Self::Query(error) => error,
            Self::SavedPlan(error) => error,
            Self::PlanMoved(error) => error,
            Self::Remote(failure) => failure,
            Self::Bundle(error) => error,
            _ => return None,
        })
    }
}

impl Coded for ClientError {
    fn code(&self) -> ErrorCode {
        match (self.inner(), self) {
            (Some(error), _) => error.code(),
            (None, Self::Home { .. }) => ErrorCode("WL0711"),
            (None, Self::RemoteHome { .. }) => ErrorCode("WL0712"),
            (None, Self::BadAddress { .. }) => ErrorCode("WL0714"),
            (None, Self::Unreachable { .. }) => ErrorCode("WL0715"),
            (None, Self::NotWindlass { .. }) => ErrorCode("WL0716"),
            (None, Self::Rows(_)) => ErrorCode("WL0717"),
            (None, Self::OwnRun) => ErrorCode("WL0718"),
            (None, Self::Follower(_)) => ErrorCode("WL0652"),
            (None, _) => ErrorCode("WL0713"),
        }
    }

    fn help(&self) -> Option<String> {
        let help = match (self.inner(), self) {
            (Some(error), _) => return error.help(),
            (None, Self::Home { .. }) => "choose another folder with `--home`",
            (None, Self::RemoteHome { .. }) => {
                "set XDG_STATE_HOME or HOME to a folder of yours, or choose a local folder with `--home`"
            }
            (None, Self::BadAddress { .. }) => {
                "give the address of the scheduler's API, such as http://127.0.0.1:50051"
            }
            (None, Self::Unreachable { .. }) => {
                "check the address and that the scheduler runs and can be reached from here"
            }
            (None, Self::NotWindlass { .. }) => {
                "give the address of the scheduler's API (`api-bind`, by default port 50051), not that of another of its \
                 ports, and use a client of the scheduler's version"
            }
            (None, Self::Rows(_)) => "ask again; an executor may have been lost while the rows were read",
            (None, Self::OwnRun) => "fire the handle's cancel token",
            (None, Self::Follower(_)) => "this is a defect of Windlass; run again with -vvv and report the log",
            (None, _) => "`windlass runs list` shows the runs there are",
        };
        Some(help.to_owned())
    }

    fn is_retryable(&self) -> bool {
        match self.inner() {
            Some(error) => error.is_retryable(),
            None => matches!(self, Self::Unreachable { .. } | Self::Rows(_)),
        }
    }
}
