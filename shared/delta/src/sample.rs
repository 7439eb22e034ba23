//! Small tables with a change feed, written by the library itself: what tests of pipelines read.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{StructField, StructType};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaResult, DeltaTable, DeltaTableError};
use windlass_base::coded;
use windlass_storage::Location;

/// Why the rows of a small table cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the rows given for `{location}` cannot be written")]
pub struct SampleError {
    /// The table's root.
    location: String,
    /// The library's own words.
    #[source]
    source: DeltaTableError,
}

coded! {
    struct SampleError => "WL1062",
        "check the types that are given for the table's columns, and that the temporary folder has free space";
}

/// A small table on a local disk.
#[derive(Debug)]
pub struct SampleTable {
    table: DeltaTable,
    location: String,
    schema: SchemaRef,
}

impl SampleTable {
    /// Makes an empty table with a change feed. Its folder must exist.
    ///
    /// # Errors
    /// [`SampleError`] if the columns cannot be stored or the folder cannot be written.
    pub async fn create(location: &Location, schema: &SchemaRef) -> Result<Self, SampleError> {
        let failed = |source| SampleError { location: location.to_string(), source };
        let table = create(location, schema).await.map_err(failed)?;
        Ok(Self { table, location: location.to_string(), schema: SchemaRef::clone(schema) })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Makes `rows` all rows, in one commit.
    ///
    /// # Errors
    /// [`SampleError`] if they cannot be written.
    pub async fn replace(&mut self, rows: RecordBatch) -> Result<(), SampleError> {
        self.write(rows, SaveMode::Overwrite).await
    }

    /// Adds `rows`, in one commit.
    ///
    /// # Errors
    /// [`SampleError`] if they cannot be written.
    pub async fn append(&mut self, rows: RecordBatch) -> Result<(), SampleError> {
        self.write(rows, SaveMode::Append).await
    }

    /// Deletes every row that has all values of one of `patterns`, in one commit. A null means null.
    ///
    /// # Errors
    /// [`SampleError`] if rows cannot be found by such values, or the table cannot be written.
    pub async fn delete(&mut self, patterns: Vec<Vec<(String, ScalarValue)>>) -> Result<(), SampleError> {
        let equals = |(column, value): (String, ScalarValue)| match value.is_null() {
            true => ident(column).is_null(),
            false => ident(column).eq(lit(value)),
        };
        let all = |pattern: Vec<(String, ScalarValue)>| pattern.into_iter().map(equals).reduce(Expr::and);
        let Some(predicate) = patterns.into_iter().filter_map(all).reduce(Expr::or) else { return Ok(()) };
        let done = self.table.clone().delete().with_predicate(predicate).await;
        let (table, _) = done.map_err(|source| self.failed(source))?;
        self.table = table;
        Ok(())
    }

    async fn write(&mut self, rows: RecordBatch, mode: SaveMode) -> Result<(), SampleError> {
        let write = self.table.clone().write(vec![rows]).with_save_mode(mode);
        self.table = write.await.map_err(|source| self.failed(source))?;
        Ok(())
    }

    fn failed(&self, source: DeltaTableError) -> SampleError {
        SampleError { location: self.location.clone(), source }
    }
}

async fn create(location: &Location, schema: &Schema) -> DeltaResult<DeltaTable> {
    let schema: StructType = schema.try_into_kernel()?;
    let columns: Vec<StructField> = schema.fields().cloned().collect();
    let table = DeltaTable::try_from_url(location.folder_url()).await?;
    table.create().with_columns(columns).with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await
}
