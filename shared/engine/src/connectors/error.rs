//! Errors of opening a source or writing an export.

use windlass_base::error::{Coded, ErrorCode};
use windlass_base::ids::NodeName;
use windlass_delta::DeltaError;
use windlass_storage::StorageError;

use crate::session::SessionError;

/// The error of a custom loader or saver.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why a source cannot be opened, or an export cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A Delta table cannot be pinned.
    #[error("`{name}` cannot be pinned")]
    Pin {
        /// The source.
        name: NodeName,
        /// Why.
        #[source]
        source: DeltaError,
    },
    /// A location cannot be used.
    #[error("the location of `{name}` cannot be used")]
    Location {
        /// The source or stage.
        name: NodeName,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// A session cannot be built, or files cannot be listed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The program that runs the project has no such loader.
    #[error("`{name}` asks for the loader `{loader}`, which this program does not have")]
    NoLoader {
        /// The source.
        name: NodeName,
        /// The loader.
        loader: String,
        /// The existing ones.
        known: Vec<String>,
    },
    /// The program that runs the project has no such saver.
    #[error("`{name}` exports with the saver `{saver}`, which this program does not have")]
    NoSaver {
        /// The stage.
        name: NodeName,
        /// The saver.
        saver: String,
        /// The existing ones.
        known: Vec<String>,
    },
    /// A loader was given a source of another kind.
    #[error("the loader cannot open `{name}`, which is of kind `{kind}`")]
    OtherKind {
        /// The source.
        name: NodeName,
        /// Its kind.
        kind: String,
    },
    /// A version was requested for a source that has none.
    #[error("`{name}` has no versions: only Delta tables do")]
    NoVersions {
        /// The source.
        name: NodeName,
    },
    /// The loader could not open the source.
    #[error("the loader `{loader}` cannot open `{name}`")]
    Load {
        /// The source.
        name: NodeName,
        /// The loader.
        loader: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The saver cannot write rows of these columns, or does not know an option.
    #[error("the export `{export}` of `{name}` cannot be written as `{saver}`")]
    Unfit {
        /// The stage.
        name: NodeName,
        /// The export.
        export: String,
        /// The saver.
        saver: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The saver could not write the export.
    #[error("the export `{export}` of `{name}` cannot be written")]
    Save {
        /// The stage.
        name: NodeName,
        /// The export.
        export: String,
        /// Why.
        #[source]
        source: Fault,
    },
}

impl Coded for ConnectorError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Pin { source, .. } => source.code(),
            Self::Location { source, .. } => source.code(),
            Self::Session(error) => error.code(),
            Self::NoLoader { .. } => ErrorCode("WL0340"),
            Self::NoSaver { .. } => ErrorCode("WL0341"),
            Self::OtherKind { .. } => ErrorCode("WL0342"),
            Self::Load { .. } => ErrorCode("WL0343"),
            Self::Save { .. } => ErrorCode("WL0344"),
            Self::Unfit { .. } => ErrorCode("WL0345"),
            Self::NoVersions { .. } => ErrorCode("WL0364"),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Pin { source, .. } => source.help(),
            Self::Location { source, .. } => source.help(),
            Self::Session(error) => error.help(),
            Self::NoLoader { known, .. } | Self::NoSaver { known, .. } => Some(format!(
                "it has `{}`; a program that embeds Windlass gives it more with `EmbeddedConfig::io`",
                known.join("`, `")
            )),
            Self::OtherKind { .. } => Some("name another loader, or change the source's `kind`".to_owned()),
            Self::NoVersions { .. } => Some("leave the version out: files are read as they are now".to_owned()),
            Self::Load { .. } => Some("see what the loader says; its options are those of the source".to_owned()),
            Self::Unfit { .. } => Some(
                "correct the export's options, export a stage that gives the column another type, or choose a format that holds \
                 it, such as `parquet`"
                    .to_owned(),
            ),
            Self::Save { .. } => Some(
                "the stage's table is committed; run again to write the export, which is then made good".to_owned(),
            ),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Pin { source, .. } => source.is_retryable(),
            Self::Session(error) => error.is_retryable(),
            // An export only becomes visible when it is complete, so a retry is safe.
            Self::Save { .. } => true,
            _ => false,
        }
    }
}
