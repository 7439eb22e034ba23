//! A state store that stops whoever asks it for something, so that two tasks meet at exactly one point.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use windlass_scheduler::state::{
    Change, DeleteOutcome, Entry, Lease, LeaseHolder, LeaseOutcome, LeaseView, MemoryStore, PutOutcome, RenewOutcome,
    Revision, StateError, StateStore, Versioned,
};

/// Where a task stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// After a lease was granted.
    Granted,
    /// Before a lease is given back.
    Releasing,
    /// Before leases are listed.
    Listing,
    /// Before a value is read.
    Reading,
    /// Before a value is written.
    Writing,
}

/// How long a task may take to get to where it stops.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stop for the first task that comes by.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    point: Point,
    key: String,
    content: String,
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Stop {
    /// Waits until a task has stopped here.
    pub(super) async fn reached(&self) {
        let reached = tokio::time::timeout(PATIENCE, self.reached.acquire()).await;
        let reached = reached.unwrap_or_else(|_| panic!("nobody comes to {:?} of {}", self.point, self.key));
        reached.unwrap().forget();
    }

    /// Lets the task go on.
    pub(super) fn release(&self) {
        self.released.add_permits(1);
    }
}

/// State in memory with stops.
#[derive(Debug, Default)]
pub(super) struct Paused {
    inner: MemoryStore,
    stops: Mutex<Vec<Stop>>,
}

impl Paused {
    /// Stops the next task at `point` of a key that begins with `key`.
    pub(super) fn stop(&self, point: Point, key: &str) -> Stop {
        self.stop_at(point, key, "")
    }

    /// Stops the next task that writes a value with `content`.
    pub(super) fn stop_at(&self, point: Point, key: &str, content: &str) -> Stop {
        let stop = Stop {
            point,
            key: key.to_owned(),
            content: content.to_owned(),
            reached: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
        };
        self.stops.lock().push(stop.clone());
        stop
    }

    async fn pass(&self, point: Point, key: &str, content: &[u8]) {
        let found = {
            let mut stops = self.stops.lock();
            let here = |stop: &Stop| {
                let text = String::from_utf8_lossy(content);
                stop.point == point && key.starts_with(&stop.key) && text.contains(&stop.content)
            };
            stops.iter().position(here).map(|place| stops.remove(place))
        };
        if let Some(stop) = found {
            stop.reached.add_permits(1);
            stop.released.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait]
impl StateStore for Paused {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        self.pass(Point::Reading, key, b"").await;
        self.inner.get(key).await
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        self.pass(Point::Writing, key, &value).await;
        self.inner.compare_and_put(key, expected, value).await
    }

    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError> {
        self.inner.compare_and_delete(key, expected).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.inner.list(prefix).await
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
        self.inner.watch(prefix).await
    }

    async fn acquire_lease(&self, name: &str, holder: &LeaseHolder, ttl: Duration) -> Result<LeaseOutcome, StateError> {
        let outcome = self.inner.acquire_lease(name, holder, ttl).await?;
        if matches!(outcome, LeaseOutcome::Granted(_)) {
            self.pass(Point::Granted, name, b"").await;
        }
        Ok(outcome)
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError> {
        self.inner.renew_lease(lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        self.pass(Point::Releasing, &lease.name, b"").await;
        self.inner.release_lease(lease).await
    }

    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError> {
        self.pass(Point::Listing, prefix, b"").await;
        self.inner.leases(prefix).await
    }
}
