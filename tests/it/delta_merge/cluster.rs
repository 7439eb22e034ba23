//! Merges by the tasks of a real cluster.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::ExecutionPlan;
use windlass_base::config::SessionSettings;
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitOutcome, CommitRequest, commit};
use windlass_delta::merge::{MergeCounts, MergeStrategy, StagedMerge, delta_merge_plan, finish, remaining_rows};
use windlass_delta::pin::pin;
use windlass_delta::scan::ScanOptions;
use windlass_delta::write::{StagedFiles, delta_write_plan};
use windlass_engine::function::Functions;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::WriteMode;
use windlass_tests::{EmbeddedCluster, embedded_cluster};

use super::lab::{changes_sql, define, others_rows};
use crate::delta_read::tables::rows_of;
use crate::delta_write::lab::Lab;

async fn reports(
    cluster: &EmbeddedCluster,
    context: &datafusion::prelude::SessionContext,
    plan: Arc<dyn ExecutionPlan>,
) -> Vec<RecordBatch> {
    let job = cluster.submit_plan(context, plan).await.unwrap();
    job.wait().await.unwrap().collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_merge_what_one_process_would() {
    let settings = SessionSettings { target_partitions: 4, ..SessionSettings::default() };
    let cluster = embedded_cluster(settings, Functions::standard(), 2).await;
    for partitioned in [false, true] {
        let lab = Lab::on_disk();
        let rows = |from: i64, to: i64, name: &str, gone: &str| {
            format!(
                "SELECT value AS id, value % 4 AS p, '{name} ' || value AS name, {gone} AS gone \
                 FROM generate_series({from}, {to})"
            )
        };
        let first = lab.rows(&rows(1, 4000, "old", "false")).await.project(&[0, 1, 2]).unwrap();
        let mut definition = define(&lab, first.schema());
        if partitioned {
            definition.partition_by = vec!["p".to_owned()];
        }
        lab.write(&definition, &first, WriteMode::Append, 0).await;
        for (run, way) in
            [(1, MergeStrategy::DeletionVectors), (2, MergeStrategy::Rewrite), (3, MergeStrategy::DeletionVectors)]
        {
            let state = lab.ensure(&definition).await.unwrap();
            let table = pin(&state.location, PinAt::Latest, cluster.sessions.stores()).await.unwrap();
            let context = cluster.context();
            let options = ScanOptions::from_config(&cluster.sessions.config());
            let (from, to) = (run * 1000, run * 1000 + 2000);
            let wanted = lab.rows(&rows(from, to, &format!("run {run}"), "value % 5 = 0")).await;
            let halves = vec![vec![wanted.slice(0, 1000)], vec![wanted.slice(1000, wanted.num_rows() - 1000)]];
            context.register_table("o", table.addressed(&options)).unwrap();
            context.register_table("n", Arc::new(MemTable::try_new(wanted.schema(), halves).unwrap())).unwrap();
            let changes =
                context.sql(&changes_sql(table.schema())).await.unwrap().create_physical_plan().await.unwrap();
            let plan = delta_merge_plan(changes, state.write_spec("t"), true, &context.state()).unwrap();
            let staged = StagedMerge::from_batches(&reports(&cluster, &context, plan).await).unwrap();
            assert!(staged.tasks() > 1);
            let copies = match way {
                MergeStrategy::DeletionVectors => None,
                MergeStrategy::Rewrite => {
                    // Every touched file may be replaced as a whole, depending on how the rows were written.
                    match remaining_rows(&table, &staged, &options, cluster.sessions.stores()).await.unwrap() {
                        Some(staying) => {
                            let rows = context.read_table(staying).unwrap().create_physical_plan().await.unwrap();
                            let plan = delta_write_plan(rows, state.write_spec("t"), &context.state()).unwrap();
                            Some(StagedFiles::from_batches(&reports(&cluster, &context, plan).await).unwrap())
                        }
                        None => Some(StagedFiles::default()),
                    }
                }
            };
            let merged = finish(&table, &staged, way, copies, cluster.sessions.stores()).await.unwrap();
            let base = BaseExpectation { fingerprint: state.fingerprint.clone(), version: Some(table.version()) };
            let mode = CommitMode::Merge(merged.replacement);
            let request = CommitRequest { mode, base, ..lab.request(&state, merged.added, run) };
            let outcome = commit(&request, cluster.sessions.stores()).await.unwrap();
            let CommitOutcome::Committed(receipt) = outcome else { panic!("{outcome:?}") };
            if run == 1 {
                let counts = MergeCounts { inserted: 0, updated: 1600, deleted: 401 };
                assert_eq!(receipt.merged, Some(counts));
            }
        }
        let mut expected = Vec::new();
        for id in 1..=5000i64 {
            let name = match id {
                1..1000 => "old",
                _ if id % 5 == 0 => continue,
                1000..2000 => "run 1",
                2000..3000 => "run 2",
                _ => "run 3",
            };
            expected.push(format!("{id} | {} | {name} {id}", id % 4));
        }
        expected.sort();
        let schema = first.schema();
        assert_eq!(others_rows(&lab, &schema).await, expected);
        let context = cluster.context();
        let table = pin(&lab.location("t"), PinAt::Latest, cluster.sessions.stores()).await.unwrap();
        let options = ScanOptions::from_config(&cluster.sessions.config());
        context.register_table("t", table.provider(&options)).unwrap();
        assert_eq!(rows_of(&cluster.rows(&context, "SELECT * FROM t").await.unwrap(), &schema), expected);
    }
    cluster.stop().await;
}
