//! Invalid rows: the write fails with the reason, and changes nothing.

use datafusion::error::DataFusionError;
use windlass_base::error::{Coded, Failure};
use windlass_delta::table::TableDefinition;
use windlass_delta::write::delta_write_plan;

use super::lab::Lab;

/// Tries to write the rows of `sql` from two partitions; returns the failure of the task.
async fn failure(lab: &Lab, sql: &str, edit: impl FnOnce(&mut TableDefinition)) -> Failure {
    let rows = lab.rows(sql).await;
    let mut definition = lab.define("t", rows.schema());
    edit(&mut definition);
    let state = lab.ensure(&definition).await.unwrap();
    let error = lab.run(lab.write_plan(state.write_spec("people"), &rows, 2).await).await.unwrap_err();
    assert_eq!(lab.open("t", None).await.version(), Some(0), "the table is unchanged");
    let files = std::fs::read_dir(lab.path("t")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert!(files.iter().all(|name| name == "_delta_log" || name.to_string_lossy().ends_with(".parquet")), "{files:?}");
    let DataFusionError::External(cause) = error.find_root() else { panic!("{error:?}") };
    cause.downcast_ref::<Failure>().unwrap_or_else(|| panic!("{cause:?}")).clone()
}

fn text(failure: &Failure) -> String {
    format!("{failure}\nretryable: {}\nhelp: {}", failure.retryable, failure.help.as_deref().unwrap_or("none"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_where_none_may_be() {
    let lab = Lab::on_disk();
    let sql = "SELECT value AS id, CASE WHEN value <> 3 THEN 'name ' || value END AS name, \
               repeat('long \"text\" ', 20) AS remark FROM generate_series(1, 4)";
    let failure = failure(&lab, sql, |definition| definition.not_null = vec!["name".to_owned()]).await;
    insta::assert_snapshot!(text(&failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_constraint() {
    let lab = Lab::on_disk();
    let columns: Vec<String> = (0..10).map(|i| format!("value * {i} AS c{i}")).collect();
    let sql = format!("SELECT value AS id, {} FROM generate_series(1, 4)", columns.join(", "));
    let failure = failure(&lab, &sql, |definition| {
        definition.constraints.insert("in_range".to_owned(), "id BETWEEN 1 AND 3".to_owned());
        definition.constraints.insert("zero".to_owned(), "c0 = 0".to_owned());
    })
    .await;
    insta::assert_snapshot!(text(&failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_that_is_null_is_broken() {
    let lab = Lab::on_disk();
    let failure = failure(&lab, "SELECT 1 AS id, CAST(NULL AS BIGINT) AS age", |definition| {
        definition.constraints.insert("grown_up".to_owned(), "age >= 18".to_owned());
    })
    .await;
    insta::assert_snapshot!(text(&failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_as_partition_value() {
    let lab = Lab::on_disk();
    let sql = "SELECT * FROM (VALUES (1, 'a'), (2, '')) AS t(id, country)";
    let failure = failure(&lab, sql, |definition| definition.partition_by = vec!["country".to_owned()]).await;
    insta::assert_snapshot!(text(&failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit() {
    let lab = Lab::on_disk();
    let sql = "SELECT 1 AS id, arrow_cast('18446744073709551615', 'UInt64') AS big";
    let failure = failure(&lab, sql, |_| ()).await;
    insta::assert_snapshot!(text(&failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_do_not_fit_their_table() {
    let lab = Lab::on_disk();
    let rows = lab.rows("SELECT 1 AS id, 'x' AS name").await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let mut messages = Vec::new();
    for sql in ["SELECT 1 AS id", "SELECT 1 AS id, 2 AS name", "SELECT 1 AS id, 'x' AS name, 3 AS more"] {
        let input = lab.input(&lab.rows(sql).await, 1).await;
        let error = delta_write_plan(input, state.write_spec("people"), &lab.context.state()).unwrap_err();
        messages.push(format!("{sql}\n  [{}] {error}", error.code()));
    }
    for sql in ["nme = 'x'", "id + 1", "id >", "no_such_function(id)"] {
        let mut spec = state.write_spec("people");
        spec.constraints.insert("c".to_owned(), sql.to_owned());
        let error = delta_write_plan(lab.input(&rows, 1).await, spec, &lab.context.state()).unwrap_err();
        messages.push(format!("{sql}\n  [{}] {error}", error.code()));
    }
    insta::assert_snapshot!(messages.join("\n"));
}
