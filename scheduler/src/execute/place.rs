//! Where a plan can run: in tasks on executors, or only in one process.
//!
//! What a plan says must survive being cut, encoded and decoded. Recursive queries cannot be cut, some operators have no
//! form on the wire, and messages nest only a hundred deep. All of that is tried here before anything runs, and what
//! does not survive runs as a whole, beside the scheduler.

use std::fmt::Write;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_base::count::counted;
use windlass_base::panics;
use windlass_base::stack::with_large_stack;
use windlass_engine::codec::PlanCodec;

use super::distributable::distributable;
use super::{EngineError, arrival};

/// Where a plan runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In tasks on the cluster.
    Cluster {
        /// The stages that the cluster would run it in.
        stages: String,
    },
    /// As a whole in this process, because the engine runs everything so.
    Process,
    /// As a whole in the scheduler's process.
    Scheduler {
        /// Why it does not run in tasks.
        reason: String,
    },
}

impl Place {
    /// Where `plan` can run; `context` is the session that it was made in.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, context: &SessionContext, codec: &PlanCodec) -> Self {
        with_large_stack(|| match stages(plan, context, codec) {
            Ok(stages) => Self::Cluster { stages },
            Err(error) => Self::Scheduler { reason: error.to_string() },
        })
    }

    /// The stages, or why there are none, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Cluster { stages } => stages.clone(),
            Self::Process => "runs as a whole in one process\n".to_owned(),
            Self::Scheduler { reason } => format!("runs as a whole in the scheduler's process: {reason}\n"),
        }
    }
}

/// The stages of the plan, each of which has been encoded and decoded.
fn stages(
    plan: &Arc<dyn ExecutionPlan>,
    context: &SessionContext,
    codec: &PlanCodec,
) -> std::result::Result<String, EngineError> {
    let plan = distributable(Arc::clone(plan))?;
    arrival::check(&plan, &context.task_ctx(), codec)?;
    let refused = |error: DataFusionError| EngineError::from_refused_plan(&error);
    let stages = DefaultDistributedPlanner::new()
        .plan_query_stages(&JobId::new("job"), plan, context.copied_config().options())
        .map_err(|error| EngineError::Plan(error.to_string()))?;
    let task = context.task_ctx();
    let mut text = String::new();
    for stage in stages {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "stage {}: {}", stage.stage_id(), counted(stage.input_partition_count(), "partition"));
        let _ = writeln!(text, "{}", displayable(stage.as_ref()).indent(false));
        // A task gets one partition, so this is what is sent.
        let first = restrict_plan_to_partitions(stage, &[0]).map_err(refused)?;
        arrives(first, &task, codec).map_err(refused)?;
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// That the plan can be sent to executors.
fn arrives(plan: Arc<dyn ExecutionPlan>, task: &TaskContext, codec: &PlanCodec) -> Result<()> {
    let mut bytes = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(plan, codec)?.try_encode(&mut bytes)?;
    // The decoder is the engine's and may not expect everything that the encoder writes.
    let decoded = panics::expected(|| {
        PhysicalPlanNode::try_decode(&bytes).and_then(|node| node.try_into_physical_plan(task, codec))
    });
    match decoded {
        Ok(decoded) => decoded.map(drop),
        Err(_) => Err(DataFusionError::Plan("the plan is inconsistent once it is decoded".to_owned())),
    }
}
