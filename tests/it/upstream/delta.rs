//! What delta-rs commits and reads without an error.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch};
use deltalake::DeltaTable;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::protocol::SaveMode;

use super::{plain, text};
use crate::change_feed::tables::{append, create};
use crate::incremental::tables::{load, open};

fn three_rows() -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)]).unwrap()
}

async fn write(table: DeltaTable, properties: CommitProperties) -> DeltaTable {
    let write = table.write(vec![three_rows()]).with_save_mode(SaveMode::Append);
    write.with_commit_properties(properties).await.unwrap()
}

/// A table of three rows.
pub(super) async fn table(folder: &Path) -> DeltaTable {
    write(open(folder).await, CommitProperties::default()).await
}

async fn count(folder: &Path) -> usize {
    load(&open(folder).await).await.batches.iter().map(RecordBatch::num_rows).sum()
}

/// A writer that commits with the same transaction again, for example after a lost answer, has to look it up first.
#[tokio::test]
async fn the_same_transaction_is_committed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table(folder.path()).await;
    for _ in 0..2 {
        let transaction = CommitProperties::default().with_application_transaction(Transaction::new("app", 1));
        table = write(table, transaction).await;
    }
    assert_eq!(count(folder.path()).await, 9, "committing looks transactions up now");
}

#[tokio::test]
async fn a_change_feed_ends_before_the_requested_version() {
    let folder = tempfile::tempdir().unwrap();
    let table = append(create(folder.path(), &[]).await, 0..10).await;
    let ctx = plain();
    let feed = table.scan_cdf().with_starting_version(0).with_ending_version(9).build(&ctx.state(), None).await;
    assert!(feed.is_ok(), "versions that are not there are refused now");
}

/// A power loss may leave a commit without content.
#[tokio::test]
async fn a_commit_without_content_is_an_empty_commit() {
    let folder = tempfile::tempdir().unwrap();
    let table = write(table(folder.path()).await, CommitProperties::default()).await;
    assert_eq!((table.version(), count(folder.path()).await), (Some(1), 6));
    std::fs::write(folder.path().join("_delta_log/00000000000000000001.json"), "").unwrap();
    assert_eq!(count(folder.path()).await, 3, "the damage is reported now");
}

/// NaN is greater than every number, and the log's bound excludes it.
#[tokio::test]
async fn a_filter_skips_a_file_with_nan() {
    let folder = tempfile::tempdir().unwrap();
    let values = Float64Array::from(vec![f64::NAN, 5.0]);
    let batch = RecordBatch::try_from_iter([("x", Arc::new(values) as _)]).unwrap();
    let table = open(folder.path()).await.write(vec![batch.clone()]).with_save_mode(SaveMode::Append).await.unwrap();
    let ctx = plain();
    ctx.register_batch("memory", batch).unwrap();
    let provider = table.table_provider().with_session(Arc::new(ctx.state())).await.unwrap();
    ctx.register_table("stored", provider).unwrap();
    let count = async |table: &str| {
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE x > 10");
        text(&ctx.sql(&sql).await.unwrap().collect().await.unwrap())
    };
    assert_eq!(count("memory").await, "1");
    assert_ne!(count("stored").await, "1", "bounds of floats in the log are true now");
}
