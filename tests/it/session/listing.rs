//! Files of one format as a table.

use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_engine::session::TableInput;
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{FileFormat, ListingSource, SortColumn};

use super::support::{Fixture, labelled, listing, listing_source, write, write_parquet};

const CSV: FileFormat = FileFormat::Csv { has_header: true, delimiter: b',' };

fn partitioned(format: FileFormat) -> ListingSource {
    let mut source = listing_source(format);
    source.partition_columns = vec![("day".to_owned(), ColumnType::Date), ("n".to_owned(), ColumnType::Integer)];
    source
}

fn ascending(column: &str) -> SortColumn {
    SortColumn { column: column.to_owned(), descending: false, nulls_first: false }
}

#[tokio::test]
async fn partition_columns_come_from_the_folders_and_prune() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "day=2026-01-01/n=1/a.parquet", &labelled(0..2));
    write_parquet(folder.path(), "day=2026-01-02/n=1/sub/b.parquet", &labelled(2..3));
    write_parquet(folder.path(), "day=2026-01-02/n=__HIVE_DEFAULT_PARTITION__/c.parquet", &labelled(3..4));
    write(folder.path(), "day=2026-01-02/_SUCCESS", "");
    write(folder.path(), ".hidden/x.parquet", "not parquet");
    write(folder.path(), "_temporary/x.parquet", "not parquet");
    write(folder.path(), "README.md", "not parquet");
    let fixture = Fixture::new();
    let record = fixture.register("t", listing(folder.path(), partitioned(FileFormat::Parquet))).await.unwrap();
    assert_eq!(record.files, Some(3));
    assert_eq!(record.partition_columns, ["day", "n"]);
    insta::assert_snapshot!(fixture.rows("SELECT * FROM t ORDER BY id").await);
    let plan = fixture.plan("SELECT label FROM t WHERE day = '2026-01-02' AND n IS NULL").await;
    assert!(plan.contains("c.parquet") && !plan.contains("b.parquet") && !plan.contains("FilterExec"), "{plan}");
    assert_eq!(fixture.value("SELECT count(n) FROM t").await, "3");
    assert_eq!(fixture.value("SELECT count(*) FROM t WHERE n = 2").await, "0");
    assert_eq!(fixture.value("SELECT max(day) FROM t").await, "2026-01-02");
}

#[tokio::test]
async fn a_file_outside_the_partition_folders_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "day=2026-01-01/n=1/a.parquet", &labelled(0..2));
    let fixture = Fixture::new();
    let failure = async |path: &str| {
        write_parquet(folder.path(), path, &labelled(0..1));
        let input = listing(folder.path(), partitioned(FileFormat::Parquet));
        let error = fixture.register("t", input).await.unwrap_err();
        std::fs::remove_file(folder.path().join(path)).unwrap();
        format!("{} {error}", error.code())
    };
    insta::assert_snapshot!(failure("day=2026-01-01/stray.parquet").await);
    insta::assert_snapshot!(failure("day=2026-01-01/m=1/stray.parquet").await);
    insta::assert_snapshot!(failure("day=soon/n=1/stray.parquet").await);
}

#[tokio::test]
async fn the_values_of_folders_are_read_as_those_of_files() {
    for (value, of) in [("1.239", "decimal(10,2)"), ("yes", "boolean"), ("16777217", "float"), ("2026-1-3", "date")] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &format!("folders/p={value}/a.csv"), "v\n1\n");
        write(folder.path(), "files/a.csv", format!("p\n\"{value}\"\n"));
        let of = vec![("p".to_owned(), ColumnType::parse(of).unwrap())];
        let fixture = Fixture::new();
        let source = ListingSource { partition_columns: of.clone(), ..listing_source(CSV) };
        let error = fixture.register("t", listing(&folder.path().join("folders"), source)).await.unwrap_err();
        assert_eq!(error.code().to_string(), "WL0308", "{value}");
        let message = error.to_string();
        assert!(
            message.contains(&format!("`p={value}/a.csv`")) && message.contains(&format!("`{value}`")),
            "{message}"
        );
        let source = ListingSource { schema: Some(of), ..listing_source(CSV) };
        fixture.register("t", listing(&folder.path().join("files"), source)).await.unwrap();
        assert!(fixture.failure("SELECT p FROM t").await.contains(value), "{value}");
    }
}

#[tokio::test]
async fn every_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::new();
    let batch = labelled(0..5);
    write_parquet(folder.path(), "parquet/a.parquet", &batch);
    write(folder.path(), "csv/a.csv", "id,label\n0,\"two\nlines\"\n1,label 1\n2,label 2\n3,label 3\n4,label 4\n");
    let lines: String = (0..5).map(|i| format!("{{\"id\": {i}, \"label\": \"label {i}\"}}\n")).collect();
    write(folder.path(), "json/a.jsonl", lines);
    let mut ipc = Vec::new();
    let mut writer = datafusion::arrow::ipc::writer::FileWriter::try_new(&mut ipc, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    write(folder.path(), "arrow/a.arrow", ipc);
    for format in [FileFormat::Parquet, CSV, FileFormat::Json, FileFormat::Arrow] {
        let name = format.name();
        let record = fixture.register(name, listing(&folder.path().join(name), listing_source(format))).await.unwrap();
        assert_eq!(record.format.as_deref(), Some(name));
        assert_eq!(fixture.value(&format!("SELECT sum(id) FROM {name} WHERE label <> 'label 1'")).await, "9", "{name}");
    }
}

#[tokio::test]
async fn a_declared_schema_is_used_as_declared() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.csv", "1;2.50;2026-01-01\n;;\n");
    let mut source = listing_source(FileFormat::Csv { has_header: false, delimiter: b';' });
    source.schema = Some(vec![
        ("id".to_owned(), ColumnType::Short),
        ("price".to_owned(), ColumnType::Decimal { precision: 9, scale: 2 }),
        ("day".to_owned(), ColumnType::Date),
    ]);
    let fixture = Fixture::new();
    let record = fixture.register("t", listing(&folder.path().join("a.csv"), source)).await.unwrap();
    let types: Vec<_> = record.columns.iter().map(|column| column.data_type.as_str()).collect();
    assert_eq!(types, ["Int16", "Decimal128(9, 2)", "Date32"]);
    insta::assert_snapshot!(fixture.rows("SELECT * FROM t").await);
}

#[tokio::test]
async fn a_folder_a_file_or_a_glob() {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in ["a 1.parquet", "a 2.parquet", "b.parquet", "deep/a 3.parquet"].into_iter().enumerate() {
        write_parquet(folder.path(), name, &labelled(i as i64..i as i64 + 1));
    }
    let fixture = Fixture::new();
    for (path, files) in [("", 4), ("b.parquet", 1), ("a*.parquet", 2), ("**/a*.parquet", 3), ("{b,c}.parquet", 1)] {
        let input = listing(&folder.path().join(path), listing_source(FileFormat::Parquet));
        assert_eq!(fixture.register("t", input).await.unwrap().files, Some(files), "{path}");
        assert_eq!(fixture.value("SELECT count(*) FROM t").await, files.to_string(), "{path}");
    }
}

#[tokio::test]
async fn unreadable_files_are_reported_clearly() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "mixed/a.parquet", &labelled(0..1));
    write(folder.path(), "mixed/b.parquet", "id,label\n");
    write(folder.path(), "texts/b.txt", "text");
    write(folder.path(), "broken/a.json", "[1, 2]");
    write(folder.path(), "broken/b.avro", "no avro");
    write(folder.path(), "broken/c.arrow", "no arrow");
    write(folder.path(), "conflict/a.json", "{\"a\": 1}\n");
    write(folder.path(), "conflict/b.json", "{\"a\": {\"b\": 1}}\n");
    let fixture = Fixture::new();
    let mut seen = String::new();
    for (path, format) in [
        ("mixed", FileFormat::Parquet),
        ("texts", FileFormat::Parquet),
        ("nowhere", CSV),
        ("nowhere/*.csv", CSV),
        ("texts/[.csv", CSV),
        ("broken", FileFormat::Json),
        ("broken", FileFormat::Avro),
        ("broken", FileFormat::Arrow),
        ("conflict", FileFormat::Json),
    ] {
        let input = listing(&folder.path().join(path), listing_source(format));
        let error = fixture.register("t", input).await.unwrap_err();
        assert!(error.help().is_some());
        seen.push_str(&format!("{} {error}\n", error.code()));
    }
    let root = folder.path().display().to_string();
    let seen = seen.replace(&root, "<folder>").replace(root.trim_start_matches('/'), "<folder>");
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn a_declared_order_spares_a_sort() {
    let folder = tempfile::tempdir().unwrap();
    for (i, start) in [20, 0, 10].into_iter().enumerate() {
        write_parquet(folder.path(), &format!("{i}.parquet"), &labelled(start..start + 10));
        let rows: String = (start..start + 10).map(|id| format!("{id},label {id}\n")).collect();
        write(folder.path(), &format!("csv/{i}.csv"), format!("id,label\n{rows}"));
    }
    let fixture = Fixture::new();
    for (path, format) in [("", FileFormat::Parquet), ("csv", CSV)] {
        let folder = folder.path().join(path);
        let plain = listing_source(format.clone());
        let ordered = ListingSource { file_sort_order: vec![ascending("id")], ..plain.clone() };
        fixture.register("plain", listing(&folder, plain)).await.unwrap();
        let record = fixture.register("ordered", listing(&folder, ordered)).await.unwrap();
        assert_eq!(record.sort_order[0].column, "id");
        let sorted = |table: &str| format!("SELECT id, label FROM {table} ORDER BY id");
        let plan = fixture.plan(&sorted("plain")).await;
        assert!(plan.contains("SortExec"), "{plan}");
        let plan = fixture.plan(&sorted("ordered")).await;
        assert!(!plan.contains("SortExec") && plan.contains("SortPreservingMergeExec"), "{plan}");
        assert_eq!(fixture.rows(&sorted("ordered")).await, fixture.rows(&sorted("plain")).await);
    }
}

#[tokio::test]
async fn a_sort_order_names_columns_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "a.parquet", &labelled(0..1));
    let source = ListingSource { file_sort_order: vec![ascending("nmae")], ..listing_source(FileFormat::Parquet) };
    let fixture = Fixture::new();
    let error = fixture.register("t", listing(folder.path(), source)).await.unwrap_err();
    assert_eq!(error.code().to_string(), "WL0309");
}

#[tokio::test]
async fn every_scan_reads_the_files_that_were_registered() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "a.parquet", &labelled(0..5));
    let fixture = Fixture::new();
    let register =
        async || fixture.register("t", listing(folder.path(), listing_source(FileFormat::Parquet))).await.unwrap();
    let before = register().await;
    write_parquet(folder.path(), "b.parquet", &labelled(5..10));
    assert_eq!(fixture.value("SELECT count(*) FROM t").await, "5");
    assert_eq!(fixture.value("SELECT max(id) FROM t").await, "4");
    let after = register().await;
    assert_eq!(fixture.value("SELECT max(id) FROM t").await, "9");
    assert_eq!((before.files, after.files), (Some(1), Some(2)));
    assert_ne!(before.files_digest, after.files_digest);
    assert_eq!(before.scan_identity, after.scan_identity);
}

#[tokio::test]
async fn the_statistics_of_the_files_are_known_to_the_planner() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "a.parquet", &labelled(0..5));
    write_parquet(folder.path(), "b.parquet", &labelled(5..10));
    let fixture = Fixture::new();
    let input: TableInput = listing(folder.path(), listing_source(FileFormat::Parquet));
    fixture.register("t", input).await.unwrap();
    let plan = fixture.plan("SELECT count(*), min(id), max(id) FROM t").await;
    assert!(!plan.contains("parquet"), "{plan}");
}

#[tokio::test]
async fn types_of_files_are_widened_and_never_narrowed() {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &str, name: &str, values: ArrayRef| {
        write_parquet(folder.path(), path, &RecordBatch::try_from_iter([(name, values)]).unwrap());
    };
    let decimal =
        |value| Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(10, 3).unwrap()) as ArrayRef;
    file("long/a.parquet", "a", Arc::new(Int64Array::from(vec![7])));
    file("double/a.parquet", "a", Arc::new(Float64Array::from(vec![1.9])));
    file("decimal/a.parquet", "a", decimal(1239));
    file("case/a.parquet", "A", Arc::new(Int64Array::from(vec![7])));
    file("some/a.parquet", "a", Arc::new(Int64Array::from(vec![7])));
    file("some/b.parquet", "b", Arc::new(Int64Array::from(vec![8])));
    file("wider/a.parquet", "a", Arc::new(Int32Array::from(vec![7])));
    file("wider/b.parquet", "a", Arc::new(Int64Array::from(vec![1 << 40])));
    file("conflict/a.parquet", "a", Arc::new(Int64Array::from(vec![7])));
    file("conflict/b.parquet", "a", Arc::new(StringArray::from(vec!["x"])));
    file("cases/a.parquet", "a", Arc::new(Int64Array::from(vec![7])));
    file("cases/b.parquet", "A", Arc::new(Int64Array::from(vec![7])));
    let fixture = Fixture::new();
    for (path, declared, expected) in [
        ("long", Some("decimal(20,1)"), Ok("7.0")),
        ("long", Some("integer"), Err("WL0383")),
        ("long", Some("double"), Err("WL0383")),
        ("double", Some("long"), Err("WL0383")),
        ("decimal", Some("decimal(10,2)"), Err("WL0383")),
        ("decimal", Some("decimal(11,4)"), Ok("1.2390")),
        ("case", Some("long"), Err("WL0382")),
        ("some", Some("long"), Ok("7")),
        ("wider", None, Ok("1099511627783")),
        ("wider", Some("long"), Ok("1099511627783")),
        ("conflict", None, Err("WL0313")),
        ("cases", None, Err("WL0313")),
        ("cases", Some("long"), Err("WL0382")),
    ] {
        let schema = declared.map(|of| vec![("a".to_owned(), ColumnType::parse(of).unwrap())]);
        let source = ListingSource { schema, ..listing_source(FileFormat::Parquet) };
        match (fixture.register("t", listing(&folder.path().join(path), source)).await, expected) {
            (Ok(_), Ok(sum)) => assert_eq!(fixture.value("SELECT sum(a) FROM t").await, sum, "{path} {declared:?}"),
            (Err(error), Err(code)) => {
                assert_eq!(error.code().to_string(), code, "{path} {declared:?}");
                assert!(error.to_string().contains(".parquet`"), "{error}");
            }
            (other, _) => panic!("{path} {declared:?}: {other:?}"),
        }
    }
    let source =
        ListingSource { schema: Some(vec![("z".to_owned(), ColumnType::Long)]), ..listing_source(FileFormat::Parquet) };
    let error = fixture.register("t", listing(&folder.path().join("some"), source)).await.unwrap_err();
    assert!(error.to_string().contains("no file of `") && error.to_string().contains("`z`"), "{error}");
}

#[tokio::test]
async fn arrow_files_have_the_same_columns_in_the_same_order() {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, RecordBatch};
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &str, columns: [&str; 2]| {
        let column = |name, value| (name, Arc::new(Int64Array::from(vec![value])) as _);
        let batch = RecordBatch::try_from_iter([column(columns[0], 1), column(columns[1], 2)]).unwrap();
        let mut ipc = Vec::new();
        let mut writer = datafusion::arrow::ipc::writer::FileWriter::try_new(&mut ipc, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        write(folder.path(), path, ipc);
    };
    file("same/a.arrow", ["a", "b"]);
    file("same/b.arrow", ["a", "b"]);
    file("other/a.arrow", ["a", "b"]);
    file("other/b.arrow", ["b", "a"]);
    let fixture = Fixture::new();
    fixture.register("t", listing(&folder.path().join("same"), listing_source(FileFormat::Arrow))).await.unwrap();
    assert_eq!(fixture.value("SELECT sum(b) FROM t").await, "4");
    let swapped = vec![("b".to_owned(), ColumnType::Long), ("a".to_owned(), ColumnType::Long)];
    for (path, schema) in [("other", None), ("same", Some(swapped))] {
        let source = ListingSource { schema, ..listing_source(FileFormat::Arrow) };
        let error = fixture.register("t", listing(&folder.path().join(path), source)).await.unwrap_err();
        assert!(error.code().to_string() == "WL0313" && error.to_string().contains(".arrow`"), "{error}");
    }
}

#[tokio::test]
async fn filters_find_nan_and_both_zeros_wherever_footers_leave_them_out() {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float32Array, Float64Array, Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f64> = (0..400).map(|i| if i == 250 { f64::NAN } else { f64::from(i / 100) }).collect();
    let batch = RecordBatch::try_from_iter([
        ("i", Arc::new(Int64Array::from_iter_values(0..400)) as _),
        ("x", Arc::new(Float64Array::from(values.clone())) as _),
        ("y", Arc::new(values.iter().map(|value| Some(*value as f32)).collect::<Float32Array>()) as _),
    ])
    .unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(200))
        .set_data_page_row_count_limit(50)
        .set_write_batch_size(50)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    write(folder.path(), "a.parquet", bytes);
    for parquet_pushdown in [false, true] {
        let fixture = Fixture::with(SessionSettings { parquet_pushdown, ..SessionSettings::default() });
        fixture.register("t", listing(folder.path(), listing_source(FileFormat::Parquet))).await.unwrap();
        for column in ["x", "y"] {
            for (filter, rows) in [
                ("C = 2", "99"),
                ("C <> 2", "301"),
                ("C > 3", "1"),
                ("C >= 3", "101"),
                ("C > 1000", "1"),
                ("C BETWEEN 2 AND 2", "99"),
                ("NOT C <= 3", "1"),
                ("C NOT IN (0, 1, 2, 3)", "1"),
                ("C < 1", "100"),
                ("C <= 0", "100"),
                ("isnan(C)", "1"),
                ("C IS NULL", "0"),
            ] {
                let sql = format!("SELECT count(*) FROM t WHERE {}", filter.replace('C', column));
                assert_eq!(fixture.value(&sql).await, rows, "{sql}, pushdown {parquet_pushdown}");
            }
            assert_eq!(fixture.value(&format!("SELECT max({column}) FROM t")).await, "NaN");
        }
        // Files that a lower bound excludes are still skipped.
        let plan = fixture.ctx.sql("SELECT i FROM t WHERE x < 1").await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::collect(Arc::clone(&plan), fixture.ctx.task_ctx()).await.unwrap();
        let shown = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan.as_ref());
        let shown = shown.indent(false).to_string();
        assert!(shown.contains("row_groups_pruned_statistics=2 total → 1 matched"), "{shown}");
    }
}

/// The error of a listing of `folder` as `format`.
async fn refusal(folder: &std::path::Path, source: ListingSource) -> String {
    let error = Fixture::new().register("t", listing(folder, source)).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{} {error}: {source}", error.code())
}

#[tokio::test]
async fn two_columns_of_one_name_are_refused() {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    let folder = tempfile::tempdir().unwrap();
    let columns: Vec<_> = ["a", "b", "a"].map(|name| Field::new(name, DataType::Int64, true)).into();
    let values: Vec<ArrayRef> = (1..=3).map(|value| Arc::new(Int64Array::from(vec![value])) as _).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(columns)), values).unwrap();
    write_parquet(folder.path(), "a.parquet", &batch);
    let mut writer = datafusion::arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    write(folder.path(), "a.arrow", writer.into_inner().unwrap());
    for format in [FileFormat::Parquet, FileFormat::Arrow] {
        for declared in [None, Some("a"), Some("b")] {
            let schema = declared.map(|name| vec![(name.to_owned(), ColumnType::Long)]);
            let refusal = refusal(folder.path(), ListingSource { schema, ..listing_source(format.clone()) }).await;
            assert!(refusal.starts_with("WL0382"), "{refusal}");
            let file = format!("a.{}` has two columns `a`", format.name());
            assert!(refusal.contains(&file), "{declared:?}: {refusal}");
        }
    }
}

#[tokio::test]
async fn a_damaged_footer_is_an_error_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), "whole.parquet", &labelled(0..5));
    let whole = std::fs::read(folder.path().join("whole.parquet")).unwrap();
    let twice = u32::try_from(whole.len() * 2).unwrap().to_le_bytes();
    let too_long = [&whole[..whole.len() - 8], &twice[..], &b"PAR1"[..]].concat();
    for damaged in
        [&b"PAR1PAR1"[..], &too_long[..], b"PARExxxxxxxxxxxxxxxxxxxxPARE", &whole[..whole.len() / 2], b"PAR1"]
    {
        write(folder.path(), "damaged.parquet", damaged);
        let refusal = refusal(folder.path(), listing_source(FileFormat::Parquet)).await;
        assert!(refusal.starts_with("WL0307") && refusal.contains("damaged.parquet`"), "{refusal}");
    }
}

/// An Avro file of records with `fields`, as JSON; each of `blocks` has a number of them and their bytes.
fn avro(fields: &str, blocks: &[(u8, &[u8])]) -> Vec<u8> {
    let schema = format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    let twice = schema.len() * 2;
    assert!((128..1 << 14).contains(&twice));
    let length = [(twice % 128 + 128) as u8, (twice / 128) as u8];
    let marker = b"<- end of block>";
    let mut file =
        [&b"Obj\x01\x02\x16avro.schema"[..], &length[..], schema.as_bytes(), &b"\0"[..], &marker[..]].concat();
    for (rows, bytes) in blocks {
        file.extend([rows * 2, bytes.len() as u8 * 2]);
        file.extend(*bytes);
        file.extend(marker);
    }
    file
}

#[tokio::test]
async fn an_avro_file_that_was_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let field = r#"{"name":"a","type":"int"}"#;
    let whole = avro(field, &[(3, &[2, 4, 6]), (2, &[8, 10])]);
    write(folder.path(), "a.avro", &whole);
    write(folder.path(), "without_rows.avro", avro(field, &[]));
    let fixture = Fixture::new();
    fixture.register("t", listing(folder.path(), listing_source(FileFormat::Avro))).await.unwrap();
    assert_eq!(fixture.value("SELECT sum(a) FROM t").await, "15");
    // The last block has two bytes before its values and sixteen after them.
    for cut in [1, 15, 16, 18, 19, 21] {
        write(folder.path(), "cut.avro", &whole[..whole.len() - cut]);
        let refusal = refusal(folder.path(), listing_source(FileFormat::Avro)).await;
        assert!(refusal.starts_with("WL0307") && refusal.contains("cut.avro`"), "{cut}: {refusal}");
        assert!(refusal.contains("cut short"), "{cut}: {refusal}");
    }
}

#[tokio::test]
async fn fields_missing_in_an_avro_file_are_null_also_inside_records() {
    let folder = tempfile::tempdir().unwrap();
    let record = |fields: &str| {
        format!(
            r#"{{"name":"x","type":{{"type":"record","name":"q","fields":[{{"name":"a","type":"int"}}{fields}]}}}}"#
        )
    };
    write(folder.path(), "nested/0.avro", avro(&record(""), &[(1, &[2])]));
    let more = record(r#",{"name":"b","type":"string"}"#);
    write(folder.path(), "nested/1.avro", avro(&more, &[(1, &[4, 2, b'z'])]));
    let pair = |of: &str| format!(r#"{{"name":"a","type":"{of}"}},{{"name":"b","type":"int"}}"#);
    write(folder.path(), "null/0.avro", avro(&pair("null"), &[(1, &[2])]));
    write(folder.path(), "null/1.avro", avro(&pair("int"), &[(1, &[10, 4])]));
    let fixture = Fixture::new();
    for (path, sql, expected) in [
        ("nested", "SELECT sum(x['a']) FROM t", "3"),
        ("nested", "SELECT max(x['b']) FROM t", "z"),
        ("nested", "SELECT count(x['b']) FROM t", "1"),
        ("null", "SELECT sum(a) FROM t", "5"),
        ("null", "SELECT count(*) FROM t WHERE a IS NULL AND b = 1", "1"),
    ] {
        let input = listing(&folder.path().join(path), listing_source(FileFormat::Avro));
        fixture.register("t", input).await.unwrap();
        assert_eq!(fixture.value(sql).await, expected, "{path}: {sql}");
    }
}

#[tokio::test]
async fn compressed_files_are_not_ignored() {
    for extension in ["gz", "gzip", "zst", "zstd", "lz", "lz4", "lzo", "sz", "Z"] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.csv", "v\n1\n");
        write(folder.path(), &format!("b.csv.{extension}"), "x");
        let refusal = refusal(folder.path(), listing_source(CSV)).await;
        assert!(refusal.starts_with("WL0384") && refusal.contains(&format!("b.csv.{extension}`")), "{refusal}");
    }
}
