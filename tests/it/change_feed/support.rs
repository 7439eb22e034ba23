//! Reads feeds of real tables as tasks do, and applies them to their initial state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, collect};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use windlass_base::ids::TableVersion;
use windlass_delta::DeltaError;
use windlass_delta::changes::{TableChanges, changes_between};
use windlass_delta::scan::ScanOptions;
use windlass_engine::codec::PlanCodec;
use windlass_engine::session::Sessions;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use crate::delta_read::cluster_like::{pinned, planned, provider, scan_all, sessions_with};
use crate::delta_read::tables::rows_of;

/// The changes in the versions `first` to `last` of the table in `folder`.
pub(crate) async fn feed(
    sessions: &Sessions,
    folder: &Path,
    first: u64,
    last: u64,
) -> Result<TableChanges, DeltaError> {
    let location = Location::from_path(folder).unwrap();
    changes_between(&location, TableVersion(first), TableVersion(last), sessions.stores()).await
}

/// The rows of `changes`, each partition read by a separate task in a separate process.
pub(crate) async fn feed_batches(sessions: &Sessions, changes: &TableChanges) -> Vec<RecordBatch> {
    let provider = changes.provider(&ScanOptions::from_config(&sessions.config()));
    let plan = planned(sessions, &provider, &[]).await;
    run_as_tasks(sessions, &plan).await
}

/// The same as sorted texts.
pub(crate) async fn feed_rows(sessions: &Sessions, changes: &TableChanges) -> Vec<String> {
    rows_of(&feed_batches(sessions, changes).await, changes.schema())
}

/// Runs a plan that only reads as a cluster does: one task per partition, each sent as bytes.
pub(crate) async fn run_as_tasks(sessions: &Sessions, plan: &Arc<dyn ExecutionPlan>) -> Vec<RecordBatch> {
    let mut rows = Vec::new();
    for partition in 0..plan.output_partitioning().partition_count() {
        let bytes = physical_plan_to_bytes_with_extension_codec(task(plan, partition), &PlanCodec::default()).unwrap();
        let executor = sessions_with(sessions.settings().clone()).context().unwrap();
        let plan =
            physical_plan_from_bytes_with_extension_codec(&bytes, &executor.task_ctx(), &PlanCodec::default()).unwrap();
        rows.extend(collect(plan, executor.task_ctx()).await.unwrap());
    }
    rows
}

/// `plan` with the files of `partition` alone.
fn task(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> Arc<dyn ExecutionPlan> {
    let restricted = Arc::clone(plan).transform_up(|node| {
        let config = node
            .downcast_ref::<DataSourceExec>()
            .and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>().cloned());
        let Some(config) = config else { return Ok(Transformed::no(node)) };
        let groups = vec![config.file_groups[partition].clone()];
        let config = FileScanConfigBuilder::from(config).with_file_groups(groups).build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
    });
    restricted.unwrap().data
}

/// How often each row occurs.
pub(crate) type Bag = BTreeMap<String, i64>;

/// The rows of `version` of the table in `folder`.
pub(crate) async fn state(sessions: &Sessions, folder: &Path, version: u64) -> Bag {
    let table = pinned(sessions, folder, PinAt::Version(version)).await;
    let rows = rows_of(&scan_all(sessions, &provider(sessions, &table)).await, table.schema());
    let mut bag = Bag::new();
    rows.into_iter().for_each(|row| *bag.entry(row).or_default() += 1);
    bag
}

/// `state` with the changes in `rows`, texts as of [`feed_rows`], applied to it.
pub(crate) fn applied(mut state: Bag, rows: &[String]) -> Bag {
    for row in rows {
        let mut parts = row.rsplitn(4, " | ");
        let (_time, _version, kind, row) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let change = match kind {
            "insert" | "update_postimage" => 1,
            "delete" | "update_preimage" => -1,
            other => panic!("a change of the kind {other}"),
        };
        *state.entry(row.to_owned()).or_default() += change;
    }
    state.retain(|_, count| *count != 0);
    state
}
