//! The evidence of a run: the types of its bundle, where they lie, and how they are read again.
//!
//! ```text
//! a run ─record→ RunRecord, PlanRecord, StageRecord, … as JSON, metrics as Arrow       (artifact)
//!     └ RunLayout: a file each, below runs/<run id>/                                   (artifact)
//! BundleFiles, wherever they lie ─BundleReader→ the same types                         (bundle)
//! a run ─→ CriticalPath, CostlyOperator: where its time went                             (time_spent)
//! two runs ─→ RunDiff: what differs, and what has most likely made a stage slower      (diff)
//! the newest runs ─→ LineageMap: which versions and columns each table was made of     (lineage)
//! a run while it goes on ─→ RunEvents for other tools                                  (openlineage)
//! all runs ─→ the rows of the system tables                                            (system)
//! ```
//!
//! docs/run-bundle.md describes the files. Nothing here plans or runs a query.

pub mod artifact;
pub mod bundle;
pub mod diff;
pub mod lineage;
pub mod openlineage;
pub mod system;
pub mod time_spent;
