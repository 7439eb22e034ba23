//! Ballista's planner splits a plan into stages that return other rows than the plan.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::execution_plans::ShuffleWriter;
use ballista_core::extension::SessionConfigExt;
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::common::{JoinType, NullEquality};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use datafusion::prelude::SessionConfig;

type Plan = Arc<dyn ExecutionPlan>;

fn rows(partitions: usize) -> Plan {
    let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![3, 2, 1])) as _)]).unwrap();
    let schema = batch.schema();
    MemorySourceConfig::try_new_exec(&vec![vec![batch]; partitions], schema, None).unwrap()
}

fn x() -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new("x", 0))
}

fn order() -> LexOrdering {
    LexOrdering::new([PhysicalSortExpr::new_default(x())]).unwrap()
}

fn sorted(partitions: usize) -> Plan {
    Arc::new(SortExec::new(order(), rows(partitions)).with_preserve_partitioning(true))
}

/// The stages of a plan, in order.
fn stages(plan: Plan) -> Vec<Arc<dyn ShuffleWriter>> {
    let config = SessionConfig::new_with_ballista().with_target_partitions(4);
    DefaultDistributedPlanner::new().plan_query_stages(&JobId::from("job"), plan, config.options()).unwrap()
}

/// The plan below the writer of a stage.
fn plan_of(stage: &dyn ShuffleWriter) -> Plan {
    Arc::clone(stage.children()[0])
}

fn shown(plan: &Plan) -> String {
    DisplayableExecutionPlan::new(plan.as_ref()).indent(false).to_string()
}

fn partitions(plan: &Plan) -> usize {
    plan.output_partitioning().partition_count()
}

/// Each of its tasks outputs the rows of the build side that have no match in its own part of the probe side.
#[test]
fn a_nested_loop_join_with_unmatched_build_rows_has_several_tasks() {
    let join = NestedLoopJoinExec::try_new(rows(1), rows(3), None, &JoinType::Left, None).unwrap();
    let stages = stages(Arc::new(CoalescePartitionsExec::new(Arc::new(join))));
    let stage = stages.iter().map(|stage| plan_of(stage.as_ref())).find(|plan| plan.is::<NestedLoopJoinExec>());
    let tasks = partitions(&stage.unwrap());
    assert_ne!(tasks, 1, "`with_one_probe` can go");
}

#[test]
fn a_join_of_one_partition_becomes_partitioned() {
    let on = vec![(x(), x())];
    let (mode, nulls) = (PartitionMode::CollectLeft, NullEquality::NullEqualsNothing);
    let join = HashJoinExec::try_new(rows(1), rows(1), on, None, &JoinType::Left, None, mode, nulls, false);
    let join: Plan = Arc::new(join.unwrap());
    assert_eq!(partitions(&join), 1);
    let stages = stages(join);
    let last = plan_of(stages.last().unwrap().as_ref());
    assert_ne!(partitions(&last), 1, "`with_gathered_join` can go: {}", shown(&last));
}

#[test]
fn a_shuffle_loses_the_order_of_the_exchange_that_it_replaces() {
    let exchange = RepartitionExec::try_new(sorted(3), Partitioning::Hash(vec![x()], 4)).unwrap();
    let exchange: Plan = Arc::new(exchange.with_preserve_order());
    assert!(exchange.output_ordering().is_some());
    let stages = stages(Arc::new(LocalLimitExec::new(exchange, 2)));
    let last = plan_of(stages.last().unwrap().as_ref());
    let reader = Arc::clone(last.children()[0]);
    assert!(reader.output_ordering().is_none(), "`with_sorted_shuffles` can go: {}", shown(&last));
}
