//! Applies changes to a table: both jobs, then one commit.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::{ExecutionPlan, collect_partitioned};
use datafusion::prelude::SessionContext;
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitReceipt, CommitRequest};
use windlass_delta::merge::{
    MergeStrategy, MergedFiles, NEW_PREFIX, OLD_PREFIX, OP, ROW_FILE, ROW_POSITION, StagedMerge, delta_merge_plan,
    finish, remaining_rows,
};
use windlass_delta::pin::{PinnedTable, pin};
use windlass_delta::scan::ScanOptions;
use windlass_delta::table::{TableDefinition, TableState};
use windlass_delta::write::{StagedFiles, WriteSpec, delta_write_plan};
use windlass_project::spec::source::PinAt;

use crate::delta_read::tables::rows_of;
use crate::delta_write::lab::{Lab, receipt};

pub(crate) const FEED: &str = "delta.enableChangeDataFeed";
pub(crate) const VECTORS: &str = "delta.enableDeletionVectors";

pub(crate) async fn pinned(lab: &Lab, table: &str) -> PinnedTable {
    pin(&lab.location(table), PinAt::Latest, lab.stores()).await.unwrap()
}

pub(crate) fn options(lab: &Lab) -> ScanOptions {
    ScanOptions::from_config(&lab.sessions.config())
}

/// A definition of table `t` with a change feed and deletion vectors.
pub(crate) fn define(lab: &Lab, schema: SchemaRef) -> TableDefinition {
    let mut definition = lab.define("t", schema);
    for property in [FEED, VECTORS] {
        definition.properties.insert(property.to_owned(), "true".to_owned());
    }
    definition
}

/// The query for the changes that make the rows of the table `o` like those of `n` with the same `id`; rows of `n` with
/// a true `gone` are deleted. The columns are not in the table's order.
pub(crate) fn changes_sql(schema: &SchemaRef) -> String {
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .rev()
        .map(|field| {
            let name = field.name();
            format!("n.\"{name}\" AS \"{NEW_PREFIX}{name}\", o.\"{name}\" AS \"{OLD_PREFIX}{name}\"")
        })
        .collect();
    format!(
        "SELECT o.{ROW_POSITION}, {}, o.{ROW_FILE}, \
         CASE WHEN n.gone THEN 'delete' WHEN o.{ROW_FILE} IS NULL THEN 'insert' ELSE 'update' END AS {OP} \
         FROM n LEFT JOIN o ON o.id = n.id WHERE NOT (n.gone AND o.{ROW_FILE} IS NULL)",
        columns.join(", ")
    )
}

/// A session in which the table is called `o`, each row with its address, and `wanted` is called `n`.
pub(crate) fn session(lab: &Lab, table: &PinnedTable, wanted: &RecordBatch) -> SessionContext {
    let context = lab.sessions.context().unwrap();
    context.register_table("o", table.addressed(&options(lab))).unwrap();
    context.register_batch("n", wanted.clone()).unwrap();
    context
}

/// Runs the tasks of a merge of `wanted`.
pub(crate) async fn stage(lab: &Lab, table: &PinnedTable, spec: &WriteSpec, wanted: &RecordBatch) -> StagedMerge {
    let context = session(lab, table, wanted);
    let changes = context.sql(&changes_sql(table.schema())).await.unwrap().create_physical_plan().await.unwrap();
    stage_plan(lab, table, spec, changes).await
}

pub(crate) async fn stage_plan(
    lab: &Lab,
    table: &PinnedTable,
    spec: &WriteSpec,
    changes: Arc<dyn ExecutionPlan>,
) -> StagedMerge {
    let feed = table.properties().get(FEED).is_some_and(|value| value == "true");
    let plan = delta_merge_plan(changes, spec.clone(), feed, &lab.context.state()).unwrap();
    let reports = collect_partitioned(plan, lab.context.task_ctx()).await.unwrap();
    StagedMerge::from_batches(&reports.concat()).unwrap()
}

/// Copies the remaining rows of the files from which `staged` removes rows.
pub(crate) async fn copies(
    lab: &Lab,
    table: &PinnedTable,
    spec: &WriteSpec,
    staged: &StagedMerge,
) -> Option<StagedFiles> {
    let staying = remaining_rows(table, staged, &options(lab), lab.stores()).await.unwrap()?;
    let context = lab.sessions.context().unwrap();
    let rows = context.read_table(staying).unwrap().create_physical_plan().await.unwrap();
    let plan = delta_write_plan(rows, spec.clone(), &context.state()).unwrap();
    let reports = collect_partitioned(plan, context.task_ctx()).await.unwrap();
    Some(StagedFiles::from_batches(&reports.concat()).unwrap())
}

/// The commit of `staged`.
pub(crate) async fn finished(
    lab: &Lab,
    table: &PinnedTable,
    spec: &WriteSpec,
    staged: &StagedMerge,
    way: MergeStrategy,
) -> MergedFiles {
    let copies = match way {
        MergeStrategy::Rewrite => copies(lab, table, spec, staged).await,
        MergeStrategy::DeletionVectors => None,
    };
    finish(table, staged, way, copies, lab.stores()).await.unwrap()
}

pub(crate) fn request(
    lab: &Lab,
    state: &TableState,
    table: &PinnedTable,
    merged: MergedFiles,
    run: i64,
) -> CommitRequest {
    let base = BaseExpectation { fingerprint: state.fingerprint.clone(), version: Some(table.version()) };
    let mode = CommitMode::Merge(merged.replacement);
    CommitRequest { mode, base, ..lab.request(state, merged.added, run) }
}

/// Merges `wanted` into the table of `definition`.
pub(crate) async fn merge(
    lab: &Lab,
    definition: &TableDefinition,
    wanted: &RecordBatch,
    way: MergeStrategy,
    run: i64,
) -> CommitReceipt {
    let state = lab.ensure(definition).await.unwrap();
    let table = pinned(lab, "t").await;
    let spec = small_files(&state);
    let staged = stage(lab, &table, &spec, wanted).await;
    let merged = finished(lab, &table, &spec, &staged, way).await;
    receipt(lab.commit(&request(lab, &state, &table, merged, run)).await)
}

/// A spec with row groups of a few rows.
pub(crate) fn small_files(state: &TableState) -> WriteSpec {
    let mut spec = state.write_spec("t");
    spec.limits.row_group_rows = 5;
    spec
}

/// The rows of the newest version as Windlass reads them, sorted texts.
pub(crate) async fn own_rows(lab: &Lab, schema: &SchemaRef) -> Vec<String> {
    let context = lab.sessions.context().unwrap();
    let table = pinned(lab, "t").await;
    let rows = context.read_table(table.provider(&options(lab))).unwrap().collect().await.unwrap();
    rows_of(&rows, schema)
}

/// The rows of the newest version as deltalake reads them, sorted texts.
pub(crate) async fn others_rows(lab: &Lab, schema: &SchemaRef) -> Vec<String> {
    rows_of(&[lab.read("t", schema).await], schema)
}
