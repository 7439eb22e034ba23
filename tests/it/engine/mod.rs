//! Jobs on a real embedded cluster: the same rows as plain DataFusion, and honest failures.

mod queries;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use windlass_tests::EmbeddedCluster;

/// The rows as text, sorted, without the frame.
fn sorted_rows(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = ordered_rows(batches);
    rows.sort();
    rows
}

/// The rows as text, without the frame.
fn ordered_rows(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    table.lines().filter(|line| !line.starts_with('+')).skip(1).map(str::to_owned).collect()
}

/// Asserts that the cluster gives the rows that `plain` gives in its own process.
async fn assert_same_rows(cluster: &EmbeddedCluster, distributed: &SessionContext, plain: &SessionContext, sql: &str) {
    let expected = plain.sql(sql).await.unwrap().collect().await.unwrap();
    let rows = cluster.rows(distributed, sql).await.unwrap();
    if sql.contains("ORDER BY") {
        assert_eq!(ordered_rows(&rows), ordered_rows(&expected), "{sql}");
    } else {
        assert_eq!(sorted_rows(&rows), sorted_rows(&expected), "{sql}");
    }
}
