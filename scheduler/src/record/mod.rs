//! The run bundle: writing the evidence of a run, and reading it back. docs/run-bundle.md describes the files.
//!
//! ```text
//! run.json (running) → log.jsonl, line by line → pins, plan, registrations → stages/… → lineage → run.json (sealed)
//! ```

mod error;
mod log_file;
mod metrics;
pub mod plan_text;
mod reader;
mod store;
mod writer;

pub use error::RecordError;
pub use metrics::metrics_schema;
pub use reader::{BundleReader, ListedRun};
pub use store::BundleStore;
pub use writer::BundleWriter;
