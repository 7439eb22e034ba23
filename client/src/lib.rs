//! The Windlass client library: load or build a project, run it, follow the run, ask its tables questions.
//!
//! ```text
//! folder ─load_project──┐
//! code ─ProjectBuilder──┴→ ProjectFiles ─check→ Project ──────┐
//!                          Windlass::embedded(home, …) ───────┴─ plan / run / query → RunPlan, LogEvents + RunRecord, rows
//! ```

pub mod builder;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod project;

pub use builder::{ProjectBuilder, StageBuilder};
pub use project::Project;
