//! A table's log store on an object store that Windlass opened.

use std::sync::Arc;

use deltalake::DeltaTableError;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::prefix::PrefixStore;
use windlass_storage::{Location, Stores};

use crate::DeltaError;

/// The log store of the table at `location`. It commits by conditional put (hard links on a local disk).
///
/// # Errors
/// [`DeltaError::Storage`] if the location's store cannot be opened.
pub(crate) fn log_store(location: &Location, stores: &Stores) -> Result<LogStoreRef, DeltaError> {
    let root = stores.store(location)?;
    let path = location.path()?;
    let is_encoded_twice = path.as_ref().contains('%');
    let table = Arc::new(PrefixStore::new(Arc::clone(&root), path));
    if is_encoded_twice {
        // The library lists files and takes their names for URLs, in which `%20` would be a space. So it sees the table alone.
        let mut url = location.folder_url();
        url.set_path("/");
        return Ok(default_logstore(Arc::clone(&table) as _, table, &url, &StorageConfig::default()));
    }
    Ok(default_logstore(table, root, &location.folder_url(), &StorageConfig::default()))
}

/// A failure of the store that holds the table at `location`.
pub(crate) fn store_error(location: &Location, source: object_store::Error) -> DeltaError {
    DeltaError::Log { location: location.to_string(), source: DeltaTableError::ObjectStore { source } }
}
