//! Why a session cannot be built or a table cannot be registered.

use datafusion::error::DataFusionError;

use crate::error::{Coded, ErrorCode};

/// Why a session cannot be built or a table cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The engine refuses the settings.
    #[error("the session cannot be built")]
    Build(#[source] DataFusionError),
}

impl Coded for SessionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Build(_) => ErrorCode("WL0303"),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Build(_) => {
                Some("check the `session` settings: sizes, and that the spill folder can be written".to_owned())
            }
        }
    }

    fn is_retryable(&self) -> bool {
        false
    }
}
