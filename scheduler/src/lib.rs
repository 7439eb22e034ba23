//! The Windlass scheduler: it pins, plans, runs, commits and records pipelines.
//!
//! ```text
//! RunRequest ─plan→ RunPlan ─run→ per stage: plan → execute → commit ─record→ RunBundle
//!              │            │                           │                      │
//!            plan/     run/ (state machine, driver)   execute/ (jobs)       record/
//!                      state/ (leases, events)      cluster/ (Ballista)
//!                      writer/ (one process a home)   leadership/ (one scheduler leads)
//! ```

pub mod clock;
pub mod cluster;
pub mod cursor_reset;
pub mod execute;
pub mod export;
pub mod home;
pub mod leadership;
pub mod maintain;
pub mod metrics;
mod openlineage;
pub mod plan;
mod planning;
pub mod query;
pub mod record;
pub mod run;
pub mod server;
pub mod service;
pub mod state;
pub mod system;
pub mod writer;

use std::sync::Arc;

use windlass_engine::session::Sessions;

use crate::execute::Engine;
use crate::leadership::Leadership;
use crate::maintain::Turns;
use crate::state::StateStore;

/// What runs pipelines: the sessions to plan with, the engine to execute on, the store that remembers.
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// Builds every session.
    pub sessions: Arc<Sessions>,
    /// Executes plans on the cluster.
    pub engine: Engine,
    /// Leases, run counters and run events.
    pub state: Arc<dyn StateStore>,
    /// The turns of maintenance under way.
    pub turns: Turns,
    /// Whether this process leads, where several share the state.
    pub leadership: Leadership,
}
