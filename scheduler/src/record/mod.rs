//! The run bundle: writing the evidence of a run. docs/run-bundle.md describes the files.
//!
//! ```text
//! run.json (running) → log.jsonl, line by line → pins, plan, registrations → stages/… → lineage → run.json (sealed)
//! ```

mod log_file;
mod maintenance;
pub mod plan_text;
mod store;
mod writer;

pub use maintenance::TableMemory;
pub use store::BundleStore;
pub use windlass_evidence::bundle::RecordError;
pub use writer::BundleWriter;
