//! Where bundles can be read from.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use windlass_base::ids::RunId;

use super::RecordError;

/// The files of the bundles of one home: in an object store, or behind a scheduler.
#[async_trait]
pub trait BundleFiles: fmt::Debug + Send + Sync {
    /// The content of a file, by its path below the home (`runs/<run_id>/…`); `None` if there is no such file.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be read.
    async fn get(&self, path: &str) -> Result<Option<Bytes>, RecordError>;

    /// The runs that have a bundle, in no order.
    ///
    /// # Errors
    /// [`RecordError`] if they cannot be listed.
    async fn run_ids(&self) -> Result<Vec<RunId>, RecordError>;
}
