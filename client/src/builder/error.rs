//! Why a project cannot be built, besides what its check says.

use std::io;
use std::path::PathBuf;

use windlass_base::coded;

/// Why a project cannot be built, besides what its check says.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The plan of a stage cannot be sent to the process that runs it.
    #[cfg(feature = "plans")]
    #[error("the plan of the stage `{stage}` cannot be used")]
    Plan {
        /// The stage.
        stage: String,
        /// Why.
        #[source]
        source: windlass_engine::codec::logical::PlanWireError,
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

coded! {
    BuildError {
        #[cfg(feature = "plans")]
        Plan { source } => inner;
        Exists => "WL0731", "write to another folder, or remove the old project: its stages would be part of the new";
        Write => "WL0732", "check that the folder may be written";
    }
}
