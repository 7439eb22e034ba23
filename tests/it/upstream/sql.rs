//! SQL that the parser takes and the plan does not carry: other rows than those that were asked for. Windlass refuses it.

use windlass_project::spec::check_question;

use super::{by_datafusion, by_us};

const T: &str = "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1), (1, 2), (2, 3)) AS t(a, b)";
const U: &str = "CREATE TABLE u AS SELECT * FROM (VALUES (1), (3)) AS u(a)";

/// Holds as long as plain DataFusion gives `wrong` rows for `sql`, which Windlass refuses.
async fn passed_over(sql: &str, right: &str, wrong: &str) {
    let refused = check_question(sql).unwrap_err();
    assert!(refused.reports().iter().any(|report| report.code == "WL0219"), "{refused}");
    let found = by_datafusion(&[T, U], sql).await;
    let found = found.unwrap_or_else(|error| panic!("{sql} is refused now, so Windlass need not do so: {error}"));
    assert_ne!(found, right, "{sql}: DataFusion is right about it now; tests/it/upstream/README.md says what can go");
    assert_eq!(found, wrong, "{sql}");
}

#[tokio::test]
async fn with_rollup_is_passed_over() {
    let sql = "SELECT a, sum(b) AS s FROM t GROUP BY a WITH ROLLUP ORDER BY a";
    passed_over(sql, "1 3|2 3|NULL 6", "1 3|2 3").await;
}

#[tokio::test]
async fn a_sample_is_the_whole_table() {
    passed_over("SELECT count(*) AS n FROM t TABLESAMPLE (0 PERCENT)", "0", "3").await;
}

#[tokio::test]
async fn except_all_and_intersect_all_do_not_count_copies() {
    passed_over("SELECT a FROM t EXCEPT ALL SELECT a FROM u ORDER BY a", "1|2", "2").await;
    passed_over("SELECT a FROM t INTERSECT ALL SELECT a FROM u ORDER BY a", "1", "1|1").await;
}

#[tokio::test]
async fn a_column_of_both_sides_is_that_of_the_left_side() {
    passed_over("SELECT a FROM t RIGHT JOIN u USING (a) WHERE a IS NULL OR a = 3", "3", "NULL").await;
}

/// What comes after `IS NOT DISTINCT FROM` is taken for its right side as a whole.
#[tokio::test]
async fn is_not_distinct_from_takes_the_and_behind_it() {
    let sql = "SELECT false IS NOT DISTINCT FROM true AND false AS x";
    passed_over(sql, "false", "true").await;
}

/// An aggregate that repeats a test for truth is refused by a check of the planner's own work.
#[tokio::test]
async fn a_repeated_test_for_truth_is_refused() {
    let sql = "SELECT count(*) FILTER (WHERE (b > 1) IS NOT TRUE) AS x, \
               count(*) FILTER (WHERE (b > 1) IS NOT TRUE AND a > 0) AS y, count(DISTINCT a) AS z FROM t";
    assert_eq!(by_us(&[T], sql).await.unwrap(), "1 1 2");
    let found = by_datafusion(&[T], sql).await;
    assert!(found.is_err(), "skip_physical_aggregate_schema_check of sessions can go: {found:?}");
}
