//! Why a plain run fails.

use std::io;
use std::path::PathBuf;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use windlass_base::ids::NodeName;
use windlass_client::error::ClientError;
use windlass_engine::session::SessionError;
use windlass_project::graph::Stage;
use windlass_project::spec::Problems;
use windlass_storage::StorageError;

/// Why a plain run fails.
#[derive(Debug, thiserror::Error)]
pub enum PlainError {
    /// A file or folder cannot be read or created.
    #[error("`{}` cannot be used", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The project cannot be read or is invalid.
    #[error(transparent)]
    Project(#[from] ClientError),
    /// A value given for a parameter is invalid.
    #[error("{0}")]
    Params(Box<Problems>),
    /// The session cannot be built or a table cannot be registered.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A location cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Only a program that embeds Windlass has the loader.
    #[error("the loader `{loader}` has no plain equivalent")]
    Custom {
        /// The loader.
        loader: String,
    },
    /// A Delta table cannot be opened.
    #[error("the source `{source_name}` cannot be opened")]
    OpenDelta {
        /// The source.
        source_name: NodeName,
        /// Why.
        #[source]
        source: DeltaTableError,
    },
    /// The engine refuses a stage's query or fails to run it.
    #[error("the stage `{stage}` failed")]
    Stage {
        /// The stage.
        stage: NodeName,
        /// Why.
        #[source]
        source: DataFusionError,
    },
    /// The table of a stage cannot be written.
    #[error("the table of the stage `{stage}` cannot be written")]
    Write {
        /// The stage.
        stage: NodeName,
        /// Why.
        #[source]
        source: DeltaTableError,
    },
}

impl PlainError {
    pub(super) fn stage(stage: &Stage, source: DataFusionError) -> Self {
        Self::Stage { stage: stage.name.clone(), source }
    }

    pub(super) fn write(stage: &Stage, source: DeltaTableError) -> Self {
        Self::Write { stage: stage.name.clone(), source }
    }
}

impl From<Problems> for PlainError {
    fn from(problems: Problems) -> Self {
        Self::Params(Box::new(problems))
    }
}
