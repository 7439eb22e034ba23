//! The table provider.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use windlass_delta::scan::known_rows::rows_that_meet;
use windlass_project::spec::source::SortColumn;

use super::recheck::ListingSnapshot;
use crate::session::records::{Origin, RecordFormat, RecordsScan};
use crate::session::scan_stores::with_stores_of;

/// A scan that preserves a declared order may have this many times more partitions than requested.
const ORDERED_PARTITIONS_FACTOR: usize = 4;

/// The maximum number of column statistics of single files in a scan: they are sent with every task, which uses them to
/// skip files. Above the limit they are omitted.
const MAX_FILE_STATISTICS: usize = 100_000;

/// The scanner of the files of a listing.
#[derive(Debug)]
pub(super) enum Scanner {
    /// Our own reader of records.
    Records(RecordFormat, Origin),
    /// The engine's reader of a format.
    Engine(Arc<dyn Reader>),
}

impl Scanner {
    fn source(&self, schema: &TableSchema) -> Arc<dyn FileSource> {
        match self {
            Self::Records(format, origin) => Arc::new(RecordsScan::new(*format, *origin, schema.clone())),
            Self::Engine(reader) => reader.file_source(schema.clone()),
        }
    }

    async fn plan(&self, state: &dyn Session, config: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        match self {
            Self::Records(..) => Ok(DataSourceExec::from_data_source(config)),
            Self::Engine(reader) => {
                with_stores_of(reader.create_physical_plan(state, config).await?, state.runtime_env())
            }
        }
    }
}

/// Files of one format, listed once.
#[derive(Debug)]
pub(super) struct ListedTable {
    pub(super) store: ObjectStoreUrl,
    pub(super) scanner: Scanner,
    pub(super) table_schema: TableSchema,
    pub(super) sort_order: Vec<SortColumn>,
    /// Sorted by path, with statistics and partition values.
    pub(super) files: Vec<PartitionedFile>,
    pub(super) snapshot: ListingSnapshot,
}

#[async_trait]
impl TableProvider for ListedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_over_partitions(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
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
        let over_partitions: Vec<Expr> =
            filters.iter().filter(|filter| self.is_over_partitions(filter)).cloned().collect();
        let mut files = self.selected(state, &over_partitions)?;
        if files.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.schema().project(indices)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let statistics = self.merged(&files)?;
        let ordering = self.ordering()?;
        // A declared order depends on them.
        if ordering.is_none() && files.len() * self.table_schema.table_schema().fields().len() > MAX_FILE_STATISTICS {
            files.iter_mut().for_each(|file| file.statistics = None);
        }
        let groups = self.groups(files, ordering.as_ref(), state.config().target_partitions())?;
        let config = FileScanConfigBuilder::new(self.store.clone(), self.scanner.source(&self.table_schema))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_output_ordering(ordering.into_iter().collect())
            .build();
        self.scanner.plan(state, config).await
    }

    fn statistics(&self) -> Option<Statistics> {
        self.merged(&self.files).ok()
    }
}

impl ListedTable {
    fn is_over_partitions(&self, filter: &Expr) -> bool {
        let columns: Vec<&str> =
            self.table_schema.table_partition_cols().iter().map(|field| field.name().as_str()).collect();
        !columns.is_empty() && expr_applicable_for_cols(&columns, filter)
    }

    /// The files whose partition values satisfy `filters`.
    fn selected(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        if filters.is_empty() {
            return Ok(self.files.clone());
        }
        let fields = self.table_schema.table_partition_cols();
        let column = |index: usize| -> Result<ArrayRef> {
            ScalarValue::iter_to_array(self.files.iter().filter_map(|file| file.partition_values.get(index).cloned()))
        };
        let columns = (0..fields.len()).map(column).collect::<Result<Vec<_>>>()?;
        let known = RecordBatch::try_new_with_options(
            Arc::new(Schema::new(fields.clone())),
            columns,
            &RecordBatchOptions::new().with_row_count(Some(self.files.len())),
        )?;
        let rows = rows_that_meet(state, filters, &known)?;
        Ok(rows.into_iter().filter_map(|row| self.files.get(row).cloned()).collect())
    }

    fn merged(&self, files: &[PartitionedFile]) -> Result<Statistics> {
        let of_files = files.iter().filter_map(|file| file.statistics.as_deref());
        Statistics::try_merge_iter(of_files, self.table_schema.table_schema())
    }

    /// The declared order of every file's rows.
    fn ordering(&self) -> Result<Option<LexOrdering>> {
        let schema = self.table_schema.table_schema();
        let sort = self.sort_order.iter().map(|sort| -> Result<PhysicalSortExpr> {
            let options = SortOptions { descending: sort.descending, nulls_first: sort.nulls_first };
            Ok(PhysicalSortExpr::new(col(&sort.column, schema)?, options))
        });
        Ok(LexOrdering::new(sort.collect::<Result<Vec<_>>>()?))
    }

    /// The files of each partition. If an order is declared, the files of a partition must follow one another in that
    /// order according to their statistics; without statistics each file gets a separate partition. If neither is
    /// possible with a reasonable number of partitions, the order is not preserved and the engine sorts.
    fn groups(
        &self,
        files: Vec<PartitionedFile>,
        ordering: Option<&LexOrdering>,
        partitions: usize,
    ) -> Result<Vec<FileGroup>> {
        if let Some(ordering) = ordering {
            let most = partitions.saturating_mul(ORDERED_PARTITIONS_FACTOR);
            let schema = self.table_schema.table_schema();
            let all = [FileGroup::new(files.clone())];
            if let Ok(groups) =
                FileScanConfig::split_groups_by_statistics_with_target_partitions(schema, &all, ordering, partitions)
                && groups.len() <= most
            {
                return Ok(groups);
            }
            if files.len() <= most {
                return Ok(files.into_iter().map(|file| FileGroup::new(vec![file])).collect());
            }
        }
        Ok(FileGroup::new(files).split_files(partitions.max(1)))
    }
}
