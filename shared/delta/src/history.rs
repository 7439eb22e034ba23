//! What the folder `_delta_log` says about a table's versions: which there are, of what time, and why a log that
//! cannot be loaded is broken.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use deltalake::DeltaTableError;
use deltalake::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use windlass_storage::Location;

use super::feature::ReaderProtocol;
use super::{DeltaError, ReadError};

const LOG_FOLDER: &str = "_delta_log";

/// The table property that moves commit times into the log ("In-Commit Timestamps").
pub(super) const IN_COMMIT_TIMESTAMPS: &str = "delta.enableInCommitTimestamps";

/// The commits and checkpoints of a table's log.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Commit files by version, with the time that the store gives them.
    commits: BTreeMap<u64, DateTime<Utc>>,
    checkpoints: BTreeSet<u64>,
}

impl History {
    /// Lists the log.
    ///
    /// # Errors
    /// [`DeltaError::Log`] if the store fails, [`ReadError::NotATable`] if there is no commit and no checkpoint.
    pub(super) async fn list(location: &Location, log: &LogStoreRef) -> Result<Self, DeltaError> {
        let folder = StorePath::from(LOG_FOLDER);
        let store = log.object_store(None);
        let mut history = Self::default();
        let mut listing = store.list(Some(&folder));
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error(location, source))? {
            let nested = meta.location.parts().count() > 2;
            let Some((version, kind)) = meta.location.filename().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Some(version) = (!nested && version.len() == 20).then(|| version.parse().ok()).flatten() else {
                continue;
            };
            if kind == "json" {
                history.commits.insert(version, meta.last_modified);
            } else if kind.starts_with("checkpoint.") {
                history.checkpoints.insert(version);
            }
        }
        if history.commits.is_empty() && history.checkpoints.is_empty() {
            return Err(ReadError::NotATable { location: location.to_string() }.into());
        }
        Ok(history)
    }

    /// The oldest version that can be rebuilt and the newest.
    pub(super) fn range(&self) -> (u64, u64) {
        let first = |set: Option<u64>| set.unwrap_or_default();
        let oldest = if self.commits.contains_key(&0) {
            0
        } else {
            first(self.checkpoints.first().copied().or_else(|| self.commits.keys().next().copied()))
        };
        let newest = first(self.commits.keys().next_back().copied().max(self.checkpoints.last().copied()));
        (oldest, newest)
    }

    /// The newest version that is not younger than `timestamp`, by the times of the commit files. A file that is
    /// not younger than the one before counts as a millisecond younger than that, so times rise with versions.
    ///
    /// # Errors
    /// [`ReadError::BeforeFirstCommit`] if there is none.
    pub(super) fn version_at(&self, location: &Location, timestamp: DateTime<Utc>) -> Result<u64, ReadError> {
        let (oldest, newest) = self.range();
        let mut times = Vec::new();
        let mut last: Option<DateTime<Utc>> = None;
        for (version, time) in self.commits.range(oldest..=newest) {
            let least = last.map(|last| last + chrono::TimeDelta::milliseconds(1));
            let time = least.map_or(*time, |least| least.max(*time));
            times.push((*version, time));
            last = Some(time);
        }
        at_or_before(location, timestamp, &times)
    }

    /// Like [`History::version_at`], for a table whose commits carry their own time: it reads them, by halves.
    ///
    /// # Errors
    /// [`ReadError::BeforeFirstCommit`] if there is no such version, [`DeltaError::Log`] if the store fails.
    pub(super) async fn version_at_in_commit(
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
pub(super) async fn commit_time(
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
    let Some(text) = read_commit(location, log, version).await? else { return Ok(None) };
    let first = text.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok());
    Ok(first
        .and_then(|action| action["commitInfo"]["inCommitTimestamp"].as_i64())
        .and_then(DateTime::from_timestamp_millis))
}

/// Says why the snapshot of `version` (or the newest) could not be loaded: a typed reason where the log shows one,
/// else `cause` as it is.
pub(super) async fn explain(
    location: &Location,
    log: &LogStoreRef,
    version: Option<u64>,
    cause: DeltaTableError,
) -> DeltaError {
    match diagnose(location, log, version).await {
        Ok(Some(reason)) => reason.into(),
        Ok(None) => DeltaError::Log { location: location.to_string(), source: cause },
        Err(error) => error,
    }
}

async fn diagnose(
    location: &Location,
    log: &LogStoreRef,
    version: Option<u64>,
) -> Result<Option<ReadError>, DeltaError> {
    let history = History::list(location, log).await?;
    let (oldest, newest) = history.range();
    if let Some(version) = version
        && !(oldest..=newest).contains(&version)
    {
        return Ok(Some(ReadError::VersionNotFound { location: location.to_string(), version, oldest, newest }));
    }
    let last = version.unwrap_or(newest);
    let base = history.checkpoints.range(..=last).next_back().copied();
    let invalid = |reason: String| ReadError::InvalidLog { location: location.to_string(), reason };
    let (mut protocol, mut metadata) = (None::<ReaderProtocol>, false);
    for version in (base.map_or(0, |base| base + 1)..=last).rev() {
        let Some(text) = read_commit(location, log, version).await? else {
            return Ok(Some(invalid(format!("version {version} has no commit file"))));
        };
        let actions = match commit_lines::<Value>(location, version, text.as_bytes()) {
            Ok(actions) => actions,
            Err(damage) => return Ok(Some(damage)),
        };
        for action in actions {
            metadata |= action["metaData"].is_object();
            if protocol.is_none() && action["protocol"].is_object() {
                protocol = serde_json::from_value(action["protocol"].clone()).ok();
                if protocol.is_none() {
                    return Ok(Some(invalid(format!("the protocol action of version {version} is malformed"))));
                }
            }
        }
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
    Ok(None)
}

/// Refuses a log with an empty commit file behind its last checkpoint, up to `version` if one is given. A disk that lost
/// power may hold such files, and the library takes one for a commit that did nothing.
///
/// # Errors
/// [`ReadError::InvalidLog`] that names the file, [`DeltaError::Log`] if the store fails.
pub(super) async fn check_commits(
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
            return Err(empty_commit(location, found).into());
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

/// The lines of the commit that made `version`.
///
/// # Errors
/// [`ReadError::InvalidLog`] that names the file, if it is empty or does not hold JSON to its end.
pub(super) fn commit_lines<T: DeserializeOwned>(
    location: &Location,
    version: u64,
    bytes: &[u8],
) -> Result<Vec<T>, ReadError> {
    if bytes.trim_ascii().is_empty() {
        return Err(empty_commit(location, version));
    }
    let lines = serde_json::Deserializer::from_slice(bytes).into_iter().collect::<Result<Vec<T>, _>>();
    lines.map_err(|error| ReadError::InvalidLog {
        location: location.to_string(),
        reason: format!("the commit file `{}` is damaged or cut off ({error})", commit_path(version)),
    })
}

fn empty_commit(location: &Location, version: u64) -> ReadError {
    let reason = format!("the commit file `{}` is empty", commit_path(version));
    ReadError::InvalidLog { location: location.to_string(), reason }
}

async fn read_commit(location: &Location, log: &LogStoreRef, version: u64) -> Result<Option<String>, DeltaError> {
    let bytes = match log.object_store(None).get(&commit_path(version)).await {
        Ok(found) => found.bytes().await.map_err(|source| store_error(location, source))?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error(location, source)),
    };
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Where the log file of `version` is, below the table's root.
pub(super) fn commit_path(version: u64) -> StorePath {
    StorePath::from_iter([LOG_FOLDER.to_owned(), format!("{version:020}.json")])
}

/// A failure of the store that holds the table at `location`.
pub(super) fn store_error(location: &Location, source: object_store::Error) -> DeltaError {
    DeltaError::Log { location: location.to_string(), source: DeltaTableError::ObjectStore { source } }
}
