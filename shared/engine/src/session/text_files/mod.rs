//! Text files as a table: one row each, with columns `path`, `size`, `content_hash` and `content`.
//!
//! ```text
//! globs ─listing→ [TextFile] ─chunks→ chunks in groups of similar size ─table→ DataSourceExec(TextFilesScan)
//!     ─codec/text_files→ executors ─scan→ one batch per chunk
//! ```
//!
//! The files are listed once, when the table is registered. A file that has changed by the time it is read is an error:
//! a run reads one state of its sources.

mod change;
mod chunks;
mod listing;
mod read;
mod scan;
mod table;

pub use change::{ListingChange, PATH_COLUMN, TextListing};
pub(crate) use chunks::{Chunk, TextFile};
pub(super) use listing::list;
pub(crate) use scan::TextFilesScan;
pub(super) use table::TextFilesTable;
