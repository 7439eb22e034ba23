//! Binds the scans of a plan to the object stores of another runtime, and corrects the float bounds and the errors of Parquet scans.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use windlass_delta::scan::file_errors::FileErrors;
use windlass_delta::scan::float_bounds::FloatBounds;
use windlass_delta::scan::source::DeltaSource;

/// `plan` with scans that read through the stores of `runtime`.
///
/// Most scans use the store of the runtime that they run in. Parquet scans keep the one that they were planned or
/// decoded with.
///
/// # Errors
/// The engine's, if a store cannot be opened.
pub fn with_stores_of(plan: Arc<dyn ExecutionPlan>, runtime: &RuntimeEnv) -> Result<Arc<dyn ExecutionPlan>> {
    let rebound = plan.transform_up(|node| {
        let Some(config) =
            node.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>())
        else {
            return Ok(Transformed::no(node));
        };
        let Some(source) = rebound(config, runtime)? else { return Ok(Transformed::no(node)) };
        let config = FileScanConfigBuilder::from(config.clone()).with_source(source).build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(config) as _))
    });
    Ok(rebound?.data)
}

/// The scan's source with a reader of the runtime's store; `None` if the source has no reader.
fn rebound(config: &FileScanConfig, runtime: &RuntimeEnv) -> Result<Option<Arc<dyn FileSource>>> {
    let source = config.file_source();
    let delta = source.downcast_ref::<DeltaSource>();
    let Some(parquet) = delta.map(DeltaSource::parquet).or_else(|| source.downcast_ref::<ParquetSource>()) else {
        return Ok(None);
    };
    let store = runtime.object_store(&config.object_store_url)?;
    let readers = CachedParquetFileReaderFactory::new(store, runtime.cache_manager.get_file_metadata_cache());
    let readers = FloatBounds::of(FileErrors::of(Arc::new(readers)));
    let mut parquet = parquet.clone().with_parquet_file_reader_factory(readers);
    // The engine sends the option, but not the source's setting: a footer would be read in two requests.
    if let Some(hint) = parquet.table_parquet_options().global.metadata_size_hint {
        parquet = parquet.with_metadata_size_hint(hint);
    }
    Ok(Some(match delta {
        Some(delta) => Arc::new(delta.with_parquet(parquet)),
        None => Arc::new(parquet),
    }))
}
