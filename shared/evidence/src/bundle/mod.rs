//! Reading run bundles wherever they lie; docs/run-bundle.md describes the files.
//!
//! ```text
//! BundleFiles (an object store, or a scheduler far away) ─BundleReader→ the types of artifact/, Arrow batches
//! ```

mod error;
mod evidence;
mod files;
mod metrics;
mod reader;

pub use error::RecordError;
pub use files::BundleFiles;
pub use metrics::{decode_metrics, encode_metrics, metrics_schema};
pub use reader::{BundleReader, ListedRun, complete_lines};
