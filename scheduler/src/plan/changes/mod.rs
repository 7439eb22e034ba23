//! What has changed in a stage's inputs since its cursors: read once a run, the same way for the plan and for the run.
//!
//! ```text
//! Cursors ─changes_since→ ReadChange, one an input ─→ ChangeFeeds ─strategy_for→ strategy      (since, feeds, strategy)
//!              └ ranges of logs, read once a run                                                  (known)
//!              └ listings that tables have applied                                                (listing)
//! ```

mod feeds;
mod known;
mod listing;
mod since;
mod strategy;

pub use feeds::ChangeFeeds;
pub use known::KnownChanges;
pub use listing::keep_listing;
pub use since::{ChangeReader, ChangedData, ChangesSince, ReadChange};
pub use strategy::{over_files, rows_of_files, strategy_for};
