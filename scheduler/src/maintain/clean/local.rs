//! What killed processes have left on this machine: work folders, and files to which their queries have spilled.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use windlass_evidence::artifact::CleanKind;
use windlass_process::{abandoned_work_folders, remove_abandoned_work_folder};

use super::error::CleanError;
use super::folder::local_size;
use super::item::{Found, Remove};
use crate::home::Home;

/// How the engine calls the folders to which queries spill.
const SPILL_PREFIX: &str = "datafusion-";
/// Spilled files carry no sign of their process, so those stay that were written to within this time.
const SPILL_REST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The work folders of the embedded cluster of a home whose processes are gone, with their shuffle and spill files.
pub(super) fn work_folders(home: &Home) -> Result<Vec<Found>, CleanError> {
    let Some(parent) = home.work_dir() else { return Ok(Vec::new()) };
    let folders = abandoned_work_folders(&parent).map_err(|error| unlisted(&parent, &error))?;
    let found = |folder: PathBuf| {
        let reason = "the process that made it is gone".to_owned();
        found(CleanKind::WorkFolder, &folder, reason, Remove::WorkFolder(folder.clone()))
    };
    folders.into_iter().map(found).collect()
}

/// The folders in `parent` to which queries have spilled, and nobody writes any more.
pub(super) fn spills(parent: &Path, now: SystemTime) -> Result<Vec<Found>, CleanError> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unlisted(parent, &error)),
    };
    let mut spills = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unlisted(parent, &error))?;
        let is_spill = entry.file_name().to_string_lossy().starts_with(SPILL_PREFIX);
        if !is_spill || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let is_old = |written: SystemTime| now.duration_since(written).is_ok_and(|age| age > SPILL_REST);
        if last_written(&path).is_ok_and(is_old) {
            let reason = "nobody has written to it for 7 days".to_owned();
            spills.push(found(CleanKind::Spill, &path, reason, Remove::Spill(path.clone()))?);
        }
    }
    Ok(spills)
}

/// When a folder, or a file in it, was last written to.
fn last_written(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = fs::metadata(folder)?.modified()?;
    for entry in fs::read_dir(folder)? {
        newest = newest.max(entry?.metadata()?.modified()?);
    }
    Ok(newest)
}

fn found(kind: CleanKind, folder: &Path, reason: String, remove: Remove) -> Result<Found, CleanError> {
    Ok(Found {
        kind,
        name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        location: folder.display().to_string(),
        size: local_size(folder).map_err(|error| unlisted(folder, &error))?,
        reason,
        remove: Some(remove),
    })
}

/// Removes the work folder of a process, unless it lives after all.
pub(super) fn remove_work_folder(folder: &Path) -> Result<bool, CleanError> {
    remove_abandoned_work_folder(folder).map_err(|error| not_removed(folder, &error))
}

/// Removes a folder of spilled files.
pub(super) fn remove_spill(folder: &Path) -> Result<(), CleanError> {
    fs::remove_dir_all(folder).map_err(|error| not_removed(folder, &error))
}

fn unlisted(folder: &Path, error: &io::Error) -> CleanError {
    CleanError::Unlisted { location: folder.display().to_string(), reason: error.to_string() }
}

fn not_removed(folder: &Path, error: &io::Error) -> CleanError {
    CleanError::NotRemoved { location: folder.display().to_string(), reason: error.to_string() }
}
