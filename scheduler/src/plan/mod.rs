//! Planning: from a resolved pipeline to what one run does, and from one stage to what its executors do.
//!
//! ```text
//! PipelineGraph ─pin+decide→ RunPlan          (run_plan, input)
//!     per stage: query ─→ logical ─→ optimized ─→ physical, with the writer as its root: StagePlan     (query, stage_plan)
//! ```

pub(crate) mod cursors;
mod error;
mod input;
mod params;
mod query;
mod run_plan;
mod stage_plan;
mod tables;

pub use cursors::cursors;
pub use error::PlanError;
pub use input::{Input, Inputs, PinnedInput, pin_source, pin_table};
pub use params::engine_params;
pub use query::{Needs, QuerySession, logical_plan};
pub use run_plan::{PlanRequest, PlannedStage, RunPlan, pin_for_query, plan_run, table_location};
pub use stage_plan::{StagePlan, plan_stage};
pub use tables::tables;
pub use windlass_shared::artifact::Refresh;
