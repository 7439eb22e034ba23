//! What is wrong with a log that cannot be loaded, or that must not be.

use deltalake::DeltaTableError;
use deltalake::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use windlass_base::engine_terms::without_engine_terms;
use windlass_storage::{Location, advice};

use super::action::Action;
use super::commit::{CommitFile, LOG_FOLDER, commit_path, empty_commit};
use super::listing::LogListing;
use super::protocol::ReaderProtocol;
use super::store::store_error;
use crate::error::is_transient;
use crate::{DeltaError, ReadError};

/// Says why the snapshot of `version` (or the newest) could not be loaded: a typed reason where the log shows one,
/// else `cause` as it is.
pub(crate) async fn explain(
    location: &Location,
    log: &LogStoreRef,
    version: Option<u64>,
    cause: DeltaTableError,
) -> DeltaError {
    match diagnose(location, log, version).await {
        Ok(Some(reason)) => reason.into(),
        Ok(None) => match damage(&cause) {
            Some(reason) => ReadError::InvalidLog { location: location.to_string(), reason }.into(),
            None => DeltaError::Log { location: location.to_string(), source: cause },
        },
        Err(error) => error,
    }
}

/// What the library says against the log itself, if its store is not the cause.
fn damage(cause: &DeltaTableError) -> Option<String> {
    let DeltaTableError::KernelError(kernel) = cause else { return None };
    let text = kernel.to_string();
    let is_of_store = text.contains("object store") || is_transient(cause) || advice(cause).is_some();
    (!is_of_store).then(|| without_engine_terms(&text).trim_end_matches('.').to_owned())
}

async fn diagnose(
    location: &Location,
    log: &LogStoreRef,
    version: Option<u64>,
) -> Result<Option<ReadError>, DeltaError> {
    let listing = LogListing::list(location, log).await?;
    let (oldest, newest) = listing.range();
    if let Some(version) = version
        && !(oldest..=newest).contains(&version)
    {
        return Ok(Some(ReadError::VersionNotFound { location: location.to_string(), version, oldest, newest }));
    }
    let last = version.unwrap_or(newest);
    let base = listing.checkpoints.range(..=last).next_back().copied();
    let invalid = |reason: String| ReadError::InvalidLog { location: location.to_string(), reason };
    let (mut protocol, mut metadata) = (None::<ReaderProtocol>, false);
    for version in (base.map_or(0, |base| base + 1)..=last).rev() {
        let Some(commit) = CommitFile::read(location, log, version).await? else {
            return Ok(Some(invalid(format!("version {version} has no commit file"))));
        };
        let mut newest = None;
        for action in commit.actions() {
            match action {
                Ok(Action::Metadata(_)) => metadata = true,
                Ok(Action::Protocol(found)) => newest = newest.or(Some(found)),
                Ok(_) => {}
                Err(damage) => return Ok(Some(damage)),
            }
        }
        protocol = protocol.or(newest);
    }
    if let Some(Err(reason)) = protocol.as_ref().map(|protocol| protocol.check(location)) {
        return Ok(Some(reason));
    }
    if base.is_none() {
        let missing = match (protocol.is_some(), metadata) {
            (true, true) => return Ok(None),
            (false, true) => "no `protocol` action",
            (true, false) => "no `metaData` action",
            (false, false) => "no `protocol` and no `metaData` action",
        };
        return Ok(Some(invalid(format!("there is {missing} up to version {last}"))));
    }
    let damaged = match base {
        Some(base) => damaged_checkpoint(location, log, base).await?,
        None => None,
    };
    Ok(damaged.map(|name| invalid(format!("the checkpoint `{LOG_FOLDER}/{name}` is damaged or cut off"))))
}

/// The name of the checkpoint of `version`, if it is one file and not a whole Parquet file.
async fn damaged_checkpoint(
    location: &Location,
    log: &LogStoreRef,
    version: u64,
) -> Result<Option<String>, DeltaError> {
    const MAGIC: &[u8] = b"PAR1";
    let store = log.object_store(None);
    let name = format!("{version:020}.checkpoint.parquet");
    let path = StorePath::from_iter([LOG_FOLDER, name.as_str()]);
    let size = match store.head(&path).await {
        Ok(found) => found.size,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error(location, source)),
    };
    let Some(start) = size.checked_sub(MAGIC.len() as u64) else { return Ok(Some(name)) };
    let end = store.get_range(&path, start..size).await.map_err(|source| store_error(location, source))?;
    Ok((end.as_ref() != MAGIC).then_some(name))
}

/// Refuses a log with an empty commit file behind its last checkpoint, up to `version` if one is given. A disk that lost
/// power may hold such files, and the library takes one for a commit that did nothing.
///
/// # Errors
/// [`ReadError::InvalidLog`] that names the file, [`DeltaError::Log`] if the store fails.
pub(crate) async fn check_commits(
    location: &Location,
    log: &LogStoreRef,
    version: Option<u64>,
) -> Result<(), DeltaError> {
    let store = log.object_store(None);
    let folder = StorePath::from(LOG_FOLDER);
    let checkpoint =
        last_checkpoint(location, log).await?.filter(|last| version.is_none_or(|version| *last <= version));
    let mut listing = match checkpoint {
        Some(checkpoint) => store.list_with_offset(Some(&folder), &commit_path(checkpoint)),
        None => store.list(Some(&folder)),
    };
    while let Some(meta) = listing.try_next().await.map_err(|source| store_error(location, source))? {
        let found = meta.location.filename().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
        let Some(found) = found.filter(|_| meta.size == 0) else { continue };
        if meta.location == commit_path(found) && version.is_none_or(|version| found <= version) {
            return Err(empty_commit(&location.to_string(), found).into());
        }
    }
    Ok(())
}

/// The version of the last checkpoint, as its writer has noted it.
async fn last_checkpoint(location: &Location, log: &LogStoreRef) -> Result<Option<u64>, DeltaError> {
    let path = StorePath::from_iter([LOG_FOLDER, "_last_checkpoint"]);
    let bytes = match log.object_store(None).get(&path).await {
        Ok(found) => found.bytes().await.map_err(|source| store_error(location, source))?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error(location, source)),
    };
    Ok(serde_json::from_slice::<Value>(&bytes).ok().and_then(|noted| noted["version"].as_u64()))
}
