//! Queries return the same rows as plain DataFusion.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use windlass_tests::shared_cluster;

use super::{assert_same_order, assert_same_rows, batch, sorted_rows, write_files};

/// Registers `facts` as Parquet files, `memory` and `buckets` in memory and `nothing` without rows.
async fn register(context: &SessionContext, folder: &Path) {
    let location = folder.to_str().unwrap();
    context.register_parquet("facts", location, ParquetReadOptions::default()).await.unwrap();
    let schema = batch(0).schema();
    let partitions = vec![vec![batch(0)], vec![batch(1)], vec![batch(2)]];
    context.register_table("memory", Arc::new(MemTable::try_new(Arc::clone(&schema), partitions).unwrap())).unwrap();
    context.register_table("nothing", Arc::new(MemTable::try_new(schema, vec![vec![]]).unwrap())).unwrap();
    let buckets =
        "CREATE VIEW buckets AS SELECT * FROM (VALUES (0, 'zero'), (1, 'one'), (2, 'two')) AS t(bucket, label)";
    context.sql(buckets).await.unwrap().collect().await.unwrap();
}

const UNORDERED: &[&str] = &[
    "SELECT 1 AS one, 'x' AS letter",
    "SELECT count(*), sum(id), min(name), max(name) FROM facts",
    "SELECT bucket, count(*) AS n, avg(id) AS mean, count(DISTINCT name) AS names FROM facts GROUP BY bucket",
    "SELECT name, array_agg(id ORDER BY id) AS ids FROM facts WHERE id < 40 GROUP BY name",
    "SELECT f.id, m.name FROM facts f JOIN memory m ON f.id = m.id",
    "SELECT f.id, b.label FROM facts f LEFT JOIN buckets b ON f.bucket = b.bucket WHERE f.id < 30",
    "SELECT b.label, f.id FROM facts f RIGHT JOIN buckets b ON f.bucket = b.bucket AND f.id < 2",
    "SELECT coalesce(a.id, b.id) AS id, a.name, b.bucket FROM (SELECT * FROM facts WHERE id % 2 = 0) a FULL JOIN \
     (SELECT * FROM facts WHERE id % 3 = 0) b ON a.id = b.id",
    "SELECT count(*) FROM facts a CROSS JOIN buckets b",
    "SELECT m.id AS m, f.id AS f FROM memory m LEFT JOIN facts f ON f.id < m.id - 22",
    "SELECT m.id AS m, f.id AS f FROM memory m FULL JOIN facts f ON f.id > m.id + 80",
    "SELECT id FROM memory m WHERE EXISTS (SELECT 1 FROM facts f WHERE f.id > m.id + 80)",
    "SELECT id FROM memory m WHERE NOT EXISTS (SELECT 1 FROM facts f WHERE f.id > m.id + 80)",
    "SELECT id FROM memory WHERE id NOT IN (SELECT id FROM facts WHERE id % 2 = 0)",
    "SELECT id FROM facts WHERE bucket IN (SELECT bucket FROM buckets WHERE label <> 'one')",
    "SELECT id FROM facts f WHERE NOT EXISTS (SELECT 1 FROM memory m WHERE m.id = f.id) AND id < 60",
    "SELECT id, row_number() OVER (PARTITION BY bucket ORDER BY id) AS n, sum(id) OVER (PARTITION BY bucket ORDER BY id) \
     AS running FROM facts WHERE id < 70",
    "SELECT id, rank() OVER (ORDER BY bucket, id) AS n FROM facts WHERE id < 50",
    "SELECT id, name FROM facts UNION ALL SELECT id, name FROM memory",
    "SELECT -1 AS id UNION ALL SELECT id FROM memory UNION ALL SELECT -2",
    "SELECT name FROM facts UNION SELECT label FROM buckets",
    "SELECT id FROM facts EXCEPT SELECT id FROM memory",
    "SELECT id FROM facts WHERE id < 0",
    "SELECT count(*), sum(id) FROM facts WHERE id < 0",
    "SELECT * FROM facts WHERE false",
    "SELECT * FROM nothing",
    "SELECT count(*) FROM nothing",
    "SELECT bucket, count(*) FROM nothing GROUP BY bucket",
    "SELECT f.id FROM facts f JOIN nothing n ON f.id = n.id",
    "SELECT id FROM nothing UNION ALL SELECT id FROM memory",
    "SELECT id FROM facts WHERE id > (SELECT avg(id) FROM facts) + 20",
    "SELECT id, (SELECT max(m.id) FROM memory m WHERE m.bucket = f.bucket) AS top FROM facts f WHERE id < 20",
];

const ORDERED: &[&str] = &[
    "SELECT id, bucket FROM facts ORDER BY bucket DESC, id LIMIT 17",
    "SELECT id FROM facts ORDER BY id LIMIT 5 OFFSET 11",
    "SELECT name, id FROM facts ORDER BY name, id DESC",
    "SELECT b.label, sum(f.id) AS total FROM facts f JOIN buckets b ON f.bucket = b.bucket JOIN memory m ON \
     m.bucket = f.bucket GROUP BY b.label HAVING sum(f.id) > 0 ORDER BY total DESC",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_query_gives_the_rows_of_plain_datafusion() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), 9);
    let (distributed, plain) = (cluster.context(), SessionContext::new());
    register(&distributed, folder.path()).await;
    register(&plain, folder.path()).await;
    for sql in UNORDERED {
        assert_same_rows(cluster, &distributed, &plain, sql).await;
    }
    for sql in ORDERED {
        assert_same_order(cluster, &distributed, &plain, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_200_partitions_is_returned_once() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), 200);
    let context = cluster.context();
    context.state_ref().write().config_mut().options_mut().execution.target_partitions = 200;
    register(&context, folder.path()).await;
    let job = cluster.run_sql(&context, "SELECT id FROM facts").await.unwrap();
    assert_eq!(job.evidence().stages[0].tasks.len(), 200);
    assert_eq!(job.row_count(), 2000);
    let streamed: Vec<RecordBatch> = job.stream().try_collect().await.unwrap();
    let expected: Vec<RecordBatch> = (0..200).map(|file| batch(file).project(&[0]).unwrap()).collect();
    assert_eq!(sorted_rows(&streamed), sorted_rows(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_jobs_do_not_disturb_each_other() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), 4);
    let context = cluster.context();
    register(&context, folder.path()).await;
    let queries: Vec<String> =
        (0..8).map(|n| format!("SELECT bucket, sum(id) + {n} AS s FROM facts GROUP BY bucket")).collect();
    let jobs = queries.iter().map(|sql| cluster.rows(&context, sql));
    let results = futures::future::try_join_all(jobs).await.unwrap();
    for (sql, rows) in queries.iter().zip(results) {
        let expected = context.sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(sorted_rows(&rows), sorted_rows(&expected), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_partitions_has_no_rows() {
    let cluster = shared_cluster().await;
    let context = cluster.context();
    let schema = batch(0).schema();
    let nothing = MemorySourceConfig::try_new_exec(&[], Arc::clone(&schema), None).unwrap();
    let job = cluster.submit_plan(&context, Arc::clone(&nothing) as _).await.unwrap().wait().await.unwrap();
    assert_eq!(job.row_count(), 0);
    assert_eq!(job.schema(), schema);
    assert!(job.collect().await.unwrap().is_empty());

    let something = MemorySourceConfig::try_new_exec(&[vec![batch(4)]], schema, None).unwrap();
    let union = UnionExec::try_new(vec![nothing, something]).unwrap();
    let plan = Arc::new(CoalescePartitionsExec::new(union));
    let rows = cluster.submit_plan(&context, plan).await.unwrap().wait().await.unwrap().collect().await.unwrap();
    assert_eq!(sorted_rows(&rows), sorted_rows(&[batch(4)]));
}
