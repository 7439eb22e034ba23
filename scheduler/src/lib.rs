//! The scheduler: pins, plans, runs, commits and records pipelines.

pub mod cluster;
pub mod execute;
