//! Why tables are not maintained, or a version is not marked.

use windlass_base::coded;
use windlass_delta::DeltaError;
use windlass_evidence::bundle::RecordError;

use crate::plan::PlanError;
use crate::run::RunError;

/// Why tables are not maintained, or a version is not marked.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The project or the selection is wrong, a run of the pipeline is active, or another process writes to the home.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A table cannot be planned with.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A table cannot be read.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The home's record of turns and marks cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing has that name.
    #[error("there is no pin or tag `{name}`")]
    NoSuchMark {
        /// The requested name.
        name: String,
        /// The most similar name.
        help: Option<String>,
    },
    /// The name is in use.
    #[error("the name `{name}` is taken")]
    MarkTaken {
        /// The name.
        name: String,
    },
    /// Something needs what was to be changed.
    #[error("the tables are in use: {reason}")]
    Held {
        /// By what.
        reason: String,
    },
}

coded! {
    MaintainError {
        Run => inner;
        Plan => inner;
        Delta => inner;
        Record => inner;
        NoSuchMark { help } => "WL0681", help.as_deref().unwrap_or("`windlass pins ls` lists pins and tags");
        MarkTaken => "WL0682", "choose another name, or release the pin or remove the tag first";
        Held => "WL0683", "`windlass pins ls` shows what keeps versions";
    }
}
