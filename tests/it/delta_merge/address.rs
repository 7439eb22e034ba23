//! Rows with their addresses: correct whatever a scan skips, and after encoding.

use std::path::Path;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::{SessionContext, col, lit};
use tempfile::TempDir;
use windlass_delta::merge::{ROW_FILE, ROW_POSITION};
use windlass_delta::pin::PinnedTable;
use windlass_delta::scan::ScanOptions;
use windlass_engine::session::Sessions;
use windlass_project::spec::source::PinAt;

use crate::delta_read::cluster_like::{cut, pinned, planned, run_scan, scan_all, scan_of, sessions};
use crate::delta_read::mapping::write_table;
use crate::delta_read::vectors::{ROWS, deleted_from, settings};

fn addressed(sessions: &Sessions, table: &PinnedTable) -> std::sync::Arc<dyn datafusion::catalog::TableProvider> {
    table.addressed(&ScanOptions::from_config(&sessions.config()))
}

async fn with_addresses(sessions: &Sessions, folder: &Path) -> SessionContext {
    let table = pinned(sessions, folder, PinAt::Latest).await;
    let context = sessions.context().unwrap();
    context.register_table("t", addressed(sessions, &table)).unwrap();
    context
}

/// Checks that each row's id is the one at its address, and returns the ids. The file `f2.parquet` has those from 2 *
/// ROWS.
fn checked_ids(batches: &[RecordBatch]) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in batches {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        assert_eq!(column(ROW_FILE).data_type(), &DataType::Utf8);
        let field = batch.schema().field_with_name(ROW_POSITION).unwrap().clone();
        assert!(field.metadata().is_empty(), "{field:?}");
        let files = column(ROW_FILE).as_string::<i32>();
        let positions = column(ROW_POSITION).as_primitive::<Int64Type>();
        for (row, id) in column("id").as_primitive::<Int64Type>().values().iter().enumerate() {
            assert_eq!(files.value(row), format!("f{}.parquet", id / ROWS));
            assert_eq!(positions.value(row), id % ROWS);
            ids.push(*id);
        }
    }
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn addresses_are_right_with_every_kind_of_skipping() {
    let folder = TempDir::new().unwrap();
    let left = deleted_from(folder.path());
    for (partitions, pushdown) in [(1, false), (1, true), (4, false), (4, true)] {
        let context = with_addresses(&settings(partitions, pushdown), folder.path()).await;
        context.sql("SET datafusion.optimizer.repartition_file_min_size = 0").await.unwrap();
        type Holds = fn(i64) -> bool;
        let cases: [(&str, Holds); 7] = [
            ("true", |_| true),
            ("id BETWEEN 480 AND 720", |id| (480..=720).contains(&id)),
            ("name = 'n3'", |id| id % 7 == 3),
            ("id = 1 OR id = 10345", |id| [1, 10345].contains(&id)),
            ("__wl_row >= 3000 AND name <> 'n1'", |id| id % ROWS >= 3000 && id % 7 != 1),
            ("__wl_file = 'f1.parquet' AND __wl_row < 100", |id| id / ROWS == 1 && id % ROWS < 100),
            ("id > 15990", |id| id > 15_990),
        ];
        for (filter, holds) in cases {
            let expected: Vec<i64> = left.iter().copied().filter(|id| holds(*id)).collect();
            for columns in ["*", "__wl_row, id, __wl_file"] {
                let sql = format!("SELECT {columns} FROM t WHERE {filter}");
                let rows = context.sql(&sql).await.unwrap().collect().await.unwrap();
                assert_eq!(checked_ids(&rows), expected, "{sql}, {partitions} partitions, pushdown {pushdown}");
            }
        }
        let only = context.sql("SELECT __wl_row FROM t WHERE name = 'n3'").await.unwrap().collect().await.unwrap();
        let found: usize = only.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, left.iter().filter(|id| *id % 7 == 3).count());
    }
}

#[tokio::test]
async fn addresses_survive_the_wire_and_the_cutting_of_files() {
    let folder = TempDir::new().unwrap();
    let left = deleted_from(folder.path());
    for partitions in [1, 3] {
        let sessions = sessions(partitions);
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let provider = addressed(&sessions, &table);
        let whole = scan_of(&planned(&sessions, &provider, &[]).await);
        for config in [cut(&whole, 7), whole] {
            assert_eq!(checked_ids(&run_scan(&sessions, &config).await), left);
        }
        let filtered = planned(&sessions, &provider, &[col("id").gt(lit(12_000i64))]).await;
        let rows = run_scan(&sessions, &scan_of(&filtered)).await;
        assert_eq!(checked_ids(&rows), left.iter().copied().filter(|id| *id >= 12_000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn mapped_columns_and_partition_values_keep_their_positions() {
    for mode in ["name", "id"] {
        let folder = TempDir::new().unwrap();
        write_table(folder.path(), mode);
        let sessions = sessions(2);
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let rows = scan_all(&sessions, &addressed(&sessions, &table)).await;
        let mut found: Vec<(i64, String, String, i64)> = Vec::new();
        for batch in &rows {
            let text = |name: &str, row| batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
            let number = |name: &str, row| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row);
            found.extend(
                (0..batch.num_rows()).map(|row| {
                    (number("id", row), text("region", row), text(ROW_FILE, row), number(ROW_POSITION, row))
                }),
            );
        }
        found.sort();
        let row = |id, region: &str, file: &str, position| (id, region.to_owned(), file.to_owned(), position);
        assert_eq!(
            found,
            [
                row(1, "north", "a.parquet", 0),
                row(2, "north", "a.parquet", 1),
                row(3, "north", "a.parquet", 2),
                row(40, "south", "b.parquet", 0),
                row(50, "south", "b.parquet", 1),
                row(60, "south", "b.parquet", 2),
            ],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn a_table_with_a_column_of_an_address_is_refused() {
    use crate::delta_read::tables::{append, array, batch};
    let folder = TempDir::new().unwrap();
    let rows = batch(vec![(ROW_POSITION, array(datafusion::arrow::array::Int64Array::from(vec![1])))]);
    append(folder.path(), rows, &[]).await;
    let sessions = sessions(1);
    let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
    let state = sessions.context().unwrap().state();
    let error = addressed(&sessions, &table).scan(&state, None, &[], None).await.unwrap_err().to_string();
    assert!(error.contains("cannot be read with row addresses"), "{error}");
}
