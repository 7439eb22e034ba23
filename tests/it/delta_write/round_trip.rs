//! deltalake reads what was written.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use windlass_delta::write::{FileCompression, StagedFiles};
use windlass_project::spec::table::WriteMode;

use super::lab::{Lab, like_input, receipt};

/// A column of every type that can be stored, in types that engines use, with nulls in all but the first.
pub(crate) const EVERY_TYPE: &str = "
    SELECT i AS id,
        nullif(i % 2 = 0, i % 5 = 0) AS boolean,
        arrow_cast(nullif(i % 100, 7), 'Int8') AS int8,
        arrow_cast(nullif(-i, -7), 'Int16') AS int16,
        arrow_cast(nullif(i * 1000003, 7), 'Int32') AS int32,
        arrow_cast(nullif(i % 200, 7), 'UInt8') AS uint8,
        arrow_cast(nullif(i, 7), 'UInt16') AS uint16,
        arrow_cast(nullif(i * 4000000, 0), 'UInt32') AS uint32,
        arrow_cast(nullif(i * 9000000000000000, 0), 'UInt64') AS uint64,
        arrow_cast(CASE WHEN i = 3 THEN 'NaN' WHEN i = 4 THEN '-Infinity' WHEN i > 5 THEN i / 7.0 END, 'Float32') AS float32,
        CAST(CASE WHEN i = 3 THEN 'NaN' WHEN i = 4 THEN 'Infinity' WHEN i > 5 THEN i / 7.0 END AS DOUBLE) AS float64,
        arrow_cast(nullif('text ' || i, 'text 7'), 'Utf8') AS text,
        arrow_cast(nullif('größer 🦀 ' || i, ''), 'LargeUtf8') AS large_text,
        arrow_cast(nullif('', repeat('x', i)), 'Utf8View') AS view,
        arrow_cast(nullif('kind ' || (i % 3), 'kind 2'), 'Dictionary(Int32, Utf8)') AS dictionary,
        arrow_cast(nullif('bytes ' || i, 'bytes 7'), 'Binary') AS bytes,
        arrow_cast(nullif(i, 7), 'Date32') AS date,
        arrow_cast(nullif(i * 86400000, 0), 'Date64') AS date64,
        arrow_cast(nullif(i * 1234567, 0), 'Timestamp(Microsecond, Some(\"UTC\"))') AS instant,
        arrow_cast(nullif(i * 1234567000, 0), 'Timestamp(Nanosecond, Some(\"+02:00\"))') AS instant_ns,
        arrow_cast(nullif(-i * 1234567, 0), 'Timestamp(Microsecond, None)') AS local_time,
        arrow_cast(nullif(i, 7), 'Timestamp(Second, None)') AS local_s,
        arrow_cast(nullif(i / 7.0, 1), 'Decimal128(9, 2)') AS small_decimal,
        arrow_cast(nullif(-i * 1234.5678, 0), 'Decimal128(18, 4)') AS decimal,
        arrow_cast('-1234567890123456789012345678.' || i, 'Decimal128(38, 10)') AS large_decimal,
        CASE WHEN i % 4 > 0 THEN make_array(i, NULL, i + 1) END AS list,
        CASE WHEN i % 4 > 1 THEN make_array(named_struct('x', i, 'y', 'y' || i)) END AS structs,
        CASE WHEN i % 4 > 0 THEN named_struct('a', nullif(i, 5), 'b', named_struct('c', 'c' || i, 'd', make_array(i))) END
            AS nested,
        CASE WHEN i % 4 > 0 THEN map(make_array('k' || i, 'l'), make_array(i, NULL)) END AS lookup
    FROM (SELECT value AS i FROM generate_series(0, 99))
    ORDER BY id";

async fn same_rows(lab: &Lab, rows: &RecordBatch, table: &str) {
    let schema = stored(rows);
    let read = lab.read(table, &schema).await;
    assert_eq!(read, like_input(rows, &schema));
}

/// The schema of `rows` as it is stored: dictionary and view types make no difference to readers.
fn stored(rows: &RecordBatch) -> Schema {
    use datafusion::arrow::datatypes::{DataType, Field};
    let plain = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, value) => Field::new(field.name(), value.as_ref().clone(), true),
        DataType::Utf8View | DataType::LargeUtf8 => Field::new(field.name(), DataType::Utf8, true),
        other => Field::new(field.name(), other.clone(), true),
    };
    Schema::new(rows.schema().fields().iter().map(plain).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_round_trips_through_separate_tasks() {
    let lab = Lab::on_disk();
    let rows = lab.rows(EVERY_TYPE).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let plan = lab.write_plan(state.write_spec("t"), &rows, 4).await;
    let mut reports = Vec::new();
    for partition in 0..4 {
        reports.extend(lab.run_partition(&plan, partition).await);
    }
    let staged = StagedFiles::from_batches(&reports).unwrap();
    assert_eq!((staged.rows(), staged.files(), staged.tasks()), (100, 4, 4));
    let receipt = receipt(lab.commit(&lab.request(&state, staged.clone(), 1)).await);
    assert_eq!((receipt.version.0, receipt.rows, receipt.files_added), (1, 100, 4));
    assert_eq!(receipt.bytes, staged.bytes());
    same_rows(&lab, &rows, "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_can_be_read() {
    let lab = Lab::on_disk();
    let rows = lab.rows(EVERY_TYPE).await;
    for (name, compression) in
        [("z", FileCompression::Zstd), ("s", FileCompression::Snappy), ("u", FileCompression::Uncompressed)]
    {
        let state = lab.ensure(&lab.define(name, rows.schema())).await.unwrap();
        let mut spec = state.write_spec(name);
        spec.compression = compression;
        let staged = lab.run(lab.write_plan(spec, &rows, 2).await).await.unwrap();
        lab.commit(&lab.request(&state, staged, 1)).await;
        same_rows(&lab, &rows, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_values_of_every_type_round_trip() {
    let lab = Lab::on_disk();
    let all = lab.rows(EVERY_TYPE).await;
    let by = [
        "boolean",
        "int8",
        "int16",
        "int32",
        "uint64",
        "float32",
        "float64",
        "text",
        "large_text",
        "dictionary",
        "date",
        "instant",
        "local_time",
        "small_decimal",
        "decimal",
        "large_decimal",
    ];
    for column in by {
        let rows = all.project(&[0, all.schema().index_of(column).unwrap()]).unwrap();
        let mut definition = lab.define(column, rows.schema());
        definition.partition_by = vec![column.to_owned()];
        lab.write(&definition, &rows, WriteMode::Append, 1).await;
        same_rows(&lab, &rows, column).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_values_with_special_characters_round_trip_and_prune() {
    let lab = Lab::on_disk();
    let rows = lab
        .rows(
            "SELECT row_number() OVER (ORDER BY v) AS id, v AS name, length(v) AS n FROM (VALUES ('plain'), ('a b'), ('a/b'), \
             ('a=b'), ('50%'), ('%20'), ('ä🦀'), ('..'), ('a:b?c#d&e'), ('\"q\"'), ('x\\y'), (' lead'), ('null'), \
             ('__HIVE_DEFAULT_PARTITION__'), (NULL)) AS t(v) ORDER BY id",
        )
        .await;
    let mut definition = lab.define("t", rows.schema());
    definition.partition_by = vec!["name".to_owned()];
    let receipt = lab.write(&definition, &rows, WriteMode::Append, 1).await;
    assert_eq!((receipt.rows, receipt.files_added), (15, 15));
    same_rows(&lab, &rows, "t").await;
    let one = lab.select("t", None, "name = '%20'", &stored(&rows)).await;
    assert_eq!(one.num_rows(), 1);
    let actions = lab.newest_actions("t").await;
    for add in &actions["add"] {
        let path = add["path"].as_str().unwrap();
        assert!(path.starts_with("name="), "{path}");
        assert!(path.chars().all(|c| c.is_ascii_alphanumeric() || "-_.=/".contains(c)), "{path}");
        assert!(lab.path("t").join(path).is_file(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_partition_columns_give_one_file_a_combination() {
    let lab = Lab::on_disk();
    let rows = lab
        .rows(
            "SELECT value AS id, value % 3 AS a, CASE WHEN value % 2 = 0 THEN 'even' END AS b, value * 2 AS v \
               FROM generate_series(0, 2999) ORDER BY id",
        )
        .await;
    let mut definition = lab.define("t", rows.schema());
    definition.partition_by = vec!["b".to_owned(), "a".to_owned()];
    let receipt = lab.write(&definition, &rows, WriteMode::Append, 1).await;
    assert_eq!(receipt.files_added, 6, "rows are brought together by partition value");
    same_rows(&lab, &rows, "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partition_values_stay_within_the_limit_of_open_files() {
    let lab = Lab::on_disk();
    let rows = lab.rows("SELECT value AS id, value % 50 AS p FROM generate_series(0, 999) ORDER BY id").await;
    let mut definition = lab.define("t", rows.schema());
    definition.partition_by = vec!["p".to_owned()];
    let state = lab.ensure(&definition).await.unwrap();
    let mut spec = state.write_spec("t");
    spec.limits.open_files = 3;
    spec.limits.buffered_bytes = 1;
    let staged = lab.run(lab.write_plan(spec, &rows, 1).await).await.unwrap();
    assert_eq!(staged.rows(), 1000);
    lab.commit(&lab.request(&state, staged, 1)).await;
    same_rows(&lab, &rows, "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_split_at_the_target_size() {
    let lab = Lab::on_disk();
    let rows = lab
        .rows("SELECT value AS id, sha256(CAST(value AS VARCHAR)) AS noise FROM generate_series(0, 99999) ORDER BY id")
        .await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let mut spec = state.write_spec("t");
    spec.target_file_bytes = 512 * 1024;
    let staged = lab.run(lab.write_plan(spec, &rows, 1).await).await.unwrap();
    assert!((5..=9).contains(&staged.files()), "{} files for {} bytes", staged.files(), staged.bytes());
    lab.commit(&lab.request(&state, staged, 1)).await;
    let actions = lab.newest_actions("t").await;
    let sizes: Vec<u64> = actions["add"].iter().map(|add| add["size"].as_u64().unwrap()).collect();
    assert!(sizes.iter().all(|&size| size < 1024 * 1024), "{sizes:?}");
    for add in &actions["add"] {
        let on_disk = lab.path("t").join(add["path"].as_str().unwrap()).metadata().unwrap().len();
        assert_eq!(Some(on_disk), add["size"].as_u64());
    }
    same_rows(&lab, &rows, "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_have_its_columns_in_another_order() {
    let lab = Lab::on_disk();
    let first = lab.rows("SELECT 1 AS id, 'a' AS name").await;
    lab.write(&lab.define("t", first.schema()), &first, WriteMode::Append, 1).await;
    let second = lab.rows("SELECT 'b' AS name, 2 AS id").await;
    lab.write(&lab.define("t", second.schema()), &second, WriteMode::Append, 2).await;
    let both = lab.rows("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(id, name)").await;
    same_rows(&lab, &both, "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_make_a_commit_without_files() {
    let lab = Lab::on_disk();
    let rows = lab.rows("SELECT 1 AS id WHERE false").await;
    let receipt = lab.write(&lab.define("t", rows.schema()), &rows, WriteMode::Append, 1).await;
    assert_eq!((receipt.version.0, receipt.rows, receipt.files_added), (1, 0, 0));
    assert_eq!(lab.read("t", &rows.schema()).await.num_rows(), 0);
}
