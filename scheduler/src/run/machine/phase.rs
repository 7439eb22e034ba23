//! Where a stage and its run stand.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{StageReceipt, StageStatus};

use crate::run::staged::Staged;

/// What an attempt sets out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Execute the stage's query and commit its result.
    Execute,
    /// Commit what an earlier attempt has staged: only its commit had failed.
    Commit {
        /// What to commit.
        staged: Staged,
    },
}

/// Where a stage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum StagePhase {
    /// A stage that it depends on has not committed yet.
    Waiting,
    /// It may start as soon as there is a free slot.
    Queued {
        /// What its next attempt does.
        next: Work,
    },
    /// Its query runs.
    Executing,
    /// Its query has been told to stop.
    Cancelling,
    /// Its commit is under way.
    Committing {
        /// What is being committed.
        staged: Staged,
    },
    /// It waits before another try.
    Backoff {
        /// When the wait is over.
        due: DateTime<Utc>,
        /// What its next attempt does.
        next: Work,
    },
    /// Its table has the new version.
    Committed {
        /// The receipt of the commit.
        receipt: StageReceipt,
    },
    /// It has failed for good.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It never started, because another stage failed.
    Skipped {
        /// The stage that failed.
        cause: NodeName,
    },
    /// It was stopped, or not started, because the run was wound up.
    Cancelled,
}

impl StagePhase {
    /// Whether the stage holds one of the run's slots.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Executing | Self::Cancelling | Self::Committing { .. })
    }

    /// How the stage ended, if it has.
    pub fn ended(&self) -> Option<StageStatus> {
        match self {
            Self::Committed { .. } => Some(StageStatus::Committed),
            Self::Failed { .. } => Some(StageStatus::Failed),
            Self::Skipped { .. } => Some(StageStatus::Skipped),
            Self::Cancelled => Some(StageStatus::Cancelled),
            Self::Waiting
            | Self::Queued { .. }
            | Self::Executing
            | Self::Cancelling
            | Self::Committing { .. }
            | Self::Backoff { .. } => None,
        }
    }

    /// The phase's name as the log writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued { .. } => "queued",
            Self::Executing => "executing",
            Self::Cancelling => "cancelling",
            Self::Committing { .. } => "committing",
            Self::Backoff { .. } => "backoff",
            Self::Committed { .. } => "committed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Its result was committed.
    Committed {
        /// The receipt of the commit.
        receipt: StageReceipt,
    },
    /// Its execution or its commit failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It was stopped, or its result was dropped, because the run was wound up.
    Cancelled,
    /// The process that drove the run ended meanwhile.
    Interrupted,
}

/// One try of a stage. Attempts are only ever added, and an ended one never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Whether it commits what an earlier attempt has staged, instead of executing the query again.
    pub commit_only: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its execution had ended well and its commit began.
    pub staged_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended; none while it is under way.
    pub outcome: Option<AttemptOutcome>,
}

/// A stage's phase and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageState {
    /// Where it stands.
    pub phase: StagePhase,
    /// Every try so far, in order.
    pub attempts: Vec<Attempt>,
    /// How many of them failed; interrupted ones do not count against the retries.
    pub failures: u32,
}

impl StageState {
    /// The receipt of the stage's commit, if it committed.
    pub fn receipt(&self) -> Option<&StageReceipt> {
        match &self.phase {
            StagePhase::Committed { receipt } => Some(receipt),
            _ => None,
        }
    }
}

/// Why a run is wound up before all its stages have committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "drain", rename_all = "snake_case")]
pub enum Drain {
    /// Someone asked for it.
    Cancel {
        /// Who or why.
        reason: String,
    },
    /// A stage failed and the run is to fail fast.
    FailFast {
        /// The stage that failed.
        stage: NodeName,
    },
    /// The lease is lost, and another process may be driving the run.
    LeaseLost,
}
