//! Runs a scan like a cluster: one task per partition, each sent as bytes with only the files of its partition.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use windlass_base::config::SessionSettings;
use windlass_delta::pin::{PinnedTable, pin};
use windlass_delta::scan::ScanOptions;
use windlass_engine::codec::PlanCodec;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

pub(crate) fn sessions(partitions: usize) -> Sessions {
    sessions_with(SessionSettings { target_partitions: partitions, ..SessionSettings::default() })
}

pub(crate) fn sessions_with(settings: SessionSettings) -> Sessions {
    Sessions::new(settings, Functions::default()).unwrap()
}

pub(crate) async fn pinned(sessions: &Sessions, folder: &std::path::Path, at: PinAt) -> PinnedTable {
    let location = Location::from_path(folder).unwrap();
    pin(&location, at, sessions.stores()).await.unwrap()
}

pub(crate) fn provider(sessions: &Sessions, table: &PinnedTable) -> Arc<dyn TableProvider> {
    table.provider(&ScanOptions::from_config(&sessions.config()))
}

/// A session in which the newest version of the table in `folder` is called `t`.
pub(crate) async fn with_table(sessions: &Sessions, folder: &std::path::Path) -> SessionContext {
    let table = pinned(sessions, folder, PinAt::Latest).await;
    let ctx = sessions.context().unwrap();
    ctx.register_table("t", provider(sessions, &table)).unwrap();
    ctx
}

/// The file scan in `plan`, which must have exactly one.
pub(crate) fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> FileScanConfig {
    fn find(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<FileScanConfig>) {
        if let Some(exec) = plan.downcast_ref::<DataSourceExec>() {
            found.push(exec.data_source().downcast_ref::<FileScanConfig>().unwrap().clone());
        }
        plan.children().into_iter().for_each(|child| find(child, found));
    }
    let mut found = Vec::new();
    find(plan, &mut found);
    assert_eq!(found.len(), 1, "one scan");
    found.remove(0)
}

/// The names of the files that `plan` scans, sorted.
pub(crate) fn scanned_files(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut names: Vec<String> = scan_of(plan)
        .file_groups
        .iter()
        .flat_map(|group| group.iter())
        .map(|file| file.object_meta.location.filename().unwrap().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The bytes that a cluster sends for the task of `partition` of `config`.
pub(crate) fn task_bytes(config: &FileScanConfig, partition: usize) -> Vec<u8> {
    let groups = vec![config.file_groups[partition].clone()];
    let restricted = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
    let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(restricted);
    physical_plan_to_bytes_with_extension_codec(plan, &PlanCodec::default()).unwrap().to_vec()
}

/// `config` with its files cut into ranges of bytes, so that there are `partitions` groups of them.
pub(crate) fn cut(config: &FileScanConfig, partitions: usize) -> FileScanConfig {
    let source = config.repartitioned(partitions, 0, None).unwrap().unwrap();
    source.downcast_ref::<FileScanConfig>().unwrap().clone()
}

/// The rows of `config`, each partition read by a separate task in a separate process.
pub(crate) async fn run_scan(sessions: &Sessions, config: &FileScanConfig) -> Vec<RecordBatch> {
    let mut rows = Vec::new();
    for partition in 0..config.file_groups.len() {
        let bytes = task_bytes(config, partition);
        let executor = sessions_with(sessions.settings().clone()).context().unwrap();
        let plan =
            physical_plan_from_bytes_with_extension_codec(&bytes, &executor.task_ctx(), &PlanCodec::default()).unwrap();
        rows.extend(collect(plan, executor.task_ctx()).await.unwrap());
    }
    rows
}

/// Scans the whole of `provider` as a cluster does.
pub(crate) async fn scan_all(sessions: &Sessions, provider: &Arc<dyn TableProvider>) -> Vec<RecordBatch> {
    let plan = planned(sessions, provider, &[]).await;
    if plan.name() == "EmptyExec" {
        return Vec::new();
    }
    run_scan(sessions, &scan_of(&plan)).await
}

/// The scan of the files of `provider` that remain after `filters`.
pub(crate) async fn planned(
    sessions: &Sessions,
    provider: &Arc<dyn TableProvider>,
    filters: &[Expr],
) -> Arc<dyn ExecutionPlan> {
    let state = sessions.context().unwrap().state();
    provider.scan(&state, None, filters, None).await.unwrap()
}
