//! Files that nothing needs any more: found first, removed then.
//!
//! ```text
//! log ─needed→ paths of every file that a version or a change which stays reads
//!     ─candidates→ paths that earlier commits name, and where the folder is listed, all that lie in it
//! candidates − needed ─→ Garbage ─remove→ Removed
//! ```
//!
//! A folder is listed before the log is read: what was committed by the time of the listing is known to the log. Files that
//! no commit names may be somebody's who has yet to commit, so their age decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use deltalake::DeltaTableError;
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio_util::sync::CancellationToken;
use windlass_base::failpoint;
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use super::Retained;
use super::unfinished::unfinished;
use crate::log::{Action, CommitFile, FileAction, LogListing, load, log_store, store_error};
use crate::pin::{PinnedTable, pin_snapshot};
use crate::scan::deletion_vector::DeletionVector;
use crate::scan::files::resolve;
use crate::{DeltaError, ReadError};

/// Files that are removed side by side.
const SIDE_BY_SIDE: usize = 16;
/// The folder of change data files. Delta protocol, "Change Data Files".
const CHANGE_FOLDER: &str = "_change_data";
/// The folder of the log.
const LOG_FOLDER: &str = "_delta_log";

/// Files that nothing needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Their paths below the root of the table's store, with their bytes as far as they are known.
    pub files: BTreeMap<StorePath, u64>,
    /// Files on a local disk that a killed writer had not finished, with their bytes.
    pub unfinished: Vec<(PathBuf, u64)>,
}

impl Garbage {
    /// The bytes of the files whose size is known.
    pub fn bytes(&self) -> u64 {
        self.files.values().sum::<u64>() + self.unfinished.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many files.
    pub files: u64,
    /// Their bytes as far as they are known.
    pub bytes: u64,
    /// How many could not be removed, with the first reason; they are tried again the next time.
    pub failed: Option<(u64, String)>,
}

impl Removed {
    /// Counts a file that could not be removed.
    fn fail(&mut self, error: &dyn std::error::Error) {
        let (count, reason) = self.failed.take().unwrap_or_else(|| (0, error.to_string()));
        self.failed = Some((count + 1, reason));
    }
}

/// Which files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// Those that commits after this version name, or all that there are.
    Named {
        /// The version up to which earlier calls have looked.
        after: Option<TableVersion>,
    },
    /// All that lie in the table's folder; those that no commit names only if they are older than this.
    Listed {
        /// The time.
        unnamed_before: DateTime<Utc>,
    },
}

/// Finds the files of the table at `location` that nothing in `retained` needs, nor the newest version.
///
/// # Errors
/// As [`pin`](crate::pin::pin) for the versions that stay: nothing is garbage as long as one of them cannot be read.
pub async fn find_garbage(
    location: &Location,
    retained: &Retained,
    candidates: Candidates,
    stores: &Stores,
) -> Result<Garbage, DeltaError> {
    // Before the log: what the log does not know then was not committed when the folder was listed.
    let listed = match candidates {
        Candidates::Named { .. } => None,
        Candidates::Listed { .. } => Some(list(location, stores).await?),
    };
    let log = log_store(location, stores)?;
    let listing = LogListing::list(location, &log).await?;
    let (oldest, newest) = listing.range();
    let mut needed = HashSet::new();
    // What the log does not tell any more cannot be spared; from where it begins, all is.
    let since = retained.since.0.clamp(oldest, newest);
    let versions =
        retained.versions.iter().map(|version| version.0).filter(|version| (oldest..=newest).contains(version));
    for version in versions.chain([since, newest]).collect::<BTreeSet<_>>() {
        add_snapshot(location, &log, version, &mut needed).await?;
    }
    for version in since + 1..=newest {
        let Some(named) = named(location, &log, version).await? else {
            let reason = format!("the commit of version {version} does not exist, though later ones do");
            return Err(ReadError::InvalidLog { location: location.to_string(), reason }.into());
        };
        needed.extend(named.into_keys());
    }
    let mut garbage = HashMap::new();
    let first = match candidates {
        Candidates::Named { after: Some(after) } => after.0 + 1,
        _ => oldest,
    };
    for version in first..=since {
        garbage.extend(named(location, &log, version).await?.unwrap_or_default());
    }
    if let (Some(listed), Candidates::Listed { unnamed_before }) = (listed, candidates) {
        let is_due = |file: &ObjectMeta| garbage.contains_key(&file.location) || file.last_modified < unnamed_before;
        garbage = listed.into_iter().filter(is_due).map(|file| (file.location, file.size)).collect();
    }
    garbage.retain(|path, _| !needed.contains(path));
    let root = location.path()?;
    // Files elsewhere may be another table's.
    garbage.retain(|path, _| path.prefix_matches(&root));
    let unfinished = match (candidates, location.local_path()) {
        (Candidates::Listed { unnamed_before }, Some(folder)) => {
            unfinished(&folder, unnamed_before).map_err(|source| DeltaError::Log {
                location: location.to_string(),
                source: DeltaTableError::from(source),
            })?
        }
        _ => Vec::new(),
    };
    Ok(Garbage { files: garbage.into_iter().collect(), unfinished })
}

/// Removes files, and stops between two of them when `cancel` fires.
///
/// # Errors
/// If the location's store cannot be opened. A file that cannot be removed is none: it is counted.
pub async fn remove(
    location: &Location,
    garbage: &Garbage,
    stores: &Stores,
    cancel: &CancellationToken,
) -> Result<Removed, DeltaError> {
    let store = stores.store(location)?;
    let files = garbage.files.clone();
    let due = futures::stream::iter(files).take_while(|_| std::future::ready(!cancel.is_cancelled()));
    let outcomes = due.map(|(path, bytes)| {
        let store = Arc::clone(&store);
        async move {
            failpoint!("delta.vacuum_file.before");
            let deleted = store.delete(&path).await;
            failpoint!("delta.vacuum_file.after");
            match deleted {
                Ok(()) => Ok(bytes),
                Err(object_store::Error::NotFound { .. }) => Ok(0),
                Err(error) => Err(error),
            }
        }
    });
    let mut removed = Removed::default();
    let mut outcomes = outcomes.buffer_unordered(SIDE_BY_SIDE);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            // It was gone, or never there.
            Ok(0) => {}
            Ok(bytes) => {
                removed.files += 1;
                removed.bytes += bytes;
            }
            Err(error) => removed.fail(&error),
        }
    }
    for (path, bytes) in &garbage.unfinished {
        if cancel.is_cancelled() {
            break;
        }
        match tokio::fs::remove_file(path).await {
            Ok(()) => {
                removed.files += 1;
                removed.bytes += bytes;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => removed.fail(&error),
        }
    }
    Ok(removed)
}

/// The files of a pinned version that do not exist any more, by their paths.
///
/// # Errors
/// If the table's store cannot be opened or listed.
pub async fn missing_files(table: &PinnedTable, stores: &Stores) -> Result<Vec<String>, DeltaError> {
    let location = table.location();
    let (store, root) = (stores.store(location)?, location.path()?);
    let mut needed = HashSet::new();
    add_files(table, &mut needed);
    let mut listing = store.list(Some(&root));
    while let Some(found) = listing.try_next().await.map_err(|source| store_error(location, source))? {
        needed.remove(&found.location);
    }
    let mut missing = Vec::new();
    for path in needed {
        // Files of another folder were not listed.
        match store.head(&path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => missing.push(path.to_string()),
            Err(source) => return Err(store_error(location, source)),
        }
    }
    missing.sort();
    Ok(missing)
}

/// Everything in the table's folder that can be a file of its versions or changes.
async fn list(location: &Location, stores: &Stores) -> Result<Vec<ObjectMeta>, DeltaError> {
    let (store, root) = (stores.store(location)?, location.path()?);
    let all: Vec<ObjectMeta> =
        store.list(Some(&root)).try_collect().await.map_err(|source| store_error(location, source))?;
    let below = |path: &StorePath| -> Option<Vec<String>> {
        Some(path.prefix_match(&root)?.map(|part| part.as_ref().to_owned()).collect())
    };
    // A table may lie in the folder of another.
    let tables: BTreeSet<Vec<String>> = all
        .iter()
        .filter_map(|file| {
            let parts = below(&file.location)?;
            let log = parts.iter().position(|part| part == LOG_FOLDER).filter(|place| *place > 0)?;
            Some(parts[..log].to_vec())
        })
        .collect();
    let is_own = |file: &ObjectMeta| {
        below(&file.location)
            .is_some_and(|parts| is_table_file(&parts) && !tables.iter().any(|table| parts.starts_with(table)))
    };
    Ok(all.into_iter().filter(is_own).collect())
}

/// Whether a path below the table's root has the form that files of versions and changes have: those that begin with `_` or
/// `.` are hidden from every vacuum, but for the changes and for partitions by a column of such a name.
fn is_table_file(parts: &[String]) -> bool {
    let Some((name, folders)) = parts.split_last() else { return false };
    let is_hidden = |part: &String| part.starts_with(['_', '.']) && !part.contains('=');
    let folders = match folders.split_first() {
        Some((first, rest)) if first == CHANGE_FOLDER => rest,
        _ => folders,
    };
    let is_data = name.ends_with(".parquet");
    let is_vector = name.starts_with("deletion_vector_") && name.ends_with(".bin");
    (is_data || is_vector) && !is_hidden(name) && !folders.iter().any(is_hidden)
}

/// Adds what is read of a version.
async fn add_snapshot(
    location: &Location,
    log: &LogStoreRef,
    version: u64,
    needed: &mut HashSet<StorePath>,
) -> Result<(), DeltaError> {
    let snapshot = load(location, log, Some(version)).await?;
    add_files(&pin_snapshot(location, log, &snapshot).await?, needed);
    Ok(())
}

fn add_files(table: &PinnedTable, needed: &mut HashSet<StorePath>) {
    for file in &table.files().files {
        needed.insert(file.path.clone());
        let vector = file.deletion_vector.as_deref().and_then(DeletionVector::file);
        needed.extend(vector.map(StorePath::from));
    }
}

/// The files that the commit of a version names, with their bytes as far as it tells; `None` if the commit is gone.
async fn named(
    location: &Location,
    log: &LogStoreRef,
    version: u64,
) -> Result<Option<HashMap<StorePath, u64>>, DeltaError> {
    let Some(commit) = CommitFile::read(location, log, version).await? else { return Ok(None) };
    let mut named = HashMap::new();
    for action in commit.actions() {
        let (Action::Add(file) | Action::Remove(file) | Action::ChangeData(file)) = action? else { continue };
        if let Some(vector) = vector_of(location, &file)?.as_ref().and_then(DeletionVector::file) {
            // Several vectors share a file, whose size no action tells.
            named.entry(StorePath::from(vector)).or_insert(1);
        }
        named.insert(resolve(location, &file.path)?, file.size.unwrap_or(1).max(1));
    }
    Ok(Some(named))
}

fn vector_of(location: &Location, file: &FileAction) -> Result<Option<DeletionVector>, DeltaError> {
    let Some(vector) = &file.deletion_vector else { return Ok(None) };
    let (kind, path) = (&vector.storage_type, &vector.path_or_inline_dv);
    let (offset, bytes, rows) = (vector.offset, vector.size_in_bytes, vector.cardinality);
    Ok(Some(DeletionVector::of(location, &file.path, kind, path, offset, bytes, rows)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_tables_file_is_looked_at() {
        let is = |path: &str| is_table_file(&path.split('/').map(str::to_owned).collect::<Vec<_>>());
        for path in [
            "part-1.parquet",
            "deletion_vector_9bfc20cc-db37-4a34-aaff-9d5641169fad.bin",
            "_change_data/cdc-1.parquet",
            "_change_data/p=1/cdc-1.parquet",
            "_p=1/part-1.parquet",
            "p=_x/q=.y/part-1.parquet",
        ] {
            assert!(is(path), "{path}");
        }
        for path in [
            "_delta_log/00000000000000000000.json",
            "_delta_log/00000000000000000010.checkpoint.parquet",
            "README.md",
            "_SUCCESS",
            "_part-1.parquet",
            ".part-1.parquet.crc",
            ".hidden/part-1.parquet",
            "_index/part-1.parquet",
            "_change_data/_x/cdc-1.parquet",
            "model.bin",
        ] {
            assert!(!is(path), "{path}");
        }
    }
}
