//! The open data files of a task: one for each partition value at hand, within limits of number and memory.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{TaskContext, object_store::ObjectStoreUrl};
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use deltalake::kernel::{Add, AddCDCFile};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::check::external;
use super::partition::{PartitionValues, folder};
use super::report::WrittenFile;
use super::stats::{Observed, stats_json};
use super::{WriteError, WriteSpec};
use crate::schema::change_feed::{CHANGE_TYPE, change_type};

/// Rows that go into a file before its size is looked at again.
const STEP_ROWS: usize = 8192;
/// Bytes of one part of an upload; S3 takes no smaller ones.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// Parts of a file that are under way at one time.
const PARTS: usize = 3;

/// The folder of change data files. Delta protocol, "Change Data Files".
const CHANGE_FOLDER: &str = "_change_data/";

/// What the files of a writer are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// They hold rows of the table.
    Data,
    /// They hold changes of rows: the table's columns and [`CHANGE_TYPE`].
    Change,
}

impl FileKind {
    /// The columns inside the files.
    fn schema(self, spec: &WriteSpec) -> SchemaRef {
        let schema = spec.file_schema();
        match self {
            Self::Data => schema,
            Self::Change => {
                let change_type = Arc::new(change_type(CHANGE_TYPE));
                Arc::new(Schema::new(schema.fields().iter().cloned().chain([change_type]).collect::<Vec<_>>()))
            }
        }
    }

    /// The path of a new file in the partition's `folder`.
    fn path(self, folder: &str, spec: &WriteSpec) -> String {
        let (name, suffix) = (uuid::Uuid::new_v4(), spec.file_suffix());
        match self {
            Self::Data => format!("{folder}part-{}{name}{suffix}.parquet", spec.file_prefix()),
            Self::Change => format!("{CHANGE_FOLDER}{folder}cdc-{name}{suffix}.parquet"),
        }
    }
}

/// The open files of one task and those that it has finished.
pub(crate) struct OpenFiles {
    kind: FileKind,
    spec: Arc<WriteSpec>,
    store: Arc<dyn ObjectStore>,
    root: Path,
    schema: SchemaRef,
    properties: WriterProperties,
    memory: MemoryReservation,
    open: HashMap<PartitionValues, OpenFile>,
    added: Vec<WrittenFile<Add>>,
    changes: Vec<WrittenFile<AddCDCFile>>,
}

/// A file that is being written.
struct OpenFile {
    /// Its path below the table's root.
    path: String,
    writer: AsyncArrowWriter<BufWriter>,
    rows: u64,
    observed: Observed,
}

impl OpenFile {
    /// Bytes that the file would have if it were closed now, as far as the encoder knows.
    fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Bytes that the file holds in memory: its unfinished row group, and what its upload may not have sent yet.
    fn held(&self) -> usize {
        self.writer.memory_size() + self.writer.bytes_written().min(PART_BYTES * (PARTS + 1))
    }
}

impl OpenFiles {
    /// No open files yet. The store is the executor's own for the table's location.
    ///
    /// # Errors
    /// If the location's store cannot be opened.
    pub(crate) fn new(kind: FileKind, spec: Arc<WriteSpec>, context: &TaskContext) -> Result<Self> {
        let location = |error| DataFusionError::External(Box::new(error));
        let url: ObjectStoreUrl = spec.location.store_url().map_err(location)?;
        let store = context.runtime_env().object_store(url)?;
        let root = spec.location.path().map_err(location)?;
        let memory = MemoryConsumer::new("DeltaWrite").with_can_spill(true).register(context.memory_pool());
        let (schema, properties) = (kind.schema(&spec), spec.writer_properties());
        Ok(Self {
            kind,
            spec,
            store,
            root,
            schema,
            properties,
            memory,
            open: HashMap::new(),
            added: Vec::new(),
            changes: Vec::new(),
        })
    }

    /// Writes `rows`, all with the same partition `values`, closing files that have reached their size.
    pub(crate) async fn write(&mut self, values: PartitionValues, rows: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < rows.num_rows() {
            let step = rows.slice(start, STEP_ROWS.min(rows.num_rows() - start));
            start += step.num_rows();
            if !self.open.contains_key(&values) {
                self.make_room().await?;
                let file = self.create(&values)?;
                self.open.insert(values.clone(), file);
            }
            let Some(file) = self.open.get_mut(&values) else { continue };
            file.writer.write(&step).await.map_err(|error| storage_error(&self.spec.table, error))?;
            file.rows += step.num_rows() as u64;
            file.observed.add(&step);
            if file.size() >= self.spec.target_file_bytes {
                self.close(&values).await?;
            }
            self.bound_memory().await?;
        }
        Ok(())
    }

    /// Closes every file and returns those with rows of the table, and the change data files, in the order of the paths.
    pub(crate) async fn finish(&mut self) -> Result<(Vec<WrittenFile<Add>>, Vec<WrittenFile<AddCDCFile>>)> {
        let open: Vec<PartitionValues> = self.open.keys().cloned().collect();
        for values in open {
            self.close(&values).await?;
        }
        let (mut added, mut changes) = (std::mem::take(&mut self.added), std::mem::take(&mut self.changes));
        added.sort_by(|a, b| a.action.path.cmp(&b.action.path));
        changes.sort_by(|a, b| a.action.path.cmp(&b.action.path));
        Ok((added, changes))
    }

    /// Gives up uploads that have begun, so that the store keeps no parts of them. Finished files stay behind as
    /// files that no log mentions.
    pub(crate) async fn abort(&mut self) {
        for (_, file) in self.open.drain() {
            let path = file.path;
            if let Err(error) = file.writer.into_inner().abort().await {
                tracing::warn!(path, %error, "an upload could not be given up");
            }
        }
    }

    fn create(&self, values: &PartitionValues) -> Result<OpenFile> {
        let path = self.kind.path(&folder(&self.spec.partition_by, values), &self.spec);
        let full = path.split('/').fold(self.root.clone(), |full, part| full.join(part));
        let upload = BufWriter::with_capacity(Arc::clone(&self.store), full, PART_BYTES).with_max_concurrency(PARTS);
        let writer = AsyncArrowWriter::try_new(upload, self.schema.clone(), Some(self.properties.clone()))?;
        Ok(OpenFile { path, writer, rows: 0, observed: Observed::default() })
    }

    /// Closes the largest file if there are as many as there may be.
    async fn make_room(&mut self) -> Result<()> {
        if self.open.len() < self.spec.limits.open_files.max(1) {
            return Ok(());
        }
        let largest = self.open.iter().max_by_key(|(_, file)| file.size()).map(|(values, _)| values.clone());
        match largest {
            Some(values) => self.close(&values).await,
            None => Ok(()),
        }
    }

    /// Ends the largest row groups, then the largest files, until what is held is within the task's limit and the
    /// process's pool.
    async fn bound_memory(&mut self) -> Result<()> {
        loop {
            let held = self.open.values().map(OpenFile::held).sum();
            let granted = self.memory.try_resize(held);
            if granted.is_ok() && held <= self.spec.limits.buffered_bytes {
                return Ok(());
            }
            let unfinished = self.open.values_mut().filter(|file| file.writer.in_progress_rows() > 0);
            if let Some(file) = unfinished.max_by_key(|file| file.writer.memory_size()) {
                file.writer.flush().await.map_err(|error| storage_error(&self.spec.table, error))?;
                continue;
            }
            let largest = self.open.iter().max_by_key(|(_, file)| file.held()).map(|(values, _)| values.clone());
            let Some(values) = largest else { return granted };
            self.close(&values).await?;
        }
    }

    async fn close(&mut self, values: &PartitionValues) -> Result<()> {
        let Some(mut file) = self.open.remove(values) else { return Ok(()) };
        let footer = file.writer.finish().await.map_err(|error| storage_error(&self.spec.table, error))?;
        let partition_values = self.spec.partition_by.iter().cloned().zip(values.iter().cloned()).collect();
        let size = i64::try_from(file.writer.bytes_written()).unwrap_or(i64::MAX);
        let rows = file.rows;
        match self.kind {
            FileKind::Data => {
                let action = Add {
                    path: file.path,
                    partition_values,
                    size,
                    modification_time: Utc::now().timestamp_millis(),
                    data_change: true,
                    stats: Some(stats_json(&footer, &file.observed, self.spec.stats_columns)),
                    tags: None,
                    deletion_vector: None,
                    base_row_id: None,
                    default_row_commit_version: None,
                    clustering_provider: None,
                };
                self.added.push(WrittenFile { action, rows });
            }
            FileKind::Change => {
                let action = AddCDCFile { path: file.path, size, partition_values, data_change: false, tags: None };
                self.changes.push(WrittenFile { action, rows });
            }
        }
        Ok(())
    }
}

/// What went wrong with a file, in the class that decides whether a cluster tries the task again: trouble with the
/// store is [`DataFusionError::IoError`] unless the store refuses for good.
fn storage_error(table: &str, error: ParquetError) -> DataFusionError {
    let ParquetError::External(cause) = error else { return DataFusionError::ParquetError(Box::new(error)) };
    let in_io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let in_store = match in_io {
        Some(inner) => inner.downcast_ref::<object_store::Error>(),
        None => cause.downcast_ref::<object_store::Error>(),
    };
    match in_store {
        Some(
            refusal @ (object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
            | object_store::Error::InvalidPath { .. }
            | object_store::Error::NotSupported { .. }
            | object_store::Error::NotImplemented { .. }
            | object_store::Error::UnknownConfigurationKey { .. }),
        ) => external(WriteError::Refused { table: table.to_owned(), reason: refusal.to_string() }),
        _ => DataFusionError::IoError(std::io::Error::other(format!(
            "a data file of table `{table}` could not be written: {cause}"
        ))),
    }
}
