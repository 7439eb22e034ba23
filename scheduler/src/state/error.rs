//! What goes wrong with a state store.

use std::path::PathBuf;

use windlass_base::coded;

/// What goes wrong with a state store.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store cannot be reached or written.
    #[error("the state store {store} cannot be used")]
    Unavailable {
        /// Which store.
        store: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Other processes kept the file locked.
    #[error("the state file {} has been in use by another process for {waited_ms} ms", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The file is not what was written.
    #[error("the state file {} is damaged: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was written by a version of Windlass that keeps its state otherwise.
    #[error("the state file {} has format {found}, and this version of windlass reads format {supported}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format that is read.
        supported: u64,
    },
    /// A key holds something that it should not.
    #[error("the value of the state store's key `{key}` cannot be read")]
    Record {
        /// The key.
        key: String,
        /// Why it cannot be read.
        source: serde_json::Error,
    },
}

coded! {
    StateError {
        Unavailable => "WL0601" retry, "check that the home folder exists, is writable and has free space";
        Busy => "WL0602" retry, "see which process has the file open (`lsof`) and try again";
        Damaged { path } => "WL0603",
            format!(
                "restore {} from a backup, or move it away: tables and run bundles stay, but unfinished runs cannot \
                 be resumed and run numbers start from the beginning",
                path.display()
            );
        Format => "WL0604", "use the version of windlass that wrote it, or another --home";
        Record => "WL0605", "another version of windlass may have written it; use that version to finish its runs";
    }
}
