//! The port: versioned keys and values, and leases.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::error::StateError;
use super::lease::{Lease, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};

/// The number of the change that gave a key its present value. It grows with every change of the store and is never
/// given twice, not even to a key that was deleted and put again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// A value and the revision that put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// The revision that put it there.
    pub revision: Revision,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The revision that put it there.
    pub revision: Revision,
}

/// What became of a compare-and-put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The value is there, under this revision.
    Put(Revision),
    /// The key was not as expected; this is what it holds, if anything. Nothing changed.
    Moved(Option<Versioned>),
}

/// What became of a compare-and-delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The key is gone.
    Deleted,
    /// The key was not as expected; this is what it holds, if anything. Nothing changed.
    Moved(Option<Versioned>),
}

/// A change that a watch saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key has a new value.
    Put(Entry),
    /// A key is gone.
    Deleted {
        /// The key.
        key: String,
    },
}

/// Where runs, pins and leases are kept.
///
/// Keys are `/`-separated texts; those under `lease/` belong to the leases. An error says that the outcome is unknown:
/// a change may have been made or not, and only reading again tells.
#[async_trait]
pub trait StateStore: Send + Sync + std::fmt::Debug {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError>;

    /// Puts a value if the key still has the `expected` revision; `None` expects that there is no such key.
    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError>;

    /// Deletes a key if it still has the `expected` revision.
    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError>;

    /// Deletes every key that begins with `prefix`: in one change, or one by one in their order.
    async fn delete_prefix(&self, prefix: &str) -> Result<(), StateError> {
        for entry in self.list(prefix).await? {
            self.compare_and_delete(&entry.key, entry.revision).await?;
        }
        Ok(())
    }

    /// Every key that begins with `prefix`, in the order of their bytes, all as of one moment.
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError>;

    /// What changes under `prefix` from now on. Changes that follow one another quickly may be merged: of a key that
    /// was put twice only the last value may be seen, and of one that was put and deleted, nothing. An error is not the end:
    /// what it hid is seen later.
    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError>;

    /// Takes the lease `name` for `ttl`, if it is free: never taken, released, expired, or held by a process of this
    /// machine that does not live any more. Its own holder is granted it again.
    async fn acquire_lease(&self, name: &str, holder: &LeaseHolder, ttl: Duration) -> Result<LeaseOutcome, StateError>;

    /// Prolongs a lease by `ttl` from now. A lease that has expired is not lost before another holder has taken it.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError>;

    /// Gives a lease back. One that is lost already is left to its new holder.
    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError>;

    /// The leases whose names begin with `prefix`, by name: who holds them, and whether that still counts.
    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError>;
}
