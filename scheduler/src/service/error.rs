//! Why the service refuses a call.

use std::sync::Arc;

use tonic::{Code, Status};
use windlass_api as proto;
use windlass_api::TransferError;
use windlass_base::coded;
use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::SavedPlanError;
use windlass_evidence::bundle::RecordError;
use windlass_project::spec::Problems;

use super::queue::Overload;
use crate::cursor_reset::ResetError;
use crate::maintain::MaintainError;
use crate::maintain::clean::CleanError;
use crate::plan::PlanError;
use crate::query::QueryError;
use crate::run::RunError;

/// Why the service refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The project's files cannot be taken.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The project, a selection or a parameter is wrong.
    #[error(transparent)]
    Project(#[from] Problems),
    /// The run did not start or could not be carried on.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A table cannot be pinned or the run cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The question cannot be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A bundle cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A cursor is not reset.
    #[error(transparent)]
    Reset(#[from] ResetError),
    /// Tables are not maintained, or a version is not marked.
    #[error(transparent)]
    Maintain(#[from] MaintainError),
    /// A home is not cleaned.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// What was sent as an approved plan is none.
    #[error(transparent)]
    SavedPlan(#[from] SavedPlanError),
    /// The run did not start or could not be carried on, as everyone who follows it is notified.
    #[error(transparent)]
    Ended(Arc<ServiceError>),
    /// The service cannot listen.
    #[error("the API cannot listen on {address}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The request lacks something or contains something invalid.
    #[error("the request is not valid: {reason}")]
    BadRequest {
        /// What is wrong.
        reason: String,
    },
    /// The client speaks another version of the API.
    #[error("the client speaks version {found} of the API, and this scheduler version {}", proto::API_VERSION)]
    Version {
        /// What the client said.
        found: String,
    },
    /// The scheduler is going away.
    #[error("the scheduler is shutting down and starts no more runs")]
    Draining,
    /// Another scheduler leads, or none yet.
    #[error("this scheduler stands by: {}", who_leads(leader.as_deref()))]
    Standby {
        /// The URL of the leader's API, if it is known.
        leader: Option<String>,
    },
    /// As many runs as are allowed are under way or wait.
    #[error(transparent)]
    Overload(#[from] Overload),
    /// The run was taken out of the queue.
    #[error("run {run_id} was cancelled before it began")]
    CancelledInQueue {
        /// The run.
        run_id: RunId,
    },
    /// No such run is under way here.
    #[error("no run {run_id} is under way on this scheduler")]
    NotLive {
        /// The run.
        run_id: RunId,
    },
}

fn who_leads(leader: Option<&str>) -> String {
    leader.map_or_else(|| "none leads at the moment".to_owned(), |leader| format!("{leader} leads"))
}

impl ServiceError {
    fn run_error(&self) -> Option<&RunError> {
        match self {
            Self::Run(error) => Some(error),
            Self::Ended(error) => error.run_error(),
            Self::Maintain(MaintainError::Run(error)) => Some(error),
            _ => None,
        }
    }

    fn problems(&self) -> Option<&Problems> {
        if let Some(RunError::Project(problems) | RunError::Plan(PlanError::Sql(problems))) = self.run_error() {
            return Some(problems);
        }
        match self {
            Self::Project(problems)
            | Self::Plan(PlanError::Sql(problems))
            | Self::Maintain(MaintainError::Project(problems) | MaintainError::Plan(PlanError::Sql(problems)))
            | Self::Query(QueryError::Plan(PlanError::Sql(problems))) => Some(problems),
            Self::Ended(error) => error.problems(),
            _ => None,
        }
    }

    /// The kind of status that a client without our details can act upon.
    fn kind(&self) -> Code {
        match self {
            Self::Ended(error) => error.kind(),
            Self::BadRequest { .. } | Self::SavedPlan(_) => Code::InvalidArgument,
            Self::Transfer(TransferError::Missing { .. }) | Self::Version { .. } => Code::FailedPrecondition,
            Self::Transfer(TransferError::TooLarge { .. } | TransferError::FileTooLarge { .. }) | Self::Overload(_) => {
                Code::ResourceExhausted
            }
            Self::CancelledInQueue { .. } => Code::Aborted,
            Self::Transfer(_) => Code::InvalidArgument,
            Self::NotLive { .. }
            | Self::Record(RecordError::NoSuchRun { .. })
            | Self::Maintain(MaintainError::NoSuchMark { .. }) => Code::NotFound,
            Self::Maintain(MaintainError::MarkTaken { .. }) => Code::AlreadyExists,
            Self::Draining => Code::Unavailable,
            _ if self.is_retryable() => Code::Unavailable,
            _ => match self.code().0.get(2..4) {
                Some("01" | "02" | "03") => Code::InvalidArgument,
                Some("05") => Code::Internal,
                _ => Code::FailedPrecondition,
            },
        }
    }
}

coded! {
    ServiceError {
        Transfer => inner;
        Project => inner;
        Run => inner;
        Plan => inner;
        Query => inner;
        Record => inner;
        Reset => inner;
        Maintain => inner;
        Clean => inner;
        SavedPlan => inner;
        Ended => inner;
        BadRequest => "WL0804", "see the comments of windlass.proto for what the call takes";
        Version => "WL0805", "use a client of the same version as the scheduler";
        Draining => "WL0806" retry, "submit again when the scheduler is back";
        Overload => inner;
        CancelledInQueue => "WL0812", "submit it again if it is needed";
        NotLive => "WL0808", "`windlass runs list` shows the runs that exist; a run that has ended cannot be stopped";
        Standby { leader } => "WL0813" retry, match leader {
            Some(leader) => format!("ask {leader}, or name all schedulers: `--cluster URL,URL`"),
            None => "ask again in a few seconds, or name all schedulers: `--cluster URL,URL`".to_owned(),
        };
        Bind => "WL0809", "check that the address belongs to this machine and the port is free";
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        if let Some(RunError::PlanMoved(moved)) = error.run_error() {
            return proto::status_of_moved(moved);
        }
        if let ServiceError::Standby { leader } = &error {
            return proto::status_of_standby(&error, leader.as_deref());
        }
        match error.problems() {
            Some(problems) => proto::status_of_problems(problems),
            None => proto::status(error.kind(), &error),
        }
    }
}

/// A request that lacks something, or contains something invalid.
pub(super) fn bad_request(reason: impl Into<String>) -> ServiceError {
    ServiceError::BadRequest { reason: reason.into() }
}
