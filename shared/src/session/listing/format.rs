//! The engine's readers, set up from a source's declaration.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use crate::session::SessionError;
use crate::spec::source::FileFormat;
use crate::storage::Location;

/// The reader of `format`.
///
/// CSV values may hold newlines, so a CSV file is never split into ranges: it is read by one task.
pub(super) fn reader(state: &dyn Session, format: &FileFormat) -> Arc<dyn Reader> {
    let options = state.default_table_options();
    match format {
        FileFormat::Parquet => Arc::new(ParquetFormat::default().with_options(options.parquet)),
        FileFormat::Csv { has_header, delimiter } => Arc::new(
            CsvFormat::default()
                .with_options(options.csv)
                .with_has_header(*has_header)
                .with_delimiter(*delimiter)
                .with_newlines_in_values(true),
        ),
        FileFormat::Json => Arc::new(JsonFormat::default().with_options(options.json)),
        FileFormat::Avro => Arc::new(AvroFormat),
        FileFormat::Arrow => Arc::new(ArrowFormat),
    }
}

/// The columns that the files have, all of them together.
///
/// # Errors
/// [`SessionError::WrongFormat`] naming the first file that cannot be read, and [`SessionError::SchemaConflict`] if
/// each can be read but their columns do not fit together.
pub(super) async fn infer_schema(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    reader: &dyn Reader,
    format: &FileFormat,
    location: &Location,
    objects: &[ObjectMeta],
) -> Result<SchemaRef, SessionError> {
    let error = match reader.infer_schema(state, store, objects).await {
        Ok(schema) => return Ok(schema),
        Err(error) => error,
    };
    for object in objects {
        let alone = reader.infer_schema(state, store, std::slice::from_ref(object)).await;
        alone.map_err(|source| wrong_format(object, format, source))?;
    }
    Err(SessionError::SchemaConflict { location: location.to_string(), source: error })
}

/// The statistics of each file, in the files' order.
///
/// # Errors
/// [`SessionError::WrongFormat`] naming the first file that cannot be read.
pub(super) async fn statistics(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    reader: &dyn Reader,
    format: &FileFormat,
    schema: &SchemaRef,
    objects: &[ObjectMeta],
) -> Result<Vec<Arc<Statistics>>, SessionError> {
    if !state.config().collect_statistics() {
        let unknown = Arc::new(Statistics::new_unknown(schema));
        return Ok(objects.iter().map(|_| Arc::clone(&unknown)).collect());
    }
    let at_once = state.config_options().execution.meta_fetch_concurrency.get();
    let of_one = objects.iter().map(|object| async move {
        let statistics = reader.infer_stats(state, store, Arc::clone(schema), object).await;
        statistics.map(Arc::new).map_err(|source| wrong_format(object, format, source))
    });
    // Collected first: a stream over the lazy iterator would borrow it for longer than the compiler can prove.
    let of_one: Vec<_> = of_one.collect();
    futures::stream::iter(of_one).buffered(at_once).try_collect().await
}

fn wrong_format(object: &ObjectMeta, format: &FileFormat, source: datafusion::error::DataFusionError) -> SessionError {
    SessionError::WrongFormat { file: object.location.to_string(), format: format.name(), source }
}
