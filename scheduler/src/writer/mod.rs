//! Who writes to a home: one process at a time, whatever scheduler or command it is. State stores cannot tell, since each
//! process may have its own.
//!
//! ```text
//! HomeWriter::hold ─┬─ local disk: a lock of the operating system on `<home>/writer.lock`, gone with its process   (file)
//!                   └─ object store: `<home>/writer/<n>.json`, each put only if absent; the newest counts         (lease)
//! ```
//!
//! The runs of one process share what it holds. Who only reads needs nothing of it.

mod error;
mod file;
mod lease;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use windlass_base::ids::RunId;
use windlass_storage::Stores;

pub use error::WriterError;
use file::FileLock;
use lease::ObjectLease;

use crate::clock::SystemClock;
use crate::home::Home;
use crate::state::{LeaseHolder, ProcessIdentity};

/// Who writes to a home, as a process that finds it taken reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    holder: LeaseHolder,
    since: DateTime<Utc>,
    /// When others may take it; none where the operating system tells whether the holder lives.
    expires_at: Option<DateTime<Utc>>,
}

/// The homes that this process writes to.
static HELD: Mutex<BTreeMap<String, Weak<Hold>>> = Mutex::new(BTreeMap::new());
/// Held while a home is taken or given back, so that the runs of this process do not meet in the middle.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Debug)]
struct Hold {
    lock: Lock,
    runs: Mutex<BTreeSet<RunId>>,
}

#[derive(Debug)]
enum Lock {
    /// Held, not read.
    File {
        _held: FileLock,
    },
    Lease(Box<ObjectLease>),
}

/// This process's right to write to a home, for one of its runs. Ends when it is released or dropped.
#[derive(Debug)]
pub struct HomeWriter {
    home: String,
    run: RunId,
    hold: Arc<Hold>,
}

impl HomeWriter {
    /// Takes the home for a run, unless another process writes to it.
    ///
    /// # Errors
    /// [`WriterError::Busy`] that says which process does, [`WriterError::Unusable`] if the home's store fails.
    pub async fn hold(home: &Home, run: RunId, note: &str, stores: &Stores) -> Result<Self, WriterError> {
        let key = home.root().to_string();
        let _turn = TURN.lock().await;
        let held = HELD.lock().get(&key).and_then(Weak::upgrade);
        let hold = match held {
            Some(hold) => hold,
            None => {
                let (who, run_id, note) = (ProcessIdentity::current(), Some(run.clone()), note.to_owned());
                let holder = LeaseHolder { who, run_id, note };
                let hold = Arc::new(Hold { lock: Lock::take(home, holder, stores).await?, runs: Mutex::default() });
                HELD.lock().insert(key.clone(), Arc::downgrade(&hold));
                hold
            }
        };
        hold.runs.lock().insert(run.clone());
        Ok(Self { home: key, run, hold })
    }

    /// The runs of this process that write to the home.
    pub fn runs(&self) -> BTreeSet<RunId> {
        self.hold.runs.lock().clone()
    }

    /// Prolongs it. Answers whether the home is still this process's.
    ///
    /// # Errors
    /// [`WriterError::Unusable`] if the home's store fails: the home is still this process's for a while.
    pub async fn renew(&self) -> Result<bool, WriterError> {
        match &self.hold.lock {
            Lock::File { .. } => Ok(true),
            Lock::Lease(lease) => lease.renew(&SystemClock).await,
        }
    }

    /// Whether the home is this process's for sure, also if it could not be prolonged.
    pub fn is_in_force(&self) -> bool {
        match &self.hold.lock {
            Lock::File { .. } => true,
            Lock::Lease(lease) => lease.is_in_force(&SystemClock),
        }
    }

    /// Gives it back, once no other run of this process needs it.
    ///
    /// # Errors
    /// [`WriterError::Unusable`] if the home's store fails: others can write when the lease has expired.
    pub async fn release(self) -> Result<(), WriterError> {
        let turn = TURN.lock().await;
        let released = match &self.hold.lock {
            // No other run's.
            Lock::Lease(lease) if Arc::strong_count(&self.hold) == 1 => lease.release(&SystemClock).await,
            _ => Ok(()),
        };
        drop(self);
        drop(turn);
        released
    }
}

impl Drop for HomeWriter {
    fn drop(&mut self) {
        self.hold.runs.lock().remove(&self.run);
        let mut held = HELD.lock();
        if Arc::strong_count(&self.hold) == 1 {
            held.remove(&self.home);
        }
    }
}

impl Lock {
    async fn take(home: &Home, holder: LeaseHolder, stores: &Stores) -> Result<Self, WriterError> {
        if let Some(folder) = home.root().local_path()
            && let Some(lock) = FileLock::take(home.root(), &folder, &holder).await?
        {
            return Ok(Self::File { _held: lock });
        }
        ObjectLease::take(home.root(), holder, stores, &SystemClock).await.map(|lease| Self::Lease(Box::new(lease)))
    }
}
