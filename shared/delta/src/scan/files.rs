//! The data files of a snapshot, as its log describes them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray, UInt32Array, new_empty_array,
};
use datafusion::arrow::compute::{cast, concat, take};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::array_value_to_string;
use deltalake::DeltaTableError;
use object_store::path::Path as StorePath;
use url::Url;
use windlass_storage::Location;

use super::column_mapping::ColumnMapping;
use super::deletion_vector::DeletionVector;
use super::statistics::FileStatistics;
use crate::{DeltaError, ReadError};

/// Compressed bytes of a row where nothing is known of it.
const GUESSED_BYTES_A_ROW: u64 = 64;

/// The data files of a snapshot, sorted by path, or those of a change feed, sorted by version.
#[derive(Debug)]
pub(crate) struct DataFiles {
    pub(crate) files: Vec<DataFile>,
    /// Partition values by partition column, an element a file.
    pub(super) partitions: Vec<ArrayRef>,
    pub(super) statistics: FileStatistics,
    /// Whether a file may be listed more than once, for other rows each time: partition values then tell them apart.
    pub(super) repeats: bool,
}

/// One data file.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// As the log names it.
    pub(crate) log_path: Arc<str>,
    /// Below the root of the table's store.
    pub(crate) path: StorePath,
    pub(crate) bytes: u64,
    pub(crate) modified: DateTime<Utc>,
    /// The rows that are left out.
    pub(crate) deletion_vector: Option<Arc<DeletionVector>>,
    /// The only rows that are read, but for those that are left out; `None` if that is all of them.
    pub(crate) within: Option<Arc<DeletionVector>>,
}

impl DataFiles {
    /// Reads the batches of a snapshot's replayed log, of the library's scan-row schema.
    pub(crate) fn read(
        location: &Location,
        schema: &SchemaRef,
        partition_columns: &[String],
        mapping: Option<&ColumnMapping>,
        batches: &[RecordBatch],
    ) -> Result<Self, DeltaError> {
        let failed = |source: ArrowError| DeltaError::Log {
            location: location.to_string(),
            source: DeltaTableError::Arrow { source },
        };
        let physical: Vec<String> = match mapping {
            Some(mapping) => mapping.physical_names(),
            None => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        let mut files = Vec::new();
        let mut stats = Vec::with_capacity(batches.len());
        for batch in batches {
            let rows =
                LogRows::of(batch).ok_or_else(|| failed(ArrowError::SchemaError("the log's rows".to_owned())))?;
            for row in 0..batch.num_rows() {
                files.push(rows.file(location, row)?);
            }
            stats.push(rows.stats);
        }
        let mut order: Vec<u32> = (0..files.len() as u32).collect();
        order.sort_by(|a, b| files[*a as usize].path.cmp(&files[*b as usize].path));
        let files = order.iter().map(|index| files[*index as usize].clone()).collect();
        let order = UInt32Array::from(order);

        let mut statistics = FileStatistics::parse(schema, &physical, &stats).map_err(failed)?;
        let mut partitions = Vec::with_capacity(partition_columns.len());
        for name in partition_columns {
            let index = schema.index_of(name).map_err(failed)?;
            let values = partition_values(batches, name, schema.field(index).data_type()).map_err(failed)?;
            statistics = statistics.with_partition(index, &values);
            partitions.push(take(&values, &order, None).map_err(failed)?);
        }
        let statistics = statistics.reordered(&order).map_err(failed)?;
        Ok(Self { files, partitions, statistics, repeats: false })
    }

    /// Files in the given order, of a table of `schema`, whose columns go by the `physical` names in `stats`. Partition
    /// columns are given by their index with a value a file.
    pub(crate) fn of_changes(
        schema: &SchemaRef,
        physical: &[String],
        files: Vec<DataFile>,
        stats: StringArray,
        partitions: Vec<(usize, ArrayRef)>,
    ) -> Result<Self, ArrowError> {
        let mut statistics = FileStatistics::parse(schema, physical, &[stats])?;
        for (column, values) in &partitions {
            statistics = statistics.with_partition(*column, values);
        }
        let partitions = partitions.into_iter().map(|(_, values)| values).collect();
        Ok(Self { files, partitions, statistics, repeats: true })
    }

    /// These files alone, with these deletion vectors instead of their own.
    pub(crate) fn only(&self, files: &[(usize, Arc<DeletionVector>)]) -> Result<Self, ArrowError> {
        self.picked(files, |file, vector| DataFile { deletion_vector: Some(vector), ..file })
    }

    /// These files alone, of each the rows that a vector names.
    pub(crate) fn within(&self, files: &[(usize, Arc<DeletionVector>)]) -> Result<Self, ArrowError> {
        // Which rows are read of a file goes by selections, as where a file is read more than once.
        let picked = self.picked(files, |file, vector| DataFile { within: Some(vector), ..file })?;
        Ok(Self { repeats: true, ..picked })
    }

    fn picked(
        &self,
        files: &[(usize, Arc<DeletionVector>)],
        with: impl Fn(DataFile, Arc<DeletionVector>) -> DataFile,
    ) -> Result<Self, ArrowError> {
        let places: Vec<usize> = files.iter().map(|(file, _)| *file).collect();
        let picked = self.listed(&places)?;
        let with_vectors =
            picked.files.into_iter().zip(files).map(|(file, (_, vector))| with(file, Arc::clone(vector)));
        Ok(Self { files: with_vectors.collect(), ..picked })
    }

    /// These files alone, in this order.
    pub(crate) fn listed(&self, files: &[usize]) -> Result<Self, ArrowError> {
        let indices = UInt32Array::from_iter_values(files.iter().map(|file| *file as u32));
        let partitions = self.partitions.iter().map(|values| take(values, &indices, None));
        Ok(Self {
            files: files.iter().map(|file| self.files[*file].clone()).collect(),
            partitions: partitions.collect::<Result<_, _>>()?,
            statistics: self.statistics.clone().reordered(&indices)?,
            repeats: self.repeats,
        })
    }

    /// The partition values of `file` as texts, in the order of the partition columns.
    ///
    /// # Errors
    /// If a value cannot be shown.
    pub(crate) fn partition_texts(&self, file: usize) -> Result<Vec<Option<String>>, ArrowError> {
        let text = |values: &ArrayRef| match values.is_null(file) {
            true => Ok(None),
            false => array_value_to_string(values, file).map(Some),
        };
        self.partitions.iter().map(text).collect()
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The bytes of all files.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The rows of all files, if the log counts them.
    pub(crate) fn total_rows(&self) -> Option<u64> {
        (0..self.len()).map(|file| self.rows(file)).sum()
    }

    /// The rows in `file` before its deletion vector, if the log counts them.
    pub(crate) fn rows_before_deletes(&self, file: usize) -> Option<u64> {
        self.statistics.rows_before_deletes(file)
    }

    /// The most rows of `file` that can be read, if the log counts them: of a snapshot exactly those.
    pub(super) fn rows(&self, file: usize) -> Option<u64> {
        if let Some(within) = &self.files[file].within {
            return Some(within.cardinality);
        }
        let rows = self.statistics.rows_before_deletes(file)?;
        Some(rows.saturating_sub(self.deleted_rows(file).unwrap_or_default()))
    }

    /// The rows of `file` that are sure to be read.
    pub(super) fn certain_rows(&self, file: usize) -> u64 {
        match &self.files[file] {
            DataFile { within: Some(_), deletion_vector: Some(_), .. } => 0,
            _ => self.rows(file).unwrap_or_default(),
        }
    }

    /// How many rows of `file` are not read; `None` if all are.
    pub(crate) fn deleted_rows(&self, file: usize) -> Option<u64> {
        let described = &self.files[file];
        match &described.within {
            Some(within) => {
                let rows = self.statistics.rows_before_deletes(file).unwrap_or_default();
                Some(rows.saturating_sub(within.cardinality))
            }
            None => described.deletion_vector.as_ref().map(|vector| vector.cardinality),
        }
    }

    /// A guess at the rows of `files` where the log does not count them all: a file without a count has as many for its
    /// bytes as those with one.
    pub(super) fn guessed_rows(&self, files: &[usize]) -> u64 {
        let counted = |file: &&usize| self.statistics.rows_before_deletes(**file).is_some_and(|rows| rows > 0);
        let (bytes, rows) = files.iter().filter(counted).fold((0, 0), |(bytes, rows), file| {
            (bytes + self.files[*file].bytes, rows + self.statistics.rows_before_deletes(*file).unwrap_or_default())
        });
        let bytes_a_row = bytes.checked_div(rows).unwrap_or(GUESSED_BYTES_A_ROW).max(1);
        files.iter().map(|file| self.rows(*file).unwrap_or(self.files[*file].bytes / bytes_a_row)).sum()
    }
}

/// The columns of a batch of replayed log rows.
struct LogRows<'a> {
    path: StringArray,
    size: &'a dyn Array,
    modified: &'a dyn Array,
    stats: StringArray,
    vectors: &'a StructArray,
}

impl<'a> LogRows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?.as_string_opt().cloned();
        Some(Self {
            path: text("path")?,
            size: batch.column_by_name("size")?.as_ref(),
            modified: batch.column_by_name("modificationTime")?.as_ref(),
            stats: text("stats")?,
            vectors: batch.column_by_name("deletionVector")?.as_struct_opt()?,
        })
    }

    fn file(&self, location: &Location, row: usize) -> Result<DataFile, ReadError> {
        let long =
            |array: &dyn Array| array.as_primitive_opt::<Int64Type>().filter(|a| a.is_valid(row)).map(|a| a.value(row));
        Ok(DataFile {
            log_path: self.path.value(row).into(),
            path: resolve(location, self.path.value(row))?,
            bytes: long(self.size).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            modified: long(self.modified).and_then(DateTime::from_timestamp_millis).unwrap_or_default(),
            deletion_vector: self.deletion_vector(location, row)?.map(Arc::new),
            within: None,
        })
    }

    fn deletion_vector(&self, location: &Location, row: usize) -> Result<Option<DeletionVector>, ReadError> {
        let text = |name: &str| {
            let array = cast(self.vectors.column_by_name(name)?, &DataType::Utf8).ok()?;
            let array = array.as_string_opt::<i32>()?;
            array.is_valid(row).then(|| array.value(row).to_owned())
        };
        let int = |name: &str| {
            let array = self.vectors.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        let long = |name: &str| {
            let array = self.vectors.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
            array.is_valid(row).then(|| array.value(row))
        };
        if self.vectors.is_null(row) {
            return Ok(None);
        }
        let Some(kind) = text("storageType") else { return Ok(None) };
        DeletionVector::of(
            location,
            self.path.value(row),
            &kind,
            &text("pathOrInlineDv").unwrap_or_default(),
            int("offset"),
            int("sizeInBytes").unwrap_or_default(),
            long("cardinality").unwrap_or_default(),
        )
        .map(Some)
    }
}

fn partition_values(batches: &[RecordBatch], name: &str, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let parts = batches
        .iter()
        .map(|batch| {
            let values = batch.column_by_name("partitionValues_parsed").and_then(|column| column.as_struct_opt());
            let column = values.and_then(|values| values.column_by_name(name)).ok_or_else(|| {
                ArrowError::SchemaError(format!("the log has no values of partition column `{name}`"))
            })?;
            cast(column, data_type)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

/// The schemes under which a log may name one and the same store.
const S3_SCHEMES: [&str; 3] = ["s3", "s3a", "s3n"];
const STORE_SCHEMES: [&str; 11] = ["file", "memory", "s3", "s3a", "s3n", "gs", "az", "adl", "azure", "abfs", "abfss"];

/// The path below the store's root of a file that the log names: a percent-encoded path relative to the table, or an
/// absolute path or URL.
///
/// # Errors
/// [`ReadError::ForeignFile`] if the URL is of another store, [`ReadError::InvalidLog`] if it is no path at all.
pub(crate) fn resolve(location: &Location, log_path: &str) -> Result<StorePath, ReadError> {
    let invalid = |reason: String| ReadError::InvalidLog {
        location: location.to_string(),
        reason: format!("it names a file `{log_path}`, which is not a path ({reason})"),
    };
    let absolute = Url::parse(log_path).ok().filter(|url| STORE_SCHEMES.contains(&url.scheme()));
    if let Some(url) = absolute {
        let own = location.url();
        let same_scheme =
            url.scheme() == own.scheme() || (S3_SCHEMES.contains(&url.scheme()) && S3_SCHEMES.contains(&own.scheme()));
        if !same_scheme || url.host_str() != own.host_str() || url.username() != own.username() {
            return Err(ReadError::ForeignFile { location: location.to_string(), file: log_path.to_owned() });
        }
        return StorePath::from_url_path(url.path()).map_err(|error| invalid(error.to_string()));
    }
    let below = StorePath::from_url_path(log_path).map_err(|error| invalid(error.to_string()))?;
    if log_path.starts_with('/') {
        return Ok(below);
    }
    let root = location.path().map_err(|error| invalid(error.to_string()))?;
    StorePath::parse(format!("{root}/{below}")).map_err(|error| invalid(error.to_string()))
}
