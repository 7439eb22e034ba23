//! The Delta log of a table: which versions there are, what their commits say, and how a commit is added.
//!
//! ```text
//! Location ─store→ LogStoreRef                                                        (store)
//!     ─listing→ LogListing: the versions that there are, and of what time             (listing)
//!     ─check, snapshot→ Snapshot, or why the log is damaged or cannot be read         (check, snapshot, protocol)
//!     ─commit→ CommitFile ─actions→ Action, one after the other                       (commit, action)
//!     ─commit_hash→ what tells it from the same version of another history            (commit_hash)
//! bytes ─put→ the version after the one that was looked at, at most once              (put)
//! ```
//!
//! A reader of commits takes from each action what it needs and drops the rest, so that of a commit no more is kept than
//! its file and what is asked for.

mod action;
mod check;
mod commit;
mod commit_hash;
mod listing;
mod protocol;
mod put;
mod snapshot;
mod store;

pub(crate) use action::Action;
pub use action::{FileAction, TableMetadata, VectorDescriptor};
pub(crate) use check::{check_commits, explain};
pub(crate) use commit::{CommitFile, commit_path};
pub use commit_hash::{commit_hash, hash_as_version};
pub(crate) use listing::{LogListing, commit_time};
pub(crate) use put::{COMMIT_TOKEN, ConditionalCommit, LogState, PreparedCommit, pause, put_once, put_version, unread};
pub(crate) use snapshot::{IN_COMMIT_TIMESTAMPS, commits_carry_time, load, protocol_of};
pub(crate) use store::{log_store, store_error};
