//! A state store in one file of the project's home.
//!
//! Any number of processes may use the file at a time: redb lets one of them change it at a time, and the others read on.
//! Whoever changes it keeps it open, since opening it for that costs more than a change. To look at it, it is opened for a
//! moment, and is not changed by that: not even made if it is missing, or repaired if its last writer was killed.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use redb::backends::InMemoryBackend;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, StorageError, TableDefinition, TableError,
};

use super::error::StateError;
use super::lease::{self, Lease, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
use super::store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
use super::unsynced::{self, Unsynced};
use super::watch::Seen;
use crate::clock::{Clock, SystemClock};

/// The layout of the tables below.
const FORMAT: u64 = 1;
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// `format`, and `revision`: the latest one given.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// How long an operation waits for a process that does not share the file, such as one of an earlier version.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How often a watch looks at the file.
const WATCH_PERIOD: Duration = Duration::from_millis(200);
/// The file is small: a cache of redb's usual gigabyte would never fill.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What changes survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power: a change is on the disk when it has been made.
    PowerLoss,
    /// The end of the process, however it ends. A loss of power may take what was written, but leaves no damaged store.
    Process,
}

/// A state store in a file. Any number of handles, in any number of processes of a machine, may use the same file.
#[derive(Debug, Clone)]
pub struct RedbStore {
    clock: Arc<dyn Clock>,
    file: Arc<StateFile>,
}

#[derive(Debug)]
struct StateFile {
    path: PathBuf,
    durability: Durability,
    /// The file, open for changes, from the first of them on.
    writer: Mutex<Option<Writer>>,
}

/// The file as it is open for changes.
struct Writer {
    database: Database,
    /// Device and number of the file: at its path another one may lie by now.
    file: Option<(u64, u64)>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("file", &self.file).finish_non_exhaustive()
    }
}

impl RedbStore {
    /// The store in the file at `path`, which is made, with its folder, by the first change.
    ///
    /// # Errors
    /// [`StateError`] if there is a file that is no state store, or cannot be read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        Self::open_with(path, Durability::PowerLoss, Arc::new(SystemClock)).await
    }

    /// As [`RedbStore::open`], with changes that last as `durability` says, and leases that expire by `clock`.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub async fn open_with(
        path: impl Into<PathBuf>,
        durability: Durability,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StateError> {
        let file = StateFile { path: path.into(), durability, writer: Mutex::new(None) };
        let store = Self { clock, file: Arc::new(file) };
        store.blocking(|file| file.read((), |_| Ok(()))).await?;
        Ok(store)
    }

    /// As [`RedbStore::open`], and makes the file at once.
    ///
    /// # Errors
    /// As [`RedbStore::open`], and if the file cannot be made.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let store = Self::open(path).await?;
        store.blocking(|file| file.write(|_| Ok(()))).await?;
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&StateFile) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let file = Arc::clone(&self.file);
        let joined = tokio::task::spawn_blocking(move || work(&file)).await;
        joined.map_err(|error| self.file.unavailable(error))?
    }
}

impl StateFile {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        self.read(None, |transaction| {
            let entries = transaction.open_table(ENTRIES)?;
            let found = entries.get(key)?;
            Ok(found.map(|v| versioned(v.value())))
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.read(Vec::new(), |transaction| {
            let entries = transaction.open_table(ENTRIES)?;
            let mut listed = Vec::new();
            for item in entries.range(prefix..)? {
                let (key, value) = item?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                let Versioned { value, revision } = versioned(value.value());
                listed.push(Entry { key: key.value().to_owned(), value, revision });
            }
            Ok(listed)
        })
    }

    /// Puts `value`, or deletes the key where there is none, if the key is as expected. Answers with the new revision,
    /// or with what the key holds.
    fn compare_and_change(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Option<&[u8]>,
    ) -> Result<Result<Revision, Option<Versioned>>, StateError> {
        self.write(|database| {
            let transaction = database.begin_write()?;
            let outcome = {
                let mut entries = transaction.open_table(ENTRIES)?;
                let mut meta = transaction.open_table(META)?;
                let current = entries.get(key)?.map(|v| versioned(v.value()));
                if current.as_ref().map(|c| c.revision) == expected {
                    let next = meta.get("revision")?.map_or(0, |v| v.value()) + 1;
                    meta.insert("revision", next)?;
                    match value {
                        Some(value) => entries.insert(key, (next, value))?,
                        None => entries.remove(key)?,
                    };
                    Ok(Revision(next))
                } else {
                    Err(current)
                }
            };
            match &outcome {
                Ok(_) => transaction.commit()?,
                Err(_) => transaction.abort()?,
            }
            Ok(outcome)
        })
    }

    /// Deletes all keys that begin with `prefix`, in one change.
    fn delete_prefix(&self, prefix: &str) -> Result<(), StateError> {
        self.write(|database| {
            let transaction = database.begin_write()?;
            {
                let mut entries = transaction.open_table(ENTRIES)?;
                let deleted = entries.extract_from_if(prefix.., |key, _| key.starts_with(prefix))?.count();
                let mut meta = transaction.open_table(META)?;
                let revision = meta.get("revision")?.map_or(0, |v| v.value());
                meta.insert("revision", revision + u64::from(deleted > 0))?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// Does `work`, which changes the file.
    fn write<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let mut writer = self.writer.lock();
        let current = self.identity();
        // The old file is closed before another is opened.
        drop(writer.take_if(|writer| writer.file != current));
        let Writer { database, .. } = match &mut *writer {
            Some(writer) => writer,
            none => none.insert(self.open_for_changes()?),
        };
        let outcome = work(database);
        if outcome.is_err() {
            *writer = None;
        }
        outcome.map_err(|error| self.failed(error))
    }

    /// Opens the file for changes, and makes it and its tables if they are missing.
    fn open_for_changes(&self) -> Result<Writer, StateError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.unavailable(error))?;
        }
        let database = match self.durability {
            Durability::PowerLoss => self.when_free(|| shared().create(&self.path))?,
            Durability::Process => {
                unsynced::check(&self.path).map_err(|error| self.failed(error.into()))?;
                self.when_free(|| shared().create_with_backend(Unsynced::open(&self.path)?))?
            }
        };
        let format = format_of(&database).map_err(|error| self.failed(error))?;
        self.check(format)?;
        Ok(Writer { database, file: self.identity() })
    }

    /// Does `work`, which looks at the file; `missing` is the answer where there is none.
    fn read<T>(
        &self,
        missing: T,
        work: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StateError> {
        // The empty file of a process that is just making the store counts as none.
        let is_missing = |length: std::io::Result<u64>| match length {
            Ok(length) => Ok(length == 0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(self.unavailable(error)),
        };
        if is_missing(std::fs::metadata(&self.path).map(|file| file.len()))? {
            return Ok(missing);
        }
        let opened = match self.durability == Durability::PowerLoss || unsynced::is_of_this_boot(&self.path) {
            true => self.when_free(|| match shared().open_read_only(&self.path) {
                Ok(database) => Ok(Box::new(database) as Box<dyn ReadableDatabase>),
                Err(DatabaseError::RepairAborted) => Ok(Box::new(self.repaired_copy()?) as Box<dyn ReadableDatabase>),
                Err(error) => Err(error),
            })?,
            false => match unsynced::unless_torn(&self.path, self.repaired_copy()) {
                Ok(Some(copy)) => Box::new(copy),
                Ok(None) => return Ok(missing),
                Err(error) => return Err(self.failed(error.into())),
            },
        };
        let looked = || {
            let transaction = opened.begin_read()?;
            let format = match transaction.open_table(META) {
                Ok(meta) => meta.get("format")?.map(|v| v.value()),
                // Its tables are just being made.
                Err(TableError::TableDoesNotExist(_)) => return Ok((FORMAT, missing)),
                Err(error) => return Err(error.into()),
            };
            match format.unwrap_or(FORMAT) {
                FORMAT => Ok((FORMAT, work(transaction)?)),
                other => Ok((other, missing)),
            }
        };
        let (format, found) = looked().map_err(|error| self.failed(error))?;
        self.check(format)?;
        Ok(found)
    }

    /// A copy in memory of the file, whose last writer was killed: only whoever changes it repairs it.
    fn repaired_copy(&self) -> Result<Database, DatabaseError> {
        let bytes = std::fs::read(&self.path).map_err(StorageError::from)?;
        let memory = InMemoryBackend::new();
        memory.set_len(bytes.len() as u64).map_err(StorageError::from)?;
        memory.write(0, &bytes).map_err(StorageError::from)?;
        builder().set_check_integrity_on_open(true).create_with_backend(memory)
    }

    fn check(&self, found: u64) -> Result<(), StateError> {
        match found {
            FORMAT => Ok(()),
            _ => Err(StateError::Format {
                store: self.path.display().to_string(),
                found: found.to_string(),
                supported: FORMAT.to_string(),
            }),
        }
    }

    /// Device and number of the file at the path.
    fn identity(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()))
    }

    /// Opens the file as soon as no process has it open that does not share it.
    fn when_free<D>(&self, open: impl Fn() -> Result<D, DatabaseError>) -> Result<D, StateError> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match open() {
                Ok(database) => return Ok(database),
                Err(DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(DatabaseError::DatabaseAlreadyOpen) => {
                    let waited_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                    return Err(StateError::Busy { path: self.path.clone(), waited_ms });
                }
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn failed(&self, error: redb::Error) -> StateError {
        match error {
            redb::Error::Corrupted(_)
            | redb::Error::RepairAborted
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableDoesNotExist(_) => {
                StateError::Damaged { path: self.path.clone(), detail: error.to_string() }
            }
            redb::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => {
                StateError::Damaged { path: self.path.clone(), detail: io.to_string() }
            }
            other => self.unavailable(other),
        }
    }

    fn unavailable(&self, error: impl std::error::Error + Send + Sync + 'static) -> StateError {
        StateError::Unavailable { store: self.path.display().to_string(), source: Box::new(error) }
    }
}

/// The format of the file, which gets its tables if it has none.
fn format_of(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        transaction.open_table(ENTRIES)?;
        let mut meta = transaction.open_table(META)?;
        let found = meta.get("format")?.map(|v| v.value());
        if found.is_none() {
            meta.insert("format", FORMAT)?;
        }
        found
    };
    match found {
        Some(_) => transaction.abort()?,
        None => transaction.commit()?,
    }
    Ok(found.unwrap_or(FORMAT))
}

/// How a file is opened that other processes may have open.
fn shared() -> Builder {
    let mut builder = builder();
    builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
    builder
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn versioned((revision, value): (u64, &[u8])) -> Versioned {
    Versioned { value: Bytes::copy_from_slice(value), revision: Revision(revision) }
}

#[async_trait]
impl StateStore for RedbStore {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let key = key.to_owned();
        self.blocking(move |file| file.get(&key)).await
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        let key = key.to_owned();
        let outcome = self.blocking(move |file| file.compare_and_change(&key, expected, Some(&value))).await?;
        Ok(outcome.map_or_else(PutOutcome::Moved, PutOutcome::Put))
    }

    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError> {
        let key = key.to_owned();
        let outcome = self.blocking(move |file| file.compare_and_change(&key, Some(expected), None)).await?;
        Ok(outcome.map_or_else(DeleteOutcome::Moved, |_| DeleteOutcome::Deleted))
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), StateError> {
        let prefix = prefix.to_owned();
        self.blocking(move |file| file.delete_prefix(&prefix)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        let prefix = prefix.to_owned();
        self.blocking(move |file| file.list(&prefix)).await
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
        let seen = Seen::new(&self.list(prefix).await?);
        let start = (self.clone(), seen, prefix.to_owned());
        let batches = stream::unfold(start, |(store, mut seen, prefix)| async move {
            tokio::time::sleep(WATCH_PERIOD).await;
            let changes = match store.list(&prefix).await {
                Ok(entries) => seen.changes(entries).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            Some((stream::iter(changes), (store, seen, prefix)))
        });
        Ok(batches.flatten().boxed())
    }

    async fn acquire_lease(&self, name: &str, holder: &LeaseHolder, ttl: Duration) -> Result<LeaseOutcome, StateError> {
        lease::acquire(self, &*self.clock, name, holder, ttl).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError> {
        lease::renew(self, &*self.clock, lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        lease::release(self, lease).await
    }

    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError> {
        lease::views(self, &*self.clock, prefix).await
    }
}
