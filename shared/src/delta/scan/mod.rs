//! A pinned snapshot as a distributed scan.
//!
//! ```text
//! log ─files→ DataFiles: paths, partition values, statistics, deletion vectors     (files, statistics)
//!     ─prune→ the files that a query's filters leave                               (prune, known_rows)
//!     ─provider→ DataSourceExec over FileScanConfig, a group of files a partition  (provider)
//!         over ParquetSource, or over DeltaSource if a table needs deletion
//!         vectors applied or columns renamed                                       (source, deletion_vector,
//!                                                                                   column_mapping)
//!         over footers whose bounds of floats hold                                 (float_bounds)
//! ```

pub(crate) mod address;
pub(super) mod column_mapping;
pub(crate) mod deletion_vector;
pub(super) mod file_table;
pub(super) mod files;
pub(crate) mod float_bounds;
pub(crate) mod known_rows;
mod options;
mod provider;
mod prune;
pub(crate) mod selection;
pub(crate) mod source;
mod statistics;

pub use address::{ROW_FILE, ROW_POSITION};
pub use options::ScanOptions;
pub(super) use provider::DeltaScan;
