//! A pinned snapshot as a distributed scan.
//!
//! ```text
//! log ─files→ DataFiles: paths, partition values, statistics, deletion vectors     (files, statistics)
//!     ─prune→ the files that a query's filters leave                               (prune, known_rows)
//!     ─provider→ DataSourceExec over FileScanConfig, a group of files a partition  (provider)
//!         over ParquetSource, or over DeltaSource if a table needs deletion
//!         vectors applied or columns renamed                                       (source, deletion_vector,
//!                                                                                   column_mapping)
//!         over footers whose bounds of floats hold, with errors that name files    (float_bounds, file_errors)
//! ```

pub mod address;
pub mod column_mapping;
pub mod deletion_vector;
pub mod file_errors;
pub(super) mod file_table;
pub(super) mod files;
pub mod float_bounds;
pub mod known_rows;
mod options;
mod provider;
mod prune;
pub mod selection;
pub mod source;
mod statistics;

pub use address::{ROW_FILE, ROW_POSITION};
pub use options::ScanOptions;
pub(super) use provider::DeltaScan;
