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
    /// The state was written by a version of Windlass that keeps it otherwise.
    #[error("the state in {store} has format {found}, and this version of windlass reads format {supported}")]
    Format {
        /// The file, or the address of the servers.
        store: String,
        /// Its format.
        found: String,
        /// The format that is read.
        supported: String,
    },
    /// The servers of the store cannot be reached, or do not agree with one another.
    #[error("the state store {store} does not answer")]
    Unreachable {
        /// Which store.
        store: String,
        /// What is known of it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The servers of the store refuse the user.
    #[error("the state store {store} refuses access")]
    Refused {
        /// Which store.
        store: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The servers of the store refuse a request, whoever makes it.
    #[error("the state store {store} cannot do what it was asked for")]
    Failed {
        /// Which store.
        store: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
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
        Format => "WL0604", "use the version of windlass that wrote it, or another --home or prefix";
        Record => "WL0605", "another version of windlass may have written it; use that version to finish its runs";
        Unreachable => "WL0607" retry,
            "check that most of its servers are up, reach one another, and can be reached from here";
        Refused => "WL0608",
            "set WINDLASS_ETCD_USER and WINDLASS_ETCD_PASSWORD to a user who may read and write below the prefix, or \
             unset them where etcd has no users";
        Failed => "WL0609", "the servers' logs say more; if their space is used up, compact and defragment them";
    }
}
