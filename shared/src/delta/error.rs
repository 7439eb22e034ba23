//! Why a Delta table cannot be read, written or committed to.

use deltalake::DeltaTableError;

use super::write::WriteError;
use crate::error::{Coded, ErrorCode};
use crate::storage::StorageError;

/// Why a Delta table cannot be read, written or committed to.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The location or its store cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The log cannot be read, or the store failed.
    #[error("the Delta table at `{location}` cannot be read")]
    Log {
        /// The table's root.
        location: String,
        /// The library's own words.
        #[source]
        source: DeltaTableError,
    },
    /// The table cannot be written or committed to.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Coded for DeltaError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Storage(error) => error.code(),
            Self::Log { .. } => ErrorCode("WL0401"),
            Self::Write(error) => error.code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Storage(error) => error.help(),
            Self::Write(error) => error.help(),
            Self::Log { .. } => {
                Some("check that the folder holds a complete `_delta_log` and that its store can be reached".to_owned())
            }
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_retryable(),
            Self::Write(error) => error.is_retryable(),
            Self::Log { source, .. } => matches!(source, DeltaTableError::ObjectStore { .. }),
        }
    }
}
