//! One run of a pipeline: what is to run, what has happened, and what to do next.
//!
//! The decisions are a pure state machine ([`machine`]): events in, actions out, no clock, no I/O. Whoever drives it
//! appends each event to the run's [`event_log`] *before* it performs the actions that the event gave rise to; a run
//! that was interrupted is resumed by replaying its events and then telling the machine `Resumed`.

pub mod action;
mod caches;
mod carried_totals;
pub mod driver;
pub mod error;
pub mod event;
pub mod event_log;
mod expectations;
mod failure;
mod incremental_run;
mod leases;
pub mod machine;
mod merge_plan;
mod narrate;
mod outputs;
pub mod phase;
pub mod pipeline_run;
mod row_wise_run;
pub mod schedule;
mod stage_record;
mod stage_run;
mod target_rows;
mod unique_keys;
mod work;
mod write_mode;

pub use failure::RunError;
pub(crate) use leases::Leases;
pub use pipeline_run::{RunRequest, run_pipeline};
