//! What the log says of a range of versions, read from its commits.

use deltalake::DeltaTableError;
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde::Deserialize;
use windlass_storage::Location;

use super::range::{CommitFacts, LogFacts};
use crate::log::{Action, CommitFile, LogListing, TableMetadata, commit_path, load, store_error};
use crate::{DeltaError, ReadError};

/// How many commits are read side by side.
const AT_ONCE: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeInfo {
    in_commit_timestamp: Option<i64>,
}

/// What the log says of the versions `first` to `last`. What is not there is left out.
///
/// # Errors
/// [`ReadError`] if a version needs a reader feature that is not read, or if what is there breaks the protocol;
/// [`DeltaError::Log`] if the store fails.
pub(super) async fn read(
    location: &Location,
    log: &LogStoreRef,
    first: u64,
    last: u64,
) -> Result<LogFacts, DeltaError> {
    let commits = stream::iter(first..=last)
        .map(|version| async move { Ok::<_, DeltaError>((version, read_commit(location, log, version).await?)) })
        .buffered(AT_ONCE)
        .try_filter_map(|(version, commit)| async move { Ok(commit.map(|commit| (version, commit))) })
        .try_collect()
        .await?;
    let mut facts = LogFacts { table: location.to_string(), newest: last, before: None, commits };
    if let Some(after) = first.checked_sub(1) {
        let first_sets_metadata = facts.commits.get(&first).is_none_or(|commit| commit.table.is_some());
        facts.before = metadata_before(location, log, after, first_sets_metadata).await?;
    }
    let has_last = facts.commits.contains_key(&last) || (last.checked_add(1) == Some(first) && facts.before.is_some());
    if !has_last {
        facts.newest = LogListing::list(location, log).await?.range().1;
    }
    Ok(facts)
}

async fn read_commit(location: &Location, log: &LogStoreRef, version: u64) -> Result<Option<CommitFacts>, DeltaError> {
    let Some(file) = CommitFile::read(location, log, version).await? else { return Ok(None) };
    let mut commit = CommitFacts { written: file.written().timestamp_millis(), ..CommitFacts::default() };
    for action in file.actions() {
        match action? {
            Action::Protocol(protocol) => protocol.check(location)?,
            Action::Add(added) => commit.adds.push(added),
            Action::Remove(removed) => commit.removes.push(removed),
            Action::ChangeData(recorded) => commit.recorded.push(recorded),
            Action::Metadata(metadata) => commit.table = Some(metadata),
            Action::CommitInfo(info) => {
                let info: TimeInfo = file.info(info)?;
                commit.in_commit_timestamp = info.in_commit_timestamp.or(commit.in_commit_timestamp);
            }
            Action::Transaction(_) => {}
        }
    }
    Ok(Some(commit))
}

/// The metadata in force at version `after`; `None` if it cannot be known.
///
/// Log clean-up keeps a checkpoint and the commits from its version on. A range that begins with that version can still be
/// read: unless its commit sets other metadata, what holds there held before.
async fn metadata_before(
    location: &Location,
    log: &LogStoreRef,
    after: u64,
    first_sets_metadata: bool,
) -> Result<Option<TableMetadata>, DeltaError> {
    match metadata_at(location, log, after).await {
        Ok(metadata) => return Ok(Some(metadata)),
        Err(DeltaError::Read(ReadError::VersionNotFound { .. })) => {}
        // The log has a hole, if it lacks that very commit.
        Err(DeltaError::Read(error @ ReadError::InvalidLog { .. })) => {
            match log.object_store(None).head(&commit_path(after)).await {
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(store_error(location, source)),
                Ok(_) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error),
    }
    if first_sets_metadata {
        return Ok(None);
    }
    match metadata_at(location, log, after + 1).await {
        Ok(metadata) => Ok(Some(metadata)),
        Err(DeltaError::Read(ReadError::VersionNotFound { .. } | ReadError::InvalidLog { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn metadata_at(location: &Location, log: &LogStoreRef, version: u64) -> Result<TableMetadata, DeltaError> {
    let snapshot = load(location, log, Some(version)).await?;
    serde_json::to_value(snapshot.metadata()).and_then(serde_json::from_value).map_err(|source| DeltaError::Log {
        location: location.to_string(),
        source: DeltaTableError::SerializeLogJson { json_err: source },
    })
}
