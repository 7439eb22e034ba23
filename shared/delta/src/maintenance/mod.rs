//! What maintenance does to a table: looks at it, rewrites its files, and removes what nothing needs.
//!
//! ```text
//! Location ─facts→ TableFacts ─(decided elsewhere)→ ┬─ bins of files ─scan, write→ StagedFiles ─rewrite→ RewriteOutcome
//!                                                   ├─ Retained ─vacuum→ Garbage ─remove→ Removed
//!                                                   └─ a version ─log→ a checkpoint, and commits before it removed
//! ```
//!
//! No action changes the table's rows, and none removes anything that [`Retained`] names.

mod facts;
mod log;
mod read;
mod retained;
mod rewrite;
mod unfinished;
mod vacuum;

pub use facts::{FileFacts, LogFacts, TableFacts, layout_mark};
pub use log::{checkpoint, clean_log};
pub use read::table_facts;
pub use retained::Retained;
pub use rewrite::{Bins, RewriteOutcome, RewriteRequest, bins, rewrite, rewrite_plan};
pub use vacuum::{Candidates, Garbage, Removed, find_garbage, missing_files, remove};
