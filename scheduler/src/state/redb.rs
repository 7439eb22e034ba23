//! A state store in one file of the project's home.
//!
//! Who has the file open for writing locks out every other process. A run lasts long, and meanwhile other commands must
//! be able to look at the state, so the file is opened for each operation and closed at once; a process that finds it open
//! tries again shortly after. A change costs several syncs of the disk, a look at the state none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition};

use super::clock::{Clock, SystemClock};
use super::error::StateError;
use super::lease::{self, Lease, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
use super::store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
use super::watch::Seen;

/// The layout of the tables below.
const FORMAT: u64 = 1;
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// `format`, and `revision`: the latest one given.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// How long an operation waits for other processes to close the file.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How often a watch looks at the file.
const WATCH_PERIOD: Duration = Duration::from_millis(200);
/// The file is opened for a moment only: a cache of redb's usual gigabyte would never fill.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// A state store in a file. Any number of handles, in any number of processes of a machine, may use the same file.
#[derive(Debug, Clone)]
pub struct RedbStore {
    clock: Arc<dyn Clock>,
    file: Arc<StateFile>,
}

#[derive(Debug)]
struct StateFile {
    path: PathBuf,
    /// Held while this handle has the file open, so that the tasks of one process take turns without waiting in vain.
    turn: Mutex<()>,
}

impl RedbStore {
    /// The store in the file at `path`, which is made, with its folder, if there is none.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        Self::open_with_clock(path, Arc::new(SystemClock)).await
    }

    /// As [`RedbStore::open`], with leases that expire by `clock`.
    pub async fn open_with_clock(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let file = StateFile { path: path.into(), turn: Mutex::new(()) };
        let store = Self { clock, file: Arc::new(file) };
        store.blocking(StateFile::prepare).await?;
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
    /// Makes the file and its tables, or checks those that are there.
    fn prepare(&self) -> Result<(), StateError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.unavailable(error))?;
        }
        self.write(|database| {
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
        })
        .and_then(|found| match found {
            FORMAT => Ok(()),
            _ => Err(StateError::Format { path: self.path.clone(), found, supported: FORMAT }),
        })
    }

    fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        self.read(|database| {
            let entries = database.begin_read()?.open_table(ENTRIES)?;
            let found = entries.get(key)?;
            Ok(found.map(|v| versioned(v.value())))
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.read(|database| {
            let entries = database.begin_read()?.open_table(ENTRIES)?;
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

    /// Opens the file for writing, does the work and closes it.
    fn write<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let _turn = self.turn.lock();
        let database = self.when_free(|| builder().create(&self.path))?;
        work(&database).map_err(|error| self.failed(error))
    }

    /// Opens the file for reading, which costs a thousandth of opening it for writing, does the work and closes it.
    fn read<T>(&self, work: impl FnOnce(&ReadOnlyDatabase) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let _turn = self.turn.lock();
        let database = self.when_free(|| match builder().open_read_only(&self.path) {
            // The process that wrote last was killed meanwhile; only opening the file for writing repairs it.
            Err(DatabaseError::RepairAborted) => {
                drop(builder().open(&self.path)?);
                builder().open_read_only(&self.path)
            }
            opened => opened,
        })?;
        work(&database).map_err(|error| self.failed(error))
    }

    /// Opens the file as soon as no other process has it open.
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

fn builder() -> Builder {
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
