//! Why the library cannot do what it was asked to.

use std::path::PathBuf;

use windlass_shared::error::{Coded, ErrorCode};
use windlass_shared::spec::Problems;

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
    /// A location is wrong.
    #[error(transparent)]
    Storage(#[from] windlass_shared::storage::StorageError),
    /// The sessions cannot be built.
    #[error(transparent)]
    Session(#[from] windlass_shared::session::SessionError),
    /// The home's folder cannot be made.
    #[error("the home folder {} cannot be made", .folder.display())]
    Home {
        /// The folder.
        folder: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// An embedded cluster keeps its state on a local disk.
    #[error("the home `{home}` is not on a local disk")]
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
    /// A run did not take place or could not be carried on.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Run(#[from] windlass_scheduler::run::RunError),
    /// A question cannot be answered.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Query(#[from] windlass_scheduler::query::QueryError),
}

impl ClientError {
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
            _ => None,
        }
    }

    /// The error that speaks, if this one only passes it on.
    fn inner(&self) -> Option<&dyn Coded> {
        Some(match self {
            Self::Load(error) => error,
            Self::Project(error) => error,
            Self::Build(error) => error,
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
            Self::Query(error) => error,
            Self::Home { .. } | Self::RemoteHome { .. } | Self::NoSuchRun { .. } => return None,
        })
    }
}

impl Coded for ClientError {
    fn code(&self) -> ErrorCode {
        match (self.inner(), self) {
            (Some(error), _) => error.code(),
            (None, Self::Home { .. }) => ErrorCode("WL0711"),
            (None, Self::RemoteHome { .. }) => ErrorCode("WL0712"),
            (None, _) => ErrorCode("WL0713"),
        }
    }

    fn help(&self) -> Option<String> {
        match (self.inner(), self) {
            (Some(error), _) => error.help(),
            (None, Self::Home { .. }) => Some("choose another folder with `--home`".to_owned()),
            (None, Self::RemoteHome { .. }) => {
                Some("choose a local folder with `--home`; tables and sources may be anywhere".to_owned())
            }
            (None, _) => Some("`windlass runs list` shows the runs there are".to_owned()),
        }
    }

    fn is_retryable(&self) -> bool {
        self.inner().is_some_and(Coded::is_retryable)
    }
}
