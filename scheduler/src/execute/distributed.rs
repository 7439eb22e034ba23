//! What the cluster makes of a plan before it runs it.

use std::fmt::Write;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use datafusion::arrow::array::new_null_array;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion::prelude::SessionConfig;

use super::EngineError;

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

/// The plan with what the engine cannot distribute made distributable, or refused.
pub(super) fn distributable(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    refuse_unsplittable(&plan)?;
    let plan = plan
        .transform_up(|node| {
            // A stage without partitions gets no task, never ends, and neither does its job.
            if node.children().is_empty() && node.output_partitioning().partition_count() == 0 {
                return Ok(Transformed::yes(Arc::new(EmptyExec::new(node.schema())) as _));
            }
            Ok(Transformed::no(node))
        })
        .and_then(|plan| plan.data.transform_up(with_measured_branches))
        .map_err(|error| EngineError::Plan(error.message().into_owned()))?;
    Ok(plan.data)
}

/// Puts scans of memory in the place of a union's constant leaves.
///
/// Each task runs one branch of a union, and of the others the engine leaves scans of nothing. Constant leaves have no
/// metrics but those scans do, so the tasks of a stage would report different numbers of metrics, which the engine
/// rejects together with the news that the tasks are done: the job would never end.
fn with_measured_branches(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if !node.is::<UnionExec>() {
        return Ok(Transformed::no(node));
    }
    node.transform_down(|node| {
        let rows = if node.is::<PlaceholderRowExec>() {
            vec![placeholder_row(&node.schema())?]
        } else if node.is::<EmptyExec>() {
            vec![]
        } else {
            return Ok(Transformed::no(node));
        };
        let scan = MemorySourceConfig::try_new_exec(&[rows], node.schema(), None)?;
        Ok(Transformed::yes(scan as _))
    })
}

/// A row of nulls, as a placeholder gives it; without columns it is still a row.
fn placeholder_row(schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &one)?)
}

/// Refuses leaves that every task would read whole: their rows would be counted once for each partition.
fn refuse_unsplittable(plan: &Arc<dyn ExecutionPlan>) -> Result<(), EngineError> {
    let mut refused = None;
    plan.apply(|node| {
        let partitions = node.output_partitioning().partition_count();
        if node.children().is_empty() && partitions > 1 && !is_splittable(node) {
            refused = Some(EngineError::Unsplittable { operator: node.name().to_owned(), partitions });
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(|error| EngineError::Plan(error.message().into_owned()))?;
    refused.map_or(Ok(()), Err)
}

/// The leaves that the engine hands out by partition.
fn is_splittable(leaf: &Arc<dyn ExecutionPlan>) -> bool {
    if leaf.is::<EmptyExec>() {
        return true;
    }
    leaf.downcast_ref::<DataSourceExec>().is_some_and(|scan| {
        let source: &dyn std::any::Any = scan.data_source().as_ref();
        source.is::<FileScanConfig>() || source.is::<MemorySourceConfig>()
    })
}
