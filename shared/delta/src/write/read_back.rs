//! Staged files as a table, before they are part of one: for checks that see all rows of a write.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::TableProvider;
use deltalake::DeltaTableError;

use super::{StagedFiles, WriteSpec};
use crate::DeltaError;
use crate::scan::file_table::FileTable;
use crate::scan::files::{DataFile, DataFiles, resolve};
use crate::scan::{DeltaScan, ScanOptions};

impl StagedFiles {
    /// The rows of the files, which were written as `spec` says, in the table's columns.
    ///
    /// # Errors
    /// [`DeltaError::Log`] if what the tasks reported is not about files of the table.
    pub fn provider(&self, spec: &WriteSpec, options: &ScanOptions) -> Result<Arc<dyn TableProvider>, DeltaError> {
        let failed = |source: ArrowError| DeltaError::Log {
            location: spec.location.to_string(),
            source: DeltaTableError::Arrow { source },
        };
        let schema = spec.nullable_schema();
        let adds = self.added();
        let files = adds
            .iter()
            .map(|add| {
                Ok(DataFile {
                    log_path: add.path.as_str().into(),
                    path: resolve(&spec.location, &add.path)?,
                    bytes: add.size.cast_unsigned(),
                    modified: DateTime::from_timestamp_millis(add.modification_time).unwrap_or_default(),
                    deletion_vector: None,
                    within: None,
                })
            })
            .collect::<Result<Vec<_>, DeltaError>>()?;
        let physical: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let stats: StringArray = adds.iter().map(|add| add.stats.as_deref()).collect();
        let partitions = spec
            .partition_by
            .iter()
            .map(|name| {
                let column = schema.index_of(name)?;
                let values = adds.iter().map(|add| add.partition_values.get(name).and_then(|value| value.as_deref()));
                let texts: ArrayRef = Arc::new(values.collect::<StringArray>());
                Ok((column, cast(&texts, schema.field(column).data_type())?))
            })
            .collect::<Result<Vec<_>, ArrowError>>()
            .map_err(failed)?;
        let files = DataFiles::of_changes(&schema, &physical, files, stats, partitions).map_err(failed)?;
        let table = FileTable {
            location: spec.location.clone(),
            schema,
            partition_columns: spec.partition_by.clone().into(),
            mapping: None,
            files: Arc::new(files),
        };
        Ok(Arc::new(DeltaScan::new(table, options.clone())))
    }
}
