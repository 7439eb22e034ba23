//! What a physical plan loses on its way to an executor.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion_proto::physical_plan::{AsExecutionPlan, DefaultPhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;

use super::{plain, text};

const T: &str = "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1, 10), (2, 1, NULL), (3, 2, 30)) AS t(id, g, x)";

/// The rows of a query as planned, and after its plan was encoded and decoded.
async fn sent(sql: &str) -> (String, String) {
    let ctx = plain();
    ctx.sql(T).await.unwrap().collect().await.unwrap();
    let plan = ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let codec = DefaultPhysicalExtensionCodec {};
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::clone(&plan), &codec).unwrap();
    let arrived = node.try_into_physical_plan(&ctx.task_ctx(), &codec).unwrap();
    let rows = async |plan: Arc<dyn ExecutionPlan>| text(&collect(plan, ctx.task_ctx()).await.unwrap());
    (rows(plan).await, rows(arrived).await)
}

#[tokio::test]
async fn a_window_loses_its_filter() {
    let sql = "SELECT id, sum(x) FILTER (WHERE g = 1) OVER () AS s FROM t ORDER BY id";
    let (right, found) = sent(sql).await;
    assert_eq!(right, "1 10|2 10|3 10");
    assert_eq!(found, "1 40|2 40|3 40", "the function `Filtered` can go if this is right");
}

#[tokio::test]
async fn a_window_loses_ignore_nulls() {
    let sql = "SELECT id, lag(x) IGNORE NULLS OVER (ORDER BY id) AS l FROM t ORDER BY id";
    let (right, found) = sent(sql).await;
    assert_eq!(right, "1 NULL|2 10|3 10");
    assert_eq!(found, "1 NULL|2 10|3 NULL", "`Shifted` need not keep it if this is right");
}

/// The engine runs the second window in reverse over the order of the first.
#[tokio::test]
async fn a_window_loses_its_reversal() {
    let sql = "SELECT id, lag(id) OVER (ORDER BY id) AS a, lag(id) OVER (ORDER BY id DESC) AS b FROM t ORDER BY id";
    let (right, found) = sent(sql).await;
    assert_eq!(right, "1 NULL 2|2 1 3|3 2 NULL");
    assert_ne!(found, right, "`Shifted` need not keep it");
}

/// A table of delta-rs has its own scan, which has no encoding.
#[tokio::test]
async fn a_scan_of_a_delta_table_cannot_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let table = super::delta::table(folder.path()).await;
    let ctx = plain();
    let provider = table.table_provider().with_session(Arc::new(ctx.state())).await.unwrap();
    let plan = ctx.read_table(provider).unwrap().create_physical_plan().await.unwrap();
    let sent = PhysicalPlanNode::try_from_physical_plan(plan, &DefaultPhysicalExtensionCodec {});
    assert!(sent.is_err(), "it has an encoding now: look at decision 0002");
}
