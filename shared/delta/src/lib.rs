//! Delta tables: pin, scan, write, commit. The only importer of deltalake.
//!
//! ```text
//! Location ─pin→ PinnedTable ─scan→ DataSourceExec on every executor                 (pin, scan, feature)
//! two versions ─changes→ TableChanges: the rows inserted and deleted between them    (changes)
//! rows ─write→ StagedFiles: data files and the log actions that add them             (write)
//! changes ─merge→ MergedFiles: data files, change data files, deletion vectors       (merge)
//!     ─commit→ CommitOutcome: committed, already committed or conflicted             (table, commit)
//! newest commits ─cursor→ TableProgress: how far a stage has applied its inputs      (cursor, built)
//! values ─stored, compared, identified→ one of those that are equal                  (values)
//! ```
//!
//! Below them stand `log`, which alone reads and writes the files of the Delta log, `schema`, the column types and names
//! that Delta has, and `error`.

pub mod changes;
pub mod commit;
pub mod cursor;
pub mod maintenance;
pub mod merge;
pub mod pin;
pub mod sample;
pub mod scan;
pub mod table;
pub mod values;
pub mod write;

mod built;
mod error;
mod feature;
mod log;
mod schema;

pub use built::check_built;
pub use error::{DeltaError, ReadError};
pub use feature::{READABLE_FEATURES, REFUSED_FEATURES};
pub use schema::stored_type;

/// The version of the deltalake library that reads and commits.
pub fn library_version() -> &'static str {
    deltalake::crate_version()
}
