//! What a scan has to know of the table whose files it reads.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use windlass_storage::Location;

use super::column_mapping::ColumnMapping;
use super::files::DataFiles;

/// Files to be read as one table: those of a pinned version, or those that hold a table's changes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FileTable {
    pub(crate) location: Location,
    /// The columns, in the order in which they are given.
    pub(crate) schema: SchemaRef,
    /// The columns that have one value for all rows of a file.
    pub(crate) partition_columns: Arc<[String]>,
    pub(crate) mapping: Option<Arc<ColumnMapping>>,
    pub(crate) files: Arc<DataFiles>,
}

impl FileTable {
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn partition_columns(&self) -> &[String] {
        &self.partition_columns
    }

    pub(super) fn mapping(&self) -> Option<&Arc<ColumnMapping>> {
        self.mapping.as_ref()
    }

    pub(super) fn files(&self) -> &DataFiles {
        &self.files
    }
}
