//! Why a location cannot be used.

use windlass_base::coded;

/// Why a location cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The text is neither a path nor a URL of a known scheme.
    #[error("`{location}` is not a location: {reason}")]
    BadLocation {
        /// The text, without user information or query.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A local path has a name that URLs, and so the stores and logs that are found by them, take for two.
    #[error(
        "`{location}` cannot be a location: there is a backslash in one of its names, which a URL reads as a slash"
    )]
    Backslash {
        /// The path.
        location: String,
    },
    /// The store cannot be opened with what the environment holds.
    #[error("the object store of `{location}` cannot be opened")]
    Open {
        /// The store's root.
        location: String,
        /// The store's own words.
        #[source]
        source: object_store::Error,
    },
    /// An object cannot be read or written.
    #[error("`{location}` cannot be read or written")]
    Access {
        /// The object.
        location: String,
        /// The store's own words.
        #[source]
        source: object_store::Error,
    },
}

coded! {
    StorageError {
        BadLocation => "WL0301",
            "write a path (relative ones start at the project's folder) or a URL that starts with file://, s3://, \
             gs://, az:// or abfss://";
        Backslash => "WL0301", "rename the folder or file, or move what is in it elsewhere";
        Open => "WL0302",
            "set the store's credentials and endpoint in this process's environment, for example AWS_ACCESS_KEY_ID, \
             AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL";
        Access { source } => "WL0319" retry if matches!(source, object_store::Error::Generic { .. }),
            "see the store's message, and check that this process may read and write there";
    }
}
