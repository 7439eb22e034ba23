//! State that must outlive a process, behind one port: [`StateStore`].
//!
//! [`memory`] is for tests and runs that need no resume, [`redb`] keeps a file in the project's home. Both pass the
//! conformance suite in `tests/it/state`, and so must every further one.

pub mod error;
pub mod lease;
pub mod memory;
pub mod process;
pub mod redb;
pub mod store;
mod unsynced;
mod watch;

pub use error::StateError;
pub use lease::{Lease, LeaseHeld, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
pub use memory::MemoryStore;
pub use process::ProcessIdentity;
pub use redb::{Durability, RedbStore};
pub use store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
