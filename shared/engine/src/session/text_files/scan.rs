//! The scan as a `FileSource` of the engine, whose "files" are chunks of many small files.
//!
//! Being a `FileSource` inside a `FileScanConfig`, it is split by partition between Ballista's tasks like any Parquet
//! scan. A [`Chunk`] is an extension of a `PartitionedFile`, which `codec/text_files.rs` encodes.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::expressions;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{FutureExt, StreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore};

use super::chunks::Chunk;
use super::read::{Column, Reader};
use super::table::statistics;

/// The columns of the table.
pub(crate) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("size", DataType::Int64, false),
        Field::new("content_hash", DataType::Utf8, false),
        Field::new("content", DataType::Utf8, true),
    ]))
});

/// A scan of text files: which folder, which columns.
#[derive(Debug, Clone)]
pub(crate) struct TextFilesScan {
    /// The folder of the source, below its store's root.
    pub(crate) folder: StorePath,
    /// Files above this many bytes have a null content.
    pub(crate) max_file_bytes: u64,
    table_schema: TableSchema,
    projection: ProjectionExprs,
    metrics: ExecutionPlanMetricsSet,
}

impl TextFilesScan {
    /// A scan of all columns.
    pub(crate) fn new(folder: StorePath, max_file_bytes: u64) -> Self {
        let projection = ProjectionExprs::from_indices(&[0, 1, 2, 3], &SCHEMA);
        Self {
            folder,
            max_file_bytes,
            table_schema: TableSchema::from(Arc::clone(&SCHEMA)),
            projection,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The projected columns as (index into the table's schema, name).
    pub(crate) fn columns(&self) -> Vec<(usize, String)> {
        let columns = self.projection.iter().filter_map(|projected| {
            let column = projected.expr.downcast_ref::<expressions::Column>()?;
            Some((column.index(), projected.alias.clone()))
        });
        columns.collect()
    }

    /// The scan with other columns, as (index into the table's schema, name).
    pub(crate) fn with_columns(mut self, columns: &[(usize, String)]) -> Self {
        use datafusion::physical_expr::projection::ProjectionExpr;
        let projected = columns.iter().filter_map(|(index, alias)| {
            let name = SCHEMA.fields().get(*index)?.name();
            Some(ProjectionExpr::new(Arc::new(expressions::Column::new(name, *index)), alias))
        });
        self.projection = projected.collect();
        self
    }

    /// The configuration of the scan over `groups`, one partition each.
    pub(crate) fn config(self, store: ObjectStoreUrl, groups: Vec<Vec<Chunk>>) -> FileScanConfig {
        let statistics = statistics(groups.iter().flatten().flat_map(|chunk| &chunk.files), self.max_file_bytes);
        let file_groups =
            groups.into_iter().map(|group| FileGroup::new(group.into_iter().map(as_file).collect())).collect();
        FileScanConfigBuilder::new(store, Arc::new(self))
            .with_file_groups(file_groups)
            .with_statistics(statistics)
            .build()
    }
}

/// The chunk as the engine's unit of work. Its path is only for display: the first file's, and the number of others.
fn as_file(chunk: Chunk) -> PartitionedFile {
    let first = chunk.files.first().map_or("", |file| &file.path);
    let shown = match chunk.files.len() {
        0 | 1 => first.to_owned(),
        n => format!("{first}+{}", n - 1),
    };
    PartitionedFile::new_from_meta(ObjectMeta {
        location: StorePath::from(shown),
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: chunk.bytes(),
        e_tag: None,
        version: None,
    })
    .with_extension(chunk)
}

impl FileSource for TextFilesScan {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let columns = self.columns().iter().filter_map(|(index, _)| Column::ALL.get(*index).copied()).collect();
        Ok(Arc::new(Opener {
            reader: Arc::new(Reader {
                store: object_store,
                folder: self.folder.clone(),
                max_file_bytes: self.max_file_bytes,
                columns,
                schema: Arc::new(self.projection.project_schema(&SCHEMA)?),
            }),
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, _batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(self.clone())
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "text_files"
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, ", max_file_bytes={}", self.max_file_bytes)
            }
            DisplayFormatType::TreeRender => writeln!(f, "max_file_bytes={}", self.max_file_bytes),
        }
    }

    /// Chunks are balanced when the scan is planned, and cannot be split by byte ranges.
    fn repartitioned(
        &self,
        _target_partitions: usize,
        _repartition_file_min_size: usize,
        _output_ordering: Option<LexOrdering>,
        _config: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        Ok(None)
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    /// Accepts a selection of columns. Computed expressions remain a separate operator, with its own metrics.
    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        if !projection.iter().all(|projected| projected.expr.is::<expressions::Column>()) {
            return Ok(None);
        }
        let mut scan = self.clone();
        scan.projection = self.projection.try_merge(projection)?;
        Ok(Some(Arc::new(scan)))
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

struct Opener {
    reader: Arc<Reader>,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let reader = Arc::clone(&self.reader);
        Ok(async move {
            let chunk = file
                .extension::<Chunk>()
                .ok_or_else(|| internal_datafusion_err!("a scan of text files lost the list of its files"))?;
            let batch = reader.read(chunk).await?;
            Ok(futures::stream::once(std::future::ready(Ok(batch))).boxed())
        }
        .boxed())
    }
}
