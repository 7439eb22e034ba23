//! Delta tables accessed only through the `deltalake` crate, so that Windlass is not checked by its own code.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTable;

use crate::delta_read::tables::rows_of;

/// Rows in memory.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Rows {
    /// The rows as sorted texts, their columns as in `schema`.
    pub(super) fn texts(&self, schema: &SchemaRef) -> Vec<String> {
        rows_of(&self.batches, schema)
    }

    /// The rows as a table of a session.
    pub(super) fn table(&self) -> Arc<MemTable> {
        Arc::new(MemTable::try_new(Arc::clone(&self.schema), vec![self.batches.clone()]).unwrap())
    }
}

/// The table in `folder` as it is now.
pub(crate) async fn open(folder: &Path) -> DeltaTable {
    let url = deltalake::ensure_table_uri(folder.to_str().unwrap()).unwrap();
    DeltaTable::try_from_url(url).await.unwrap()
}

/// A session of plain DataFusion that does everything in one partition. The check that it omits refuses queries that
/// repeat a test for truth in their aggregates (upstream issue 24096).
pub(super) fn plain_session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().execution.skip_physical_aggregate_schema_check = true;
    SessionContext::new_with_config(config)
}

/// All rows of a table, partition columns as plain values.
pub(crate) async fn load(table: &DeltaTable) -> Rows {
    let ctx = plain_session();
    let provider = table.table_provider().with_session(Arc::new(ctx.state())).await.unwrap();
    let frame = ctx.read_table(provider).unwrap();
    let fields = frame.schema().fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, values) => field.as_ref().clone().with_data_type(values.as_ref().clone()),
        _ => field.as_ref().clone(),
    });
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let plain = |batch: RecordBatch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap());
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    };
    let batches = frame.collect().await.unwrap().into_iter().map(plain).collect();
    Rows { schema, batches }
}
