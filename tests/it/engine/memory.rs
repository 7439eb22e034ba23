//! A query that exceeds the memory spills, or fails with a clear error.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_engine::function::Functions;
use windlass_tests::{EmbeddedCluster, embedded_cluster};

const ROWS: i64 = 200_000;
const MEMORY: usize = 8 * 1024 * 1024;

/// About 20 MB, not in the order of the names.
fn write_big(path: &Path) {
    let ids = Int64Array::from_iter_values(0..ROWS);
    let names = StringArray::from_iter_values((0..ROWS).map(|id| format!("{:0>80}", (id * 7919) % ROWS)));
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(names)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn small_cluster(folder: &Path) -> (EmbeddedCluster, SessionContext) {
    let path = folder.join("big.parquet");
    write_big(&path);
    let settings =
        SessionSettings { target_partitions: 2, memory_limit_bytes: Some(MEMORY), ..SessionSettings::default() };
    let cluster = embedded_cluster(settings, Functions::standard(), 1).await;
    let context = cluster.context();
    context.state_ref().write().config_mut().options_mut().execution.sort_spill_reservation_bytes = 1024 * 1024;
    context.register_parquet("big", path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    (cluster, context)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_larger_than_the_memory_spills() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, context) = small_cluster(folder.path()).await;
    let job = cluster.run_sql(&context, "SELECT name, id FROM big ORDER BY name").await.unwrap();
    let evidence = job.evidence();
    let sorts =
        evidence.stages.iter().flat_map(|stage| &stage.operators).filter(|operator| operator.name == "SortExec");
    let spills: i64 =
        sorts.flat_map(|sort| &sort.metrics).filter(|(name, _)| name == "spill_count").map(|(_, spills)| spills).sum();
    assert!(spills > 0);
    let mut rows = job.stream();
    let mut next = 0;
    while let Some(batch) = rows.try_next().await.unwrap() {
        let names = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        for name in names {
            assert_eq!(name.unwrap().trim_start_matches('0').parse().unwrap_or(0), next);
            next += 1;
        }
    }
    assert_eq!(next, ROWS);
    drop((job, rows));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_can_neither_fit_nor_spill_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, context) = small_cluster(folder.path()).await;
    let sql = "SELECT count(*) FROM big a JOIN big b ON a.name = b.name";
    let failure = cluster.run_sql(&context, sql).await.err().expect("the job fails").to_failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("WL0505", false), "{failure}");
    assert!(failure.help.unwrap().contains("memory limit"));
    assert!(!failure.message.contains("DataFusionError"), "{}", failure.message);
    cluster.stop().await;
}
