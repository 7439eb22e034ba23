//! The files of a range as they are in the store, with what the log says of them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use deltalake::DeltaTableError;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windlass_storage::Location;

use super::range::{ChangeKind, ChangeRange, ChangedFile, NeededFile, RowsRead};
use crate::log::{VectorDescriptor, store_error};
use crate::scan::column_mapping::ColumnMapping;
use crate::scan::deletion_vector::DeletionVector;
use crate::scan::files::{DataFile, DataFiles, resolve};
use crate::schema::change_feed::{CHANGE_TYPE, change_type, commit_timestamp, commit_version};
use crate::{DeltaError, ReadError};

/// The kind of change of a whole file, beside the column [`CHANGE_TYPE`] that some files have.
pub(super) const CONSTANT_TYPE: &str = "__wl_change_type";

/// How many files are looked for side by side.
const AT_ONCE: usize = 32;

/// The columns that are scanned: the table's, the change type that files may hold, and the constants of each file.
pub(super) fn scanned_schema(columns: &[FieldRef]) -> SchemaRef {
    let added = [change_type(CHANGE_TYPE), change_type(CONSTANT_TYPE), commit_version(), commit_timestamp()];
    Arc::new(Schema::new(columns.iter().cloned().chain(added.map(Arc::new)).collect::<Vec<_>>()))
}

/// Finds the files of `range` in `store`. `columns` are the table's; with a `mapping`, files have them by other names.
pub(super) async fn locate(
    location: &Location,
    store: &dyn ObjectStore,
    range: &ChangeRange,
    columns: &[FieldRef],
    mapping: Option<&ColumnMapping>,
) -> Result<Arc<DataFiles>, DeltaError> {
    let found = find(location, store, range).await?;
    range.check_files(|file| path_of(location, file).is_ok_and(|path| found.contains_key(&path)))?;
    let mut files = Vec::with_capacity(range.files.len());
    for changed in &range.files {
        let path = resolve(location, &changed.file.path)?;
        let meta = found.get(&path).ok_or_else(|| range.vacuumed(changed.version, &changed.file.path))?;
        let (within, without) = match &changed.rows {
            RowsRead::All => (None, None),
            RowsRead::Without(without) => (None, Some(without)),
            RowsRead::Within { within, without } => (Some(within), without.as_ref()),
        };
        let vector = |facts: Option<&VectorDescriptor>| {
            facts.map(|facts| vector(location, &changed.file.path, facts).map(Arc::new)).transpose()
        };
        files.push(DataFile {
            log_path: changed.file.path.as_str().into(),
            path,
            bytes: meta.size,
            modified: meta.last_modified,
            deletion_vector: vector(without)?,
            within: vector(within)?,
        });
    }
    let failed = |source| DeltaError::Log { location: location.to_string(), source: DeltaTableError::Arrow { source } };
    let schema = scanned_schema(columns);
    let names = |field: &FieldRef| field.name().clone();
    let mut physical = mapping.map_or_else(|| columns.iter().map(names).collect(), ColumnMapping::physical_names);
    physical.truncate(columns.len());
    let mut partitions = Vec::new();
    for name in &range.metadata.partition_columns {
        let index = schema.index_of(name).map_err(failed)?;
        let values = partition_values(location, &range.files, schema.field(index), &physical[index])?;
        partitions.push((index, values));
    }
    partitions.extend((columns.len() + 1..).zip(constants(&range.files)));
    physical.extend(schema.fields()[columns.len()..].iter().map(names));
    let stats = range.files.iter().map(|changed| changed.file.stats.as_deref()).collect::<StringArray>();
    let files = DataFiles::of_changes(&schema, &physical, files, stats, partitions).map_err(failed)?;
    Ok(Arc::new(files))
}

/// The files that `range` needs and that are there.
async fn find(
    location: &Location,
    store: &dyn ObjectStore,
    range: &ChangeRange,
) -> Result<HashMap<StorePath, ObjectMeta>, DeltaError> {
    let mut paths = range.needed().keys().map(|file| path_of(location, file)).collect::<Result<Vec<_>, _>>()?;
    // Several vectors may be in one file.
    paths.sort();
    paths.dedup();
    stream::iter(paths)
        .map(|path| async move {
            match store.head(&path).await {
                Ok(meta) => Ok(Some((path, meta))),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(source) => Err(store_error(location, source)),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

fn path_of(location: &Location, file: &NeededFile<'_>) -> Result<StorePath, ReadError> {
    match file {
        NeededFile::Data(path) => resolve(location, path),
        NeededFile::Vector(facts) => {
            let vector = vector(location, &facts.path_or_inline_dv, facts)?;
            StorePath::parse(vector.file().unwrap_or_default()).map_err(|error| ReadError::InvalidLog {
                location: location.to_string(),
                reason: format!("it names a deletion vector that is not a file ({error})"),
            })
        }
    }
}

fn vector(location: &Location, file: &str, facts: &VectorDescriptor) -> Result<DeletionVector, ReadError> {
    DeletionVector::of(
        location,
        file,
        &facts.storage_type,
        &facts.path_or_inline_dv,
        facts.offset,
        facts.size_in_bytes,
        facts.cardinality,
    )
}

/// The kind of change, the version and the time of each file.
fn constants(files: &[ChangedFile]) -> [ArrayRef; 3] {
    let kinds = files.iter().map(|changed| match changed.kind {
        ChangeKind::Insert => Some("insert"),
        ChangeKind::Delete => Some("delete"),
        ChangeKind::Recorded => None,
    });
    let versions = files.iter().map(|changed| i64::try_from(changed.version).ok());
    let micros = files.iter().map(|changed| changed.timestamp.checked_mul(1000));
    [
        Arc::new(kinds.collect::<StringArray>()),
        Arc::new(versions.collect::<Int64Array>()),
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ]
}

/// The values of a partition column, one a file (Delta protocol, "Partition Value Serialization").
fn partition_values(
    location: &Location,
    files: &[ChangedFile],
    field: &Field,
    physical: &str,
) -> Result<ArrayRef, DeltaError> {
    let invalid = |reason: String| ReadError::InvalidLog { location: location.to_string(), reason };
    let mut texts = Vec::with_capacity(files.len());
    for ChangedFile { version, file, .. } in files {
        let Some(values) = file.partition_values.as_ref().filter(|values| !values.is_empty()) else {
            let reason = format!("version {version} does not say in which partition `{}` is", file.path);
            return Err(invalid(reason).into());
        };
        texts.push(values.get(physical).and_then(|value| value.as_deref()).filter(|value| !value.is_empty()));
    }
    let texts: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&texts, field.data_type(), &strict).map_err(|error: ArrowError| {
        invalid(format!("it has a value of partition column `{}` that cannot be read ({error})", field.name())).into()
    })
}
