//! Errors of data files that name the file and can be told from a failing store.
//!
//! The engine's reader reports a missing or damaged file like a store that fails, and puts the cause into a text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use windlass_base::error::Failure;

use crate::ReadError;

/// Reads files as `files` does, and names those that are missing or damaged.
pub struct FileErrors {
    files: Arc<dyn ParquetFileReaderFactory>,
}

impl FileErrors {
    /// The same files with errors that name them.
    pub fn of(files: Arc<dyn ParquetFileReaderFactory>) -> Arc<dyn ParquetFileReaderFactory> {
        Arc::new(Self { files })
    }
}

impl fmt::Debug for FileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileErrors").field("files", &self.files).finish()
    }
}

impl ParquetFileReaderFactory for FileErrors {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = file.object_meta.location.to_string();
        let file = self.files.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(NamedFile { name, file }))
    }
}

struct NamedFile {
    name: String,
    file: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for NamedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let Self { name, file } = self;
        file.get_bytes(range).map(|bytes| bytes.map_err(|error| named(name, error))).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let Self { name, file } = self;
        file.get_byte_ranges(ranges).map(|bytes| bytes.map_err(|error| named(name, error))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let Self { name, file } = self;
        file.get_metadata(options).map(|footer| footer.map_err(|error| named(name, error))).boxed()
    }
}

/// The error as a [`Failure`] that names the file, if the file is the cause and not its store.
fn named(file: &str, error: ParquetError) -> ParquetError {
    let file = file.to_owned();
    let failure: Failure = match cause_of(&error) {
        Cause::Missing => ReadError::FileMissing { file }.into(),
        Cause::Damaged(reason) => ReadError::FileDamaged { file, reason }.into(),
        Cause::Other => return error,
    };
    ParquetError::External(Box::new(failure))
}

enum Cause {
    Missing,
    Damaged(String),
    Other,
}

/// How the engine's reader begins when a footer cannot be read; the cause follows as text.
const FOOTER: &str = "Failed to fetch metadata for file ";
/// How an object store says that an object does not exist, behind its path.
const NOT_FOUND: &str = " not found: ";
/// How a store says that an object ends before the range that was asked for.
const TOO_SHORT: &str = "Out of range";
const PARQUET: &str = "Parquet error: ";

fn cause_of(error: &ParquetError) -> Cause {
    let causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    for cause in causes {
        if matches!(cause.downcast_ref::<object_store::Error>(), Some(object_store::Error::NotFound { .. })) {
            return Cause::Missing;
        }
    }
    match error {
        ParquetError::General(text) if text.starts_with(FOOTER) => match text.rsplit_once(PARQUET) {
            Some((_, reason)) => Cause::Damaged(reason.to_owned()),
            None if text.contains(NOT_FOUND) => Cause::Missing,
            None if text.contains(TOO_SHORT) => Cause::Damaged("it is shorter than the log says".to_owned()),
            None => Cause::Other,
        },
        _ => Cause::Other,
    }
}
