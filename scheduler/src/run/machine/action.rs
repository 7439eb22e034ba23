//! What a run wants done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::RunStatus;

use super::phase::Drain;
use crate::run::staged::Staged;

/// What the driver is to do next. Performing an action twice must do no harm: after a crash it is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum RunAction {
    /// Plan and execute the stage. Answered by `ExecutionSucceeded`, `StageFailed` or, once asked to, `StageCancelled`.
    ExecuteStage {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// Commit what an execution has staged. Answered by `StageCommitted` or `StageFailed`. It is never cancelled.
    CommitStage {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
        /// What to commit.
        staged: Staged,
    },
    /// Send `RetryDue` for this attempt when the wait is over.
    ScheduleRetry {
        /// The stage.
        stage: NodeName,
        /// The attempt that is to begin then.
        attempt: u32,
        /// How long to wait, in milliseconds.
        delay_ms: u64,
        /// When the wait is over, by the clock that stamped the events.
        due: DateTime<Utc>,
    },
    /// Stop the stage's execution and send `StageCancelled` when none of its tasks runs any more.
    CancelStage {
        /// The stage.
        stage: NodeName,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// The stage has ended: write down how.
    RecordStage {
        /// The stage.
        stage: NodeName,
    },
    /// Every stage has ended: seal the bundle, release the pins and the lease, answer the caller. Nothing is executed
    /// or committed after this; for a cancelled run it is the acknowledgement.
    FinishRun {
        /// How the run ended.
        status: RunStatus,
        /// Why it was wound up early, if it was.
        drain: Option<Drain>,
    },
}
