//! Loaders, which open sources, and savers, which write rows where others read them: the doors for kinds of data that
//! Windlass does not know.
//!
//! ```text
//! SourceKind ─name─→ IoRegistry ─Loader→ Loaded ─register→ a table of the session      (delta, listing, text_files, …)
//! Export ────name─→ IoRegistry ─Saver→ Saved: rows and bytes of what was written        (parquet, csv, json, arrow, …)
//! ```
//!
//! A stage's own table is not written through a saver: it is committed, once, by [`windlass_delta::commit`].

mod error;
mod files;
mod loader;
mod registry;
mod saver;

pub use error::{Fault, IoError};
pub use files::{FileFormat, FilesSaver};
pub use loader::{LoadRequest, Loaded, Loader};
pub use registry::IoRegistry;
pub use saver::{SaveRequest, Saved, Saver};
