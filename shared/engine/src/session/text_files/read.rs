//! Reading the files of a chunk into one batch.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StringBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{GetResult, ObjectStore, ObjectStoreExt};

use super::chunks::{Chunk, TextFile};
use crate::session::SessionError;

/// The number of files that one partition reads concurrently.
const READS_AT_ONCE: usize = 16;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Path,
    Size,
    ContentHash,
    Content,
}

impl Column {
    /// All, in the order of the table's schema.
    pub(super) const ALL: [Self; 4] = [Self::Path, Self::Size, Self::ContentHash, Self::Content];
}

/// What a scan reads, and its store.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) folder: StorePath,
    pub(super) max_file_bytes: u64,
    pub(super) columns: Vec<Column>,
    pub(super) schema: SchemaRef,
}

/// The content of a file.
struct Read {
    hash: Option<blake3::Hash>,
    content: Option<Bytes>,
}

impl Reader {
    /// The rows of the chunk's files, in their order.
    pub(super) async fn read(&self, chunk: &Chunk) -> Result<RecordBatch> {
        let reads = match self.wants(Column::ContentHash) || self.wants(Column::Content) {
            true => self.read_files(chunk).await?,
            false => Vec::new(),
        };
        let columns = self.columns.iter().map(|column| column_of(*column, chunk, &reads)).collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(chunk.files.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)?)
    }

    fn wants(&self, column: Column) -> bool {
        self.columns.contains(&column)
    }

    async fn read_files(&self, chunk: &Chunk) -> Result<Vec<Read>> {
        let reads: Vec<_> = chunk.files.iter().map(|file| self.read_file(file)).collect();
        futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn read_file(&self, file: &TextFile) -> Result<Read> {
        let keep = self.wants(Column::Content) && file.size <= self.max_file_bytes;
        if !keep && !self.wants(Column::ContentHash) {
            return Ok(Read { hash: None, content: None });
        }
        let location = StorePath::parse(format!("{}/{}", self.folder, file.path)).map_err(object_store::Error::from);
        let result = match location {
            Ok(location) => self.store.get(&location).await,
            Err(error) => Err(error),
        };
        let result = result.map_err(|error| failed(file, error))?;
        // A store may return fractions of a second when listing, but not when reading.
        if result.meta.size != file.size || result.meta.last_modified.timestamp() != file.modified.div_euclid(1_000_000)
        {
            return Err(changed(file));
        }
        if !keep {
            let hash = hash_of(result).await.map_err(|error| failed(file, error))?;
            return Ok(Read { hash: Some(hash), content: None });
        }
        let bytes = result.bytes().await.map_err(|error| failed(file, error))?;
        let hash = self.wants(Column::ContentHash).then(|| blake3::hash(&bytes));
        let content = std::str::from_utf8(&bytes).is_ok().then_some(bytes);
        Ok(Read { hash, content })
    }
}

/// The hash of a file, without holding it in memory.
async fn hash_of(result: GetResult) -> Result<blake3::Hash, object_store::Error> {
    let mut hasher = blake3::Hasher::new();
    let mut stream = result.into_stream();
    while let Some(bytes) = stream.try_next().await? {
        hasher.update(&bytes);
    }
    Ok(hasher.finalize())
}

fn column_of(column: Column, chunk: &Chunk, reads: &[Read]) -> ArrayRef {
    match column {
        Column::Path => Arc::new(StringArray::from_iter_values(chunk.files.iter().map(|file| &file.path))),
        Column::Size => {
            let size = |file: &TextFile| i64::try_from(file.size).unwrap_or(i64::MAX);
            Arc::new(Int64Array::from_iter_values(chunk.files.iter().map(size)))
        }
        Column::ContentHash => {
            Arc::new(StringArray::from_iter(reads.iter().map(|read| read.hash.map(|hash| hash.to_hex().to_string()))))
        }
        Column::Content => {
            let bytes = reads.iter().filter_map(|read| read.content.as_ref()).map(Bytes::len).sum();
            let mut content = StringBuilder::with_capacity(reads.len(), bytes);
            for read in reads {
                content.append_option(read.content.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()));
            }
            Arc::new(content.finish())
        }
    }
}

fn changed(file: &TextFile) -> DataFusionError {
    DataFusionError::External(Box::new(SessionError::FileChanged { path: file.path.clone() }))
}

/// The engine only retries tasks after an I/O error, so transient failures of a store are converted to one.
fn failed(file: &TextFile, error: object_store::Error) -> DataFusionError {
    match error {
        object_store::Error::NotFound { .. } => changed(file),
        object_store::Error::Generic { .. } | object_store::Error::JoinError { .. } => {
            DataFusionError::IoError(std::io::Error::other(error))
        }
        error => DataFusionError::ObjectStore(Box::new(error)),
    }
}
