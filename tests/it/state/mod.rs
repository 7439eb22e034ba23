//! The state stores: one conformance suite, run on every implementation.

mod conformance;
mod etcd;
mod redb;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use windlass_scheduler::clock::Clock;
use windlass_scheduler::state::{Durability, EtcdConfig, EtcdStore, MemoryStore, RedbStore, StateStore};
use windlass_tests::EtcdServers;

/// A clock that only moves when it is advanced.
#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(DateTime::UNIX_EPOCH)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        *self.0.lock() += TimeDelta::seconds(seconds);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock()
    }
}

/// One store, with any number of handles to it.
#[async_trait]
pub(crate) trait Handles: Send + Sync {
    async fn open(&self) -> Arc<dyn StateStore>;
    fn clock(&self) -> &ManualClock;
    /// How large a value may be at least.
    fn largest_value(&self) -> usize {
        3 << 20
    }
}

struct Memory {
    store: MemoryStore,
    clock: Arc<ManualClock>,
}

impl Memory {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { store: MemoryStore::new(clock.clone()), clock }
    }
}

#[async_trait]
impl Handles for Memory {
    async fn open(&self) -> Arc<dyn StateStore> {
        Arc::new(self.store.clone())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

/// Handles that share only the file, like those of two processes.
struct Redb {
    folder: tempfile::TempDir,
    durability: Durability,
    clock: Arc<ManualClock>,
}

impl Redb {
    fn new(durability: Durability) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), durability, clock: ManualClock::new() }
    }
}

#[async_trait]
impl Handles for Redb {
    async fn open(&self) -> Arc<dyn StateStore> {
        let path = self.folder.path().join("home/state.redb");
        Arc::new(RedbStore::open_with(path, self.durability, self.clock.clone()).await.unwrap())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

/// Handles with connections of their own to one prefix of an etcd.
struct Etcd {
    servers: Arc<EtcdServers>,
    prefix: String,
    clock: Arc<ManualClock>,
}

impl Etcd {
    /// An empty prefix of an etcd.
    fn below(servers: &Arc<EtcdServers>, prefix: &str) -> Self {
        Self { servers: Arc::clone(servers), prefix: prefix.to_owned(), clock: ManualClock::new() }
    }

    fn config(&self) -> EtcdConfig {
        EtcdConfig::new(format!("etcd://{}/{}", self.servers.hosts(), self.prefix).parse().unwrap())
    }
}

#[async_trait]
impl Handles for Etcd {
    async fn open(&self) -> Arc<dyn StateStore> {
        Arc::new(EtcdStore::connect_with(&self.config(), self.clock.clone()).await.unwrap())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Of a request the servers take a megabyte and a half.
    fn largest_value(&self) -> usize {
        1 << 20
    }
}

/// Runs each named case of the suite on each store.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::conformance::$case(&super::Memory::new()).await;
            })+
        }
        mod redb_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::conformance::$case(&super::Redb::new(super::Durability::PowerLoss)).await;
            })+
        }
        mod etcd_alone {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(servers) = super::EtcdServers::start(1) else { return };
                super::conformance::$case(&super::Etcd::below(&std::sync::Arc::new(servers), "suite")).await;
            })+
        }
        /// All cases, one after another, each below a prefix of its own that begins with `prefix`.
        async fn on_etcd(servers: &Arc<EtcdServers>, prefix: &str) {
            $({
                let handles = Etcd::below(servers, &format!("{prefix}/{}", stringify!($case)));
                conformance::$case(&handles).await;
            })+
        }
        mod redb_file_unsynced {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::conformance::$case(&super::Redb::new(super::Durability::Process)).await;
            })+
        }
    };
}

on_every_store!(
    a_value_changes_only_as_expected,
    a_revision_is_never_given_twice,
    a_listing_is_by_prefix_and_in_order,
    all_keys_with_a_prefix_are_deleted,
    any_bytes_are_kept,
    concurrent_changes_are_not_lost,
    of_many_creators_one_wins,
    a_watch_sees_what_changes_under_its_prefix,
    a_watch_sees_each_change_once_and_in_order,
    a_lease_has_one_holder_until_it_is_released,
    a_lease_expires_unless_it_is_renewed,
    a_lost_lease_is_not_released_by_its_former_holder,
    the_lease_of_a_dead_process_is_free_at_once,
    the_lease_of_another_machine_is_kept_until_it_expires,
    of_many_takers_one_gets_the_lease,
    leases_are_listed_with_their_holders,
);
