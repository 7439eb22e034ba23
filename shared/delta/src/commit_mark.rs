//! What tells a version of a table from one of the same number in another history of it: a folder that was put back from a
//! backup and written to since, or another table under the same id.

use object_store::{GetOptions, GetRange, ObjectStore};
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use super::DeltaError;
use super::cursor::hash_mark;
use super::history::{commit_path, store_error};
use super::log_store::log_store;

/// As much of a commit as is looked at: it names times and files of its own from the first lines on.
const LOOKED_AT: u64 = 64 * 1024;

/// A hash of the commit that made `version` of the table at `location`, as transactions write it; `None` if its file is
/// not in the log any more. Costs one request.
///
/// # Errors
/// [`DeltaError::Log`] if the store fails.
pub async fn commit_mark(
    location: &Location,
    version: TableVersion,
    stores: &Stores,
) -> Result<Option<i64>, DeltaError> {
    let log = log_store(location, stores)?;
    let options = GetOptions { range: Some(GetRange::Bounded(0..LOOKED_AT)), ..GetOptions::default() };
    let found = match log.object_store(None).get_opts(&commit_path(version.0), options).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error(location, source)),
    };
    let size = found.meta.size;
    let bytes = found.bytes().await.map_err(|source| store_error(location, source))?;
    let mut hash = blake3::Hasher::new();
    hash.update(&size.to_le_bytes()).update(&bytes);
    Ok(Some(hash_mark(&hash.finalize().to_hex())))
}
