//! What happens to a run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::StageReceipt;

use crate::run::staged::Staged;

/// Something that happened to a run, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvent {
    /// When it happened; the machine has no clock of its own.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub kind: RunEventKind,
}

impl RunEvent {
    /// An event of the given kind at the given time.
    pub fn new(at: DateTime<Utc>, kind: RunEventKind) -> Self {
        Self { at, kind }
    }
}

/// What can happen to a run.
///
/// Every attempt ends by exactly one of `StageCommitted`, `StageFailed` and `StageCancelled`; `ExecutionSucceeded` is
/// the step between execution and commit, and ends the attempt if the run is being wound up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventKind {
    /// The run begins. The first event of every run, and only the first.
    Started,
    /// Another process has taken the run over after replaying its events: whatever was under way is not any more.
    Resumed,
    /// A stage's query has ended well; its files are staged and wait for the commit.
    ExecutionSucceeded {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
        /// What is to be committed.
        staged: Staged,
    },
    /// A stage's table has the new version.
    StageCommitted {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
        /// The receipt of the commit.
        receipt: StageReceipt,
    },
    /// An execution or a commit has failed; which of them, the machine knows.
    StageFailed {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
        /// Why, and whether to try again.
        failure: Failure,
    },
    /// The wait before another try is over.
    RetryDue {
        /// The stage.
        stage: NodeName,
        /// The attempt that is to begin.
        attempt: u32,
    },
    /// Someone wants the run to stop.
    CancelRequested {
        /// Who or why, for the log.
        reason: String,
    },
    /// An execution has been stopped because the machine asked for it; none of its tasks runs any more.
    StageCancelled {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// This process does not hold the run's lease any more; another may be driving it.
    LeaseLost,
}

impl RunEventKind {
    /// The stage and the attempt that the event is about, if it is about one.
    pub fn subject(&self) -> Option<(&NodeName, u32)> {
        match self {
            Self::ExecutionSucceeded { stage, attempt, .. }
            | Self::StageCommitted { stage, attempt, .. }
            | Self::StageFailed { stage, attempt, .. }
            | Self::RetryDue { stage, attempt }
            | Self::StageCancelled { stage, attempt } => Some((stage, *attempt)),
            Self::Started | Self::Resumed | Self::CancelRequested { .. } | Self::LeaseLost => None,
        }
    }

    /// The event's name as the log writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Resumed => "resumed",
            Self::ExecutionSucceeded { .. } => "execution_succeeded",
            Self::StageCommitted { .. } => "stage_committed",
            Self::StageFailed { .. } => "stage_failed",
            Self::RetryDue { .. } => "retry_due",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::StageCancelled { .. } => "stage_cancelled",
            Self::LeaseLost => "lease_lost",
        }
    }
}
