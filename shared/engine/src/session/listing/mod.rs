//! Files of one format as a table.
//!
//! ```text
//! Location ─files→ objects ─partitions→ partition values ─table→ FileScanConfig
//!     ─format→ typed files: the engine's readers (typed), or text records (../records) → schema, statistics
//! ```
//!
//! All of it happens once, when the table is registered; every scan of the session then reads the same files. The
//! engine's own listing table lists again for each scan, in no fixed order, so it can neither pin what a run reads nor
//! produce the same plan text in two runs.

mod avro;
mod files;
mod format;
mod names;
mod open;
mod partitions;
mod recheck;
mod table;
mod typed;

pub(super) use open::open;
pub use recheck::check_unchanged;
