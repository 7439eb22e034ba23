//! Each pass for itself: what it rewrites, what it leaves alone, and that tasks then give each row once.

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::NullEquality;
use datafusion::execution::TaskContext;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::{Operator, WindowFrame, WindowFunctionDefinition};
use datafusion::physical_expr::expressions::{BinaryExpr, col, lit};
use datafusion::physical_plan::Partitioning;
use datafusion::physical_plan::common::collect;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::windows::create_window_expr;

use super::*;

type Plan = Arc<dyn ExecutionPlan>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true), Field::new("y", DataType::Int64, true)]))
}

/// Three rows a partition, `x` being the partition and `y` going down.
fn rows(partitions: usize) -> Plan {
    let rows = |partition: usize| {
        let x = Int64Array::from(vec![i64::try_from(partition).unwrap(); 3]);
        vec![RecordBatch::try_new(schema(), vec![Arc::new(x), Arc::new(Int64Array::from(vec![3, 2, 1]))]).unwrap()]
    };
    let partitions: Vec<_> = (0..partitions).map(rows).collect();
    MemorySourceConfig::try_new_exec(&partitions, schema(), None).unwrap()
}

fn by(column: &str) -> LexOrdering {
    LexOrdering::new([PhysicalSortExpr::new_default(col(column, &schema()).unwrap())]).unwrap()
}

/// The rows of each partition, sorted.
fn sorted(partitions: usize) -> Plan {
    Arc::new(SortExec::new(by("y"), rows(partitions)).with_preserve_partitioning(true))
}

fn partitions(plan: &Plan) -> usize {
    plan.output_partitioning().partition_count()
}

/// What `pass` makes of `node`, if it makes something else of it.
fn changed(pass: fn(Plan) -> Rewritten, node: Plan) -> Option<Plan> {
    let made = pass(node).unwrap();
    made.transformed.then_some(made.data)
}

fn child(plan: &Plan, index: usize) -> Plan {
    Arc::clone(plan.children()[index])
}

/// The rows of a partition.
async fn of_partition(plan: &Plan, partition: usize) -> Vec<RecordBatch> {
    collect(plan.execute(partition, Arc::new(TaskContext::default())).unwrap()).await.unwrap()
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// The rows of all partitions.
async fn of_all(plan: Plan) -> usize {
    let mut rows = 0;
    for partition in 0..partitions(&plan) {
        rows += count(&of_partition(&plan, partition).await);
    }
    rows
}

#[test]
fn a_leaf_without_partitions_gets_an_empty_one() {
    let made = changed(with_a_partition, rows(0)).unwrap();
    assert!(made.is::<EmptyExec>() && partitions(&made) == 1);
    assert_eq!(made.schema(), schema());
    assert!(changed(with_a_partition, rows(1)).is_none());
    let above: Plan = Arc::new(LocalLimitExec::new(rows(0), 1));
    assert!(changed(with_a_partition, above).is_none(), "only leaves");
}

fn nested_loop(join_type: JoinType, probes: usize) -> Plan {
    Arc::new(NestedLoopJoinExec::try_new(rows(1), rows(probes), None, &join_type, None).unwrap())
}

#[test]
fn a_nested_loop_join_that_remembers_its_build_side_has_one_probe() {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};

    for join_type in [Left, Full, LeftSemi, LeftAnti, LeftMark] {
        let made = changed(with_one_probe, nested_loop(join_type, 3)).unwrap();
        let limit = child(&made, 1);
        assert!(made.is::<NestedLoopJoinExec>() && partitions(&made) == 1, "{join_type}");
        assert!(
            limit.downcast_ref::<GlobalLimitExec>().is_some_and(|limit| limit.skip() == 0 && limit.fetch().is_none())
        );
        assert!(child(&limit, 0).is::<CoalescePartitionsExec>(), "{join_type}");
        assert!(changed(with_one_probe, nested_loop(join_type, 1)).is_none(), "{join_type}");
    }
    for join_type in [Inner, Right, RightSemi, RightAnti, RightMark] {
        assert!(changed(with_one_probe, nested_loop(join_type, 3)).is_none(), "{join_type}");
    }
    assert!(changed(with_one_probe, rows(3)).is_none());
}

#[tokio::test]
async fn one_task_gives_the_rows_without_a_partner() {
    // No row of the build side has a partner, since the probe side has no rows in any of its partitions.
    let nothing: Plan = Arc::new(EmptyExec::new(schema()).with_partitions(3));
    let join: Plan = Arc::new(NestedLoopJoinExec::try_new(rows(1), nothing, None, &JoinType::Left, None).unwrap());
    let made = changed(with_one_probe, Arc::clone(&join)).unwrap();
    assert_eq!((partitions(&made), of_all(made).await), (1, 3));
    assert_eq!(of_all(join).await, 3);
}

fn hash_join(mode: PartitionMode, probes: usize) -> Plan {
    let on = vec![(col("x", &schema()).unwrap(), col("x", &schema()).unwrap())];
    let builds = if mode == PartitionMode::CollectLeft { 1 } else { probes };
    let nulls = NullEquality::NullEqualsNothing;
    let join = HashJoinExec::try_new(rows(builds), rows(probes), on, None, &JoinType::Inner, None, mode, nulls, false);
    Arc::new(join.unwrap())
}

#[test]
fn a_join_that_collects_its_build_side_in_one_partition_is_gathered() {
    let made = changed(with_gathered_join, hash_join(PartitionMode::CollectLeft, 1)).unwrap();
    assert!(made.is::<CoalescePartitionsExec>() && child(&made, 0).is::<HashJoinExec>());
    assert!(changed(with_gathered_join, hash_join(PartitionMode::CollectLeft, 3)).is_none());
    assert!(changed(with_gathered_join, hash_join(PartitionMode::Partitioned, 1)).is_none());
    assert!(changed(with_gathered_join, rows(1)).is_none());
}

fn first_two(partitions: usize) -> Plan {
    Arc::new(SortExec::new(by("y"), rows(partitions)).with_preserve_partitioning(true).with_fetch(Some(2)))
}

#[tokio::test]
async fn branches_of_a_union_are_scans_of_memory_and_whole_sorts() {
    let branches = || -> Vec<Plan> {
        vec![
            Arc::new(PlaceholderRowExec::new(schema())),
            Arc::new(EmptyExec::new(schema())),
            first_two(2),
            rows(1),
            Arc::new(LocalLimitExec::new(Arc::new(EmptyExec::new(schema())), 1)),
        ]
    };
    let union = || UnionExec::try_new(branches()).unwrap();
    let made = changed(with_measured_branches, union()).unwrap();
    assert!(made.is::<UnionExec>());
    for place in [0, 1, 3] {
        assert!(child(&made, place).is::<DataSourceExec>(), "{place}");
    }
    let limit = child(&made, 2);
    assert_eq!(limit.downcast_ref::<LocalLimitExec>().unwrap().fetch(), 2);
    let sort = child(&limit, 0);
    let sort = sort.downcast_ref::<SortExec>().unwrap();
    assert!(sort.fetch().is_none() && sort.preserve_partitioning() && *sort.expr() == by("y"));
    assert!(child(&child(&made, 4), 0).is::<DataSourceExec>(), "deeper leaves too");
    assert_eq!(partitions(&made), partitions(&union()));
    // The sort of the engine leaves rows of a partition out that are not among the first of all.
    assert_eq!(of_all(made).await, 1 + 2 * 2 + 3);
}

#[test]
fn constants_that_are_no_branches_stay() {
    assert!(changed(with_measured_branches, Arc::new(PlaceholderRowExec::new(schema()))).is_none());
    assert!(changed(with_measured_branches, first_two(1)).is_none());
}

#[test]
fn a_placeholder_is_one_row_of_nulls_whatever_it_says_of_its_columns() {
    let columns = vec![Field::new("x", DataType::Int64, false)];
    let row = placeholder_row(&Arc::new(Schema::new(columns))).unwrap();
    assert_eq!((row.num_rows(), row.column(0).null_count()), (1, 1));
    let row = placeholder_row(&Arc::new(Schema::empty())).unwrap();
    assert_eq!((row.num_rows(), row.num_columns()), (1, 0));
}

#[test]
fn a_sort_that_keeps_the_first_rows_of_all_partitions_together_stays() {
    let whole: Plan = Arc::new(SortExec::new(by("y"), rows(2)).with_fetch(Some(2)));
    assert!(first_of_each(&whole).is_none());
    assert!(first_of_each(&sorted(2)).is_none());
    assert_eq!(first_of_each(&first_two(2)).map(|(_, first)| first), Some(2));
}

/// `sum(y) OVER (PARTITION BY x ORDER BY y)`, or over all rows of each partition, as an operator over `input`.
fn window(input: Plan, bounded: bool) -> Plan {
    let sum = WindowFunctionDefinition::AggregateUDF(sum_udaf());
    let of = |column: &str| col(column, &schema()).unwrap();
    let order: Vec<_> = by("y").into_iter().collect();
    let frame = Arc::new(WindowFrame::new(bounded.then_some(false)));
    let function =
        create_window_expr(&sum, "w".to_owned(), &[of("y")], &[of("x")], &order, frame, schema(), false, false, None);
    let functions = vec![function.unwrap()];
    match bounded {
        true => Arc::new(BoundedWindowAggExec::try_new(functions, input, InputOrderMode::Sorted, true).unwrap()),
        false => Arc::new(WindowAggExec::try_new(functions, input, true).unwrap()),
    }
}

/// The rows whose `x` is 1, sorted by `keys`.
fn ones(keys: LexOrdering) -> Plan {
    let is_one = BinaryExpr::new(col("x", &schema()).unwrap(), Operator::Eq, lit(1_i64));
    let ones = FilterExec::try_new(Arc::new(is_one), rows(2)).unwrap();
    Arc::new(SortExec::new(keys, Arc::new(ones)).with_preserve_partitioning(true))
}

#[tokio::test]
async fn a_window_is_sorted_by_all_that_its_rows_are_parted_by() {
    let both = LexOrdering::new(by("x").into_iter().chain(by("y"))).unwrap();
    for bounded in [true, false] {
        // All rows have one `x`, so the planner does not sort by it.
        let plan = window(ones(by("y")), bounded);
        let made = changed(with_sorted_windows, Arc::clone(&plan)).unwrap();
        let sort = child(&made, 0);
        let sort = sort.downcast_ref::<SortExec>().unwrap();
        assert!(sort.preserve_partitioning() && *sort.expr() == both, "{bounded}");
        assert!(sort.input().is::<FilterExec>(), "the sort before is not needed any more: {bounded}");
        assert_eq!((of_all(plan).await, of_all(made).await), (3, 3), "{bounded}");
        // Without a sort, since the rows come in order by themselves.
        let unsorted = changed(with_sorted_windows, window(rows(2), bounded)).unwrap();
        assert!(child(&unsorted, 0).is::<SortExec>(), "{bounded}");
        assert!(changed(with_sorted_windows, window(ones(both.clone()), bounded)).is_none(), "{bounded}");
    }
    assert!(changed(with_sorted_windows, rows(1)).is_none());
}

fn hashed(input: Plan) -> RepartitionExec {
    RepartitionExec::try_new(input, Partitioning::Hash(vec![col("x", &schema()).unwrap()], 2)).unwrap()
}

#[test]
fn an_exchange_that_keeps_an_order_is_sorted_again() {
    let exchange: Plan = Arc::new(hashed(sorted(3)).with_preserve_order());
    assert!(exchange.output_ordering().is_some());
    let made = changed(with_sorted_shuffles, exchange).unwrap();
    let sort = made.downcast_ref::<SortExec>().unwrap();
    assert!(sort.preserve_partitioning() && sort.fetch().is_none() && *sort.expr() == by("y"));
    let exchange = child(&made, 0);
    let exchange = exchange.downcast_ref::<RepartitionExec>().unwrap();
    assert!(!exchange.preserve_order());
    assert_eq!((exchange.partitioning().partition_count(), partitions(&made)), (2, 2));
    assert!(changed(with_sorted_shuffles, Arc::new(hashed(sorted(3)))).is_none());
    assert!(changed(with_sorted_shuffles, Arc::new(hashed(rows(3)).with_preserve_order())).is_none());
}

fn merged(fetch: Option<usize>) -> Plan {
    Arc::new(SortPreservingMergeExec::new(by("y"), sorted(3)).with_fetch(fetch))
}

#[tokio::test]
async fn the_first_rows_of_a_merge_below_an_exchange_are_kept_by_a_sort() {
    let below: [fn(Plan) -> Plan; 2] =
        [|plan| Arc::new(CoalescePartitionsExec::new(plan)), |plan| Arc::new(hashed(plan))];
    for exchange in below {
        // Not only right below.
        for plan in [exchange(merged(Some(2))), exchange(Arc::new(GlobalLimitExec::new(merged(Some(2)), 0, None)))] {
            let made = with_kept_limits(plan, false).unwrap();
            let mut node = child(&made, 0);
            if node.is::<GlobalLimitExec>() {
                node = child(&node, 0);
            }
            let sort = node.downcast_ref::<SortExec>().unwrap();
            assert!(sort.fetch() == Some(2) && *sort.expr() == by("y"));
            assert!(child(&node, 0).is::<CoalescePartitionsExec>());
            assert_eq!((partitions(&node), count(&of_partition(&node, 0).await)), (1, 2));
        }
    }
}

#[test]
fn merges_that_keep_all_rows_or_stand_above_every_exchange_stay() {
    for plan in [merged(Some(2)), Arc::new(CoalescePartitionsExec::new(merged(None)))] {
        assert!(Arc::ptr_eq(&plan, &with_kept_limits(Arc::clone(&plan), false).unwrap()));
    }
}

#[test]
fn a_leaf_that_every_task_would_read_whole_is_refused() {
    let placeholder = |partitions| -> Plan { Arc::new(PlaceholderRowExec::new(schema()).with_partitions(partitions)) };
    let empty: Plan = Arc::new(EmptyExec::new(schema()).with_partitions(3));
    for leaf in [rows(3), placeholder(1), empty] {
        let above: Plan = Arc::new(CoalescePartitionsExec::new(leaf));
        assert_eq!(unsplittable_leaf(&above), None);
        assert!(distributable(above).is_ok());
    }
    let above: Plan = Arc::new(CoalescePartitionsExec::new(placeholder(3)));
    assert_eq!(unsplittable_leaf(&above), Some(("PlaceholderRowExec".to_owned(), 3)));
    let refused = distributable(above).unwrap_err();
    assert!(
        matches!(&refused, EngineError::Unsplittable { operator, partitions: 3 } if operator == "PlaceholderRowExec")
    );
}

/// All passes together, on a plan that needs several: what one makes must not undo what another made.
#[tokio::test]
async fn passes_get_along_with_one_another() {
    let build = hash_join(PartitionMode::CollectLeft, 1);
    let plan: Plan = Arc::new(NestedLoopJoinExec::try_new(build, rows(3), None, &JoinType::Left, None).unwrap());
    let expected = of_all(Arc::clone(&plan)).await;
    let made = distributable(plan).unwrap();
    assert_eq!(partitions(&made), 1);
    assert_eq!(of_all(Arc::clone(&made)).await, expected);
    let again = distributable(made).unwrap();
    assert_eq!(of_all(again).await, expected, "nor does it matter when they run twice");
}
