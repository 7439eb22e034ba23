//! What a scan reads and what it skips.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::datasource::source::DataSource;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{Expr, SessionContext, col, lit};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_delta::scan::ScanOptions;
use windlass_project::spec::source::PinAt;

use super::cluster_like::{
    cut, pinned, planned, provider, run_scan, scan_all, scan_of, scanned_files, sessions, sessions_with, task_bytes,
    with_table,
};
use super::tables::{Log, add, append, array, batch, field, metadata, protocol, rows_of, write_parquet};

async fn plan(ctx: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

async fn query(ctx: &SessionContext, sql: &str) -> Vec<String> {
    let rows = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    rows.first().map_or_else(Vec::new, |first| rows_of(&rows, &first.schema()))
}

/// Three files in three partitions of `day`, `id` rising through them.
async fn three_days(folder: &Path) {
    for day in 0..3i64 {
        let ids: Vec<i64> = (day * 100..day * 100 + 100).collect();
        let names = ids.iter().map(|id| (id % 10 != 0).then(|| format!("n{id:03}"))).collect::<StringArray>();
        let days = StringArray::from(vec![format!("2026-01-0{}", day + 1); 100]);
        let rows = batch(vec![("day", array(days)), ("id", array(Int64Array::from(ids))), ("name", array(names))]);
        append(folder, rows, &["day"]).await;
    }
}

#[tokio::test]
async fn filters_about_partitions_are_answered_by_the_log_alone() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let ctx = with_table(&sessions(2), folder.path()).await;
    let plan = plan(&ctx, "SELECT id FROM t WHERE day >= '2026-01-02' AND day <> '2026-01-03'").await;
    assert_eq!(scanned_files(&plan).len(), 1);
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(!shown.contains("FilterExec"), "{shown}");
    assert_eq!(
        query(&ctx, "SELECT min(id), max(id), count(*) FROM t WHERE upper(day) = '2026-01-02'").await,
        ["100 | 199 | 100"]
    );
}

#[tokio::test]
async fn files_are_skipped_by_their_statistics() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let ctx = with_table(&sessions(2), folder.path()).await;
    for (filter, files, rows) in [
        ("id = 150", 1, 1),
        ("id < 100 OR id >= 200", 2, 200),
        ("name = 'n205'", 1, 1),
        ("id BETWEEN 95 AND 105", 2, 11),
        ("name IS NULL", 3, 30),
        ("id > 250 AND day = '2026-01-03'", 1, 49),
        ("id % 100 = 7", 3, 3),
    ] {
        let sql = format!("SELECT id FROM t WHERE {filter}");
        assert_eq!(scanned_files(&plan(&ctx, &sql).await).len(), files, "{filter}");
        assert_eq!(query(&ctx, &sql).await.len(), rows, "{filter}");
    }
    let nothing = plan(&ctx, "SELECT id FROM t WHERE id = 999").await;
    assert_eq!(query(&ctx, "SELECT id FROM t WHERE id = 999").await.len(), 0);
    assert!(displayable(nothing.as_ref()).indent(false).to_string().contains("EmptyExec"));
}

#[tokio::test]
async fn the_planner_knows_the_rows_and_bounds_of_a_scan() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let sessions = sessions(2);
    let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
    let provider = provider(&sessions, &table);
    let state = sessions.context().unwrap().state();
    let whole = scan_of(&provider.scan(&state, None, &[], None).await.unwrap());
    let statistics = whole.partition_statistics(None).unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(300));
    let columns = &statistics.column_statistics;
    assert_eq!(columns[0].distinct_count, Precision::Inexact(3));
    assert_eq!(columns[1].min_value, Precision::Exact(ScalarValue::Int64(Some(0))));
    assert_eq!(columns[1].max_value, Precision::Exact(ScalarValue::Int64(Some(299))));
    assert_eq!(columns[2].null_count, Precision::Exact(30));
    assert_eq!(columns[2].min_value, Precision::Inexact(ScalarValue::from("n001")));
    assert_eq!(provider.statistics().unwrap().column_statistics[1].max_value, columns[1].max_value);

    let filter = col("day").eq(lit("2026-01-02"));
    let one_day = scan_of(&provider.scan(&state, Some(&vec![1]), &[filter], None).await.unwrap());
    let statistics = one_day.partition_statistics(None).unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(100));
    assert_eq!(statistics.column_statistics[0].min_value, Precision::Exact(ScalarValue::Int64(Some(100))));
    let first = whole.partition_statistics(Some(0)).unwrap().num_rows;
    let second = whole.partition_statistics(Some(1)).unwrap().num_rows;
    assert_eq!(first.add(&second), Precision::Exact(300));
}

#[tokio::test]
async fn a_limit_reads_no_more_files_than_it_needs() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let ctx = with_table(&sessions(2), folder.path()).await;
    assert_eq!(scanned_files(&plan(&ctx, "SELECT id FROM t LIMIT 150").await).len(), 2);
    assert_eq!(query(&ctx, "SELECT id FROM t LIMIT 150").await.len(), 150);
    assert_eq!(query(&ctx, "SELECT id FROM t WHERE id >= 200 LIMIT 50").await.len(), 50);
}

#[tokio::test]
async fn every_row_is_read_by_exactly_one_task() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    for partitions in [1, 2, 3, 7] {
        let sessions = sessions(partitions);
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let plan = planned(&sessions, &provider(&sessions, &table), &[]).await;
        let whole_files = scan_of(&plan);
        assert_eq!(whole_files.file_groups.len(), partitions.min(3));
        let expected = query(&with_table(&sessions, folder.path()).await, "SELECT * FROM t").await;
        assert_eq!(expected.len(), 300);
        let ranges = cut(&whole_files, 5);
        assert_eq!(ranges.file_groups.len(), 5);
        for config in [whole_files, ranges] {
            let rows = run_scan(&sessions, &config).await;
            assert_eq!(rows_of(&rows, table.schema()), expected, "{partitions} partitions");
        }
    }
}

#[tokio::test]
async fn columns_come_in_the_order_of_the_table_with_partition_columns_in_their_place() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let ctx = with_table(&sessions(1), folder.path()).await;
    assert_eq!(query(&ctx, "SELECT * FROM t WHERE id = 101").await, ["2026-01-02 | 101 | n101"]);
    assert_eq!(query(&ctx, "SELECT name, day FROM t WHERE id = 101").await, ["n101 | 2026-01-02"]);
    assert_eq!(query(&ctx, "SELECT count(*) FROM t WHERE name > 'n19'").await, ["99"]);
}

/// A table of one column `v` and a file with `rows` for each of `stats`, `f0` and so on.
fn one_column(folder: &Path, data_type: &str, files: &[(ArrayRef, Value)]) {
    let mut log = Log::new(folder);
    let mut actions = vec![protocol(&["timestampNtz"]), metadata(&[field("v", data_type)], &[], &json!({}))];
    for (index, (rows, stats)) in files.iter().enumerate() {
        let name = format!("f{index}.parquet");
        write_parquet(&folder.join(&name), &[batch(vec![("v", Arc::clone(rows))])]);
        actions.push(add(&name, &json!({}), stats, &folder.join(&name)));
    }
    log.commit(&actions);
}

/// The files of the table in `folder` that remain after `filter`, and the rows that satisfy it.
async fn scanned(folder: &Path, filter: Expr) -> (Vec<String>, Vec<String>) {
    let sessions = sessions(1);
    let table = pinned(&sessions, folder, PinAt::Latest).await;
    let provider = provider(&sessions, &table);
    let plan = planned(&sessions, &provider, std::slice::from_ref(&filter)).await;
    let files = if plan.name() == "EmptyExec" { Vec::new() } else { scanned_files(&plan) };
    let rows = sessions.context().unwrap().read_table(provider).unwrap().filter(filter).unwrap();
    (files, rows_of(&rows.collect().await.unwrap(), table.schema()))
}

fn bounds(rows: u64, min: &Value, max: &Value, nulls: u64) -> Value {
    json!({"numRecords": rows, "minValues": {"v": min}, "maxValues": {"v": max}, "nullCount": {"v": nulls}})
}

#[tokio::test]
async fn texts_that_the_log_cuts_short_are_found() {
    let folder = TempDir::new().unwrap();
    let long = "a".repeat(40) + "z";
    let (low, high) = (json!("a".repeat(32)), json!("a".repeat(32) + "\u{10ffff}"));
    let files = [
        (array(StringArray::from(vec![long.as_str()])), bounds(1, &low, &high, 0)),
        (array(StringArray::from(vec!["b"])), bounds(1, &json!("b"), &json!("b"), 0)),
    ];
    one_column(folder.path(), "string", &files);
    let (files, rows) = scanned(folder.path(), col("v").eq(lit(long.as_str()))).await;
    assert_eq!((files, rows), (vec!["f0.parquet".to_owned()], vec![long]));
}

#[tokio::test]
async fn nan_is_found_although_the_log_may_leave_it_out_of_the_bounds() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let files = [
        (array(Float64Array::from(vec![1.0, f64::NAN])), bounds(2, &json!(1.0), &json!(1.0), 0)),
        (array(Float64Array::from(vec![7.0])), bounds(1, &json!(7.0), &json!(7.0), 0)),
        (array(Float64Array::from(vec![f64::NAN])), bounds(1, &json!("NaN"), &json!("NaN"), 0)),
    ];
    one_column(path, "double", &files);
    let all = ["f0.parquet", "f1.parquet", "f2.parquet"];
    assert_eq!(scanned(path, col("v").gt(lit(5.0))).await.0, all);
    assert_eq!(scanned(path, col("v").not_eq(lit(1.0))).await.0, all);
    // A lower bound excludes values that are too great; NaN as a lower bound proves nothing.
    let low = vec![all[0].to_owned(), all[2].to_owned()];
    assert_eq!(scanned(path, col("v").lt(lit(5.0))).await, (low, vec!["1.0".to_owned()]));
    let sessions = sessions(1);
    let table = pinned(&sessions, path, PinAt::Latest).await;
    let rows = scan_all(&sessions, &provider(&sessions, &table)).await;
    assert_eq!(rows_of(&rows, table.schema()), ["1.0", "7.0", "NaN", "NaN"]);
}

#[tokio::test]
async fn times_that_the_log_cuts_to_milliseconds_are_found() {
    let folder = TempDir::new().unwrap();
    // 2020-01-01T00:00:00.000123Z
    let micros = 1_577_836_800_000_123;
    let text = json!("2020-01-01T00:00:00.000Z");
    let rows = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    one_column(folder.path(), "timestamp", &[(array(rows), bounds(1, &text, &text, 0))]);
    let later_than = |micros| col("v").gt(lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))));
    let (files, rows) = scanned(folder.path(), later_than(micros - 23)).await;
    assert_eq!((files.len(), rows.len()), (1, 1));
    let (files, rows) = scanned(folder.path(), later_than(micros + 1_000_000)).await;
    assert_eq!((files.len(), rows.len()), (0, 0));
}

#[tokio::test]
async fn decimals_that_went_through_a_double_are_found() {
    let folder = TempDir::new().unwrap();
    let unscaled = 123_456_789_012_345_678_901i128;
    let rows = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(21, 2).unwrap();
    // As a double, the bounds are off by hundreds of units of the last digit.
    let near = json!(1_234_567_890_123_456_800.0f64);
    one_column(folder.path(), "decimal(21,2)", &[(array(rows), bounds(1, &near, &near, 0))]);
    let value = |unscaled| lit(ScalarValue::Decimal128(Some(unscaled), 21, 2));
    let (files, rows) = scanned(folder.path(), col("v").eq(value(unscaled))).await;
    assert_eq!((files.len(), rows), (1, vec!["1234567890123456789.01".to_owned()]));
    let (files, _) = scanned(folder.path(), col("v").gt(value(unscaled + 100_000_000_000))).await;
    assert_eq!(files.len(), 0);
}

#[tokio::test]
async fn files_without_or_with_broken_statistics_are_always_read() {
    let folder = TempDir::new().unwrap();
    let rows = |value: Option<i32>| array(Int32Array::from(vec![value]));
    let files = [
        (rows(Some(1)), Value::Null),
        (rows(Some(2)), json!({"numRecords": 1})),
        (rows(Some(3)), json!({"numRecords": 1, "minValues": {"v": "three"}, "maxValues": {"v": {}}})),
        (rows(Some(4)), bounds(1, &json!(4), &json!(4), 0)),
        (rows(None), bounds(1, &Value::Null, &Value::Null, 1)),
    ];
    one_column(folder.path(), "integer", &files);
    let (files, rows) = scanned(folder.path(), col("v").eq(lit(2))).await;
    assert_eq!(files, ["f0.parquet", "f1.parquet", "f2.parquet"]);
    assert_eq!(rows, ["2"]);
    let (files, rows) = scanned(folder.path(), col("v").is_null()).await;
    assert_eq!(files, ["f0.parquet", "f1.parquet", "f2.parquet", "f4.parquet"]);
    assert_eq!(rows, ["NULL"]);
    let (files, _) = scanned(folder.path(), col("v").is_not_null()).await;
    assert_eq!(files, ["f0.parquet", "f1.parquet", "f2.parquet", "f3.parquet"]);
    let ctx = with_table(&sessions(1), folder.path()).await;
    assert_eq!(query(&ctx, "SELECT count(*), min(v), max(v) FROM t").await, ["5 | 1 | 4"]);
}

fn nested_file(deeper: bool) -> RecordBatch {
    let point = |values: Vec<i32>| -> StructArray {
        let mut fields = vec![Arc::new(Field::new("x", DataType::Int32, true))];
        let mut columns = vec![array(Int32Array::from(values.clone()))];
        if deeper {
            fields.push(Arc::new(Field::new("y", DataType::Int32, true)));
            columns.push(array(Int32Array::from(values)));
        }
        StructArray::new(Fields::from(fields), columns, None)
    };
    let element = point(vec![1, 2]);
    let element_field = Arc::new(Field::new("element", element.data_type().clone(), true));
    let list = ListArray::new(element_field, OffsetBuffer::new(vec![0, 2].into()), Arc::new(element), None);
    let mut columns = vec![("s", array(point(vec![7]))), ("l", array(list))];
    if deeper {
        columns.push(("new", array(StringArray::from(vec!["there"]))));
    }
    batch(columns)
}

#[tokio::test]
async fn columns_and_nested_fields_added_later_are_null_in_older_files() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let int = |name: &str| field(name, "integer");
    let point = json!({"type": "struct", "fields": [int("x"), int("y")]});
    let typed =
        |name: &str, data_type: Value| json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
    let fields = [
        typed("s", point.clone()),
        typed("l", json!({"type": "array", "elementType": point, "containsNull": true})),
        field("new", "string"),
    ];
    let mut actions = vec![protocol(&[]), metadata(&fields, &[], &json!({}))];
    for (name, deeper) in [("old.parquet", false), ("young.parquet", true)] {
        write_parquet(&path.join(name), &[nested_file(deeper)]);
        actions.push(add(name, &json!({}), &Value::Null, &path.join(name)));
    }
    Log::new(path).commit(&actions);
    let sessions = sessions(2);
    let table = pinned(&sessions, path, PinAt::Latest).await;
    let rows = scan_all(&sessions, &provider(&sessions, &table)).await;
    insta::assert_snapshot!(rows_of(&rows, table.schema()).join("\n"), @r#"
    {x: 7, y: 7} | [{x: 1, y: 1}, {x: 2, y: 2}] | there
    {x: 7, y: NULL} | [{x: 1, y: NULL}, {x: 2, y: NULL}] | NULL
    "#);
    let ctx = with_table(&sessions, path).await;
    assert_eq!(query(&ctx, "SELECT s['x'] FROM t WHERE s['y'] IS NULL AND new IS NULL").await, ["7"]);
}

#[tokio::test]
async fn paths_may_be_encoded_or_absolute() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let names = ["plain.parquet", "a b%20c.parquet", "ä+ö=1.parquet", "absolute one.parquet", "deep/er/f.parquet"];
    for (index, name) in names.iter().enumerate() {
        write_parquet(&path.join(name), &[batch(vec![("v", array(Int32Array::from(vec![index as i32])))])]);
    }
    let absolute = format!("file:{}/absolute%20one.parquet", path.display());
    let logged = ["plain.parquet", "a%20b%2520c.parquet", "%C3%A4+%C3%B6=1.parquet", &absolute, "deep/er/f.parquet"];
    let mut actions = vec![protocol(&[]), metadata(&[field("v", "integer")], &[], &json!({}))];
    actions
        .extend(names.iter().zip(logged).map(|(name, logged)| add(logged, &json!({}), &Value::Null, &path.join(name))));
    Log::new(path).commit(&actions);
    let sessions = sessions(2);
    let table = pinned(&sessions, path, PinAt::Latest).await;
    let rows = scan_all(&sessions, &provider(&sessions, &table)).await;
    assert_eq!(rows_of(&rows, table.schema()), ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn the_schema_is_plain() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let sessions = sessions(2);
    let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
    let types: Vec<&DataType> = table.schema().fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types, [&DataType::Utf8, &DataType::Int64, &DataType::Utf8]);
    let rows = scan_all(&sessions, &provider(&sessions, &table)).await;
    assert!(rows.iter().all(|batch| batch.schema() == *table.schema()));
}

#[tokio::test]
async fn a_scan_identity_covers_how_a_table_is_read_but_not_its_version() {
    let folder = TempDir::new().unwrap();
    three_days(folder.path()).await;
    let sessions = sessions(2);
    let options = ScanOptions::from_config(&sessions.config());
    let newest = pinned(&sessions, folder.path(), PinAt::Latest).await;
    let oldest = pinned(&sessions, folder.path(), PinAt::Version(0)).await;
    let identity = newest.scan_identity(&options).unwrap();
    assert_eq!(identity, oldest.scan_identity(&options).unwrap());
    let other = sessions_with(SessionSettings { parquet_pushdown: false, ..SessionSettings::default() });
    let other = newest.scan_identity(&ScanOptions::from_config(&other.config())).unwrap();
    assert_ne!(identity, other);
}

#[tokio::test]
async fn a_task_of_a_table_of_many_files_is_sent_in_few_bytes() {
    let folder = TempDir::new().unwrap();
    let fields: Vec<Value> = (0..40).map(|index| field(&format!("column_{index}"), "long")).collect();
    let values =
        |value: i64| (0..40).map(|index| (format!("column_{index}"), json!(value))).collect::<serde_json::Map<_, _>>();
    let stats = json!({"numRecords": 10, "minValues": values(1), "maxValues": values(2), "nullCount": values(0)});
    let vector = json!({"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 6});
    let mut actions = vec![protocol(&["deletionVectors"]), metadata(&fields, &[], &json!({}))];
    for file in 0..20_000 {
        let mut add = add(&format!("part-{file:05}-c000.snappy.parquet"), &json!({}), &stats, Path::new(""));
        add["add"]["deletionVector"] = vector.clone();
        actions.push(add);
    }
    Log::new(folder.path()).commit(&actions);
    let sessions = sessions(16);
    let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
    assert_eq!(table.pin().rows, Some(80_000));
    let state = sessions.context().unwrap().state();
    let plan = provider(&sessions, &table).scan(&state, None, &[], None).await.unwrap();
    let config = scan_of(&plan);
    assert_eq!(config.file_groups.len(), 16);
    let bytes = task_bytes(&config, 3).len();
    assert!(bytes < 1024 * 1024, "{bytes} bytes for a task of 1,250 files");
}
