//! A pinned table as the engine scans it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics, internal_datafusion_err, plan_err};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_datasource::PartitionedFile;
use object_store::ObjectMeta;

use super::ScanOptions;
use super::address::{self, ROW_FILE, ROW_POSITION};
use super::file_errors::FileErrors;
use super::file_table::FileTable;
use super::files::DataFiles;
use super::float_bounds::FloatBounds;
use super::prune::{is_about_partitions, prune};
use super::selection::{RowSet, Selections};
use super::source::{DeletionVectors, DeltaSource};

/// The files of a pinned table, or of its changes, as the engine scans them.
#[derive(Debug)]
pub(crate) struct DeltaScan {
    table: FileTable,
    options: ScanOptions,
    /// The table's columns and, if rows are given with their address, the two columns of it.
    schema: SchemaRef,
    /// Data columns, then partition columns, then the address: the order in which files are scanned.
    scanned: TableSchema,
    /// By scanned column, its index in `schema`.
    order: Vec<usize>,
    /// Which files each task reads, where that is given: how many of the files, which are in this order.
    bins: Option<Vec<usize>>,
}

impl DeltaScan {
    pub(crate) fn new(table: impl Into<FileTable>, options: ScanOptions) -> Self {
        let table = table.into();
        let schema = table.schema();
        let names = table.partition_columns();
        let index_of = |name: &String| schema.fields().iter().position(|field| field.name() == name);
        let partitions: Vec<usize> = names.iter().filter_map(index_of).collect();
        let data: Vec<usize> = (0..schema.fields().len()).filter(|index| !partitions.contains(index)).collect();
        let fields = |indices: &[usize]| -> Vec<FieldRef> {
            indices.iter().map(|index| Arc::clone(&schema.fields()[*index])).collect()
        };
        let scanned = TableSchema::builder(Arc::new(Schema::new(fields(&data))))
            .with_table_partition_cols(fields(&partitions))
            .build();
        let order = data.into_iter().chain(partitions).collect();
        let schema = Arc::clone(schema);
        Self { table, options, schema, scanned, order, bins: None }
    }

    /// The same with each row's address in two more columns, [`ROW_FILE`] and [`ROW_POSITION`].
    pub(crate) fn addressed(table: impl Into<FileTable>, options: ScanOptions) -> Self {
        let mut scan = Self::new(table, options);
        let columns = scan.schema.fields().len();
        scan.schema = address::schema_with(&scan.schema);
        if let Some(scanned) = address::scanned_with(&scan.scanned) {
            scan.scanned = scanned;
            scan.order.extend([columns, columns + 1]);
        }
        scan
    }

    /// The same with a task for each bin, which reads so many of the files as the bin says, in their order.
    pub(crate) fn in_bins(mut self, bins: Vec<usize>) -> Self {
        self.bins = Some(bins);
        self
    }

    /// Whether rows are given with their address.
    fn is_addressed(&self) -> bool {
        self.schema.fields().len() > self.table.schema().fields().len()
    }

    fn files(&self) -> &DataFiles {
        self.table.files()
    }

    /// What is known of the rows of `files`, by scanned column.
    fn summary(&self, files: &[usize]) -> Result<Statistics> {
        let all = self.files();
        let bytes = files.iter().map(|file| all.files[*file].bytes).sum();
        let (columns, address) = self.order.split_at(self.table.schema().fields().len());
        let mut summary = all.statistics.summary(files, columns, bytes, |file| all.deleted_rows(file))?;
        if all.repeats && summary.num_rows == Precision::Absent {
            summary.num_rows = Precision::Inexact(all.guessed_rows(files) as usize);
        }
        let first = columns.len() - self.table.partition_columns().len();
        for (column, statistics) in columns.iter().zip(&mut summary.column_statistics).skip(first) {
            statistics.distinct_count = Precision::Inexact(all.statistics.distinct_partition_values(*column, files)?);
        }
        summary.column_statistics.extend(address.iter().map(|_| ColumnStatistics::new_unknown()));
        Ok(summary)
    }

    /// The file without statistics of its own: what they can rule out has been left out, and joins are planned with those
    /// of groups. They would make up most of the message that carries a task.
    fn partitioned_file(&self, file: usize) -> Result<PartitionedFile> {
        let described = &self.files().files[file];
        let values = self.files().partitions.iter().map(|values| ScalarValue::try_from_array(values, file));
        let log_path = self.is_addressed().then(|| Ok(ScalarValue::from(described.log_path.as_ref())));
        let partitioned = PartitionedFile::new_from_meta(ObjectMeta {
            location: described.path.clone(),
            last_modified: described.modified,
            size: described.bytes,
            e_tag: None,
            version: None,
        });
        Ok(partitioned.with_partition_values(values.chain(log_path).collect::<Result<_>>()?))
    }

    /// `files` in groups, a group a task.
    fn groups(&self, files: &[usize], count: usize) -> Result<Vec<FileGroup>> {
        let groups = match &self.bins {
            Some(bins) => {
                let mut rest = files;
                let take = |size: &usize| rest.split_off(..(*size).min(rest.len())).unwrap_or_default().to_vec();
                bins.iter().map(take).collect()
            }
            None => self.balanced(files, count),
        };
        let group = |files: Vec<usize>| {
            let partitioned = files.iter().map(|file| self.partitioned_file(*file)).collect::<Result<_>>()?;
            Ok(FileGroup::new(partitioned).with_statistics(Arc::new(self.summary(&files)?)))
        };
        groups.into_iter().map(group).collect()
    }

    /// `files` in at most `count` groups of about as many bytes each, files in the order of their paths.
    fn balanced(&self, files: &[usize], count: usize) -> Vec<Vec<usize>> {
        let bytes = |file: &usize| self.files().files[*file].bytes;
        let mut largest_first = files.to_vec();
        largest_first.sort_by_key(|file| (std::cmp::Reverse(bytes(file)), *file));
        let mut groups: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); count.clamp(1, files.len().max(1))];
        for file in largest_first {
            if let Some((load, group)) = groups.iter_mut().min_by_key(|(load, group)| (*load, group.len())) {
                *load += bytes(&file);
                group.push(file);
            }
        }
        let sorted = |(_, mut group): (u64, Vec<usize>)| {
            group.sort_unstable();
            group
        };
        groups.into_iter().map(sorted).collect()
    }

    fn source(&self, state: &dyn Session, files: &[usize]) -> Result<Arc<dyn FileSource>> {
        let runtime = state.runtime_env();
        let store = runtime.object_store(self.store_url()?)?;
        let readers = CachedParquetFileReaderFactory::new(store, runtime.cache_manager.get_file_metadata_cache());
        let mut parquet = ParquetSource::new(self.scanned.clone())
            .with_table_parquet_options(self.options.parquet().clone())
            .with_parquet_file_reader_factory(FloatBounds::of(FileErrors::of(Arc::new(readers))));
        if let Some(hint) = self.options.parquet().global.metadata_size_hint {
            parquet = parquet.with_metadata_size_hint(hint);
        }
        if self.files().repeats {
            let selections = Arc::new(self.selections(files)?);
            if selections.is_empty() && self.table.mapping().is_none() {
                return Ok(Arc::new(parquet));
            }
            let source = DeltaSource::new(parquet, Arc::default(), self.table.mapping().cloned());
            return Ok(Arc::new(source.with_selections(selections)));
        }
        let vectors: DeletionVectors = files
            .iter()
            .map(|file| &self.files().files[*file])
            .filter_map(|file| Some((file.path.clone(), Arc::clone(file.deletion_vector.as_ref()?))))
            .collect();
        if vectors.is_empty() && self.table.mapping().is_none() && !self.is_addressed() {
            return Ok(Arc::new(parquet));
        }
        Ok(Arc::new(DeltaSource::new(parquet, Arc::new(vectors), self.table.mapping().cloned())))
    }

    /// Which rows are read of those of `files` of which not all are.
    fn selections(&self, files: &[usize]) -> Result<Selections> {
        let mut selections = Selections::default();
        for file in files {
            let described = &self.files().files[*file];
            let rows = RowSet { within: described.within.clone(), without: described.deletion_vector.clone() };
            if rows.within.is_some() || rows.without.is_some() {
                selections.insert(&self.partitioned_file(*file)?, rows);
            }
        }
        Ok(selections)
    }

    fn store_url(&self) -> Result<datafusion::datasource::object_store::ObjectStoreUrl> {
        self.table.location().store_url().map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The scanned columns that make the columns of `projection`.
    fn projected(&self, projection: Option<&Vec<usize>>) -> ProjectionExprs {
        let scanned = |column: usize| self.order.iter().position(|index| *index == column);
        let columns: Vec<usize> = match projection {
            Some(columns) => columns.iter().filter_map(|column| scanned(*column)).collect(),
            None => (0..self.order.len()).filter_map(scanned).collect(),
        };
        address::projection(&columns, &self.scanned)
    }

    fn config(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: &[usize],
        limit: Option<usize>,
    ) -> Result<FileScanConfig> {
        let target = state.config().target_partitions();
        let source = self.source(state, files)?.try_pushdown_projection(&self.projected(projection))?;
        let source = source.ok_or_else(|| internal_datafusion_err!("a Parquet source does not take a projection"))?;
        Ok(FileScanConfigBuilder::new(self.store_url()?, source)
            .with_file_groups(self.groups(files, target)?)
            .with_statistics(self.summary(files)?)
            // Idle tasks of this process would take files of others, and with them a bin apart.
            .with_preserve_order(self.bins.is_some())
            .with_limit(limit)
            .build())
    }

    /// The first of `files` that are sure to hold `limit` rows; all of them if that cannot be said.
    fn enough(&self, mut files: Vec<usize>, limit: Option<usize>) -> Vec<usize> {
        let Some(limit) = limit.map(|limit| limit as u64) else { return files };
        let mut rows = 0;
        let needed = files.iter().position(|file| {
            rows += self.files().certain_rows(*file);
            rows >= limit
        });
        if let Some(last) = needed {
            files.truncate(last + 1);
        }
        files
    }
}

#[async_trait]
impl TableProvider for DeltaScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.order.len() < self.schema.fields().len() {
            return plan_err!(
                "a table with a column `{ROW_FILE}` or `{ROW_POSITION}` cannot be read with row addresses"
            );
        }
        let partition_columns = self.table.partition_columns();
        let files = prune(state, self.files(), self.table.schema(), partition_columns, filters)?;
        let exact = filters.iter().all(|filter| is_about_partitions(filter, partition_columns));
        let limit = limit.filter(|_| exact);
        let files = self.enough(files, limit);
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Ok(DataSourceExec::from_data_source(self.config(state, projection, &files, limit)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match is_about_partitions(filter, self.table.partition_columns()) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let files: Vec<usize> = (0..self.files().len()).collect();
        let scanned = self.summary(&files).ok()?;
        let mut by_column = vec![Default::default(); self.order.len()];
        for (column, statistics) in self.order.iter().zip(scanned.column_statistics) {
            by_column[*column] = statistics;
        }
        Some(Statistics { column_statistics: by_column, ..scanned })
    }
}
