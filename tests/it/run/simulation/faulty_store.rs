//! A state store that is slow and fails, before or after a change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use windlass_scheduler::clock::Clock;
use windlass_scheduler::state::{
    Change, DeleteOutcome, Entry, Lease, LeaseHolder, LeaseOutcome, LeaseView, MemoryStore, PutOutcome, RenewOutcome,
    Revision, StateError, StateStore, Versioned,
};

use super::troubles::Troubles;
use super::virtual_clock::VirtualClock;

/// The store that all processes share.
#[derive(Debug, Clone)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    clock: VirtualClock,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug)]
struct Faults {
    random: StdRng,
    fails: f64,
    slow: f64,
    made: u64,
    /// The values of the event log's keys, in the order in which they were put.
    events: Vec<Bytes>,
}

impl FaultyStore {
    pub(super) fn new(seed: u64, troubles: &Troubles, clock: VirtualClock) -> Self {
        let (fails, slow) = (troubles.store_fails, troubles.store_slow);
        let faults = Faults { random: StdRng::seed_from_u64(seed), fails, slow, made: 0, events: Vec::new() };
        Self { inner: MemoryStore::default(), clock, faults: Arc::new(Mutex::new(faults)) }
    }

    /// The store as one process reaches it. `death` fires at the given moment of its operations, each of which has one
    /// before and one after it takes effect.
    pub(super) fn connect(&self, death: CancellationToken, last_moment: Option<u32>) -> Connection {
        let moments_left = Mutex::new(last_moment);
        Connection { store: self.clone(), death, moments_left, failing_since: Mutex::default() }
    }

    /// The store without its faults.
    pub(super) fn sound(&self) -> Arc<dyn StateStore> {
        Arc::new(self.inner.clone())
    }

    /// How often it has failed.
    pub(super) fn failures(&self) -> u64 {
        self.faults.lock().made
    }

    /// What the event log holds from the given place on.
    pub(super) fn events_from(&self, place: usize) -> Vec<Bytes> {
        self.faults.lock().events[place..].to_vec()
    }

    async fn passes(&self) {
        let delay = {
            let Faults { random, slow, .. } = &mut *self.faults.lock();
            let most = if random.random_bool(*slow) { 3_000_000 } else { 3_000 };
            Duration::from_micros(random.random_range(0..most))
        };
        self.clock.sleep(delay).await;
    }

    fn may_fail(&self) -> Result<(), StateError> {
        let mut faults = self.faults.lock();
        let rate = faults.fails;
        if faults.random.random_bool(rate) {
            faults.made += 1;
            return Err(StateError::Unavailable { store: "simulated".into(), source: "a fault".into() });
        }
        Ok(())
    }

    async fn put(self, key: String, expected: Option<Revision>, value: Bytes) -> Result<PutOutcome, StateError> {
        self.passes().await;
        self.may_fail()?;
        let outcome = self.inner.compare_and_put(&key, expected, value.clone()).await?;
        if matches!(outcome, PutOutcome::Put(_)) && key.contains("/events/") {
            self.faults.lock().events.push(value);
        }
        self.may_fail().map(|()| outcome)
    }
}

/// The store as one process reaches it. Reads and compare-and-puts fail at random; everything else works.
#[derive(Debug)]
pub(super) struct Connection {
    store: FaultyStore,
    death: CancellationToken,
    moments_left: Mutex<Option<u32>>,
    failing_since: Mutex<Option<Duration>>,
}

impl Connection {
    /// How long every put of the process has failed by now.
    pub(super) fn failing_for(&self) -> Duration {
        self.failing_since.lock().map_or(Duration::ZERO, |since| self.store.clock.elapsed() - since)
    }

    /// Takes its time, and may be the last of the process.
    async fn moment(&self) {
        self.store.passes().await;
        let is_last = match &mut *self.moments_left.lock() {
            Some(0) | None => false,
            Some(left) => {
                *left -= 1;
                *left == 0
            }
        };
        if is_last {
            self.death.cancel();
            std::future::pending().await
        }
    }
}

#[async_trait]
impl StateStore for Connection {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        self.moment().await;
        self.store.may_fail()?;
        let found = self.store.inner.get(key).await;
        self.moment().await;
        found
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        self.moment().await;
        // Once it is sent, a request takes effect whether or not its sender still lives.
        let sent = tokio::spawn(self.store.clone().put(key.to_owned(), expected, value));
        let outcome = sent.await.unwrap();
        self.moment().await;
        let mut failing_since = self.failing_since.lock();
        match &outcome {
            Ok(_) => *failing_since = None,
            Err(_) => *failing_since = failing_since.or(Some(self.store.clock.elapsed())),
        }
        outcome
    }

    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError> {
        self.store.inner.compare_and_delete(key, expected).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        self.moment().await;
        self.store.may_fail()?;
        let listed = self.store.inner.list(prefix).await;
        self.moment().await;
        listed
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
        self.store.inner.watch(prefix).await
    }

    async fn acquire_lease(&self, name: &str, holder: &LeaseHolder, ttl: Duration) -> Result<LeaseOutcome, StateError> {
        self.store.inner.acquire_lease(name, holder, ttl).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError> {
        self.store.inner.renew_lease(lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        self.store.inner.release_lease(lease).await
    }

    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError> {
        self.store.inner.leases(prefix).await
    }
}
