//! Subqueries that are planned wrongly or not at all. Ballista turns the physical plans of scalar subqueries off, since they
//! cannot be sent.

use super::Right::{Error, Rows};
use super::fault;

const TABLES: &[&str] = &[
    "SET datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery = false",
    "CREATE TABLE o AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, NULL)) AS t(id, v)",
    "CREATE TABLE c AS SELECT * FROM (VALUES (1, 2), (1, 3), (2, 5)) AS t(id, rate)",
];

#[tokio::test]
async fn a_value_of_which_there_are_several_repeats_the_rows_around_it() {
    let found = fault(TABLES, "SELECT id, (SELECT rate FROM c) AS r FROM o", Error("WL0372")).await;
    assert_eq!(found.unwrap().split('|').count(), 9);
}

#[tokio::test]
async fn exists_is_not_planned_as_a_value() {
    let sql = "SELECT id, EXISTS (SELECT 1 FROM c WHERE c.id = o.id) AS e FROM o ORDER BY id";
    assert!(fault(TABLES, sql, Rows("1 true|2 true|3 false")).await.is_err());
}

#[tokio::test]
async fn in_is_not_planned_as_a_value() {
    let sql = "SELECT id, id IN (SELECT id FROM c) AS e FROM o ORDER BY id";
    assert!(fault(TABLES, sql, Rows("1 true|2 true|3 false")).await.is_err());
}

#[tokio::test]
async fn a_scalar_subquery_is_not_planned_inside_of_an_aggregate() {
    let sql = "SELECT sum(v * (SELECT max(rate) FROM c)) AS s FROM o";
    assert!(fault(TABLES, sql, Rows("150")).await.is_err());
}

#[tokio::test]
async fn a_correlated_subquery_with_a_limit_is_not_taken_apart() {
    let sql = "SELECT id, (SELECT rate FROM c WHERE c.id = o.id ORDER BY -rate LIMIT 1) AS r FROM o ORDER BY id";
    // Whether it is refused or wrong is all one.
    let _ = fault(TABLES, sql, Rows("1 3|2 5|3 NULL")).await;
}
