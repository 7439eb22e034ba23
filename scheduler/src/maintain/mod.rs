//! Maintenance: keeps the tables of a pipeline fast and small, and removes nothing that a run, a cursor, a pin or a tag needs.
//!
//! ```text
//! PipelineGraph, home ─holds→ what keeps which versions                                   (holds, marks)
//! Location ─facts→ TableFacts ─plan→ TablePlan: actions with reasons and estimates        (plan, pure)
//!     ─turn→ rewrites on the engine, checkpoints, removals, under the leases of runs      (turn)
//!     ─record→ MaintenanceRecord in the home                                              (record)
//!
//! home ─clean→ what killed and old runs have left, removed                                (clean)
//! ```

pub mod clean;
pub mod plan;
