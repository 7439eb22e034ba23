//! The engine's scheduler inside this process, with the corrections of what Ballista hands out, counts and answers.
//!
//! ```text
//! scheduler_process ─starts→ Ballista's scheduler ─┬─ its cluster state  ─→ corrected_cluster ─→ exact_graph, lifeline
//!                                                  ├─ its gRPC service   ─→ executor_service
//!                                                  └─ its clean-up       ─→ leaving
//! ```
//!
//! Nothing here knows of plans before they are submitted, of runs or of pipelines: `execute` stands on it.

mod corrected_cluster;
mod exact_graph;
mod executor_service;
mod leaving;
mod lifeline;
mod scheduler_process;

pub(crate) use exact_graph::MISCOUNTED;
pub(crate) use leaving::remove_from_leaving;
pub(crate) use scheduler_process::EngineServer;
pub use scheduler_process::{ClusterConfig, ClusterError, ClusterLoad, ClusterTimeouts, SchedulerProcess};
