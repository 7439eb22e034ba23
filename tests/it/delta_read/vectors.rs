//! Deletion vectors: deleted rows stay deleted, whatever else a scan skips.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::prelude::SessionContext;
use roaring::RoaringTreemap;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_engine::session::Sessions;
use windlass_project::spec::source::PinAt;

use super::cluster_like::{cut, pinned, planned, provider, run_scan, scan_of, sessions, sessions_with, with_table};
use super::tables::{Log, add, array, batch, field, metadata, protocol, rows_of, write_parquet};

pub(crate) const ROWS: i64 = 4_000;

/// A vector as bytes: the magic number and the bitmap.
fn serialized(rows: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = 1_681_511_377u32.to_le_bytes().to_vec();
    rows.serialize_into(&mut bytes).unwrap();
    bytes
}

/// A vector as stored in a file, after the version byte: length, vector and checksum.
fn stored(vector: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend((vector.len() as u32).to_be_bytes());
    bytes.extend(vector);
    bytes.extend(crc32fast::hash(vector).to_be_bytes());
    bytes
}

pub(crate) fn inline(rows: &RoaringTreemap) -> Value {
    let mut bytes = serialized(rows);
    let size = bytes.len();
    bytes.resize(size.next_multiple_of(4), 0);
    json!({"storageType": "i", "pathOrInlineDv": z85::encode(&bytes), "sizeInBytes": size, "cardinality": rows.len()})
}

pub(crate) fn relative(folder: &Path, prefix: &str, rows: &RoaringTreemap) -> Value {
    let (uuid, vector) = (Uuid::new_v4(), serialized(rows));
    let path = folder.join(prefix).join(format!("deletion_vector_{uuid}.bin"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, stored(&vector)).unwrap();
    json!({
        "storageType": "u", "pathOrInlineDv": format!("{prefix}{}", z85::encode(uuid.as_bytes())), "offset": 1,
        "sizeInBytes": vector.len(), "cardinality": rows.len(),
    })
}

fn absolute(path: &Path, rows: &RoaringTreemap) -> Value {
    let vector = serialized(rows);
    std::fs::write(path, stored(&vector)).unwrap();
    json!({
        "storageType": "p", "pathOrInlineDv": format!("file://{}", path.display()), "offset": 1,
        "sizeInBytes": vector.len(), "cardinality": rows.len(),
    })
}

/// Rows `first..first + ROWS` in row groups of 500, and in pages much smaller than that.
pub(crate) fn row_groups(first: i64) -> Vec<RecordBatch> {
    (first..first + ROWS)
        .step_by(500)
        .map(|start| {
            let ids: Vec<i64> = (start..start + 500).collect();
            let names = ids.iter().map(|id| Some(format!("n{}", id % 7))).collect::<StringArray>();
            batch(vec![("id", array(Int64Array::from(ids))), ("name", array(names))])
        })
        .collect()
}

pub(crate) fn write_file(path: &Path, batches: &[RecordBatch]) {
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(50)
        .set_write_batch_size(50)
        .set_max_row_group_row_count(Some(500))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

/// The deleted rows of the file `index`, as ids.
fn deleted(index: i64) -> Vec<i64> {
    let first = index * ROWS;
    match index {
        // Scattered over all row groups, including whole pages, the first and the last row.
        0 => (0..ROWS).filter(|row| row % 3 == 0 || (600..700).contains(row) || *row == ROWS - 1).collect(),
        // A whole row group and its neighbours.
        1 => (490..1010).map(|row| first + row).collect(),
        // A single row.
        2 => vec![first + 2_345],
        _ => Vec::new(),
    }
}

/// Four files of [`ROWS`] rows: vectors in the log, below a random prefix, at an absolute path, and none.
pub(crate) fn deleted_from(folder: &Path) -> Vec<i64> {
    let mut actions = vec![
        protocol(&["deletionVectors"]),
        metadata(&[field("id", "long"), field("name", "string")], &[], &json!({})),
    ];
    let mut left = Vec::new();
    for index in 0..4 {
        let (first, name) = (index * ROWS, format!("f{index}.parquet"));
        write_file(&folder.join(&name), &row_groups(first));
        let gone = deleted(index);
        let rows: RoaringTreemap = gone.iter().map(|id| (id - first) as u64).collect();
        let stats = json!({
            "numRecords": ROWS, "minValues": {"id": first}, "maxValues": {"id": first + ROWS - 1}, "nullCount": {"id": 0},
        });
        let mut add = add(&name, &json!({}), &stats, &folder.join(&name));
        match index {
            0 => add["add"]["deletionVector"] = inline(&rows),
            1 => add["add"]["deletionVector"] = relative(folder, "x y", &rows),
            2 => add["add"]["deletionVector"] = absolute(&folder.join("vector.bin"), &rows),
            _ => {}
        }
        actions.push(add);
        left.extend((first..first + ROWS).filter(|id| gone.binary_search(id).is_err()));
    }
    Log::new(folder).commit(&actions);
    left
}

async fn ids(ctx: &SessionContext, sql: &str) -> Vec<i64> {
    let mut ids: Vec<i64> = Vec::new();
    for batch in ctx.sql(sql).await.unwrap().collect().await.unwrap() {
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        ids.extend(column.values());
    }
    ids.sort_unstable();
    ids
}

pub(crate) fn settings(partitions: usize, parquet_pushdown: bool) -> Sessions {
    sessions_with(SessionSettings { target_partitions: partitions, parquet_pushdown, ..SessionSettings::default() })
}

#[tokio::test]
async fn deleted_rows_stay_deleted_with_every_kind_of_skipping() {
    let folder = TempDir::new().unwrap();
    let left = deleted_from(folder.path());
    for (partitions, pushdown) in [(1, false), (1, true), (4, false), (4, true)] {
        let ctx = with_table(&settings(partitions, pushdown), folder.path()).await;
        ctx.sql("SET datafusion.optimizer.repartition_file_min_size = 0").await.unwrap();
        assert_eq!(ids(&ctx, "SELECT id FROM t").await, left);
        type Holds = fn(i64) -> bool;
        let cases: [(&str, Holds); 6] = [
            ("id BETWEEN 480 AND 720", |id| (480..=720).contains(&id)),
            ("id >= 3990 AND id < 5020", |id| (3990..5020).contains(&id)),
            ("name = 'n3'", |id| id % 7 == 3),
            ("id = 0 OR id = 1 OR id = 3999 OR id = 10345", |id| [0, 1, 3999, 10345].contains(&id)),
            ("id % 2 = 1 AND id < 6000 AND name <> 'n1'", |id| id % 2 == 1 && id < 6000 && id % 7 != 1),
            ("id > 15990", |id| id > 15_990),
        ];
        for (filter, holds) in cases {
            let expected: Vec<i64> = left.iter().copied().filter(|id| holds(*id)).collect();
            let found = ids(&ctx, &format!("SELECT id FROM t WHERE {filter}")).await;
            assert_eq!(found, expected, "{filter}, {partitions} partitions, pushdown {pushdown}");
        }
        let count = ids(&ctx, "SELECT count(*) FROM t").await;
        assert_eq!(count, [left.len() as i64]);
        let top = ids(&ctx, "SELECT id FROM t WHERE id < 4000 ORDER BY id DESC LIMIT 3").await;
        assert_eq!(top, [3995, 3997, 3998]);
        assert_eq!(ids(&ctx, "SELECT id FROM t WHERE id < 1600 LIMIT 500").await.len(), 500);
        assert_eq!(ids(&ctx, "SELECT id FROM t LIMIT 9000").await.len(), 9000);
    }
}

#[tokio::test]
async fn a_table_with_vectors_is_read_by_many_tasks() {
    let folder = TempDir::new().unwrap();
    let left = deleted_from(folder.path());
    let mut expected: Vec<String> = left.iter().map(|id| format!("{id} | n{}", id % 7)).collect();
    expected.sort();
    for partitions in [2, 4] {
        let sessions = sessions(partitions);
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let plan = planned(&sessions, &provider(&sessions, &table), &[]).await;
        let whole_files = scan_of(&plan);
        assert_eq!(whole_files.file_groups.len(), partitions);
        for config in [cut(&whole_files, 7), whole_files] {
            let rows = run_scan(&sessions, &config).await;
            assert_eq!(rows_of(&rows, table.schema()), expected, "{} tasks", config.file_groups.len());
        }
    }
}

#[tokio::test]
async fn row_counts_with_deletion_vectors_are_not_exact() {
    let folder = TempDir::new().unwrap();
    let left = deleted_from(folder.path());
    let sessions = sessions(2);
    let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
    assert_eq!(table.pin().rows, Some(left.len() as u64));
    let statistics = provider(&sessions, &table).statistics().unwrap();
    assert_eq!(statistics.num_rows, datafusion::common::stats::Precision::Inexact(left.len()));
    let maximum = &statistics.column_statistics[0].max_value;
    assert!(matches!(maximum, datafusion::common::stats::Precision::Inexact(_)), "{maximum:?}");
}

/// A table of one file whose vector is damaged by `damage`, and the error of reading it.
async fn damaged(damage: impl Fn(&Path, &mut Value)) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    write_parquet(&path.join("f.parquet"), &[batch(vec![("id", array(Int64Array::from(vec![1, 2, 3])))])]);
    let mut vector = relative(path, "", &[1u64].into_iter().collect());
    damage(path, &mut vector);
    let mut add = add("f.parquet", &json!({}), &Value::Null, &path.join("f.parquet"));
    add["add"]["deletionVector"] = vector;
    Log::new(path).commit(&[protocol(&["deletionVectors"]), metadata(&[field("id", "long")], &[], &json!({})), add]);
    let sessions = sessions(1);
    let location = windlass_storage::Location::from_path(path).unwrap();
    let table = match windlass_delta::pin::pin(&location, PinAt::Latest, sessions.stores()).await {
        Ok(table) => table,
        Err(error) => return format!("{} {error}", error.code()),
    };
    let ctx = sessions.context().unwrap();
    ctx.register_table("t", provider(&sessions, &table)).unwrap();
    let error = ctx.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap_err().to_string();
    error.replace(path.to_str().unwrap().trim_start_matches('/'), "…")
}

fn vector_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .unwrap()
}

#[tokio::test]
async fn a_damaged_vector_is_an_error_and_never_a_wrong_row() {
    let flip = |index: usize| {
        move |folder: &Path, _: &mut Value| {
            let file = vector_file(folder);
            let mut bytes = std::fs::read(&file).unwrap();
            let index = index.min(bytes.len() - 1);
            bytes[index] ^= 1;
            std::fs::write(file, bytes).unwrap();
        }
    };
    let beyond = inline(&[3u64].into_iter().collect());
    let reported = [
        damaged(flip(20)).await,
        damaged(flip(4)).await,
        damaged(flip(usize::MAX)).await,
        damaged(|_, vector| vector["cardinality"] = json!(2)).await,
        damaged(|_, vector| vector["storageType"] = json!("i")).await,
        damaged(move |_, vector| *vector = beyond.clone()).await,
        damaged(|_, vector| vector["pathOrInlineDv"] = json!("short")).await,
        damaged(|_, vector| vector["storageType"] = json!("x")).await,
    ];
    insta::assert_snapshot!(reported.join("\n"), @r#"
    External error: the deletion vector of `…/f.parquet` cannot be applied: its checksum is wrong [WL0409]
    External error: the deletion vector of `…/f.parquet` cannot be applied: its length in the file is not that in the log [WL0409]
    External error: the deletion vector of `…/f.parquet` cannot be applied: its checksum is wrong [WL0409]
    External error: the deletion vector of `…/f.parquet` cannot be applied: the log says that it removes 2 rows, but it names 1 [WL0409]
    External error: the deletion vector of `…/f.parquet` cannot be applied: it is not in the portable format [WL0409]
    External error: the deletion vector of `…/f.parquet` cannot be applied: it names row 3, but the file has 3 [WL0409]
    WL0409 the deletion vector of `f.parquet` cannot be applied: its path is too short
    WL0409 the deletion vector of `f.parquet` cannot be applied: its storage type `x` is not known
    "#);
    let gone = damaged(|folder, _| std::fs::remove_file(vector_file(folder)).unwrap()).await;
    assert!(gone.contains("does not exist any more [WL0445]"), "{gone}");
}
