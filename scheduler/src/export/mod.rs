//! Folders of exports: whether one may be written to, what lies in it, and which of that an export has written.
//!
//! ```text
//! plan:   check ── not in the home, no Delta table around, no other export's ──→ or the run is refused
//! run:    ExportFolder::open ─→ is it there already? ─→ begin ─→ the saver writes a new file ─→ complete ─→ tidy
//!                   │                                     └───────── the record in the home ──────┘         │
//!                   └ the record, and the files as they are                     files that the record names go ┘
//! ```
//!
//! A file is removed only if the record names it and it is as it was written. So what somebody else has put into a folder
//! stays, whatever it is called.

mod check;
mod error;
mod folder;
mod name;
mod record;

pub(crate) use check::{ExportPlace, check};
pub use error::ExportError;
pub(crate) use folder::ExportFolder;
pub(crate) use name::file_stem;
pub(crate) use record::Mark;
