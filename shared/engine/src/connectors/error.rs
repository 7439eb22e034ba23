//! Errors of opening a source or writing an export.

use windlass_base::coded;
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

coded! {
    ConnectorError {
        Pin { source } => inner;
        Location { source } => inner never;
        Session => inner;
        NoLoader { known } => "WL0340", known_ones(known);
        NoSaver { known } => "WL0341", known_ones(known);
        OtherKind => "WL0342", "name another loader, or change the source's `kind`";
        Load => "WL0343", "see the loader's message; its options are those of the source";
        // What was written does not count before all of it is, so trying again does no harm.
        Save => "WL0344" retry,
            "the stage's table is committed; run again to write the missing export";
        Unfit => "WL0345",
            "correct the export's options, export a stage that gives the column another type, or choose a format that \
             holds it, such as `parquet`";
        NoVersions => "WL0364", "leave the version out: files are read as they are now";
    }
}

fn known_ones(known: &[String]) -> String {
    if known.is_empty() {
        return "the `windlass` command and the servers have no custom ones: run the project with the program that embeds \
                Windlass and registers it (`EmbeddedConfig::connectors`)"
            .to_owned();
    }
    format!(
        "it has `{}`; a program that embeds Windlass adds more with `EmbeddedConfig::connectors`",
        known.join("`, `")
    )
}
