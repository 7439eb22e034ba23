//! Exports as files of a format: one new file per save. Removing older ones is handled elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::{csv, json};
use datafusion::parquet::arrow::ArrowWriter;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;

use super::error::Fault;
use super::savers::{SaveRequest, Saved, Saver};

/// The format of exported files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values, with a header unless the option `has_header` is `false`; `delimiter` is another option.
    Csv,
    /// One JSON object a line.
    Json,
    /// An Arrow IPC file.
    Arrow,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Csv, Self::Json, Self::Arrow];

    /// The format's name in a project, which is also the files' extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Arrow => "arrow",
        }
    }
}

/// Writes files of one format.
#[derive(Debug)]
pub struct FilesSaver {
    format: ExportFormat,
}

impl FilesSaver {
    /// The saver of a format.
    pub fn new(format: ExportFormat) -> Self {
        Self { format }
    }

    fn named(&self, name: &str) -> String {
        format!("{name}.{}", self.format.name())
    }
}

#[async_trait]
impl Saver for FilesSaver {
    async fn save(&self, request: SaveRequest) -> Result<Saved, Fault> {
        let SaveRequest { name, location, options, mut rows, stores, .. } = request;
        let store = stores.store(&location)?;
        let mut encoder = Encoder::new(self.format, rows.schema(), &options)?;
        let mut writer = BufWriter::new(store, location.path()?.join(self.named(&name)));
        let mut saved = Saved::default();
        while let Some(batch) = rows.next().await {
            // A dropped writer leaves no file.
            let batch = batch?;
            saved.rows += batch.num_rows() as u64;
            encoder.write(&batch)?;
            let bytes = encoder.take();
            saved.bytes += bytes.len() as u64;
            writer.write_all(&bytes).await?;
        }
        let bytes = encoder.finish()?;
        saved.bytes += bytes.len() as u64;
        writer.write_all(&bytes).await?;
        writer.shutdown().await?;
        Ok(saved)
    }

    fn check(&self, columns: &SchemaRef, options: &BTreeMap<String, String>) -> Result<(), Fault> {
        let mut encoder = Encoder::new(self.format, Arc::clone(columns), options)?;
        for field in columns.fields() {
            // Writers report unsupported types for any row, whatever its values.
            let column = field.as_ref().clone().with_nullable(true);
            let row = vec![new_null_array(column.data_type(), 1)];
            let row = RecordBatch::try_new(Arc::new(Schema::new(vec![column])), row)?;
            let tried = match &mut encoder {
                Encoder::Csv(..) | Encoder::Json(_) => encoder.write(&row),
                Encoder::Parquet(_) | Encoder::Arrow(_) => Ok(()),
            };
            tried.map_err(|error| format!("the column `{}`: {error}", field.name()))?;
        }
        Ok(())
    }

    fn file_name(&self, name: &str) -> Option<String> {
        Some(self.named(name))
    }
}

/// Encodes batches to the bytes of a file, incrementally.
enum Encoder {
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Csv(csv::WriterBuilder, Vec<u8>),
    Json(Vec<u8>),
    Arrow(Box<FileWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(format: ExportFormat, schema: SchemaRef, options: &BTreeMap<String, String>) -> Result<Self, Fault> {
        let known: &[&str] = if format == ExportFormat::Csv { &["has_header", "delimiter"] } else { &[] };
        if let Some(other) = options.keys().find(|option| !known.contains(&option.as_str())) {
            return Err(format!("an export as {} has no option `{other}`", format.name()).into());
        }
        Ok(match format {
            ExportFormat::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, None)?)),
            ExportFormat::Arrow => Self::Arrow(Box::new(FileWriter::try_new(Vec::new(), &schema)?)),
            ExportFormat::Json => Self::Json(Vec::new()),
            ExportFormat::Csv => {
                let header = match options.get("has_header").map(String::as_str) {
                    None | Some("true") => true,
                    Some("false") => false,
                    Some(other) => return Err(format!("`has_header` is `true` or `false`, not `{other}`").into()),
                };
                let delimiter = match options.get("delimiter").map(String::as_bytes) {
                    None => b',',
                    Some([byte]) => *byte,
                    Some(_) => return Err("`delimiter` is a single byte".into()),
                };
                let mut start = Vec::new();
                if header {
                    // The header is written even without rows. It is text, whatever the columns are.
                    let names = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
                    let names = Schema::new(names.collect::<Vec<_>>());
                    let builder = csv::WriterBuilder::new().with_header(true).with_delimiter(delimiter);
                    builder.build(&mut start).write(&RecordBatch::new_empty(Arc::new(names)))?;
                }
                Self::Csv(csv::WriterBuilder::new().with_header(false).with_delimiter(delimiter), start)
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Arrow(writer) => writer.write(batch)?,
            Self::Csv(builder, bytes) => builder.clone().build(bytes).write(batch)?,
            Self::Json(bytes) => {
                // A column that is null in every row is still a column.
                let mut writer = json::WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(bytes);
                writer.write(batch)?;
                writer.finish()?;
            }
        }
        Ok(())
    }

    /// The bytes available so far.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Parquet(writer) => std::mem::take(writer.inner_mut()),
            Self::Arrow(writer) => std::mem::take(writer.get_mut()),
            Self::Csv(_, bytes) | Self::Json(bytes) => std::mem::take(bytes),
        }
    }

    /// The final bytes of the file.
    fn finish(self) -> Result<Vec<u8>, Fault> {
        Ok(match self {
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            Self::Csv(_, bytes) | Self::Json(bytes) => bytes,
        })
    }
}
