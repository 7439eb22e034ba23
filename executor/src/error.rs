//! Why an executor cannot start.

use windlass_base::error::{Coded, ErrorCode};

/// Why an executor cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The work folder cannot be created or read.
    #[error("the work folder `{folder}` cannot be used")]
    WorkDir {
        /// The folder.
        folder: String,
        /// Why not.
        source: std::io::Error,
    },
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

impl Coded for ExecutorError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::WorkDir { .. } => ErrorCode("WL0530"),
            Self::Services(_) => ErrorCode("WL0531"),
            Self::Join { .. } => ErrorCode("WL0532"),
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::WorkDir { .. } => "name a folder on a local disk that can be written",
            Self::Services(_) => "check the address it should listen on and the limits on threads and open files",
            Self::Join { .. } => "check that the scheduler runs, has the same version and can reach this host",
        };
        Some(text.to_owned())
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Join { .. })
    }
}
