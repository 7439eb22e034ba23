//! The Windlass scheduler: it pins, plans, runs, commits and records pipelines.

pub mod cluster;
pub mod execute;
pub mod home;
pub mod plan;
pub mod record;
pub mod run;
pub mod state;
