//! A failed job reports the reason, and whether a retry may help.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::physical_plan::test::TestMemoryExec;
use windlass_base::error::{Coded, Failure};
use windlass_scheduler::execute::{EngineError, EngineStageState, TaskState};
use windlass_tests::shared_cluster;

use super::functions::refusal;
use super::{batch, cluster_with_functions, context_with_files};

async fn failure_of(sql: &str) -> Failure {
    let cluster = cluster_with_functions().await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 6).await;
    let error = cluster.run_sql(&context, sql).await.err().expect("the job fails");
    // The executor continues after a failure.
    let rows = cluster.run_sql(&context, "SELECT id FROM facts").await.unwrap().row_count();
    assert_eq!(rows, 60);
    cluster.stop().await;
    error.to_failure()
}

fn summary(failure: &Failure) -> (&str, &str, bool) {
    (&failure.code, &failure.message, failure.retryable)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_a_task_arrives_intact() {
    let failure = failure_of("SELECT fail(id) FROM facts").await;
    assert_eq!(summary(&failure), ("WL0503", "the check \"id <> 35\" fails: 'ü' | 100 %", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_survives_the_stages_above() {
    let failure = failure_of("SELECT bucket, sum(fail(id)) AS s FROM facts GROUP BY bucket ORDER BY s").await;
    assert_eq!(summary(&failure), ("WL0503", "the check \"id <> 35\" fails: 'ü' | 100 %", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_own_errors_are_legible() {
    let failure = failure_of("SELECT 1 / (id - 35) FROM facts").await;
    assert_eq!(summary(&failure), ("WL0503", "division by zero", false));
    let failure = failure_of("SELECT CAST(name AS BIGINT) FROM facts").await;
    assert_eq!(failure.code, "WL0503");
    assert!(failure.message.starts_with("the text 'name "), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_error() {
    let failure = failure_of("SELECT fall(id) FROM facts").await;
    assert_eq!(summary(&failure), ("WL0504", "a task panicked: fell over \"35\"", false));
    let failure = failure_of("SELECT bucket, sum(fall(id)) FROM facts GROUP BY bucket").await;
    assert_eq!(summary(&failure), ("WL0504", "a task panicked: fell over \"35\"", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_windlass_keeps_its_code_and_help() {
    assert_eq!(failure_of("SELECT refuse(id) FROM facts").await, refusal());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_io_error_is_retried_and_then_retryable() {
    let cluster = cluster_with_functions().await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 6).await;
    let job = cluster.submit_sql(&context, "SELECT drop_connection(id) FROM facts").await.unwrap();
    let failure = job.wait().await.err().unwrap().to_failure();
    assert_eq!(summary(&failure), ("WL0506", "reading or writing failed: reset by peer", true));

    let stages = job.evidence().await.stages;
    assert_eq!(stages.len(), 1);
    assert_eq!(stages[0].state, EngineStageState::Failed);
    assert!(stages[0].plan.contains("drop_connection"), "{}", stages[0].plan);
    let attempts: Vec<_> = stages[0].tasks.iter().filter(|task| task.partitions == [3]).collect();
    assert_eq!(attempts.iter().map(|task| task.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(attempts[3].state, TaskState::Failed("reset by peer".to_owned()));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_cannot_be_split_among_tasks_is_refused() {
    let cluster = shared_cluster().await;
    let partitions = [vec![batch(0)], vec![batch(1)]];
    let leaf = Arc::new(TestMemoryExec::try_new(&partitions, batch(0).schema(), None).unwrap());
    let leaf = Arc::new(TestMemoryExec::update_cache(&leaf));
    let error = cluster.submit_plan(&cluster.context(), leaf).await.err().expect("the plan is refused");
    assert!(matches!(error, EngineError::Unsplittable { partitions: 2, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_missing_on_executors_is_named() {
    let cluster = shared_cluster().await;
    let context = cluster.context();
    let body = Arc::new(|arguments: &[ColumnarValue]| Ok(arguments[0].clone()));
    context.register_udf(create_udf("only_here", vec![DataType::Int64], DataType::Int64, Volatility::Volatile, body));
    let error = cluster.run_sql(&context, "SELECT only_here(1)").await.err().expect("the job fails");
    assert_eq!(error.to_failure().code, "WL0501");
    assert!(error.to_string().contains("only_here"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_missing_on_executors_is_named() {
    let cluster = shared_cluster().await;
    let sql = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r";
    let error = cluster.run_sql(&cluster.context(), sql).await.err().expect("the job fails");
    assert_eq!(error.to_string(), "the plan cannot be distributed: executors cannot run `RecursiveQueryExec`");
}
