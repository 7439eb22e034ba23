//! The pages of a home: its runs, their stages, its tables and their lineage, as HTML rendered here.
//!
//! ```text
//! RunSource (which bundles, which runs are active) ─Runs→ records, cached once sealed
//!     path and query ─pages→ view models (view, pure) ─templates→ HTML ─UiServer→ a browser
//! ```
//!
//! Pages are read only, need no script, and load nothing from elsewhere. docs/ui.md describes them to a reader.

mod error;
mod pages;
mod project_texts;
mod runs;
mod server;
mod source;
mod view;

pub use error::UiError;
pub use project_texts::ProjectTexts;
pub use server::UiServer;
pub use source::{OpenRuns, RunSource};
