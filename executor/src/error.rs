//! Why an executor cannot start.

use windlass_base::coded;
use windlass_process::WorkDirError;

/// Why an executor cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The work folder cannot be used.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// No thread or port was available.
    #[error("the executor cannot start its services")]
    Services(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The scheduler does not answer or refuses the executor.
    #[error("the executor cannot join the scheduler at {address}")]
    Join {
        /// The scheduler's address.
        address: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

coded! {
    ExecutorError {
        WorkDir => inner;
        Services => "WL0531", "check the address it should listen on and the limits on threads and open files";
        Join => "WL0532" retry, "check that the scheduler runs, has the same version and can reach this host";
    }
}
