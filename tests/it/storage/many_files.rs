//! A table with many files: planned only from its log, and sent to executors in small messages.

use std::fs;
use std::path::Path;
use std::time::Instant;

use datafusion::arrow::array::{AsArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use serde_json::json;
use windlass_client::Project;
use windlass_client::embedded::{EmbeddedConfig, EngineKind, local_runs};
use windlass_client::{QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{RunStatus, StageRecord};

use crate::delta_read::tables::{Log, add, array, batch, field, metadata, protocol, write_parquet};

const FILES: usize = 20_000;
const DAYS: usize = 100;
/// The rows of each file: ids 0 to 9.
const ROWS: i64 = 10;
/// A quarter of the smallest message limit of the engine.
const MAX_TASK_BYTES: u64 = 16 * 1024 * 1024;

fn write_table(folder: &Path) {
    let names = StringArray::from_iter_values((0..ROWS).map(|id| format!("a name of some length {id}")));
    let rows = batch(vec![
        ("id", array(Int64Array::from_iter_values(0..ROWS))),
        ("name", array(names)),
        ("amount", array(Float64Array::from_iter_values((0..ROWS).map(|id| id as f64)))),
    ]);
    let one = folder.join("one.parquet");
    write_parquet(&one, &[rows]);
    let content = fs::read(&one).unwrap();
    fs::remove_file(&one).unwrap();
    let stats = json!({
        "numRecords": ROWS,
        "minValues": {"id": 0, "name": "a name of some length 0", "amount": 0.0},
        "maxValues": {"id": ROWS - 1, "name": "a name of some length 9", "amount": (ROWS - 1) as f64},
        "nullCount": {"id": 0, "name": 0, "amount": 0},
    });
    let fields = [field("id", "long"), field("name", "string"), field("amount", "double"), field("day", "string")];
    let mut actions = vec![protocol(&[]), metadata(&fields, &["day"], &json!({}))];
    for file in 0..FILES {
        let day = format!("2026-{:03}", file % DAYS);
        let path = format!("day={day}/part-{file:05}-7bb8c1f4-1d5e-4f0b-9a53-2f8a6b1c0d3e.c000.snappy.parquet");
        let target = folder.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, &content).unwrap();
        actions.push(add(&path, &json!({ "day": day }), &stats, &target));
    }
    Log::new(folder).commit(&actions);
}

fn project(dir: &Path, table: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    let manifest = format!(
        "name: many\nsources:\n  facts: {{ kind: delta, location: {} }}\nrun: {{ retries: 0 }}\n",
        table.display()
    );
    fs::write(dir.join("windlass.yaml"), manifest).unwrap();
    let sql = "SELECT day, count(*) AS facts, sum(id) AS ids, max(name) AS name, sum(amount) AS amount FROM facts GROUP BY day";
    fs::write(dir.join("stages/days.sql"), sql).unwrap();
    Project::open(dir, None, &[]).unwrap()
}

fn total(stage: &StageRecord, name: &str) -> u64 {
    let metrics = stage.operators.iter().flat_map(|operator| &operator.metrics);
    metrics.filter(|metric| metric.name == name).map(|metric| metric.value).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_twenty_thousand_files_is_read_without_its_log_on_executors() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("facts");
    write_table(&table);
    let project = project(&dir.path().join("project"), &table);
    let home = project.home(None).unwrap();
    let mut settings = project.graph.session.clone();
    settings.target_partitions = 2;
    let config = EmbeddedConfig { engine: EngineKind::Cluster, ..EmbeddedConfig::new(home.clone(), settings) };
    let windlass = Windlass::embedded(config).await.unwrap();
    let started = Instant::now();
    windlass.plan(&project, &RunOptions::default()).await.unwrap();
    let planned = started.elapsed();
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded, "{record:?}");
    let runs = local_runs(&home).await.unwrap();
    let stage = runs.bundles.stage(&record.run_id, &"days".into()).await.unwrap().unwrap();
    let largest = stage.tasks.iter().map(|task| task.plan_bytes).max().unwrap();
    println!(
        "{FILES} files: planned in {planned:?}, run in {:?}, the largest of {} tasks has {largest} bytes, {} requests",
        started.elapsed() - planned,
        stage.tasks.len(),
        total(&stage, "store_gets")
    );
    assert_eq!(total(&stage, "store_log_requests"), 0, "an executor asked for the log");
    assert_eq!(total(&stage, "store_lists"), 0, "an executor listed files");
    let gets = total(&stage, "store_gets");
    assert!((FILES as u64..=2 * FILES as u64).contains(&gets), "{gets} requests: one for the footer, one for the rows");
    assert!(largest > 0 && largest < MAX_TASK_BYTES, "a task has {largest} bytes");

    let sql = "SELECT count(*), sum(facts), sum(ids) FROM days";
    let rows: Vec<_> =
        windlass.query(&project, sql, &QueryOptions::default()).await.unwrap().stream().try_collect().await.unwrap();
    let answer: Vec<i64> = (0..3).map(|column| rows[0].column(column).as_primitive::<Int64Type>().value(0)).collect();
    assert_eq!(answer, [DAYS as i64, FILES as i64 * ROWS, FILES as i64 * ROWS * (ROWS - 1) / 2]);
    windlass.stop().await;
}
