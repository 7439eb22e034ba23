//! The listings of sources of files that tables have applied, kept in the home.

use object_store::ObjectStoreExt;
use windlass_engine::session::TextListing;
use windlass_storage::{Location, StorageError, Stores};

use crate::home::Home;

/// Where the listings of sources of files are kept that tables have applied, by their marks: `<home>/cursors/listings`.
fn listing_file(home: &Home, mark: i64) -> Location {
    home.root().join("cursors").join("listings").join(&format!("{mark:016x}.json"))
}

/// Keeps a listing, so that a later run can tell what has changed since.
///
/// # Errors
/// [`StorageError`] if the home's store refuses it.
pub async fn keep_listing(home: &Home, mark: i64, listing: &TextListing, stores: &Stores) -> Result<(), StorageError> {
    let file = listing_file(home, mark);
    // Paths and numbers: there is nothing in them that JSON refuses.
    let bytes = serde_json::to_vec(listing).unwrap_or_default();
    let put = stores.store(&file)?.put(&file.path()?, bytes.into()).await;
    put.map(drop).map_err(|source| StorageError::Access { location: file.to_string(), source })
}

/// A listing that was kept; `None` if it is not there any more.
///
/// # Errors
/// [`StorageError`] if the home's store fails.
pub(super) async fn kept_listing(home: &Home, mark: i64, stores: &Stores) -> Result<Option<TextListing>, StorageError> {
    let file = listing_file(home, mark);
    let failed = |source| StorageError::Access { location: file.to_string(), source };
    let found = match stores.store(&file)?.get(&file.path()?).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found.map_err(failed)?,
    };
    let bytes = found.bytes().await.map_err(failed)?;
    Ok(serde_json::from_slice(&bytes).ok())
}
