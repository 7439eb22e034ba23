//! What is told of two plans.

use super::sample::{OPTIMIZED, PHYSICAL};
use crate::diff::PlanChangeKind::{
    Added, Detail, JoinMode, JoinOrder, PushDownGained, PushDownLost, Removed, Replaced, SidesSwapped,
};
use crate::diff::{PlanChange, PlanChangeKind, plan_align};

fn kinds(changes: &[PlanChange]) -> Vec<(PlanChangeKind, &str)> {
    changes.iter().map(|change| (change.kind, change.operator.as_str())).collect()
}

#[test]
fn a_plan_is_aligned_by_the_kinds_of_its_operators() {
    let with = |old: &str, new: &str| {
        assert!(PHYSICAL.contains(old), "{old}");
        PHYSICAL.replace(old, new)
    };
    let filter = "\
DeltaWriteExec: table=totals
  ProjectionExec: expr=[day@0 as day]
    FilterExec: day@0 IS NOT NULL
      HashJoinExec: mode=Partitioned, join_type=Inner, on=[(customer@1, id@0)]
        DataSourceExec: file_groups={1 group, 1 file}, projection=[day, customer], file_type=parquet
        DataSourceExec: file_groups={1 group, 1 file}, projection=[id], file_type=parquet
";
    let cases: [(String, &[(PlanChangeKind, &str)]); 5] = [
        (PHYSICAL.to_owned(), &[]),
        (filter.to_owned(), &[(Added, "FilterExec")]),
        (with("mode=Partitioned", "mode=CollectLeft"), &[(JoinMode, "HashJoinExec")]),
        (with("expr=[day@0 as day]", "expr=[day@0 as date]"), &[(Detail, "ProjectionExec")]),
        (with("ProjectionExec: expr", "CooperativeExec: expr"), &[(Replaced, "CooperativeExec")]),
    ];
    for (plan, expected) in cases {
        assert_eq!(kinds(&plan_align::changes(PHYSICAL, &plan)), expected, "{plan}");
    }
    assert_eq!(kinds(&plan_align::changes(filter, PHYSICAL)), [(Removed, "FilterExec")]);
}

#[test]
fn a_filter_that_leaves_the_scan_is_told() {
    let without = OPTIMIZED.replace(", full_filters=[orders.day = Utf8(\"1\")]", "");
    let lost = plan_align::changes(OPTIMIZED, &without);
    assert_eq!(kinds(&lost), [(PushDownLost, "TableScan")]);
    assert_eq!(lost[0].parts.len(), 1);
    assert_eq!(lost[0].parts[0].name, "full_filters");
    assert_eq!(kinds(&plan_align::changes(&without, OPTIMIZED)), [(PushDownGained, "TableScan")]);
}

#[test]
fn joins_are_told_by_the_order_of_their_inputs() {
    let plan = |first: &str, second: &str, third: &str| {
        format!(
            "Inner Join: x [x]\n  Inner Join: y [y]\n    TableScan: {first} [a]\n    TableScan: {second} [a]\n  \
             TableScan: {third} [a]\n"
        )
    };
    let other = plan_align::changes(&plan("a", "b", "c"), &plan("a", "c", "b"));
    assert_eq!(kinds(&other), [(JoinOrder, "Inner Join")]);
    assert_eq!((other[0].before.as_deref(), other[0].after.as_deref()), (Some("a, b, c"), Some("a, c, b")));
    let swapped = plan_align::changes(&plan("a", "b", "c"), &plan("b", "a", "c"));
    assert_eq!(kinds(&swapped), [(JoinOrder, "Inner Join")]);
    let two =
        |left: &str, right: &str| format!("Inner Join: x [x]\n  TableScan: {left} [a]\n  TableScan: {right} [a]\n");
    assert_eq!(kinds(&plan_align::changes(&two("a", "b"), &two("b", "a"))), [(SidesSwapped, "Inner Join")]);
    assert_eq!(kinds(&plan_align::changes(&two("a", "b"), &two("a", "c"))), [(Detail, "TableScan")]);
}

#[test]
fn inputs_of_a_union_and_queries_of_a_stage_come_and_go() {
    let union = |tables: &[&str]| {
        let scans = tables.iter().map(|table| format!("  TableScan: {table} [a]\n"));
        format!("Union [a]\n{}", scans.collect::<String>())
    };
    let changes = plan_align::changes(&union(&["a", "b", "c"]), &union(&["a", "c"]));
    assert_eq!(kinds(&changes), [(Removed, "TableScan")]);
    assert_eq!(changes[0].before.as_deref(), Some("TableScan: b [a]"));

    let several = format!("-- rows\n{PHYSICAL}\n-- duplicates\nEmptyExec\n");
    let changes = plan_align::changes(PHYSICAL, &several);
    assert_eq!(kinds(&changes), [(Added, "EmptyExec")], "one query is the rows of several");
    assert_eq!(changes[0].section.as_deref(), Some("duplicates"));
    assert_eq!(kinds(&plan_align::changes(&several, PHYSICAL)), [(Removed, "EmptyExec")]);
}
