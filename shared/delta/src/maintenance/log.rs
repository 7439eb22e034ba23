//! The log itself: a checkpoint of a version, and removal of what a checkpoint stands for.

use deltalake::checkpoints::create_checkpoint;
use deltalake::{DeltaResult, DeltaTable};
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use windlass_base::failpoint;
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use super::Removed;
use crate::DeltaError;
use crate::error::WriteError;
use crate::log::{load, log_store, store_error};

/// What tells readers of a log where to begin.
const HINT: &str = "_delta_log/_last_checkpoint";

/// Makes a checkpoint of a version.
///
/// # Errors
/// [`DeltaError::Log`] if the log or the store fails.
pub async fn checkpoint(location: &Location, version: TableVersion, stores: &Stores) -> Result<(), DeltaError> {
    let mut table = DeltaTable::new(log_store(location, stores)?);
    let make = async {
        table.load_version(version.0).await?;
        create_checkpoint(&table, None).await?;
        DeltaResult::Ok(())
    };
    make.await.map_err(|source| DeltaError::Log { location: location.to_string(), source })
}

/// A file of a log that belongs to versions.
#[derive(Debug, PartialEq, Eq)]
enum LogFile {
    /// A commit, or a checksum of one.
    Commit(u64),
    /// A checkpoint, or a part of one: which of how many.
    Checkpoint(u64, Option<u64>),
    /// Commits up to this version in one file.
    Compacted(u64),
}

impl LogFile {
    fn of(name: &str) -> Option<Self> {
        let (version, kind) = name.split_once('.')?;
        let version: u64 = (version.len() == 20).then(|| version.parse().ok()).flatten()?;
        match kind.split('.').collect::<Vec<_>>().as_slice() {
            ["json" | "crc"] => Some(Self::Commit(version)),
            ["checkpoint", "parquet"] | ["checkpoint", _, "parquet" | "json"] => Some(Self::Checkpoint(version, None)),
            ["checkpoint", _, parts, "parquet"] => Some(Self::Checkpoint(version, parts.parse().ok())),
            [last, "compacted", "json"] => Some(Self::Compacted(last.parse().ok()?)),
            _ => None,
        }
    }

    /// The last version that it is of.
    fn version(&self) -> u64 {
        match self {
            Self::Commit(version) | Self::Checkpoint(version, _) | Self::Compacted(version) => *version,
        }
    }
}

/// Removes commits and checkpoints of versions before `before`, which must have a complete checkpoint, oldest first. What
/// stays tells every version from `before` on.
///
/// # Errors
/// [`WriteError::Encode`] if that version has no checkpoint, [`DeltaError::Log`] if the store fails or the version cannot
/// be read.
pub async fn clean_log(
    location: &Location,
    before: TableVersion,
    stores: &Stores,
    cancel: &CancellationToken,
) -> Result<Removed, DeltaError> {
    let log = log_store(location, stores)?;
    // It must be there and readable before anything goes.
    load(location, &log, Some(before.0)).await?;
    let store = log.object_store(None);
    let folder = StorePath::from("_delta_log");
    let mut files: Vec<(LogFile, StorePath, u64)> = Vec::new();
    let mut listing = store.list(Some(&folder));
    while let Some(meta) = listing.try_next().await.map_err(|source| store_error(location, source))? {
        let nested = meta.location.parts().count() > 2;
        if let Some(file) = meta.location.filename().filter(|_| !nested).and_then(LogFile::of) {
            files.push((file, meta.location, meta.size));
        }
    }
    if !has_checkpoint(files.iter().map(|(file, ..)| file), before.0) {
        let reason = format!("version {before} has no checkpoint, so commits before it must stay");
        return Err(WriteError::Encode { what: format!("the log of `{location}`"), reason }.into());
    }
    if hint(location, store.as_ref()).await?.is_some_and(|hint| hint < before.0) {
        // Readers would begin at a checkpoint that goes.
        checkpoint(location, before, stores).await?;
    }
    files.retain(|(file, ..)| file.version() < before.0);
    files.sort_by_key(|(file, path, _)| (file.version(), path.clone()));
    let mut removed = Removed::default();
    for (_, path, bytes) in files {
        if cancel.is_cancelled() {
            break;
        }
        failpoint!("delta.log_file.before");
        let deleted = store.delete(&path).await;
        failpoint!("delta.log_file.after");
        match deleted {
            Ok(()) => {
                removed.files += 1;
                removed.bytes += bytes;
            }
            Err(object_store::Error::NotFound { .. }) => {}
            // A gap in the middle would be worse than what is left.
            Err(error) => {
                removed.failed = Some((1, error.to_string()));
                break;
            }
        }
    }
    Ok(removed)
}

/// Whether the log has a complete checkpoint of a version.
fn has_checkpoint<'f>(files: impl Iterator<Item = &'f LogFile>, version: u64) -> bool {
    let parts: Vec<Option<u64>> = files
        .filter_map(|file| match file {
            LogFile::Checkpoint(of, parts) if *of == version => Some(*parts),
            _ => None,
        })
        .collect();
    parts.contains(&None) || parts.first().is_some_and(|parts_of| Some(parts.len() as u64) == *parts_of)
}

/// The version that readers are told to begin at.
async fn hint(location: &Location, store: &dyn ObjectStore) -> Result<Option<u64>, DeltaError> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    let found = match store.get(&StorePath::from(HINT)).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error(location, source)),
    };
    let bytes = found.bytes().await.map_err(|source| store_error(location, source))?;
    Ok(serde_json::from_slice::<Hint>(&bytes).ok().map(|hint| hint.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_log_are_told_by_their_names() {
        let name = |kind: &str| format!("00000000000000000012.{kind}");
        assert_eq!(LogFile::of(&name("json")), Some(LogFile::Commit(12)));
        assert_eq!(LogFile::of(&name("crc")), Some(LogFile::Commit(12)));
        assert_eq!(LogFile::of(&name("checkpoint.parquet")), Some(LogFile::Checkpoint(12, None)));
        let v2 = name("checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet");
        assert_eq!(LogFile::of(&v2), Some(LogFile::Checkpoint(12, None)));
        let part = name("checkpoint.0000000001.0000000003.parquet");
        assert_eq!(LogFile::of(&part), Some(LogFile::Checkpoint(12, Some(3))));
        assert_eq!(LogFile::of(&name("00000000000000000015.compacted.json")), Some(LogFile::Compacted(15)));
        for other in ["_last_checkpoint", "12.json", "00000000000000000012.json.tmp", "readme.md"] {
            assert_eq!(LogFile::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_checkpoint_counts_when_all_of_its_parts_exist() {
        let part = || LogFile::Checkpoint(4, Some(2));
        assert!(has_checkpoint([LogFile::Checkpoint(4, None)].iter(), 4));
        assert!(has_checkpoint([part(), part()].iter(), 4));
        assert!(!has_checkpoint([part()].iter(), 4));
        assert!(!has_checkpoint([LogFile::Checkpoint(3, None), LogFile::Commit(4)].iter(), 4));
    }
}
