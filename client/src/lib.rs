//! The Windlass client library: load a project, run it, follow the run, ask its tables questions.
//!
//! ```text
//! folder ─load_project→ ProjectFiles ─Project::open→ Project ─┐
//!                          Windlass::embedded(home, …) ───────┴─ plan / run / query → RunPlan, LogEvents + RunRecord, rows
//! ```

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod project;

pub use project::Project;
