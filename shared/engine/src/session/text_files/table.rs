//! The table provider.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::FileScanConfigBuilder;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path as StorePath;
use windlass_delta::scan::known_rows::rows_that_meet;

use super::chunks::{TextFile, into_groups};
use super::scan::{SCHEMA, TextFilesScan};

/// The columns that are known from the listing; a filter over them selects the files of a scan.
const LISTED: [&str; 2] = ["path", "size"];

/// Text files, listed once.
#[derive(Debug)]
pub(in crate::session) struct TextFilesTable {
    pub(in crate::session) store: ObjectStoreUrl,
    pub(in crate::session) folder: StorePath,
    pub(in crate::session) max_file_bytes: u64,
    /// Sorted by path.
    pub(in crate::session) files: Vec<TextFile>,
}

#[async_trait]
impl TableProvider for TextFilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match expr_applicable_for_cols(&LISTED, filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut files = self.selected(state, filters)?;
        files.truncate(limit.unwrap_or(usize::MAX));
        let groups = into_groups(files, state.config().target_partitions(), state.config().batch_size());
        let config = TextFilesScan::new(self.folder.clone(), self.max_file_bytes).config(self.store.clone(), groups);
        let config =
            FileScanConfigBuilder::from(config).with_projection_indices(projection.cloned())?.with_limit(limit).build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(statistics(&self.files, self.max_file_bytes))
    }
}

impl TextFilesTable {
    /// The files that satisfy `filters`, which only use [`LISTED`] columns.
    fn selected(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<TextFile>> {
        if filters.is_empty() {
            return Ok(self.files.clone());
        }
        let schema = Arc::new(SCHEMA.project(&[0, 1])?);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(self.files.iter().map(|file| &file.path))),
            Arc::new(Int64Array::from_iter_values(self.files.iter().map(|file| signed(file.size)))),
        ];
        let known = RecordBatch::try_new(schema, columns)?;
        let rows = rows_that_meet(state, filters, &known)?;
        Ok(rows.into_iter().filter_map(|row| self.files.get(row).cloned()).collect())
    }
}

/// The statistics of the rows of `files`, from the listing.
pub(super) fn statistics<'a>(files: impl IntoIterator<Item = &'a TextFile>, max_file_bytes: u64) -> Statistics {
    let files: Vec<&TextFile> = files.into_iter().collect();
    let rows = files.len();
    let path_bytes: usize = files.iter().map(|file| file.path.len()).sum();
    let content_bytes: u64 = files.iter().map(|file| file.size).filter(|size| *size <= max_file_bytes).sum();
    let content_bytes = usize::try_from(content_bytes).unwrap_or(usize::MAX);
    let hash_bytes = rows.saturating_mul(blake3::OUT_LEN * 2);
    let path = ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: exact(files.iter().map(|file| &file.path).min().map(|path| ScalarValue::from(path.as_str()))),
        max_value: exact(files.iter().map(|file| &file.path).max().map(|path| ScalarValue::from(path.as_str()))),
        distinct_count: Precision::Exact(rows),
        byte_size: Precision::Inexact(path_bytes),
        ..ColumnStatistics::new_unknown()
    };
    let size = ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: exact(files.iter().map(|file| file.size).min().map(|size| ScalarValue::from(signed(size)))),
        max_value: exact(files.iter().map(|file| file.size).max().map(|size| ScalarValue::from(signed(size)))),
        byte_size: Precision::Exact(rows.saturating_mul(size_of::<i64>())),
        ..ColumnStatistics::new_unknown()
    };
    let content_hash = ColumnStatistics {
        null_count: Precision::Exact(0),
        byte_size: Precision::Inexact(hash_bytes),
        ..ColumnStatistics::new_unknown()
    };
    let content = ColumnStatistics { byte_size: Precision::Inexact(content_bytes), ..ColumnStatistics::new_unknown() };
    Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Inexact(path_bytes.saturating_add(content_bytes).saturating_add(hash_bytes)),
        column_statistics: vec![path, size, content_hash, content],
    }
}

fn exact(value: Option<ScalarValue>) -> Precision<ScalarValue> {
    value.map_or(Precision::Absent, Precision::Exact)
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
