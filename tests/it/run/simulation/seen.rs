//! What occurs in simulations: one in which nothing goes wrong proves nothing.

use std::collections::BTreeSet;

/// Something that a simulation is to have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    Succeeded,
    Failed,
    Cancelled,
    LeaseLost,
    Retried,
    StoreFailed,
    /// A driver ended because the store had failed for too long.
    StoreGivenUp,
    CrashedInTime,
    CrashedAtPoll,
    CrashedAtStore,
    Resumed,
    /// A process died after it had appended an event and before it acted on it.
    EventNotActedOn,
    /// A commit was made and reported as failed.
    CommitReportedAsFailed,
    /// A commit was made after the process had died that began it.
    CommitAfterDeath,
    /// A process that only seemed dead was shut out of the run.
    StaleFenced,
    /// A process was shut out by one that it had taken for dead.
    Overtaken,
}

impl Sight {
    pub(super) const ALL: [Self; 16] = [
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::LeaseLost,
        Self::Retried,
        Self::StoreFailed,
        Self::StoreGivenUp,
        Self::CrashedInTime,
        Self::CrashedAtPoll,
        Self::CrashedAtStore,
        Self::Resumed,
        Self::EventNotActedOn,
        Self::CommitReportedAsFailed,
        Self::CommitAfterDeath,
        Self::StaleFenced,
        Self::Overtaken,
    ];
}

/// What has occurred in one simulation.
pub(super) type Seen = BTreeSet<Sight>;
