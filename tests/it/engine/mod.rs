//! Jobs on a real embedded cluster and in one process: the same rows as plain DataFusion, and accurate failures.

mod failures;
mod functions;
mod lifecycle;
mod local;
mod memory;
mod queries;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use windlass_base::config::SessionSettings;
use windlass_tests::{EmbeddedCluster, embedded_cluster};

const ROWS_PER_FILE: i64 = 10;

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

/// Asserts that the cluster returns the same rows as `plain` in its own process, in any order.
async fn assert_same_rows(cluster: &EmbeddedCluster, distributed: &SessionContext, plain: &SessionContext, sql: &str) {
    let expected = plain.sql(sql).await.unwrap().collect().await.unwrap();
    let rows = cluster.rows(distributed, sql).await.unwrap();
    assert_eq!(sorted_rows(&rows), sorted_rows(&expected), "{sql}");
}

/// Asserts that the cluster returns the same rows as `plain` in its own process, in the same order.
async fn assert_same_order(cluster: &EmbeddedCluster, distributed: &SessionContext, plain: &SessionContext, sql: &str) {
    let expected = plain.sql(sql).await.unwrap().collect().await.unwrap();
    let rows = cluster.rows(distributed, sql).await.unwrap();
    assert_eq!(ordered_rows(&rows), ordered_rows(&expected), "{sql}");
}

/// `ROWS_PER_FILE` rows of (id, bucket, name), with ids that continue from file to file.
fn batch(file: i64) -> RecordBatch {
    let ids: Vec<i64> = (0..ROWS_PER_FILE).map(|row| file * ROWS_PER_FILE + row).collect();
    let buckets: Vec<i64> = ids.iter().map(|id| id % 7).collect();
    let names: Vec<String> = ids.iter().map(|id| format!("name {}", id % 13)).collect();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("bucket", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(Int64Array::from(buckets)), Arc::new(StringArray::from(names))],
    )
    .unwrap()
}

fn write_files(folder: &Path, files: i64) {
    for file in 0..files {
        let batch = batch(file);
        let path = folder.join(format!("part-{file:04}.parquet"));
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// A session of `cluster` with a table `facts` of the given number of files, each of them a partition.
async fn context_with_files(cluster: &EmbeddedCluster, folder: &Path, files: i64) -> SessionContext {
    write_files(folder, files);
    let context = cluster.context();
    let partitions = usize::try_from(files).unwrap();
    context.state_ref().write().config_mut().options_mut().execution.target_partitions = partitions;
    context.register_parquet("facts", folder.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    context
}

/// A cluster of one executor whose sessions have the functions of these tests.
async fn cluster_with_functions() -> EmbeddedCluster {
    let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    embedded_cluster(settings, functions::functions(), 1).await
}
