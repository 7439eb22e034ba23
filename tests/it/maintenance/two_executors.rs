//! A table of many small files, written again by the tasks of a cluster with two executors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::physical_plan::ExecutionPlanProperties;
use serde_json::json;
use windlass_base::config::SessionSettings;
use windlass_base::ids::AppId;
use windlass_delta::maintenance::{bins, rewrite_plan, table_facts};
use windlass_delta::scan::ScanOptions;
use windlass_delta::write::StagedFiles;
use windlass_engine::function::Functions;
use windlass_evidence::artifact::{MaintenanceEvent, MaintenanceKind};
use windlass_scheduler::execute::JobRequest;
use windlass_storage::Location;
use windlass_tests::embedded_cluster;

use super::direct::Direct;
use super::lab::{action, failures, of};
use crate::delta_read::tables::{Log, add, array, batch, field, metadata, protocol, write_parquet};

/// The variable that makes the table as large as one that was forgotten for a year.
const SOAK: &str = "WINDLASS_SOAK";
const DAYS: usize = 8;
/// The rows of each file: ids 0 to 9.
const ROWS: i64 = 10;

/// A table of `count` files in one commit, all with the same content.
fn write_table(folder: &Path, count: usize) {
    let names = StringArray::from_iter_values((0..ROWS).map(|id| format!("name {id}")));
    let rows = batch(vec![("id", array(Int64Array::from_iter_values(0..ROWS))), ("name", array(names))]);
    let one = folder.join("one.parquet");
    write_parquet(&one, &[rows]);
    let content = fs::read(&one).unwrap();
    fs::remove_file(&one).unwrap();
    let stats = json!({
        "numRecords": ROWS, "minValues": {"id": 0, "name": "name 0"}, "maxValues": {"id": ROWS - 1, "name": "name 9"},
        "nullCount": {"id": 0, "name": 0},
    });
    let fields = [field("id", "long"), field("name", "string"), field("day", "string")];
    let mut actions = vec![protocol(&[]), metadata(&fields, &["day"], &json!({}))];
    for file in 0..count {
        let day = format!("2026-{:02}", file % DAYS);
        let path = format!("day={day}/part-{file:05}-7bb8c1f4-1d5e-4f0b-9a53-2f8a6b1c0d3e.c000.snappy.parquet");
        let target = folder.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, &content).unwrap();
        actions.push(add(&path, &json!({ "day": day }), &stats, &target));
    }
    Log::new(folder).commit(&actions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_small_files_is_compacted_by_two_executors() {
    let count = if std::env::var_os(SOAK).is_some() { 10_000 } else { 2_000 };
    let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    let cluster = embedded_cluster(settings, Functions::standard(), 2).await;
    let direct = Direct::on_engine(cluster.sessions.clone(), cluster.engine.clone());
    let folder = direct.table("facts");
    write_table(&folder, count);
    let query = "SELECT CAST(1 AS BIGINT) AS id, 'a' AS name, 'b' AS day";
    let stages = [("facts", "mode: append, partition_by: [day]", query)];
    let project = direct.project("many", "", "vacuum: off", &stages);
    const FACTS: &str = "SELECT day, name, count(*) AS n, sum(id) AS ids FROM facts GROUP BY day, name";
    let rows = direct.rows(&project, FACTS).await;
    assert_eq!(rows.len(), DAYS * ROWS as usize, "{rows:?}");

    tasks_of_bins(&direct, &cluster.executors.iter().map(|executor| executor.id().to_owned()).collect()).await;

    let mut turn = direct.start_turn(&project, &[MaintenanceKind::Compact]);
    let mut parts = 0;
    while let Some(event) = turn.events.recv().await {
        if let MaintenanceEvent::Progress { of, .. } = event {
            parts = of;
        }
    }
    let record = turn.ended.await.unwrap().unwrap();
    assert_eq!(failures(&record), Vec::<String>::new());
    assert_eq!(parts, DAYS as u64, "a bin for each partition: {record:?}");
    let done = action(&record, "facts", MaintenanceKind::Compact).outcome.clone().unwrap();
    assert_eq!((done.files_removed, done.files_added), (count as u64, DAYS as u64), "{done:?}");
    let after = of(&record, "facts").after.clone().unwrap();
    assert_eq!(after.files, DAYS as u64, "{record:?}");
    assert_eq!(direct.rows(&project, FACTS).await, rows);
    cluster.stop().await;
}

/// The job that a rewrite of the table's partitions is: a task a bin, on both executors.
async fn tasks_of_bins(direct: &Direct, executors: &BTreeSet<String>) {
    let scheduler = &direct.scheduler;
    let location = Location::from_path(&direct.table("facts")).unwrap();
    let found = table_facts(&location, &AppId::new("many/facts"), scheduler.sessions.stores()).await.unwrap();
    let (facts, table) = found.unwrap();
    let context = Arc::new(scheduler.sessions.context().unwrap());
    let partitions: BTreeSet<&Vec<Option<String>>> = facts.files.iter().map(|file| &file.partition).collect();
    let of = |partition: &Vec<Option<String>>| -> Vec<String> {
        facts.files.iter().filter(|file| file.partition == *partition).map(|file| file.path.clone()).collect()
    };
    let tasks: Vec<Vec<String>> = partitions.into_iter().map(of).collect();
    let files = bins(&table, &tasks, &ScanOptions::from_config(context.state().config())).unwrap();
    let input = context.read_table(files.provider).unwrap().create_physical_plan().await.unwrap();
    assert_eq!(input.output_partitioning().partition_count(), DAYS, "a partition for each bin");
    let plan = rewrite_plan(input, table.write_spec("facts"), None).unwrap();
    let request = JobRequest { name: "test".to_owned(), plan, session: Arc::clone(&context) };
    let job = scheduler.engine.submit(request).await.unwrap();
    let staged = StagedFiles::from_batches(&job.wait().await.unwrap().collect().await.unwrap()).unwrap();
    assert_eq!((staged.tasks(), Some(staged.rows())), (DAYS, files.rows), "a task for each bin");
    let evidence = job.evidence().await;
    let tasks: Vec<_> = evidence.stages.iter().flat_map(|stage| &stage.tasks).collect();
    let took_part: BTreeSet<String> = tasks.iter().filter_map(|task| task.executor.clone()).collect();
    assert_eq!(&took_part, executors, "{tasks:?}");
}
