//! The folder in which a server keeps its temporary files.
//!
//! ```text
//! <server>-<id>/jobs/<job>/…   shuffle files; nothing else lies there, so no job can be named so that it means other files
//!              /spill/…       what queries spill
//! <server>-<id>.lock
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_base::coded;

/// The folder in a work folder with one folder per job.
const JOBS: &str = "jobs";
/// The folder in a work folder that queries may spill to.
const SPILL: &str = "spill";
const LOCK: &str = "lock";
/// Characters of the id in a folder's name.
const UUID_LENGTH: usize = 36;
const REMOVE_ATTEMPTS: usize = 10;
const REMOVE_PAUSE: Duration = Duration::from_millis(20);

/// The work folder cannot be created or read.
#[derive(Debug, thiserror::Error)]
#[error("the work folder `{folder}` cannot be used")]
pub struct WorkDirError {
    folder: String,
    source: io::Error,
}

coded! {
    struct WorkDirError => "WL0530", "name a folder on a local disk that can be written";
}

/// The folder of a server, locked while the server lives and removed when dropped.
///
/// Servers may share the parent folder: each has its own inside.
#[derive(Debug)]
pub struct WorkDir {
    id: String,
    path: PathBuf,
    jobs: PathBuf,
    /// Held, not read: the operating system releases it even if the process is killed.
    _lock: File,
}

impl WorkDir {
    /// Creates the folder of a new `server`, such as `executor`, inside `parent`, and removes those of killed ones.
    ///
    /// # Errors
    /// [`WorkDirError`] if it cannot be created or written.
    pub fn create(parent: &Path, server: &str) -> Result<Self, WorkDirError> {
        let id = uuid::Uuid::new_v4().to_string();
        Self::make(parent, server, id).map_err(|source| unusable(parent, source))
    }

    fn make(parent: &Path, server: &str, id: String) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let parent = parent.canonicalize()?;
        remove_abandoned(&parent, server)?;
        let path = parent.join(format!("{server}-{id}"));
        // The lock comes first: any process that sees the folder must find the lock taken.
        let lock = File::create(lock_of(&path))?;
        lock.try_lock().map_err(io::Error::from)?;
        fs::create_dir(&path)?;
        let jobs = path.join(JOBS);
        fs::create_dir(&jobs)?;
        Ok(Self { id, path, jobs, _lock: lock })
    }

    /// The id of the server whose folder this is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The inner folder for shuffle files, each below a folder with the name of its job.
    pub fn jobs(&self) -> &Path {
        &self.jobs
    }

    /// Creates the inner folder for spill files.
    ///
    /// # Errors
    /// [`WorkDirError`] if it cannot be created.
    pub fn spill_dir(&self) -> Result<PathBuf, WorkDirError> {
        let folder = self.path.join(SPILL);
        fs::create_dir_all(&folder).map_err(|source| unusable(&folder, source))?;
        Ok(folder)
    }
}

fn unusable(folder: &Path, source: io::Error) -> WorkDirError {
    WorkDirError { folder: folder.display().to_string(), source }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A task that is just being stopped may still create a file while the folder is emptied.
        for _ in 0..REMOVE_ATTEMPTS {
            if remove(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(REMOVE_PAUSE);
        }
        tracing::warn!(folder = %self.path.display(), "a work folder is left behind");
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension(LOCK)
}

fn remove(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder)?;
    fs::remove_file(lock_of(folder))
}

/// The folders inside `parent` that killed servers of any kind have left. Nothing is written.
///
/// # Errors
/// The system's, if `parent` is there and cannot be read.
pub fn abandoned_work_folders(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if is_work_folder(&path) && free_lock(&path).is_some() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Removes such a folder, unless its server lives after all. Returns whether it was removed.
///
/// # Errors
/// The system's, if it cannot be removed.
pub fn remove_abandoned_work_folder(folder: &Path) -> io::Result<bool> {
    let Some(_lock) = is_work_folder(folder).then(|| free_lock(folder)).flatten() else { return Ok(false) };
    remove(folder).map(|()| true)
}

/// Whether a folder has the name of one of a server.
fn is_work_folder(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let id = name.len().checked_sub(UUID_LENGTH).and_then(|at| name.split_at_checked(at));
    let is_name =
        id.is_some_and(|(server, id)| server.len() > 1 && server.ends_with('-') && uuid::Uuid::parse_str(id).is_ok());
    is_name && fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// The lock of a folder, held from now on, unless its server holds it.
fn free_lock(folder: &Path) -> Option<File> {
    let lock = File::open(lock_of(folder)).ok()?;
    lock.try_lock().is_ok().then_some(lock)
}

/// Removes the folders of such servers whose lock is not held. A folder without a lock file is just being created and is skipped.
fn remove_abandoned(parent: &Path, server: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()?.strip_prefix(server)?.strip_prefix('-'));
        if id.is_none_or(|id| uuid::Uuid::parse_str(id).is_err()) || !path.is_dir() {
            continue;
        }
        let Ok(lock) = File::open(lock_of(&path)) else { continue };
        if lock.try_lock().is_ok()
            && let Err(error) = remove(&path)
        {
            tracing::warn!(folder = %path.display(), %error, "an abandoned work folder cannot be removed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_servers_that_are_gone_are_abandoned() {
        let parent = std::env::temp_dir().join(format!("windlass-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&parent).unwrap();
        let parent = parent.canonicalize().unwrap();
        let alive = WorkDir::create(&parent, "executor").unwrap();
        let killed = parent.join(format!("scheduler-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(killed.join(JOBS)).unwrap();
        assert_eq!(
            abandoned_work_folders(&parent).unwrap(),
            Vec::<PathBuf>::new(),
            "without a lock it may be in the making"
        );
        File::create(lock_of(&killed)).unwrap();
        fs::create_dir(parent.join("others")).unwrap();
        assert_eq!(abandoned_work_folders(&parent).unwrap(), std::slice::from_ref(&killed));

        assert!(!remove_abandoned_work_folder(alive.path()).unwrap());
        assert!(!remove_abandoned_work_folder(&parent.join("others")).unwrap());
        assert!(remove_abandoned_work_folder(&killed).unwrap());
        assert!(!killed.exists() && !lock_of(&killed).exists() && alive.path().exists());
        assert_eq!(abandoned_work_folders(&parent.join("none")).unwrap(), Vec::<PathBuf>::new());
        drop(alive);
        fs::remove_dir_all(&parent).unwrap();
    }
}
