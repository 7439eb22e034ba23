//! Why a Delta table cannot be read, written or committed to.

use deltalake::DeltaTableError;

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
}

impl Coded for DeltaError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Storage(error) => error.code(),
            Self::Log { .. } => ErrorCode("WL0401"),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Storage(error) => error.help(),
            Self::Log { .. } => {
                Some("check that the folder holds a complete `_delta_log` and that its store can be reached".to_owned())
            }
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_retryable(),
            Self::Log { source, .. } => matches!(source, DeltaTableError::ObjectStore { .. }),
        }
    }
}
