//! What tells a version of a table from one of the same number in another history of it: a folder that was put back from a
//! backup and written to since, or another table under the same id.

use object_store::{GetOptions, GetRange, ObjectStore};
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use super::commit::commit_path;
use super::store::{log_store, store_error};
use crate::DeltaError;

/// As much of a commit as is looked at: it names times and files of its own from the first lines on.
const LOOKED_AT: u64 = 64 * 1024;

/// A hash as the version of a transaction: the first 63 bits of `hex`, the hexadecimal digits of a hash.
pub fn hash_as_version(hex: &str) -> i64 {
    let digits: String = hex.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    i64::from_str_radix(&digits, 16).or_else(|_| u64::from_str_radix(&digits, 16).map(u64::cast_signed)).unwrap_or(0)
        & i64::MAX
}

/// A hash of the commit that made `version` of the table at `location`, as transactions write it; `None` if its file is
/// not in the log any more. Costs one request.
///
/// # Errors
/// [`DeltaError::Log`] if the store fails.
pub async fn commit_hash(
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
    Ok(Some(hash_as_version(&hash.finalize().to_hex())))
}
