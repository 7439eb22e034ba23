//! Reads CSV files and files of JSON objects exactly.
//!
//! ```text
//! objects ─open→ schema: declared, and checked against the files; or inferred from names and values (infer)
//! DataSourceExec(RecordsScan) ─codec/records→ executors
//!     ─read→ blocks (input) ─rows→ records (csv, lines and json) → columns (column) → batches
//! ```
//!
//! Columns are matched by name, independent of their order in a file. A value is read exactly, or it is an error that
//! names file and line. The engine's own readers match by position, infer types from the first thousand rows, and
//! truncate what does not fit.

mod column;
mod csv;
mod fault;
mod header;
mod infer;
mod input;
mod json;
mod kind;
mod lines;
mod open;
mod read;
mod rows;
mod scan;

pub(super) use column::value_of_text;
pub(crate) use header::Origin;
pub(super) use open::Files;
pub(crate) use rows::RecordFormat;
pub(crate) use scan::RecordsScan;
