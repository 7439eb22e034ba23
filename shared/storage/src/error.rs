//! Why a location cannot be used.

use windlass_base::coded;

use super::advice::advice;
use super::credentials::Missing;

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
    /// The environment has no credentials for the store.
    #[error("there are no credentials for `{location}` in the environment of this process")]
    NoCredentials {
        /// The store's root.
        location: String,
        /// What is missing.
        missing: Missing,
    },
    /// The store's address is without TLS, which has to be allowed.
    #[error("the address of `{location}` is `{endpoint}`, and connections without TLS are not allowed")]
    PlainHttp {
        /// The store's root.
        location: String,
        /// The address.
        endpoint: String,
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
        BadLocation { reason } => "WL0301", if reason.contains("credentials") {
            "remove them, and set them in the environment of the process: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for \
             example"
        } else {
            "write a path (relative ones start at the project's folder) or a URL that starts with file://, s3://, \
             gs://, az:// or abfss://"
        };
        Backslash => "WL0301", "rename the folder or file, or move what is in it elsewhere";
        Open => "WL0302",
            "set the store's credentials and endpoint in this process's environment, for example AWS_ACCESS_KEY_ID, \
             AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL";
        NoCredentials { missing } => "WL0302", missing.help();
        PlainHttp => "WL0302", "set AWS_ALLOW_HTTP=true, or give an address that starts with https://";
        Access { source } => "WL0319" retry if matches!(source, object_store::Error::Generic { .. }),
            advice(source).unwrap_or("see the store's message, and check that this process may read and write there");
    }
}
