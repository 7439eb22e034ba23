//! State that must outlive a process, behind one port: [`StateStore`].
//!
//! [`memory`] is for tests and runs that need no resume, [`redb`] keeps a file in the project's home, [`etcd`] is for
//! clusters. All pass the conformance suite in `tests/it/state`, and so must every further one.

pub mod error;
pub mod etcd;
pub mod lease;
pub mod memory;
pub mod process;
pub mod redb;
pub mod store;
mod unsynced;
mod watch;

pub use error::StateError;
pub use etcd::{EtcdAddress, EtcdConfig, EtcdStore, EtcdUser};
pub use lease::{Lease, LeaseHeld, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
pub use memory::MemoryStore;
pub use process::ProcessIdentity;
pub use redb::{Durability, RedbStore};
pub use store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
