//! Delta tables for tests, and comparable rows.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::nested_struct::cast_column;
use deltalake::DeltaTable;
use deltalake::operations::write::WriteBuilder;
use deltalake::protocol::SaveMode;
use serde_json::{Value, json};

/// The rows of `batches` as sorted texts, columns in the order and of the types of `schema`.
pub(crate) fn rows_of(batches: &[RecordBatch], schema: &SchemaRef) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL").with_types_info(false);
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .map(|field| {
                let column = batch.column_by_name(field.name()).unwrap_or_else(|| panic!("no column {}", field.name()));
                cast_column(column, field.data_type(), &DEFAULT_CAST_OPTIONS).unwrap()
            })
            .collect();
        let formatters: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = formatters.iter().map(|values| values.value(row).to_string()).collect();
            rows.push(values.join(" | "));
        }
    }
    rows.sort();
    rows
}

/// Appends `batch` to the table in `folder`, which is created if necessary.
pub(crate) async fn append(folder: &Path, batch: RecordBatch, partition_by: &[&str]) -> DeltaTable {
    std::fs::create_dir_all(folder).unwrap();
    let url = deltalake::ensure_table_uri(folder.to_str().unwrap()).unwrap();
    let table = DeltaTable::try_from_url(url).await.unwrap();
    let write: WriteBuilder = table.write(vec![batch]).with_save_mode(SaveMode::Append);
    write.with_partition_columns(partition_by.iter().map(|name| (*name).to_owned())).await.unwrap()
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

pub(crate) fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// A log written by hand, one commit at a time.
pub(crate) struct Log<'a> {
    folder: &'a Path,
    version: u64,
}

impl<'a> Log<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        std::fs::create_dir_all(folder.join("_delta_log")).unwrap();
        Self { folder, version: 0 }
    }

    /// The log of a table that has the versions before `version` already.
    pub(crate) fn at(folder: &'a Path, version: u64) -> Self {
        Self { folder, version }
    }

    /// Writes the next commit.
    pub(crate) fn commit(&mut self, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        let path = self.folder.join(format!("_delta_log/{:020}.json", self.version));
        std::fs::write(path, lines.join("\n")).unwrap();
        self.version += 1;
    }

    /// Writes the next commit as text.
    pub(crate) fn commit_text(&mut self, text: &str) {
        std::fs::write(self.folder.join(format!("_delta_log/{:020}.json", self.version)), text).unwrap();
        self.version += 1;
    }
}

pub(crate) fn protocol(reader_features: &[&str]) -> Value {
    if reader_features.is_empty() {
        return json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    }
    json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": reader_features, "writerFeatures": reader_features,
    }})
}

/// A `metaData` action for a table of `fields`, which are fields of a Delta schema.
pub(crate) fn metadata(fields: &[Value], partition_columns: &[&str], configuration: &Value) -> Value {
    let schema = json!({"type": "struct", "fields": fields});
    json!({"metaData": {
        "id": "11111111-2222-3333-4444-555555555555",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_string(),
        "partitionColumns": partition_columns,
        "configuration": configuration,
        "createdTime": 0,
    }})
}

pub(crate) fn field(name: &str, data_type: &str) -> Value {
    json!({"name": name, "type": data_type, "nullable": true, "metadata": {}})
}

/// An `add` action of the file at `file`, which the log names `path`; `stats` of null is none.
pub(crate) fn add(path: &str, partition_values: &Value, stats: &Value, file: &Path) -> Value {
    let size = std::fs::metadata(file).map_or(1000, |metadata| metadata.len());
    let stats = if stats.is_null() { Value::Null } else { Value::String(stats.to_string()) };
    json!({"add": {
        "path": path, "partitionValues": partition_values, "size": size, "modificationTime": 0,
        "dataChange": true, "stats": stats,
    }})
}

/// Writes `batches` as a Parquet file of one row group each.
pub(crate) fn write_parquet(path: &Path, batches: &[RecordBatch]) {
    use datafusion::parquet::arrow::ArrowWriter;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}
