//! A stopping executor finishes its work, and leaves without losing any.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::ParquetReadOptions;
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_scheduler::cluster::{ClusterConfig, SchedulerProcess};
use windlass_scheduler::execute::{Engine, JobRequest, TaskState};
use windlass_tests::processes::{ServerProcess, TIMEOUT, executor_args};

use super::collector::collector;

const FILES: i64 = 8;
const ROWS: i64 = 250_000;

/// Files of one row each: the first of the numbers that a task generates from it.
fn write_files(folder: &Path) {
    let schema = Arc::new(Schema::new(vec![Field::new("first", DataType::Int64, false)]));
    for file in 0..FILES {
        let first = Int64Array::from(vec![file * ROWS]);
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(first)]).unwrap();
        let path = folder.join(format!("part-{file}.parquet"));
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), Arc::clone(&schema), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_executor_costs_no_work() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_files(&data);
    let settings =
        SessionSettings { target_partitions: 8, message_limit_bytes: 64 << 20, ..SessionSettings::default() };
    let sessions = Sessions::new(settings, Functions::standard()).unwrap();
    let mut config = ClusterConfig::local();
    config.timeouts.leaving = Duration::from_secs(10);
    let scheduler = SchedulerProcess::start(config, &sessions).await.unwrap();
    let work_dir = folder.path().join("work");
    let args = executor_args(&scheduler.address().to_string(), &work_dir);
    let (collector, spans) = collector().await;
    let traced = [("WINDLASS_OTLP_ENDPOINT".to_owned(), format!("http://{collector}"))];
    let start = |name: &str| ServerProcess::start("windlass-executor", name, folder.path(), args.clone(), &traced);
    let (mut leaving, mut staying) = (start("leaving"), start("staying"));
    scheduler.wait_for_executors(2, TIMEOUT).await.unwrap();

    let context = sessions.context().unwrap();
    context.register_parquet("firsts", data.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let numbers = format!("SELECT unnest(range(first, first + {ROWS})) AS n FROM firsts");
    let sql = format!("SELECT count(DISTINCT md5(CAST(n AS VARCHAR))) AS hashes FROM ({numbers})");
    let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
    let request = JobRequest { name: "drained".to_owned(), plan, session: Arc::new(context) };
    let job = Engine::new(&scheduler).submit(request).await.unwrap();
    leaving.wait_until("running a task", |executor| executor.metric("windlass_executor_tasks_running") > Some(0.0));
    leaving.signal("TERM");

    let finished = tokio::time::timeout(TIMEOUT, job.wait()).await.unwrap().unwrap();
    drop(job);
    let evidence = finished.evidence();
    let rows = finished.collect().await.unwrap();
    assert_eq!(rows[0].column(0).as_primitive::<Int64Type>().value(0), FILES * ROWS);
    for stage in &evidence.stages {
        assert_eq!(stage.attempts, 1, "stage {} ran again", stage.stage);
        assert!(stage.tasks.iter().all(|task| task.state == TaskState::Succeeded && task.attempt == 1));
    }
    drop(finished);
    assert_eq!(leaving.wait().code(), Some(0));
    assert!(leaving.log().contains("drained: leaving the cluster"), "it left before its files were done with");
    assert!(staying.metric("windlass_executor_tasks_total{outcome=\"succeeded\"}") > Some(0.0));
    assert_eq!(staying.metric("windlass_executor_tasks_total{outcome=\"failed\"}"), Some(0.0));
    staying.signal("TERM");
    assert_eq!(staying.wait().code(), Some(0));
    assert!(std::fs::read_dir(&work_dir).unwrap().next().is_none());
    scheduler.stop();

    // Both have sent their last traces before they ended.
    let spans = spans.lock().concat();
    let sent = |text: &str| spans.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(sent("windlass-executor") && sent("task") && sent("stage"), "{}", String::from_utf8_lossy(&spans));
}
