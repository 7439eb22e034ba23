//! What the cluster makes of a plan before it runs it.

use std::fmt::Write;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionConfig;

use super::EngineError;
use super::distributable::distributable;

/// The stages that the cluster would run `plan` in, in the order of their numbers. Equal plans give equal texts.
///
/// # Errors
/// [`EngineError::Plan`] or [`EngineError::Unsplittable`] if the plan cannot be distributed.
pub fn planned_stages_text(plan: Arc<dyn ExecutionPlan>, config: &SessionConfig) -> Result<String, EngineError> {
    let plan = distributable(plan)?;
    let stages = DefaultDistributedPlanner::new()
        .plan_query_stages(&JobId::new("job"), plan, config.options())
        .map_err(|error| EngineError::Plan(error.to_string()))?;
    let mut text = String::new();
    for stage in stages {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "stage {}: {} partitions", stage.stage_id(), stage.input_partition_count());
        let _ = writeln!(text, "{}", displayable(stage.as_ref()).indent(false));
    }
    Ok(text.trim_end().to_owned() + "\n")
}
