//! Why a project cannot be built, besides what its check says.

use std::io;
use std::path::PathBuf;

use windlass_base::error::{Coded, ErrorCode};
use windlass_engine::codec::logical::PlanWireError;

/// Why a project cannot be built, besides what its check says.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The plan of a stage cannot be sent to the process that runs it.
    #[error("the plan of the stage `{stage}` cannot be used")]
    Plan {
        /// The stage.
        stage: String,
        /// Why.
        #[source]
        source: PlanWireError,
    },
    /// The folder holds a project already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file of the project cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's message.
        #[source]
        source: io::Error,
    },
}

impl Coded for BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Plan { source, .. } => source.code(),
            Self::Exists { .. } => ErrorCode("WL0731"),
            Self::Write { .. } => ErrorCode("WL0732"),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Plan { source, .. } => source.help(),
            Self::Exists { .. } => Some(
                "write to another folder, or remove the old project: its stages would be part of the new".to_owned(),
            ),
            Self::Write { .. } => Some("check that the folder may be written".to_owned()),
        }
    }

    fn is_retryable(&self) -> bool {
        false
    }
}
