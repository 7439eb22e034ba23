//! Delta tables: pin, scan, write, commit. The only importer of deltalake.
//!
//! ```text
//! Location ─pin→ PinnedTable ─scan→ DataSourceExec on every executor          (pin, scan, feature)
//! two versions ─changes→ TableChanges: the rows inserted and deleted between them    (changes)
//! rows ─write→ StagedFiles: data files and the log actions that add them      (write)
//! changes ─merge→ MergedFiles: data files, change data files, vectors         (merge)
//!     ─commit→ CommitOutcome: committed, already committed or conflicted      (table, commit)
//! values ─stored, compared, told apart→ one of those that are equal           (values)
//! ```

pub mod changes;
pub mod commit;
pub mod cursor;
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
mod reset;
mod schema;

pub use built::check_built;
pub use error::{DeltaError, ReadError};
pub use feature::{READABLE_FEATURES, REFUSED_FEATURES};
pub use reset::reset_cursors;
pub use schema::stored_type;

/// The version of the deltalake library that reads and commits.
pub fn library_version() -> &'static str {
    deltalake::crate_version()
}
