//! Readers for the formats of a source.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use windlass_base::panics;
use windlass_delta::scan::float_bounds::without_bounds;
use windlass_project::spec::source::FileFormat;

use super::{avro, names};
use crate::session::SessionError;
use crate::session::records::RecordFormat;

/// The reader of a format.
pub(super) enum FormatReader {
    /// Our own reader of records.
    Records(RecordFormat),
    /// One of the engine's readers, for formats whose files define types.
    Typed(Arc<dyn Reader>),
}

/// The reader of files of `format`.
pub(super) fn reader_of(state: &dyn Session, format: &FileFormat) -> FormatReader {
    match format {
        FileFormat::Parquet => {
            FormatReader::Typed(Arc::new(ParquetFormat::default().with_options(state.default_table_options().parquet)))
        }
        FileFormat::Csv { has_header, delimiter } => {
            FormatReader::Records(RecordFormat::Csv { has_header: *has_header, delimiter: *delimiter })
        }
        FileFormat::Json => FormatReader::Records(RecordFormat::Json),
        FileFormat::Avro => FormatReader::Typed(Arc::new(AvroFormat)),
        FileFormat::Arrow => FormatReader::Typed(Arc::new(ArrowFormat)),
    }
}

/// The columns that each file has, in the files' order.
///
/// # Errors
/// [`SessionError::WrongFormat`] naming the first file that cannot be read or is incomplete, and
/// [`SessionError::OtherColumns`] naming the first that has two columns with the same name.
pub(super) async fn schemas(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    reader: &dyn Reader,
    format: &FileFormat,
    objects: &[ObjectMeta],
) -> Result<Vec<SchemaRef>, SessionError> {
    let of_one = objects.iter().map(|object| schema(state, store, reader, format, object));
    // Collected first: a stream over the lazy iterator would borrow it for longer than the compiler can prove.
    let of_one: Vec<_> = of_one.collect();
    futures::stream::iter(of_one).buffered(read_concurrency(state)).try_collect().await
}

/// The columns of one file.
async fn schema(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    reader: &dyn Reader,
    format: &FileFormat,
    object: &ObjectMeta,
) -> Result<SchemaRef, SessionError> {
    let read = async {
        let schema = reader.infer_schema(state, store, std::slice::from_ref(object)).await?;
        let names = match format {
            FileFormat::Parquet => names::of_parquet(state, store.as_ref(), object).await?,
            FileFormat::Arrow => names::of_arrow(store.as_ref(), object).await?,
            FileFormat::Avro => {
                avro::check_end(store.as_ref(), object).await?;
                Vec::new()
            }
            FileFormat::Csv { .. } | FileFormat::Json => Vec::new(),
        };
        Ok((schema, names))
    };
    let (schema, names) = catching_panics(read).await.map_err(|source| wrong_format(object, format, source))?;
    names::check(object, &names)?;
    Ok(schema)
}

/// The statistics of each file by column of `schema`, in the files' order: only what they reliably prove. `schemas` are
/// those of the files themselves.
///
/// # Errors
/// [`SessionError::WrongFormat`] naming the first file that cannot be read.
pub(super) async fn statistics(
    state: &dyn Session,
    store: &Arc<dyn ObjectStore>,
    reader: &dyn Reader,
    format: &FileFormat,
    schema: &SchemaRef,
    objects: &[(&ObjectMeta, SchemaRef)],
) -> Result<Vec<Arc<Statistics>>, SessionError> {
    if !state.config().collect_statistics() {
        return Ok(unknown(schema, objects.len()));
    }
    let of_one = objects.iter().map(|(object, own)| async move {
        let statistics = catching_panics(reader.infer_stats(state, store, Arc::clone(schema), object)).await;
        let mut statistics = statistics.map_err(|source| wrong_format(object, format, source))?;
        drop_unreliable_bounds(&mut statistics, schema, own);
        Ok(Arc::new(statistics))
    });
    let of_one: Vec<_> = of_one.collect();
    futures::stream::iter(of_one).buffered(read_concurrency(state)).try_collect().await
}

/// Unknown statistics for `files` files.
pub(super) fn unknown(schema: &Schema, files: usize) -> Vec<Arc<Statistics>> {
    let unknown = Arc::new(Statistics::new_unknown(schema));
    vec![unknown; files]
}

/// Removes the bounds of floats, which may not cover NaN, and those of columns with another type in the file.
fn drop_unreliable_bounds(statistics: &mut Statistics, schema: &Schema, own: &Schema) {
    for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
        let same_type = own.field_with_name(field.name()).is_ok_and(|own| own.data_type() == field.data_type());
        if field.data_type().is_floating() || !same_type {
            without_bounds(column);
        }
    }
}

fn read_concurrency(state: &dyn Session) -> usize {
    state.config_options().execution.meta_fetch_concurrency.get()
}

/// The result of `reading`, with a panic converted to an error: readers may panic on the lengths in a damaged file.
async fn catching_panics<T>(reading: impl Future<Output = Result<T, DataFusionError>>) -> Result<T, DataFusionError> {
    let damaged = |_| Err(DataFusionError::Execution("it is damaged: its reader failed".to_owned()));
    panics::expected_in(reading).await.unwrap_or_else(damaged)
}

fn wrong_format(object: &ObjectMeta, format: &FileFormat, source: DataFusionError) -> SessionError {
    SessionError::WrongFormat { file: object.location.to_string(), format: format.name(), source }
}
