//! Files of CSV and of JSON objects, read by what they say themselves.
//!
//! ```text
//! objects ─open→ schema: declared, and held against the files; or found by names and values (infer)
//! DataSourceExec(RecordsScan) ─codec/records→ executors
//!     ─read→ blocks (input) ─rows→ records (csv, lines and json) → columns (column) → batches
//! ```
//!
//! A column is found in a file by its name, in whatever order that file has them. A value is read exactly as it is, or it is an
//! error that names file and line: the engine's own readers go by position, look at the first thousand rows, and cut what does
//! not fit.

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
