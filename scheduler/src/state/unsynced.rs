//! A state file that is left to the operating system: what a process has written survives its end, not a loss of power.
//!
//! Syncing takes milliseconds a change, several times a stage. What the state of an embedded Windlass is for ends with the
//! processes of a machine: leases, and events of runs under way. Run numbers are in the tables as well. So a loss of power
//! may take it, but not leave it torn: a file next to it says in which boot of the machine it was last changed, and in
//! another one it is checked before it is used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend, StorageError};

use super::redb::builder;

/// Where the kernel tells one boot of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What a redb file begins with.
const MAGIC: &[u8] = b"redb";

/// A file whose syncs do nothing.
#[derive(Debug)]
pub(super) struct Unsynced(FileBackend);

impl Unsynced {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self(FileBackend::new(file.map_err(StorageError::from)?)?))
    }
}

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

/// The file that says in which boot of the machine a state file was changed.
fn mark_of(state: &Path) -> PathBuf {
    state.with_extension("boot")
}

fn this_boot() -> Option<String> {
    Some(fs::read_to_string(BOOT_ID).ok()?.trim().to_owned())
}

/// Whether the state file was last changed in this boot of the machine, so that nothing of it can be lost.
pub(super) fn is_of_this_boot(state: &Path) -> bool {
    this_boot().is_some_and(|boot| fs::read_to_string(mark_of(state)).is_ok_and(|mark| mark.trim() == boot))
}

/// Makes sure that the state file is whole, once in each boot of the machine. One that is not is set aside.
///
/// # Errors
/// [`DatabaseError`] if it cannot be read, or is no state file at all.
pub(super) fn check(state: &Path) -> Result<(), DatabaseError> {
    let Some(boot) = this_boot() else { return Ok(()) };
    let mark = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(mark_of(state));
    checked(state, &mut mark.map_err(StorageError::from)?, &boot)
}

fn checked(state: &Path, mark: &mut File, boot: &str) -> Result<(), DatabaseError> {
    // One process at a time, so that none takes the new file of another for the old one. Closing it releases it.
    mark.lock().map_err(StorageError::from)?;
    let mut marked = String::new();
    mark.read_to_string(&mut marked).map_err(StorageError::from)?;
    if marked.trim() == boot {
        return Ok(());
    }
    if is_torn(state)? {
        let aside = state.with_extension("redb.lost");
        tracing::warn!(file = %state.display(), aside = %aside.display(), "a loss of power has damaged the state file");
        fs::rename(state, aside).map_err(StorageError::from)?;
    }
    let written = mark.set_len(0).and_then(|()| mark.rewind()).and_then(|()| mark.write_all(boot.as_bytes()));
    written.map_err(StorageError::from)?;
    Ok(())
}

/// Whether a loss of power has left only a part of what was written.
fn is_torn(state: &Path) -> Result<bool, DatabaseError> {
    if !state.exists() {
        return Ok(false);
    }
    match builder().set_check_integrity_on_open(true).open(state) {
        // Whoever has it open has checked it.
        Err(DatabaseError::DatabaseAlreadyOpen) => Ok(false),
        opened => Ok(unless_torn(state, opened)?.is_none()),
    }
}

/// What was opened with a check of its integrity; `None` if only a part of it was written.
pub(super) fn unless_torn<T>(state: &Path, opened: Result<T, DatabaseError>) -> Result<Option<T>, DatabaseError> {
    let error = match opened {
        Ok(opened) => return Ok(Some(opened)),
        Err(error) => error,
    };
    let mut head = [0; MAGIC.len()];
    let has_head = File::open(state).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    let is_damaged = matches!(error, DatabaseError::Storage(StorageError::Corrupted(_)) | DatabaseError::RepairAborted);
    match has_head && (head == [0; MAGIC.len()] || head == MAGIC && is_damaged) {
        true => Ok(None),
        false => Err(error),
    }
}
