//! A Parquet source that applies deletion vectors and renames mapped columns.
//!
//! It delegates everything else to the engine's own source, so pruning, pushdown and projections are the engine's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::parquet::{
    DefaultParquetFileReaderFactory, ParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::PartitionedFile;
use datafusion_datasource::file_stream::FileOpener;
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner, Morselizer};
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use windlass_base::error::Failure;

use super::column_mapping::{ColumnMapping, MappedReaders};
use super::deletion_vector::{DeletionVector, VectorError};
use super::selection::{RowSet, Selections};
use crate::ReadError;
use crate::error::is_transient;

/// The deletion vectors of a scan by data file.
pub type DeletionVectors = HashMap<StorePath, Arc<DeletionVector>>;

/// The engine's Parquet source, with what Delta adds to Parquet.
#[derive(Debug, Clone)]
pub struct DeltaSource {
    parquet: ParquetSource,
    vectors: Arc<DeletionVectors>,
    selections: Arc<Selections>,
    mapping: Option<Arc<ColumnMapping>>,
}

impl DeltaSource {
    /// A source of files with these deletion vectors, whose columns are found by `mapping`.
    pub fn new(parquet: ParquetSource, vectors: Arc<DeletionVectors>, mapping: Option<Arc<ColumnMapping>>) -> Self {
        Self { parquet, vectors, selections: Arc::default(), mapping }
    }

    /// This source with some rows only of the files in `selections`, whatever their deletion vectors.
    pub fn with_selections(self, selections: Arc<Selections>) -> Self {
        Self { selections, ..self }
    }

    /// The engine's source inside.
    pub fn parquet(&self) -> &ParquetSource {
        &self.parquet
    }

    /// The deletion vectors by data file; files without one are not there.
    pub fn vectors(&self) -> &DeletionVectors {
        &self.vectors
    }

    /// Which rows are read of files that may be read more than once.
    pub fn selections(&self) -> &Selections {
        &self.selections
    }

    /// How columns are renamed, if they are.
    pub fn mapping(&self) -> Option<&ColumnMapping> {
        self.mapping.as_deref()
    }

    /// This source around another state of the engine's source.
    pub fn with_parquet(&self, parquet: ParquetSource) -> Self {
        Self { parquet, ..self.clone() }
    }

    /// The same, if `source` is one of the engine's Parquet sources.
    fn around(&self, source: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        match source.downcast_ref::<ParquetSource>() {
            Some(parquet) => Arc::new(self.with_parquet(parquet.clone())),
            None => source,
        }
    }
}

impl FileSource for DeltaSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.parquet.create_file_opener(object_store, base_config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let mut readers: Arc<dyn ParquetFileReaderFactory> = match self.parquet.parquet_file_reader_factory() {
            Some(readers) => Arc::clone(readers),
            None => Arc::new(DefaultParquetFileReaderFactory::new(Arc::clone(&object_store))),
        };
        if let Some(mapping) = &self.mapping {
            readers = Arc::new(MappedReaders { mapping: Arc::clone(mapping), files: readers });
        }
        let parquet = self.parquet.clone().with_parquet_file_reader_factory(Arc::clone(&readers));
        let files = parquet.create_morselizer(Arc::clone(&object_store), base_config, partition)?;
        if self.vectors.is_empty() && self.selections.is_empty() {
            return Ok(files);
        }
        Ok(Box::new(SelectingMorselizer {
            files: Arc::from(files),
            vectors: Arc::clone(&self.vectors),
            selections: Arc::clone(&self.selections),
            store: object_store,
            readers,
            metrics: self.parquet.metrics().clone(),
            partition,
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.parquet.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.around(self.parquet.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.parquet.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.parquet.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.parquet.metrics()
    }

    fn file_type(&self) -> &str {
        self.parquet.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.parquet.fmt_extra(t, f)?;
        if !self.vectors.is_empty() {
            write!(f, ", deletion_vectors={}", self.vectors.len())?;
        }
        if !self.table_schema().virtual_columns().is_empty() {
            write!(f, ", row_positions")?;
        }
        if !self.selections.is_empty() {
            write!(f, ", selections={}", self.selections.len())?;
        }
        match &self.mapping {
            Some(mapping) => write!(f, ", column_mapping={}", mapping.mode()),
            None => Ok(()),
        }
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.parquet.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation {
            filters: pushed.filters,
            updated_node: pushed.updated_node.map(|source| self.around(source)),
        })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(match self.parquet.try_pushdown_sort(order, eq_properties)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact { inner: self.around(inner) },
            SortOrderPushdownResult::Inexact { inner } => {
                SortOrderPushdownResult::Inexact { inner: self.around(inner) }
            }
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.parquet.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.parquet.try_pushdown_projection(projection)?.map(|source| self.around(source)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.parquet.apply_expressions(f)
    }
}

/// Gives each file of which not all rows are read the selection of those that are, before the engine opens it.
///
/// The selection counts rows through the whole file. The engine splits it by row group and intersects it with what it
/// prunes itself, so positions are right whatever else is skipped, byte ranges of a split file included.
#[derive(Debug)]
struct SelectingMorselizer {
    files: Arc<dyn Morselizer>,
    vectors: Arc<DeletionVectors>,
    selections: Arc<Selections>,
    store: Arc<dyn ObjectStore>,
    readers: Arc<dyn ParquetFileReaderFactory>,
    metrics: ExecutionPlanMetricsSet,
    partition: usize,
}

impl Morselizer for SelectingMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let rows = match (self.selections.get(&file), self.vectors.get(&file.object_meta.location)) {
            (Some(rows), _) => rows.clone(),
            (None, Some(vector)) => RowSet { within: None, without: Some(Arc::clone(vector)) },
            (None, None) => return self.files.plan_file(file),
        };
        let hint = file.metadata_size_hint;
        Ok(Box::new(SelectingPlanner {
            footer: self.readers.create_reader(self.partition, file.clone(), hint, &self.metrics)?,
            files: Arc::clone(&self.files),
            rows,
            store: Arc::clone(&self.store),
            file,
        }))
    }
}

/// The step in which a file's deletion vector is read.
struct SelectingPlanner {
    files: Arc<dyn Morselizer>,
    file: PartitionedFile,
    rows: RowSet,
    store: Arc<dyn ObjectStore>,
    footer: Box<dyn datafusion::parquet::arrow::async_reader::AsyncFileReader + Send>,
}

impl fmt::Debug for SelectingPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectingPlanner").field("file", &self.file.object_meta.location).finish_non_exhaustive()
    }
}

impl MorselPlanner for SelectingPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(MorselPlan::new().with_pending_planner(self.select())))
    }
}

impl SelectingPlanner {
    async fn select(mut self) -> Result<Box<dyn MorselPlanner>> {
        let name = self.file.object_meta.location.to_string();
        let rows = self.footer.get_metadata(None).await?.file_metadata().num_rows() as u64;
        let selection = self.rows.select(self.store.as_ref(), rows).await;
        let selection = selection.map_err(|error| to_engine_error(&name, error))?;
        let file = self.file.with_extension(ParquetRowSelection::new(selection));
        self.files.plan_file(file)
    }
}

/// The engine tries a task again for I/O errors only, so a failing store must look like one.
fn to_engine_error(file: &str, error: VectorError) -> DataFusionError {
    match error {
        VectorError::Store(object_store::Error::NotFound { path, .. }) => {
            DataFusionError::External(Box::new(Failure::from(ReadError::FileMissing { file: path })))
        }
        VectorError::Store(error) if is_transient(&error) => DataFusionError::IoError(std::io::Error::other(error)),
        VectorError::Store(error) => DataFusionError::ObjectStore(Box::new(error)),
        VectorError::Invalid(reason) => {
            let error = ReadError::DeletionVector { file: file.to_owned(), reason };
            DataFusionError::External(Box::new(Failure::from(error)))
        }
    }
}
