//! How a stage of a run is shown: by a word, a shape and a colour that say the same.

use windlass_evidence::artifact::{PlanDecision, ReceiptOutcome, RunStatus, StageStatus, StageSummary};
use windlass_project::strategy::Strategy;

/// Where a stage stands, and how its rows came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started.
    Pending,
    /// Under way.
    Running,
    /// All of its rows were computed and committed.
    Full,
    /// Its table was brought up to date from changes.
    Incremental,
    /// Its table was used as it was.
    Reused,
    /// It failed.
    Failed,
    /// It was not started, because another failed.
    Skipped,
    /// It was stopped, or not started, because the run was.
    Cancelled,
    /// The process that ran it is gone.
    Interrupted,
    /// It has no table of its own: it is computed for its readers.
    Inlined,
}

impl State {
    /// Those that a legend explains.
    pub(crate) const LEGEND: [Self; 9] = [
        Self::Full,
        Self::Incremental,
        Self::Reused,
        Self::Running,
        Self::Pending,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// How a stage ended.
    pub(crate) fn of(summary: &StageSummary) -> Self {
        match summary.status {
            StageStatus::Pending => Self::Pending,
            StageStatus::Running => Self::Running,
            StageStatus::Failed => Self::Failed,
            StageStatus::Skipped => Self::Skipped,
            StageStatus::Cancelled => Self::Cancelled,
            StageStatus::Committed => {
                let outcome = summary.receipt.as_ref().map(|receipt| receipt.outcome);
                Self::committed(outcome, summary.strategy)
            }
        }
    }

    /// How a commit came about.
    pub(crate) fn committed(outcome: Option<ReceiptOutcome>, strategy: Option<Strategy>) -> Self {
        match (outcome, strategy) {
            (Some(ReceiptOutcome::Reused), _) => Self::Reused,
            (_, None | Some(Strategy::Full)) => Self::Full,
            (_, Some(_)) => Self::Incremental,
        }
    }

    /// Where a stage stands of which nothing has been heard yet.
    pub(crate) fn planned(decision: PlanDecision) -> Self {
        match decision {
            PlanDecision::Reuse => Self::Reused,
            PlanDecision::View | PlanDecision::Cache => Self::Inlined,
            PlanDecision::Full | PlanDecision::Incremental | PlanDecision::Refused => Self::Pending,
        }
    }

    /// The state in a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Full => "committed",
            Self::Incremental => "committed, incremental",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Inlined => "without a table",
        }
    }

    /// The name of its shape and of its colour: the class, and with `shape-` before it the id of the symbol.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Pending | Self::Inlined => "pending",
            Self::Running => "running",
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The shape and colour of a run's status, as [`State::class`].
pub(crate) fn class_of_run(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Pending => "pending",
        RunStatus::Running => "running",
        RunStatus::Succeeded => "full",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Interrupted => "interrupted",
    }
}

/// Whether a run is under way, so that its pages have to be looked at again.
pub(crate) fn is_live(status: RunStatus) -> bool {
    matches!(status, RunStatus::Pending | RunStatus::Running)
}
