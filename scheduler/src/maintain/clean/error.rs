//! Why a home is not cleaned, or something in it not removed.

use windlass_base::coded;
use windlass_storage::StorageError;

use crate::plan::PlanError;
use crate::record::RecordError;
use crate::run::RunError;
use crate::state::StateError;

/// Why a home is not cleaned, or something in it not removed.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// A run of the pipeline is under way, or another process writes to the home.
    #[error(transparent)]
    Busy(Box<RunError>),
    /// The location of a table cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The bundles cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The home's store cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A folder of the home, or of this process, cannot be listed.
    #[error("`{location}` cannot be listed: {reason}")]
    Unlisted {
        /// The folder.
        location: String,
        /// What its store or the system said.
        reason: String,
    },
    /// Something cannot be removed.
    #[error("`{location}` cannot be removed: {reason}")]
    NotRemoved {
        /// Where it is.
        location: String,
        /// What its store or the system said.
        reason: String,
    },
    /// The leases were lost to another process while things were removed.
    #[error("the cleaning was stopped: another process may write to the home `{home}` now")]
    LeaseLost {
        /// The home.
        home: String,
    },
}

coded! {
    CleanError {
        Busy => inner;
        Plan => inner;
        Record => inner;
        State => inner;
        Storage => inner;
        Unlisted => "WL0695" retry, "check that it can be reached and read";
        NotRemoved => "WL0696" retry, "check that it can be written, and clean again: what is left is removed then";
        LeaseLost => "WL0697" retry, "clean again when the other process has finished; what was removed stays removed";
    }
}
