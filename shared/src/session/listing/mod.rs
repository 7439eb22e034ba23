//! Files of one format as a table.
//!
//! ```text
//! Location ─files→ objects ─partitions→ partition values ─format→ schema, statistics ─table→ FileScanConfig
//! ```
//!
//! All of it happens once, when the table is registered; every scan of the session then reads the same files.
//! The engine's own listing table lists anew for each scan and in no fixed order, so it can neither pin what a run
//! reads nor give two runs the same plan text.

mod files;
mod format;
mod open;
mod partitions;
mod table;

pub(super) use open::open;
