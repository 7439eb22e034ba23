//! Makes a plan that runs correctly in one process run correctly in tasks, or refuses it.
//!
//! The engine gives a task one partition of the leaves of its stage. What does not survive that is rewritten here.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::array::new_null_array;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, InputOrderMode};

use super::EngineError;

type Rewritten = Result<Transformed<Arc<dyn ExecutionPlan>>>;

/// The plan with what the engine gets wrong rewritten.
///
/// # Errors
/// [`EngineError::Unsplittable`], and [`EngineError::Plan`] if the rewritten plan is refused by its operators.
pub(super) fn distributable(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, EngineError> {
    let rewritten = plan
        .transform_up(with_a_partition)
        .and_then(|plan| plan.data.transform_up(with_one_probe))
        .and_then(|plan| plan.data.transform_up(with_gathered_join))
        .and_then(|plan| plan.data.transform_up(with_measured_branches))
        .and_then(|plan| plan.data.transform_up(with_sorted_windows))
        .and_then(|plan| plan.data.transform_up(with_sorted_shuffles))
        .and_then(|plan| with_kept_limits(plan.data, false).map(Transformed::yes));
    let plan = rewritten.map_err(|error| EngineError::Plan(error.message().into_owned()))?.data;
    match unsplittable_leaf(&plan) {
        None => Ok(plan),
        Some((operator, partitions)) => Err(EngineError::Unsplittable { operator, partitions }),
    }
}

/// Gives a leaf without partitions an empty one: a stage without partitions gets no task and never ends.
fn with_a_partition(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    if node.children().is_empty() && node.output_partitioning().partition_count() == 0 {
        return Ok(Transformed::yes(Arc::new(EmptyExec::new(node.schema()))));
    }
    Ok(Transformed::no(node))
}

/// Gathers the probe side of a nested loop join that also puts out rows of its build side.
///
/// Such a join remembers which rows of the build side found a partner. In one process its partitions share that; tasks
/// do not, and each would put out the rows that found none among its own partition.
fn with_one_probe(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(Transformed::no(node)) };
    let remembers = match join.join_type() {
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => false,
    };
    if !remembers || join.right().output_partitioning().partition_count() == 1 {
        return Ok(Transformed::no(node));
    }
    let (build, probe) = (Arc::clone(join.left()), Arc::clone(join.right()));
    // The limit keeps all rows. When the engine cuts the plan it takes out what gathers rows for an operator that does not ask
    // for it, as this join does not; a limit does.
    let gathered = Arc::new(GlobalLimitExec::new(Arc::new(CoalescePartitionsExec::new(probe)), 0, None));
    Ok(Transformed::yes(replace_children_if_necessary(node, vec![build, gathered])?))
}

/// Gathers the rows of a hash join that has one partition because it collects its build side.
///
/// The engine may turn such a join into one over hash partitions when it cuts the plan, after the operators above have
/// been planned for one partition: an aggregate would then give a row a task, and a limit would fail.
fn with_gathered_join(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    let collects =
        node.downcast_ref::<HashJoinExec>().is_some_and(|join| *join.partition_mode() == PartitionMode::CollectLeft);
    if collects && node.output_partitioning().partition_count() == 1 {
        return Ok(Transformed::yes(Arc::new(CoalescePartitionsExec::new(node))));
    }
    Ok(Transformed::no(node))
}

/// Puts scans of memory in the place of a union's constant leaves, and whole sorts in that of those that keep the first rows
/// alone.
///
/// Each task runs one branch of a union, and of the others the engine leaves scans of nothing. Constant leaves have no
/// metrics but those scans do, so the tasks of a stage would report different numbers of metrics, which the engine
/// rejects together with the news that the tasks are done: the job would never end. And a sort that keeps the first rows
/// asserts that it has partitions, in debug builds, which ends the thread of the task.
fn with_measured_branches(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    if !node.is::<UnionExec>() {
        return Ok(Transformed::no(node));
    }
    node.transform_down(|node| {
        let (rows, schema) = if node.is::<PlaceholderRowExec>() {
            let row = placeholder_row(&node.schema())?;
            let schema = row.schema();
            (vec![row], schema)
        } else if node.is::<EmptyExec>() {
            (vec![], node.schema())
        } else if let Some((sort, first)) = first_of_each(&node) {
            let whole = SortExec::new(sort.expr().clone(), Arc::clone(sort.input())).with_preserve_partitioning(true);
            return Ok(Transformed::yes(Arc::new(LocalLimitExec::new(Arc::new(whole), first))));
        } else {
            return Ok(Transformed::no(node));
        };
        let scan = MemorySourceConfig::try_new_exec(&[rows], schema, None)?;
        Ok(Transformed::yes(scan as _))
    })
}

/// A sort that keeps the first rows of each partition, and how many.
fn first_of_each(node: &Arc<dyn ExecutionPlan>) -> Option<(&SortExec, usize)> {
    let sort = node.downcast_ref::<SortExec>().filter(|sort| sort.preserve_partitioning())?;
    Some((sort, sort.fetch()?))
}

/// Sorts the input of a window function by all that its rows are parted by.
///
/// The planner leaves out of a sort what it knows to have one value only, for example since a filter or statistics say
/// so. What tells it that can end up in another stage of the job, and the operator is refused where it has not been told.
fn with_sorted_windows(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    let functions = match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) if window.input_order_mode == InputOrderMode::Sorted => window.window_expr(),
        Some(_) => return Ok(Transformed::no(node)),
        None => match node.downcast_ref::<WindowAggExec>() {
            Some(window) => window.window_expr(),
            None => return Ok(Transformed::no(node)),
        },
    };
    let (Some(function), Some(input)) = (functions.first(), node.children().into_iter().next()) else {
        return Ok(Transformed::no(node));
    };
    let sort = input.downcast_ref::<SortExec>();
    let is_sorted_by =
        |expr: &Arc<dyn PhysicalExpr>| sort.is_some_and(|sort| sort.expr().iter().any(|key| key.expr.eq(expr)));
    let parted_by = function.partition_by();
    if parted_by.iter().all(is_sorted_by) {
        return Ok(Transformed::no(node));
    }
    let keys = parted_by.iter().map(|expr| PhysicalSortExpr::new_default(Arc::clone(expr)));
    let Some(ordering) = LexOrdering::new(keys.chain(function.order_by().iter().cloned())) else {
        return Ok(Transformed::no(node));
    };
    let unsorted = sort.map_or(input, |sort| sort.input());
    let sorted = SortExec::new(ordering, Arc::clone(unsorted)).with_preserve_partitioning(true);
    Ok(Transformed::yes(replace_children_if_necessary(Arc::clone(&node), vec![Arc::new(sorted)])?))
}

/// Sorts the rows of an exchange that is to keep their order.
///
/// In one process it merges the sorted rows of its inputs. A shuffle reads them one after the other, and operators that rely
/// on their order, and a limit over them, would go wrong.
fn with_sorted_shuffles(node: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(exchange) = node.downcast_ref::<RepartitionExec>().filter(|exchange| exchange.preserve_order()) else {
        return Ok(Transformed::no(node));
    };
    let ordering = node.output_ordering().cloned();
    let unordered = RepartitionExec::try_new(Arc::clone(exchange.input()), exchange.partitioning().clone())?;
    let unordered: Arc<dyn ExecutionPlan> = Arc::new(unordered);
    Ok(Transformed::yes(match ordering {
        Some(ordering) => Arc::new(SortExec::new(ordering, unordered).with_preserve_partitioning(true)),
        None => unordered,
    }))
}

/// Sorts and cuts rows again where a merge of sorted ones takes the first few of them, if that is `below` an exchange: the
/// engine takes the merge out there when it cuts the plan, and its limit with it.
fn with_kept_limits(node: Arc<dyn ExecutionPlan>, below: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let below_this = below || node.is::<CoalescePartitionsExec>() || node.is::<RepartitionExec>();
    let inputs = node.children().into_iter().map(|input| with_kept_limits(Arc::clone(input), below_this));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let node = replace_children_if_necessary(node, inputs)?;
    let merge = node.downcast_ref::<SortPreservingMergeExec>().filter(|_| below);
    Ok(match merge.and_then(|merge| Some((merge, merge.fetch()?))) {
        Some((merge, first)) => {
            let gathered = Arc::new(CoalescePartitionsExec::new(Arc::clone(merge.input())));
            Arc::new(SortExec::new(merge.expr().clone(), gathered).with_fetch(Some(first)))
        }
        None => node,
    })
}

/// A row of nulls, as a placeholder gives it; without columns it is still a row.
///
/// A placeholder may say that its columns are never null (it stands below the count of a table, which its statistics
/// answer). Nobody reads them, and a batch with such columns would be refused.
fn placeholder_row(schema: &SchemaRef) -> Result<RecordBatch> {
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(schema, columns, &one)?)
}

/// The name and partitions of a leaf that every task would read whole: its rows would be counted once a partition.
fn unsplittable_leaf(plan: &Arc<dyn ExecutionPlan>) -> Option<(String, usize)> {
    let mut found = None;
    // The visitor cannot fail.
    let _ = plan.apply(|node| {
        let partitions = node.output_partitioning().partition_count();
        if node.children().is_empty() && partitions > 1 && !is_splittable(node) {
            found = Some((node.name().to_owned(), partitions));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The leaves that the engine hands out by partition.
fn is_splittable(leaf: &Arc<dyn ExecutionPlan>) -> bool {
    if leaf.is::<EmptyExec>() {
        return true;
    }
    leaf.downcast_ref::<DataSourceExec>().is_some_and(|scan| {
        let source: &dyn Any = scan.data_source().as_ref();
        source.is::<FileScanConfig>() || source.is::<MemorySourceConfig>()
    })
}

#[cfg(test)]
mod tests;
