//! The Windlass scheduler: it pins, plans, runs, commits and records pipelines.

pub mod run;
pub mod state;
