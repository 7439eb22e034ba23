//! Floats: two zeros, many NaNs, and bounds that exclude NaN.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::ParquetReadOptions;

use super::Correct::Rows;
use super::{by_datafusion, fault, plain, text};

const Z: &str = "CREATE TABLE z AS SELECT id, arrow_cast(x, 'Float64') AS x FROM (VALUES (1, '-0.0'), (2, '0.0'), (3, '7')) AS t(id, x)";

/// A few values are compared individually, where the zeros are equal; many are looked up in a set.
#[tokio::test]
async fn a_long_in_list_distinguishes_zeros() {
    let found = fault(&[Z], "SELECT id FROM z WHERE x IN (0.0, 5.0, 6.0, 7.5, 8.0) ORDER BY id", Rows("1|2")).await;
    assert_eq!(found.unwrap(), "2");
    assert_eq!(by_datafusion(&[Z], "SELECT id FROM z WHERE x IN (0.0, 5.0) ORDER BY id").await.unwrap(), "1|2");
}

#[tokio::test]
async fn nullif_distinguishes_zeros() {
    let found = fault(&[Z], "SELECT id FROM z WHERE NULLIF(x, 0.0) IS NULL ORDER BY id", Rows("1|2")).await;
    assert_eq!(found.unwrap(), "2");
}

#[tokio::test]
async fn max_of_floats_depends_on_the_order_of_rows() {
    let sql = "SELECT g, max(x) AS m FROM m GROUP BY g";
    let of = |values: &str| {
        format!("CREATE TABLE m AS SELECT g, arrow_cast(x, 'Float64') AS x FROM (VALUES {values}) AS t(g, x)")
    };
    let found = fault(&[&of("(1, 'NaN'), (1, '1')")], sql, Rows("1 NaN")).await;
    assert_eq!(found.unwrap(), "1 1");
    assert_eq!(by_datafusion(&[&of("(1, '1'), (1, 'NaN')")], sql).await.unwrap(), "1 NaN");
}

#[tokio::test]
async fn nans_of_either_sign_are_two_groups() {
    let nans = "CREATE TABLE nans AS SELECT arrow_cast('NaN', 'Float64') AS x UNION ALL SELECT -arrow_cast('NaN', 'Float64') AS x";
    let found = fault(&[nans], "SELECT count(*) AS n FROM (SELECT x FROM nans GROUP BY x)", Rows("1")).await;
    assert_eq!(found.unwrap(), "2");
}

/// A file of one column whose maximum is NaN.
fn write(path: &Path) -> RecordBatch {
    let values = Float64Array::from(vec![f64::NAN, 5.0]);
    let batch = RecordBatch::try_from_iter([("x", Arc::new(values) as _)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    batch
}

/// NaN is greater than every number, and the footer's bound excludes it.
#[tokio::test]
async fn a_filter_skips_a_row_group_with_nan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let batch = write(&path);
    let ctx = plain();
    ctx.register_batch("memory", batch).unwrap();
    ctx.register_parquet("file", path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let count = async |table: &str| {
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE x > 10");
        text(&ctx.sql(&sql).await.unwrap().collect().await.unwrap())
    };
    assert_eq!(count("memory").await, "1");
    assert_eq!(count("file").await, "0", "it is found: float_bounds in windlass-delta can go");
}
