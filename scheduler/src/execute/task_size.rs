//! How large a task is when it is sent to an executor.

use std::sync::Arc;

use ballista_scheduler::state::execution_stage::ExecutionStage;
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_engine::codec::PlanCodec;

/// The bytes of the plan that a task for `partitions` of `stage` is sent; 0 if it cannot be encoded, so never was.
///
/// The engine keeps no plan of a task, so it is made again.
pub(super) fn plan_bytes(stage: &ExecutionStage, partitions: &[usize]) -> u64 {
    encoded(Arc::clone(plan(stage)), partitions).map_or(0, |bytes| bytes.len() as u64)
}

fn encoded(plan: Arc<dyn ExecutionPlan>, partitions: &[usize]) -> datafusion::error::Result<Vec<u8>> {
    let plan = restrict_plan_to_partitions(plan, partitions)?;
    let mut bytes = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(plan, &PlanCodec::default())?.try_encode(&mut bytes)?;
    Ok(bytes)
}

fn plan(stage: &ExecutionStage) -> &Arc<dyn ExecutionPlan> {
    match stage {
        ExecutionStage::UnResolved(stage) => &stage.plan,
        ExecutionStage::Resolved(stage) => &stage.plan,
        ExecutionStage::Running(stage) => &stage.plan,
        ExecutionStage::Successful(stage) => &stage.plan,
        ExecutionStage::Failed(stage) => &stage.plan,
    }
}
