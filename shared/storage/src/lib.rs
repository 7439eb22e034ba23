//! Where data lives: one reading of locations for local paths, S3, GCS and Azure.
//!
//! ```text
//! "tables/nodes" or "s3://bucket/nodes" ─Location::parse→ Location ─Stores→ object store + path below its root
//! ```
//!
//! Requests are counted where one asks for it ([`counting()`]); a put on a local disk is synced before it counts.
//! Credentials come from the environment of the process that opens a store (`AWS_*`, `GOOGLE_*`, `AZURE_*`), never
//! from a project file, and they stay inside the store. A store without any is refused when it is opened.

mod advice;
mod connector;
mod content_version;
mod counting;
mod credentials;
mod disk;
mod error;
mod location;
mod stores;

pub use advice::advice;
pub use content_version::content_versions;
pub use counting::{RequestCounts, counting};
pub use credentials::{METADATA_VARIABLE, Missing};
pub use error::StorageError;
pub use location::Location;
pub use stores::{SYNC_VARIABLE, Stores};
