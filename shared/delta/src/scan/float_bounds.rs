//! Parquet files whose bounds of floats hold for NaN too.
//!
//! Writers leave NaN out of the statistics in a file's footer, and some tell zeros apart and others do not. The engine has NaN
//! above every number and -0.0 below 0.0, and skips row groups and pages by those statistics. So here the upper bound of every
//! column of floats is NaN, a lower bound of zero is -0.0, and pages have no bounds: what a filter skips because all values are
//! too great is still skipped, and nothing else is. Files that Windlass writes have no bounds of floats in their footers at all.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::{LogicalType, Type as PhysicalType};
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Reads files as `files` does, with bounds of floats that hold.
pub struct FloatBounds {
    files: Arc<dyn ParquetFileReaderFactory>,
}

impl FloatBounds {
    /// The same files with bounds that hold.
    pub fn of(files: Arc<dyn ParquetFileReaderFactory>) -> Arc<dyn ParquetFileReaderFactory> {
        Arc::new(Self { files })
    }
}

impl fmt::Debug for FloatBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloatBounds").field("files", &self.files).finish()
    }
}

impl ParquetFileReaderFactory for FloatBounds {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let file = self.files.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(FloatBoundsReader { file }))
    }
}

struct FloatBoundsReader {
    file: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for FloatBoundsReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.file.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.file.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move { widened(self.file.get_metadata(options).await?) }.boxed()
    }
}

/// The footer with bounds of floats that hold.
fn widened(footer: Arc<ParquetMetaData>) -> ParquetResult<Arc<ParquetMetaData>> {
    let bounded = footer.row_groups().iter().any(|group| group.columns().iter().any(has_bounds));
    if !bounded {
        return Ok(footer);
    }
    let mut builder = footer.as_ref().clone().into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let columns = group.columns().iter().map(|column| match has_bounds(column) {
            true => with_bounds_that_hold(column.clone()),
            false => Ok(column.clone()),
        });
        let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
        group.into_builder().set_column_metadata(columns).build()
    });
    let groups = groups.collect::<ParquetResult<Vec<_>>>()?;
    let pages = builder.take_column_index().map(|mut pages| {
        for (pages, group) in pages.iter_mut().zip(footer.row_groups()) {
            for (pages, column) in pages.iter_mut().zip(group.columns()) {
                if is_float(column) {
                    *pages = ColumnIndexMetaData::NONE;
                }
            }
        }
        pages
    });
    Ok(Arc::new(builder.set_row_groups(groups).set_column_index(pages).build()))
}

fn is_float(column: &ColumnChunkMetaData) -> bool {
    match column.column_type() {
        PhysicalType::FLOAT | PhysicalType::DOUBLE => true,
        _ => matches!(column.column_descr().logical_type_ref(), Some(LogicalType::Float16)),
    }
}

fn has_bounds(column: &ColumnChunkMetaData) -> bool {
    is_float(column) && (column.statistics().is_some() || column.column_index_offset().is_some())
}

fn with_bounds_that_hold(column: ColumnChunkMetaData) -> ParquetResult<ColumnChunkMetaData> {
    // The greatest of all in the engine's order.
    const GREATEST_SINGLE: f32 = f32::from_bits(0x7fff_ffff);
    const GREATEST: f64 = f64::from_bits(0x7fff_ffff_ffff_ffff);
    let statistics = column.statistics().map(|statistics| {
        let nulls = statistics.null_count_opt();
        match statistics {
            Statistics::Float(bounds) => {
                let least = bounds.min_opt().copied().filter(|least| !least.is_nan());
                let least = least.map(|least| if least == 0.0 { -0.0 } else { least });
                let inexact = ValueStatistics::new(least, Some(GREATEST_SINGLE), None, nulls, false);
                Statistics::Float(inexact.with_min_is_exact(false).with_max_is_exact(false))
            }
            Statistics::Double(bounds) => {
                let least = bounds.min_opt().copied().filter(|least| !least.is_nan());
                let least = least.map(|least| if least == 0.0 { -0.0 } else { least });
                let inexact = ValueStatistics::new(least, Some(GREATEST), None, nulls, false);
                Statistics::Double(inexact.with_min_is_exact(false).with_max_is_exact(false))
            }
            _ => Statistics::FixedLenByteArray(ValueStatistics::new(None, None, None, nulls, false)),
        }
    });
    let builder = column.into_builder().set_column_index_offset(None).set_column_index_length(None);
    match statistics {
        Some(statistics) => builder.set_statistics(statistics).build(),
        None => builder.build(),
    }
}

/// What statistics of a column of floats still prove, if their bounds leave NaN out: how many nulls there are.
pub fn without_bounds(statistics: &mut ColumnStatistics) {
    statistics.max_value = Precision::Absent;
    statistics.min_value = Precision::Absent;
    statistics.sum_value = Precision::Absent;
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float32Array, Float64Array, Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

    use super::*;

    fn footer() -> Arc<ParquetMetaData> {
        let batch = RecordBatch::try_from_iter([
            ("i", Arc::new(Int64Array::from(vec![1, 2])) as _),
            ("x", Arc::new(Float64Array::from(vec![0.0, f64::NAN])) as _),
            ("y", Arc::new(Float32Array::from(vec![Some(5.0), None])) as _),
        ])
        .unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        reader.try_parse(&Bytes::from(bytes)).unwrap();
        Arc::new(reader.finish().unwrap())
    }

    #[test]
    fn bounds_of_floats_hold_for_nan_and_zeros_and_others_stay() {
        let before = footer();
        let after = widened(Arc::clone(&before)).unwrap();
        let group = after.row_group(0);
        assert_eq!(group.column(0), before.row_group(0).column(0));
        match group.column(1).statistics() {
            Some(Statistics::Double(bounds)) => {
                assert!(bounds.max_opt().is_some_and(|max| max.is_nan()));
                assert!(bounds.min_opt().is_some_and(|min| *min == 0.0 && min.is_sign_negative()));
            }
            other => panic!("{other:?}"),
        }
        match group.column(2).statistics() {
            Some(Statistics::Float(bounds)) => {
                assert_eq!((bounds.min_opt(), bounds.null_count_opt()), (Some(&5.0), Some(1)));
                assert!(bounds.max_opt().is_some_and(|max| max.is_nan()));
            }
            other => panic!("{other:?}"),
        }
        let pages = &after.column_index().unwrap()[0];
        assert_eq!(pages[1], ColumnIndexMetaData::NONE);
        assert_ne!(pages[0], ColumnIndexMetaData::NONE);
        assert!(group.column(1).column_index_offset().is_none());
    }
}
