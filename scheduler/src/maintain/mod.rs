//! Maintenance: keeps the tables of a pipeline fast and small, and removes nothing that a run, a cursor, a pin or a tag needs.
//!
//! ```text
//! PipelineGraph, home ─holds→ what keeps which versions                                   (holds, marks)
//! Location ─facts→ TableFacts ─plan→ TablePlan: actions with reasons and estimates        (plan, pure)
//!     ─turn→ rewrites on the engine, checkpoints, removals, under the leases of runs      (turn)
//!     ─record→ MaintenanceRecord in the home                                              (record)
//! RunRecord ─due→ a turn over the tables that the run has written, at a lower priority     (after_run)
//!
//! home ─clean→ what killed and old runs have left, removed                                (clean)
//! ```

mod action;
mod after_run;
pub mod clean;
mod error;
pub(crate) mod gate;
mod holds;
mod marks;
pub mod plan;
mod rewrite;
mod tables;
mod turn;
mod turns;

pub use after_run::after_run;
pub use error::MaintainError;
pub use marks::{marks, release_mark, set_mark};
pub use turn::{MaintainRequest, maintain};
pub(crate) use turns::Origin;
pub use turns::Turns;

/// The code of an action that was stopped, which is no failure of it.
pub(crate) const STOPPED: &str = "WL0688";
