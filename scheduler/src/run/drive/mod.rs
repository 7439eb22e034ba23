//! The driver of a run: keeps the machine's events and leases, performs its actions, and writes down what happened.

pub(super) mod caches;
pub(super) mod driver;
pub mod event_log;
pub(crate) mod leases;
pub(super) mod lineage;
mod log_lines;
pub(super) mod run_work;
mod stage_record;
