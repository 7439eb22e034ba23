//! One run of a pipeline: what is to run, what has happened, and what to do next.
//!
//! ```text
//! pipeline_run: RunRequest ─plan→ RunPlan ─┬─ machine/: events in, actions out, pure ─┐
//!               the arrow as code          └─ drive/: performs the actions ←──────────┘ ─→ RunRecord
//!                                                └─ stage/: one attempt at a stage
//! ```
//!
//! Whoever drives the machine appends each event to the run's [event log](drive::event_log) *before* it performs the
//! actions that the event gave rise to; a run that was interrupted is resumed by replaying its events and then telling
//! the machine `Resumed`.

pub mod drive;
mod error;
pub mod machine;
pub mod pipeline_run;
mod stage;

pub(crate) use drive::leases::Leases;
pub use error::RunError;
pub use pipeline_run::{RunRequest, run_pipeline};
