//! A home on a local disk: a lock of the operating system, which ends with the process that holds it.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use windlass_storage::Location;

use super::{Record, WriterError};
use crate::state::{LeaseHolder, ProcessIdentity};

/// The file in the home.
const FILE: &str = "writer.lock";
/// How often a lock is looked at whose holder has not come to saying who it is, and the pause between.
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// The lock, held until this is dropped. The file is there only as long.
#[derive(Debug)]
pub(super) struct FileLock {
    path: PathBuf,
    /// Held, not read.
    _file: File,
}

/// The outcome of an attempt.
enum Found {
    Ours(File),
    Taken(Record),
    /// The holder is just taking or leaving it.
    Unclear,
    /// The file system has no locks.
    Impossible,
}

impl FileLock {
    /// Takes the lock of the home at `folder`; `None` if its file system has no locks.
    pub(super) async fn take(
        home: &Location,
        folder: &Path,
        holder: &LeaseHolder,
    ) -> Result<Option<Self>, WriterError> {
        let unusable = |source: io::Error| WriterError::Unusable { home: home.to_string(), source: source.into() };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let path = folder.join(FILE);
        for _ in 0..LOOKS {
            match look(&path, holder).map_err(unusable)? {
                Found::Ours(file) => return Ok(Some(Self { path, _file: file })),
                Found::Impossible => return Ok(None),
                Found::Taken(Record { holder, since, .. }) => {
                    let (home, holder) = (home.to_string(), Box::new(holder));
                    return Err(WriterError::Busy { home, holder, since, expires_at: None });
                }
                Found::Unclear => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(unusable(io::Error::new(
            ErrorKind::WouldBlock,
            "another process holds its lock without a note of which process it is",
        )))
    }
}

fn look(path: &Path, holder: &LeaseHolder) -> io::Result<Found> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        // Its last holder has removed it meanwhile: the next process makes another.
        Ok(()) if !is_at(&file, path) => Ok(Found::Unclear),
        Ok(()) => {
            let record = Record { holder: holder.clone(), since: Utc::now(), expires_at: None };
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(&record)?)?;
            Ok(Found::Ours(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut text)?;
            let record = serde_json::from_slice::<Record>(&text).ok();
            // A run of this process may be just leaving.
            let is_other =
                |record: &Record| !record.holder.who.is_gone() && record.holder.who != ProcessIdentity::current();
            let record = record.filter(is_other);
            Ok(record.map_or(Found::Unclear, Found::Taken))
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(Found::Impossible),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an open file is the one that is at `path` now.
fn is_at(file: &File, path: &Path) -> bool {
    let same = || Some(id(&file.metadata().ok()?) == id(&fs::metadata(path).ok()?));
    same().unwrap_or_default()
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed while the lock is held, so that it is this one.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(note: &str) -> LeaseHolder {
        LeaseHolder { who: ProcessIdentity::current(), run_id: None, note: note.to_owned() }
    }

    #[tokio::test]
    async fn the_lock_is_free_again_when_its_holder_has_left() {
        let dir = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        let home = Location::from_path(&dir).unwrap();
        let first = FileLock::take(&home, &dir, &holder("first")).await.unwrap().unwrap();
        let refused = FileLock::take(&home, &dir, &holder("second")).await.unwrap_err();
        assert!(matches!(refused, WriterError::Unusable { .. }), "{refused}");
        drop(first);
        assert!(!dir.join(FILE).exists(), "it is left behind");
        let second = FileLock::take(&home, &dir, &holder("second")).await.unwrap().unwrap();
        assert!(dir.join(FILE).exists());
        drop(second);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
