//! The driver of a run: keeps the machine's events and leases, performs its actions, and writes down what happened.
//!
//! [`LoggedRun`] is a run whose events are in the state store, and [`drive`] carries it to its end.

pub(crate) mod caches;
mod driver;
pub mod event_log;
pub(crate) mod leases;
mod lineage;
mod lineage_events;
mod log_lines;
mod logged_run;
pub(super) mod run_work;
mod stage_record;

pub use driver::{Signals, StageWork, drive};
pub use logged_run::LoggedRun;
