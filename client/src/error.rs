//! Errors of the library.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use windlass_base::coded;
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, PipelineName};
use windlass_evidence::artifact::{Moved, PlanMoved, SavedPlanError};
use windlass_evidence::bundle::RecordError;
use windlass_project::spec::Problems;
#[cfg(feature = "embedded")]
use windlass_scheduler::{maintain::MaintainError, plan::PlanError, query::QueryError, run::RunError};

use crate::builder::BuildError;
use crate::project::LoadError;

/// Errors of the library.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The project cannot be read from its folder.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The project, the selection or a parameter has problems.
    #[error(transparent)]
    Project(#[from] Problems),
    /// A project built in code is invalid.
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
    #[cfg(feature = "plans")]
    #[error(transparent)]
    Session(#[from] windlass_engine::session::SessionError),
    /// The home's folder cannot be created.
    #[error("the home folder {} cannot be created", .folder.display())]
    Home {
        /// The folder.
        folder: PathBuf,
        /// The system's message.
        #[source]
        source: std::io::Error,
    },
    /// An embedded cluster keeps its state on a local disk, and no folder is known for a home in an object store.
    #[error("the home `{home}` is not on a local disk, and no local folder is known for the state of its runs")]
    RemoteHome {
        /// The home.
        home: String,
    },
    /// No run, or more than one, matches.
    #[error("{}", no_such_run(wanted, *several))]
    NoSuchRun {
        /// The requested name.
        wanted: String,
        /// Whether several match.
        several: bool,
    },
    /// Neither of two runs that are compared has the stage.
    #[error("neither of the runs has a stage `{stage}`")]
    NotInRuns {
        /// The requested name.
        stage: NodeName,
        /// The most similar name.
        help: Option<String>,
    },
    /// No run has read or made such a table.
    #[error("no run of `{pipeline}` that this home keeps has read or made a table `{table}`")]
    NoLineage {
        /// The pipeline.
        pipeline: PipelineName,
        /// The requested name.
        table: String,
        /// The most similar name.
        help: Option<String>,
    },
    /// A table has no such column, or none that a run has used.
    #[error("no column `{column}` of `{table}` is known from a run")]
    NoColumnLineage {
        /// The table.
        table: NodeName,
        /// The requested name.
        column: String,
        /// The most similar name.
        help: Option<String>,
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
    /// There is no answer at the address of a cluster.
    #[error("no scheduler answers at {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened instead.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is not a Windlass scheduler, or has another version of the API.
    #[error("the server at {url} is not a scheduler that this client can talk to: {answer}")]
    NotWindlass {
        /// The address.
        url: String,
        /// Its response.
        answer: String,
    },
    /// A file is not a saved plan.
    #[error(transparent)]
    SavedPlan(#[from] SavedPlanError),
    /// The saved plan is no longer valid, reported by a scheduler.
    #[error(transparent)]
    PlanMoved(PlanMoved),
    /// The scheduler's word.
    #[error("{}", .0.message)]
    Remote(Failure),
    /// A run's bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] RecordError),
    /// The rows of a result cannot be fetched completely.
    #[error("the rows cannot be fetched")]
    Rows(#[source] DataFusionError),
    /// A turn of maintenance on a cluster was stopped from here.
    #[error("the maintenance was stopped; what it had done by then stands")]
    TurnStopped,
    /// The task that follows a run panicked.
    #[error("the task that follows the run panicked")]
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
    /// A run did not start or was aborted.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Run(#[from] RunError),
    /// A cursor cannot be reset.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Reset(#[from] windlass_scheduler::cursor_reset::ResetError),
    /// Tables are not maintained, or a version is not kept.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Maintain(#[from] MaintainError),
    /// A home cannot be cleaned.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Clean(#[from] windlass_scheduler::maintain::clean::CleanError),
    /// A query failed.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl ClientError {
    /// Why rows cannot be fetched, as a coded error if there is one.
    pub fn rows(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(source) => match source.downcast::<Self>() {
                Ok(told) => *told,
                Err(source) => Self::Rows(DataFusionError::External(source)),
            },
            other => Self::Rows(other),
        }
    }

    /// The problems of the project, if that is the error.
    pub fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Project(problems) => Some(problems),
            #[cfg(feature = "embedded")]
            Self::Maintain(MaintainError::Project(problems)) => Some(problems),
            #[cfg(feature = "embedded")]
            Self::Run(error) | Self::Maintain(MaintainError::Run(error)) => match error {
                RunError::Project(problems) | RunError::Plan(PlanError::Sql(problems)) => Some(problems),
                _ => None,
            },
            #[cfg(feature = "embedded")]
            Self::Query(QueryError::Plan(PlanError::Sql(problems)))
            | Self::Maintain(MaintainError::Plan(PlanError::Sql(problems))) => Some(problems),
            _ => None,
        }
    }

    /// What has changed since a plan was saved, if that is why it is not applied.
    pub fn moved(&self) -> Option<&[Moved]> {
        match self {
            Self::PlanMoved(error) => Some(&error.moved),
            #[cfg(feature = "embedded")]
            Self::Run(RunError::PlanMoved(error)) => Some(&error.moved),
            _ => None,
        }
    }
}

/// The name of the newest run, in place of an id.
const LATEST: &str = "latest";

/// The name of the run before it.
const PREVIOUS: &str = "previous";

/// How many runs before the newest one is meant, if a run is named by that: `latest`, `previous`, `latest~3`.
pub(crate) fn runs_back(wanted: &str) -> Option<usize> {
    match wanted {
        LATEST => Some(0),
        PREVIOUS => Some(1),
        _ => wanted.strip_prefix(LATEST)?.strip_prefix('~')?.parse().ok(),
    }
}

/// What is wrong with the name of a run.
fn no_such_run(wanted: &str, several: bool) -> String {
    match (runs_back(wanted), several) {
        (Some(0), _) => "this home has no run yet".to_owned(),
        (Some(_), _) => format!("this home has too few runs for `{wanted}`"),
        (None, true) => format!("more than one run has an id that begins with `{wanted}`"),
        (None, false) => format!("no run has an id that begins with `{wanted}`"),
    }
}

coded! {
    ClientError {
        Load => inner;
        Project => inner;
        Build => inner;
        #[cfg(feature = "embedded")]
        Fixture => inner;
        Storage => inner;
        #[cfg(feature = "plans")]
        Session => inner;
        SavedPlan => inner;
        PlanMoved => inner;
        Remote => inner;
        Bundle => inner;
        #[cfg(feature = "embedded")]
        State => inner;
        #[cfg(feature = "embedded")]
        Scheduler => inner;
        #[cfg(feature = "embedded")]
        Executor => inner;
        #[cfg(feature = "embedded")]
        Run => inner;
        #[cfg(feature = "embedded")]
        Reset => inner;
        #[cfg(feature = "embedded")]
        Maintain => inner;
        Clean => inner;
        #[cfg(feature = "embedded")]
        Query => inner;
        Home => "WL0711", "choose another folder with `--home`";
        RemoteHome => "WL0712",
            "set XDG_STATE_HOME or HOME to a folder of yours, or choose a local folder with `--home`";
        NoSuchRun { wanted } => "WL0713", match wanted == LATEST {
            true => "`windlass run` makes one; runs of other homes are found with `--home`",
            false => "`windlass runs list` shows the runs that exist",
        };
        NotInRuns { help } => "WL0745", help;
        NoLineage { help } => "WL0746", help;
        NoColumnLineage { help } => "WL0747", help;
        BadAddress => "WL0714", "give the address of the scheduler's API, such as http://127.0.0.1:50051";
        Unreachable => "WL0715" retry, "check the address and that the scheduler runs and can be reached from here";
        NotWindlass => "WL0716",
            "give the address of the scheduler's API (`api-bind`, by default port 50051), not that of another of its \
             ports, and use a client of the scheduler's version";
        Rows => "WL0717" retry, "run the query again; an executor may have been lost while the rows were read";
        TurnStopped => "WL0721", "`windlass maintain` does the rest";
        OwnRun => "WL0718", "stop it with the handle's cancel token";
        Follower => "WL0652", "this is a defect of Windlass; run again with -vvv and report the log";
    }
}
