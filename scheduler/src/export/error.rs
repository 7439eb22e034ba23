//! Why an export may not go where it should.

use windlass_base::coded;
use windlass_storage::StorageError;

/// Why an export may not go where it should.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Its folder is needed for something else.
    #[error("{export} is written to {folder}, and {what} is {place}")]
    InTheWay {
        /// The export, in words.
        export: String,
        /// Its folder.
        folder: String,
        /// What else is there.
        what: String,
        /// Where that is.
        place: String,
    },
    /// Another export of the project has the folder.
    #[error("{export} and {other} write to {folder}, or one of them inside the other's folder")]
    Twice {
        /// The export, in words.
        export: String,
        /// The other.
        other: String,
        /// The folder.
        folder: String,
    },
    /// The folder holds files of an export that this home knows nothing of.
    #[error("{folder}, where {export} is written, holds `{file}`, which belongs to {of}")]
    Foreign {
        /// The export, in words.
        export: String,
        /// Its folder.
        folder: String,
        /// The file.
        file: String,
        /// Whose it is, as far as that is known.
        of: String,
    },
    /// A file is not as the export has written it.
    #[error("`{file}` in {folder} was changed after {export} wrote it")]
    Changed {
        /// The export, in words.
        export: String,
        /// Its folder.
        folder: String,
        /// The file.
        file: String,
    },
    /// What the home remembers of the folder cannot be read.
    #[error("the home's record of {folder} cannot be read: {record}")]
    Record {
        /// The folder.
        folder: String,
        /// The record's file.
        record: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A later version of Windlass has written to the folder.
    #[error("a later version of windlass has exported to {folder}: its record {record} has format {found}")]
    LaterRecord {
        /// The folder.
        folder: String,
        /// The record's file.
        record: String,
        /// Its format.
        found: u32,
    },
    /// The folder's location is none.
    #[error("the folder of an export cannot be used")]
    Location(#[from] StorageError),
    /// A store failed.
    #[error("the folder of an export cannot be listed, or its record cannot be written")]
    Store(#[from] object_store::Error),
}

coded! {
    ExportError {
        Location => inner;
        // Nothing counts before all of it is there, so trying again does no harm.
        Store => "WL0344" retry,
            "the stage's table is committed; run again to write the missing export";
        InTheWay => "WL0675", "give the export a folder of its own";
        Twice => "WL0676", "give the export a folder of its own";
        Foreign => "WL0677", "remove such files if nobody needs them any more, or give the export a folder of its own";
        Changed => "WL0677",
            "move the file elsewhere if it is to be kept, or remove it; the export is then written again";
        Record { record } => "WL0679",
            format!("remove {record} and the files in the folder that begin with `windlass-`, then run again");
        LaterRecord => "WL0679", "use that version, or give the export a folder of its own";
    }
}
