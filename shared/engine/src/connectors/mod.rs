//! Connectors: loaders open sources, and savers write exports. Programs can add custom ones for other kinds of data.
//!
//! ```text
//! SourceKind ─name─→ ConnectorRegistry ─Loader→ Loaded ─register→ a table of the session      (delta, listing, text_files, …)
//! Export ────name─→ ConnectorRegistry ─Saver→ Saved: the rows and bytes written                (parquet, csv, json, arrow, …)
//! ```
//!
//! A stage's own table is not written through a saver: it is committed, once, by [`windlass_delta::commit`].

mod error;
mod file_saver;
mod loaders;
mod registry;
mod savers;

pub use error::{ConnectorError, Fault};
pub use file_saver::{ExportFormat, FilesSaver};
pub use loaders::{LoadRequest, Loaded, Loader};
pub use registry::ConnectorRegistry;
pub use savers::{SaveRequest, Saved, Saver};
