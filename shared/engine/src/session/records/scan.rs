//! The scan as a `FileSource` of the engine, so that Ballista splits it between tasks like any other.

use std::fmt;
use std::sync::Arc;

use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::ObjectStore;

use super::header::Origin;
use super::read::{From, Opener};
use super::rows::{ReadColumns, RecordFormat};

/// The default batch size.
const DEFAULT_BATCH_SIZE: usize = 8192;

/// A scan of files of records.
#[derive(Debug, Clone)]
pub(crate) struct RecordsScan {
    format: RecordFormat,
    origin: Origin,
    table_schema: TableSchema,
    projection: ProjectionExprs,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl RecordsScan {
    /// A scan of all columns.
    pub(crate) fn new(format: RecordFormat, origin: Origin, table_schema: TableSchema) -> Self {
        let schema = table_schema.table_schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let projection = ProjectionExprs::from_indices(&all, schema);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { format, origin, table_schema, projection, batch_size: DEFAULT_BATCH_SIZE, metrics }
    }

    /// How the files are written.
    pub(crate) fn format(&self) -> RecordFormat {
        self.format
    }

    /// The origin of the columns.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }
}

impl FileSource for RecordsScan {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let schema = Arc::clone(self.table_schema.file_schema());
        let fields = schema.fields().len();
        let mut read = vec![false; fields];
        let mut columns = Vec::new();
        for projected in &self.projection {
            let column = projected.expr.downcast_ref::<expressions::Column>();
            let index = column.ok_or_else(|| internal_datafusion_err!("a scan of files computes nothing"))?.index();
            columns.push(match index.checked_sub(fields) {
                Some(folder) => From::Folder(folder),
                None => {
                    read[index] = true;
                    From::File(index)
                }
            });
        }
        let elsewhere = self.table_schema.table_partition_cols().iter().map(|field| field.name().clone()).collect();
        Ok(Arc::new(Opener {
            store: object_store,
            format: self.format,
            wanted: ReadColumns { schema, origin: self.origin, elsewhere, read },
            columns,
            schema: Arc::new(self.projection.project_schema(self.table_schema.table_schema())?),
            batch_size: self.batch_size.max(1),
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.format {
            RecordFormat::Csv { .. } => "csv",
            RecordFormat::Json => "json",
        }
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordFormat::Csv { has_header, .. } = self.format else { return Ok(()) };
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, ", has_header={has_header}"),
            DisplayFormatType::TreeRender => writeln!(f, "has_header={has_header}"),
        }
    }

    /// CSV values may contain line breaks, so the start of a record is only known when reading from the start of the
    /// file.
    fn supports_repartitioning(&self) -> bool {
        self.format == RecordFormat::Json
    }

    /// Accepts a selection of columns. Computed expressions remain a separate operator, with its own metrics.
    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        if !projection.iter().all(|projected| projected.expr.is::<expressions::Column>()) {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self { projection: self.projection.try_merge(projection)?, ..self.clone() })))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for projected in &self.projection {
            if f(&projected.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}
