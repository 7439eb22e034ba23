//! A state store in this process's memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::error::StateError;
use super::lease::{self, Lease, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
use super::store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
use super::watch::Seen;
use crate::clock::{Clock, SystemClock};

/// A state store in memory. Clones share their contents, which end with the last of them.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    contents: Arc<Mutex<Contents>>,
    /// Marked after every change; a watch ends when the last store is gone.
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Contents {
    entries: BTreeMap<String, Versioned>,
    latest: u64,
}

impl Contents {
    fn next_revision(&mut self) -> Revision {
        self.latest += 1;
        Revision(self.latest)
    }

    fn list(&self, prefix: &str) -> Vec<Entry> {
        let from = self.entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        from.map(|(key, v)| Entry { key: key.clone(), value: v.value.clone(), revision: v.revision }).collect()
    }
}

impl MemoryStore {
    /// An empty store whose leases expire by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, contents: Arc::default(), changed: Arc::new(watch::Sender::new(())) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        Ok(self.contents.lock().entries.get(key).cloned())
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        let mut contents = self.contents.lock();
        let current = contents.entries.get(key);
        if current.map(|c| c.revision) != expected {
            return Ok(PutOutcome::Moved(current.cloned()));
        }
        let revision = contents.next_revision();
        contents.entries.insert(key.to_owned(), Versioned { value, revision });
        drop(contents);
        self.changed.send_replace(());
        Ok(PutOutcome::Put(revision))
    }

    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError> {
        let mut contents = self.contents.lock();
        let current = contents.entries.get(key);
        if current.map(|c| c.revision) != Some(expected) {
            return Ok(DeleteOutcome::Moved(current.cloned()));
        }
        contents.entries.remove(key);
        drop(contents);
        self.changed.send_replace(());
        Ok(DeleteOutcome::Deleted)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        Ok(self.contents.lock().list(prefix))
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
        let changed = self.changed.subscribe();
        let seen = Seen::new(&self.contents.lock().list(prefix));
        let start = (self.contents.clone(), changed, seen, prefix.to_owned());
        let batches = stream::unfold(start, |(contents, mut changed, mut seen, prefix)| async move {
            changed.changed().await.ok()?;
            let changes = seen.changes(contents.lock().list(&prefix));
            Some((stream::iter(changes.into_iter().map(Ok)), (contents, changed, seen, prefix)))
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
