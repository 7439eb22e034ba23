//! The object store requests of a query's tasks are counted, whatever they read.

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::prelude::SessionContext;
use windlass_project::spec::source::PinAt;
use windlass_scheduler::execute::JobEvidence;
use windlass_tests::{EmbeddedCluster, shared_cluster};

use crate::delta_read::cluster_like::{pinned, provider};
use crate::delta_read::tables::{append, array, batch};
use crate::sql::fixtures;

async fn evidence_of(cluster: &EmbeddedCluster, context: &SessionContext, sql: &str) -> JobEvidence {
    cluster.run_sql(context, sql).await.unwrap().evidence()
}

/// A count, summed over the stages of a job. Every stage has it at its root.
fn count(evidence: &JobEvidence, metric: &str) -> i64 {
    let of_stage = evidence.stages.iter().map(|stage| {
        let root = stage.operators.first().expect("a stage has operators");
        let found = root.metrics.iter().find(|(name, _)| name == metric);
        found.unwrap_or_else(|| panic!("stage {} does not count {metric}: {root:?}", stage.stage)).1
    });
    of_stage.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_scan_is_counted() {
    let cluster = shared_cluster().await;
    let context = cluster.context();
    let _folder = fixtures::register(&context, cluster.sessions.stores()).await;
    let delta = tempfile::tempdir().unwrap();
    let ids = array(Int64Array::from_iter_values(0..50));
    let names = array(StringArray::from_iter_values((0..50).map(|id| format!("n{id}"))));
    append(delta.path(), batch(vec![("id", ids), ("name", names)]), &[]).await;
    let table = pinned(&cluster.sessions, delta.path(), PinAt::Latest).await;
    context.register_table("delta", provider(&cluster.sessions, &table)).unwrap();
    for (sql, least) in [
        ("SELECT sum(n), max(root) FROM numbers WHERE n % 2 = 0", 3),
        ("SELECT day, count(amount) FROM orders GROUP BY day", 6),
        ("SELECT city, count(*) FROM people GROUP BY city", 1),
        ("SELECT count(*) FROM events WHERE id > 0", 1),
        ("SELECT path, length(content) FROM code", 5),
        ("SELECT name, sum(id) FROM delta GROUP BY name", 1),
    ] {
        let evidence = evidence_of(cluster, &context, sql).await;
        assert!(count(&evidence, "store_gets") >= least, "{sql}: {}", evidence.analyzed_text());
        assert!(count(&evidence, "store_bytes_read") > 0, "{sql}");
        assert_eq!(count(&evidence, "store_log_requests"), 0, "{sql}");
        assert_eq!(count(&evidence, "store_puts") + count(&evidence, "store_lists"), 0, "{sql}");
        assert!(evidence.analyzed_text().contains("store_gets="), "{sql}");
    }
    let evidence = evidence_of(cluster, &context, "SELECT 1 AS one").await;
    assert_eq!(count(&evidence, "store_gets"), 0);
}
