//! The tables that the `.slt` files query.
//!
//! | table | what it is |
//! |---|---|
//! | `people` | a CSV file with a declared schema, nulls in every column but `id` and `name` |
//! | `events` | JSON lines with lists and structs |
//! | `orders` | Parquet, partitioned by `region` and `day`, each file sorted by `id` |
//! | `numbers` | Parquet in several files, declared to be sorted by `n` |
//! | `code` | text files |
//! | `adults` | a view over `people` |

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;
use windlass_engine::session::{TableInput, register as register_table};
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{FileFormat, ListingSource, SortColumn, TextFilesSource};
use windlass_storage::{Location, Stores};

/// Registers the tables. The generated ones live in the returned folder.
pub(crate) async fn register(ctx: &SessionContext, stores: &Stores) -> TempDir {
    let generated = generate();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for (name, table) in [
        ("people", people(&fixtures)),
        ("events", listing(&fixtures.join("events.jsonl"), FileFormat::Json)),
        ("orders", orders(generated.path())),
        ("numbers", numbers(generated.path())),
        ("code", code(&fixtures)),
        ("adults", TableInput::Sql("SELECT id, name, age FROM people WHERE age > 40".to_owned())),
    ] {
        register_table(ctx, stores, &name.into(), table).await.unwrap();
    }
    generated
}

/// Makes the files of the tables that are generated.
pub(crate) fn generate() -> TempDir {
    let generated = tempfile::tempdir().unwrap();
    write_orders(generated.path());
    write_numbers(generated.path());
    generated
}

fn listing(path: &Path, format: FileFormat) -> TableInput {
    with(path, format, |_| {})
}

fn with(path: &Path, format: FileFormat, set: impl FnOnce(&mut ListingSource)) -> TableInput {
    let location = Location::from_path(path).unwrap();
    let mut source = ListingSource {
        location: location.to_string(),
        format,
        partition_columns: Vec::new(),
        file_sort_order: Vec::new(),
        schema: None,
    };
    set(&mut source);
    TableInput::Listing { source, location }
}

fn ascending(column: &str) -> SortColumn {
    SortColumn { column: column.to_owned(), descending: false, nulls_first: false }
}

fn people(fixtures: &Path) -> TableInput {
    with(&fixtures.join("people.csv"), FileFormat::Csv { has_header: true, delimiter: b',' }, |source| {
        source.schema = Some(vec![
            ("id".to_owned(), ColumnType::Long),
            ("name".to_owned(), ColumnType::String),
            ("city".to_owned(), ColumnType::String),
            ("age".to_owned(), ColumnType::Integer),
            ("salary".to_owned(), ColumnType::Decimal { precision: 10, scale: 2 }),
            ("joined".to_owned(), ColumnType::Date),
        ]);
    })
}

fn code(fixtures: &Path) -> TableInput {
    let location = Location::from_path(&fixtures.join("code")).unwrap();
    let source = TextFilesSource {
        location: location.to_string(),
        include: vec!["**/*.rs".to_owned(), "**/*.py".to_owned()],
        exclude: Vec::new(),
        max_file_bytes: 1_000_000,
    };
    TableInput::TextFiles { source, location }
}

fn orders(generated: &Path) -> TableInput {
    with(&generated.join("orders"), FileFormat::Parquet, |source| {
        source.partition_columns =
            vec![("region".to_owned(), ColumnType::String), ("day".to_owned(), ColumnType::Date)];
        source.file_sort_order = vec![ascending("id")];
    })
}

/// Forty orders in six files: person `id % 9` (0 and 8 have orders but no row, or no known values), amounts with nulls.
fn write_orders(generated: &Path) {
    for (file, (region, day)) in [
        ("eu", "2026-01-01"),
        ("eu", "2026-01-02"),
        ("us", "2026-01-01"),
        ("us", "2026-01-02"),
        ("south sea", "2026-01-02"),
        ("__HIVE_DEFAULT_PARTITION__", "2026-01-03"),
    ]
    .into_iter()
    .enumerate()
    {
        let ids: Vec<i64> = (1..=40).filter(|id| id % 6 == file as i64).collect();
        let amount = |id: &i64| (id % 7 != 0).then(|| i128::from(*id) * 1_050);
        let amounts = Decimal128Array::from_iter(ids.iter().map(amount)).with_precision_and_scale(12, 2).unwrap();
        let placed = ids.iter().map(|id| 1_767_225_600_000_000 + id * 3_600_000_000);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(ids.clone()))),
            ("person_id", Arc::new(Int64Array::from_iter(ids.iter().map(|id| (id % 11 != 0).then_some(id % 9))))),
            ("item", Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("item {}", id % 4))))),
            ("amount", Arc::new(amounts)),
            ("placed", Arc::new(TimestampMicrosecondArray::from_iter_values(placed))),
        ];
        let folder = generated.join(format!("orders/region={region}/day={day}"));
        write_parquet(&folder, "part-0.parquet", &RecordBatch::try_from_iter(columns).unwrap());
    }
}

fn numbers(generated: &Path) -> TableInput {
    with(&generated.join("numbers"), FileFormat::Parquet, |source| source.file_sort_order = vec![ascending("n")])
}

/// The numbers 0 to 299 in three files, each with its square root and its remainder.
fn write_numbers(generated: &Path) {
    for file in 0..3_i64 {
        let n = file * 100..file * 100 + 100;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(n.clone()))),
            ("root", Arc::new(Float64Array::from_iter_values(n.clone().map(|n| (n as f64).sqrt())))),
            ("mod7", Arc::new(Int64Array::from_iter(n.map(|n| (n % 13 != 0).then_some(n % 7))))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        write_parquet(&generated.join("numbers"), &format!("part-{file}.parquet"), &batch);
    }
}

fn write_parquet(folder: &Path, name: &str, batch: &RecordBatch) {
    std::fs::create_dir_all(folder).unwrap();
    let file = std::fs::File::create(folder.join(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}
