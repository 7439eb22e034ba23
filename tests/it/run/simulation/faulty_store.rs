//! A state store that fails before or after a change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use windlass_scheduler::state::{
    Change, DeleteOutcome, Entry, Lease, LeaseHolder, LeaseOutcome, LeaseView, MemoryStore, PutOutcome, RenewOutcome,
    Revision, StateError, StateStore, Versioned,
};

/// Fails compare-and-puts at random; everything else works.
#[derive(Debug, Clone)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug)]
struct Faults {
    random: StdRng,
    rate: f64,
    made: u64,
}

impl FaultyStore {
    /// The share of puts that fail.
    pub(super) fn new(seed: u64, rate: f64) -> Self {
        let faults = Faults { random: StdRng::seed_from_u64(seed), rate, made: 0 };
        Self { inner: MemoryStore::default(), faults: Arc::new(Mutex::new(faults)) }
    }

    /// How often it has failed.
    pub(super) fn failures(&self) -> u64 {
        self.faults.lock().made
    }

    fn fails(&self) -> bool {
        let mut faults = self.faults.lock();
        let rate = faults.rate;
        let fails = faults.random.random_bool(rate);
        faults.made += u64::from(fails);
        fails
    }
}

fn failure() -> StateError {
    StateError::Unavailable { store: "simulated".into(), source: "a fault".into() }
}

#[async_trait]
impl StateStore for FaultyStore {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        self.inner.get(key).await
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        if self.fails() {
            return Err(failure());
        }
        let outcome = self.inner.compare_and_put(key, expected, value).await?;
        if self.fails() { Err(failure()) } else { Ok(outcome) }
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
        self.inner.acquire_lease(name, holder, ttl).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError> {
        self.inner.renew_lease(lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        self.inner.release_lease(lease).await
    }

    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError> {
        self.inner.leases(prefix).await
    }
}
