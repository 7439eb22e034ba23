//! What the folder `_delta_log` lists of a table's versions: which there are, and of what time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use deltalake::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use windlass_storage::Location;

use super::commit::{CommitFile, LOG_FOLDER, commit_path};
use super::store::store_error;
use crate::{DeltaError, ReadError};

/// The commits and checkpoints of a table's log.
#[derive(Debug, Default)]
pub(crate) struct LogListing {
    /// Commit files by version, with the time that the store gives them.
    commits: BTreeMap<u64, DateTime<Utc>>,
    pub(super) checkpoints: BTreeSet<u64>,
    /// Bytes of all files of the log.
    bytes: u64,
}

impl LogListing {
    /// Lists the log.
    ///
    /// # Errors
    /// [`DeltaError::Log`] if the store fails, [`ReadError::NotATable`] if there is no commit and no checkpoint.
    pub(crate) async fn list(location: &Location, log: &LogStoreRef) -> Result<Self, DeltaError> {
        let folder = StorePath::from(LOG_FOLDER);
        let store = log.object_store(None);
        let mut found = Self::default();
        let mut listing = store.list(Some(&folder));
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error(location, source))? {
            found.bytes += meta.size;
            let nested = meta.location.parts().count() > 2;
            let Some((version, kind)) = meta.location.filename().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Some(version) = (!nested && version.len() == 20).then(|| version.parse().ok()).flatten() else {
                continue;
            };
            if kind == "json" {
                found.commits.insert(version, meta.last_modified);
            } else if kind.starts_with("checkpoint.") {
                found.checkpoints.insert(version);
            }
        }
        if found.commits.is_empty() && found.checkpoints.is_empty() {
            let missing = location.local_path().is_some_and(|path| !path.exists());
            return Err(ReadError::NotATable { location: location.to_string(), missing }.into());
        }
        Ok(found)
    }

    /// The oldest version that can be rebuilt and the newest.
    pub(crate) fn range(&self) -> (u64, u64) {
        let first = |set: Option<u64>| set.unwrap_or_default();
        let oldest = if self.commits.contains_key(&0) {
            0
        } else {
            first(self.checkpoints.first().copied().or_else(|| self.commits.keys().next().copied()))
        };
        let newest = first(self.commits.keys().next_back().copied().max(self.checkpoints.last().copied()));
        (oldest, newest)
    }

    /// The versions with a checkpoint, complete or not.
    pub(crate) fn checkpoints(&self) -> impl Iterator<Item = u64> {
        self.checkpoints.iter().copied()
    }

    /// Bytes of all files of the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When each commit was made, by the times of the commit files, from the oldest version that can be rebuilt on. A file
    /// that is not younger than the one before counts as a millisecond younger than that, so times rise with versions.
    pub(crate) fn times(&self) -> Vec<(u64, DateTime<Utc>)> {
        let (oldest, newest) = self.range();
        let mut times = Vec::new();
        let mut last: Option<DateTime<Utc>> = None;
        for (version, time) in self.commits.range(oldest..=newest) {
            let least = last.map(|last| last + chrono::TimeDelta::milliseconds(1));
            let time = least.map_or(*time, |least| least.max(*time));
            times.push((*version, time));
            last = Some(time);
        }
        times
    }

    /// The newest version that is not younger than `timestamp`, by [`LogListing::times`].
    ///
    /// # Errors
    /// [`ReadError::BeforeFirstCommit`] if there is none.
    pub(crate) fn version_at(&self, location: &Location, timestamp: DateTime<Utc>) -> Result<u64, ReadError> {
        at_or_before(location, timestamp, &self.times())
    }

    /// Like [`LogListing::version_at`], for a table whose commits carry their own time: it reads them, by halves.
    ///
    /// # Errors
    /// [`ReadError::BeforeFirstCommit`] if there is no such version, [`DeltaError::Log`] if the store fails.
    pub(crate) async fn version_at_in_commit(
        &self,
        location: &Location,
        log: &LogStoreRef,
        timestamp: DateTime<Utc>,
    ) -> Result<u64, DeltaError> {
        let (oldest, newest) = self.range();
        let versions: Vec<u64> = self.commits.range(oldest..=newest).map(|(version, _)| *version).collect();
        let (mut low, mut high) = (0, versions.len());
        let mut first = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let version = versions[middle];
            let time = in_commit_time(location, log, version).await?.or_else(|| self.commits.get(&version).copied());
            let Some(time) = time else { break };
            if time <= timestamp {
                low = middle + 1;
            } else {
                first = Some((version, time));
                high = middle;
            }
        }
        match low.checked_sub(1) {
            Some(index) => Ok(versions[index]),
            None => Ok(at_or_before(location, timestamp, first.as_slice())?),
        }
    }
}

fn at_or_before(
    location: &Location,
    timestamp: DateTime<Utc>,
    times: &[(u64, DateTime<Utc>)],
) -> Result<u64, ReadError> {
    let count = times.partition_point(|(_, time)| *time <= timestamp);
    if let Some((version, _)) = count.checked_sub(1).and_then(|index| times.get(index)) {
        return Ok(*version);
    }
    let (oldest, oldest_timestamp) = times.first().copied().unwrap_or((0, timestamp));
    Err(ReadError::BeforeFirstCommit { location: location.to_string(), timestamp, oldest, oldest_timestamp })
}

/// The time of `version`: the one in the commit if `in_commit`, else that of its file; `None` if the file is gone.
///
/// # Errors
/// [`DeltaError::Log`] if the store fails.
pub(crate) async fn commit_time(
    location: &Location,
    log: &LogStoreRef,
    version: u64,
    in_commit: bool,
) -> Result<Option<DateTime<Utc>>, DeltaError> {
    if in_commit && let Some(time) = in_commit_time(location, log, version).await? {
        return Ok(Some(time));
    }
    match log.object_store(None).head(&commit_path(version)).await {
        Ok(meta) => Ok(Some(meta.last_modified)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(store_error(location, source)),
    }
}

/// `commitInfo.inCommitTimestamp` of `version`, if the commit is there and carries one.
async fn in_commit_time(
    location: &Location,
    log: &LogStoreRef,
    version: u64,
) -> Result<Option<DateTime<Utc>>, DeltaError> {
    Ok(CommitFile::read(location, log, version).await?.and_then(|commit| commit.in_commit_time()))
}
