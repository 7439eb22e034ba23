//! Delta tables: pin, scan, write, commit. The only importer of deltalake.
//!
//! ```text
//! Location ─pin→ PinnedTable ─scan→ DataSourceExec on every executor          (pin, scan, feature)
//! rows ─write→ StagedFiles: data files and the log actions that add them      (write)
//!     ─commit→ CommitOutcome: committed, already committed or conflicted      (table, commit)
//! ```

pub mod commit;
pub mod pin;
pub mod scan;
pub mod table;
pub mod write;

mod error;
mod feature;
mod log_store;

pub use error::DeltaError;
