//! SQL that the parser accepts and the plan does not contain, so that the rows differ. Windlass refuses it.

use windlass_project::spec::check_question;

use super::by_datafusion;

const T: &str = "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1), (1, 2), (2, 3)) AS t(a, b)";
const U: &str = "CREATE TABLE u AS SELECT * FROM (VALUES (1), (3)) AS u(a)";

/// Asserts that plain DataFusion still returns `wrong` rows for `sql`, which Windlass refuses.
async fn ignored(sql: &str, right: &str, wrong: &str) {
    let refused = check_question(sql).unwrap_err();
    assert!(refused.reports().iter().any(|report| report.code == "WL0219"), "{refused}");
    let found = by_datafusion(&[T, U], sql).await;
    let found = found.unwrap_or_else(|error| panic!("{sql} is refused now, so Windlass need not do so: {error}"));
    assert_ne!(found, right, "{sql}: DataFusion is now correct; tests/it/upstream/README.md says what can be removed");
    assert_eq!(found, wrong, "{sql}");
}

#[tokio::test]
async fn with_rollup_is_ignored() {
    let sql = "SELECT a, sum(b) AS s FROM t GROUP BY a WITH ROLLUP ORDER BY a";
    ignored(sql, "1 3|2 3|NULL 6", "1 3|2 3").await;
}

#[tokio::test]
async fn tablesample_is_ignored() {
    ignored("SELECT count(*) AS n FROM t TABLESAMPLE (0 PERCENT)", "0", "3").await;
}

#[tokio::test]
async fn except_all_and_intersect_all_do_not_count_copies() {
    ignored("SELECT a FROM t EXCEPT ALL SELECT a FROM u ORDER BY a", "1|2", "2").await;
    ignored("SELECT a FROM t INTERSECT ALL SELECT a FROM u ORDER BY a", "1", "1|1").await;
}

#[tokio::test]
async fn a_using_column_has_only_the_values_of_the_left_side() {
    ignored("SELECT a FROM t RIGHT JOIN u USING (a) ORDER BY u.a", "1|1|3", "1|1|NULL").await;
}

/// Everything after `IS NOT DISTINCT FROM` is parsed as its right side.
#[tokio::test]
async fn is_not_distinct_from_includes_the_following_and() {
    let sql = "SELECT false IS NOT DISTINCT FROM true AND false AS x";
    ignored(sql, "false", "true").await;
}
