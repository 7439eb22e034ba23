//! The writes of a plain run: Delta tables by deltalake's own operation, caches by DataFusion's Parquet sink.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::config::TableParquetOptions;
use datafusion::dataframe::{DataFrame, DataFrameWriteOptions};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::schema::cast::normalize_for_delta;
use deltalake::kernel::{StructField, StructType};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use windlass_delta::write::DEFAULT_TARGET_FILE_BYTES;
use windlass_project::graph::Stage;
use windlass_project::spec::table::WriteMode;
use windlass_storage::Location;

use super::report::Files;

/// Writes the rows of `plan` to the table of `stage` at `location`, which is created if it does not exist.
pub(super) async fn write_delta(
    ctx: &SessionContext,
    stage: &Stage,
    plan: LogicalPlan,
    location: &Location,
) -> DeltaResult<DeltaTable> {
    let log_store = DeltaTableBuilder::from_url(location.folder_url())?.build_storage()?;
    let table = if log_store.is_delta_table_location().await? {
        let mut table = DeltaTable::new(log_store);
        table.load().await?;
        table
    } else {
        create(ctx, stage, &plan, log_store).await?
    };
    let mode = match stage.table.mode {
        WriteMode::Overwrite => SaveMode::Overwrite,
        WriteMode::Append => SaveMode::Append,
        mode @ (WriteMode::Upsert | WriteMode::ReplacePartitions) => {
            return Err(DeltaTableError::generic(format!("`mode: {}` has no plain equivalent", mode.as_str())));
        }
    };
    let target = NonZeroU64::new(stage.table.target_file_bytes.unwrap_or(DEFAULT_TARGET_FILE_BYTES));
    table
        .write(Vec::new())
        .with_input_plan(plan)
        .with_session_state(Arc::new(ctx.state()))
        .with_save_mode(mode)
        .with_partition_columns(&stage.table.partition_by)
        .with_target_file_size(target)
        .await
}

/// Creates the table: the columns of `plan`, nullable unless the stage says otherwise, its properties and constraints.
async fn create(
    ctx: &SessionContext,
    stage: &Stage,
    plan: &LogicalPlan,
    log_store: LogStoreRef,
) -> DeltaResult<DeltaTable> {
    let schema: StructType = normalize_for_delta(plan.schema().inner()).try_into_kernel()?;
    let columns = schema
        .fields()
        .map(|field| StructField { nullable: !stage.table.not_null.contains(field.name()), ..field.clone() });
    let properties = stage.table.properties.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    let table = CreateBuilder::new()
        .with_log_store(log_store)
        .with_columns(columns)
        .with_partition_columns(&stage.table.partition_by)
        .with_configuration(properties)
        .await?;
    if stage.table.constraints.is_empty() {
        return Ok(table);
    }
    let constraints = stage.table.constraints.iter().map(|(name, sql)| (name.clone(), sql.clone()));
    table.add_constraint().with_constraints(constraints.collect()).with_session_state(Arc::new(ctx.state())).await
}

/// The data files of the table as it is now.
pub(super) async fn files_of(table: &DeltaTable) -> DeltaResult<Files> {
    let log_store = table.log_store();
    let views = table.snapshot()?.snapshot().file_views(log_store.as_ref(), None);
    views
        .try_fold(Files::default(), async |sum, file| {
            Ok(Files {
                rows: sum.rows + file.num_records().unwrap_or_default() as u64,
                bytes: sum.bytes + file.size().unsigned_abs(),
                files: sum.files + 1,
            })
        })
        .await
}

/// Writes the rows of `plan` as Parquet files below `folder`.
pub(super) async fn write_parquet(ctx: &SessionContext, plan: LogicalPlan, folder: &Path) -> EngineResult<Files> {
    std::fs::create_dir_all(folder)?;
    let mut parquet = TableParquetOptions::new();
    parquet.global.compression = Some("snappy".to_owned());
    let path = format!("{}/", folder.display());
    let counts =
        DataFrame::new(ctx.state(), plan).write_parquet(&path, DataFrameWriteOptions::new(), Some(parquet)).await?;
    let mut files = Files { rows: counts.iter().map(count).sum(), ..Files::default() };
    for entry in std::fs::read_dir(folder)? {
        files.bytes += entry?.metadata()?.len();
        files.files += 1;
    }
    Ok(files)
}

/// The count in the one row that a sink returns.
fn count(batch: &RecordBatch) -> u64 {
    batch.column(0).as_primitive::<UInt64Type>().values().iter().sum()
}
