//! The engine of this process: the rows, the evidence and the ends that jobs on a cluster have.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::TryStreamExt;
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};
use windlass_scheduler::execute::{Engine, EngineError, EngineStageState, JobRequest, RunningJob, TaskState};

use super::{ROWS_PER_FILE, write_files};

const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a job has ended that is cancelled.
const SOON: Duration = Duration::from_secs(5);

fn sessions(settings: SessionSettings) -> Sessions {
    let settings = SessionSettings { target_partitions: 3, ..settings };
    Sessions::new(settings, Functions::standard()).unwrap().in_process().unwrap()
}

async fn start(context: &SessionContext, sql: &str) -> RunningJob {
    let logical = sql_plan(&context.state(), sql).await.unwrap();
    let plan = context.state().create_physical_plan(&logical).await.unwrap();
    let engine = Engine::in_process();
    let place = engine.place(&plan, context);
    assert_eq!(place.text(), "runs as a whole in one process\n");
    let request = JobRequest { name: "test".to_owned(), plan, session: Arc::new(context.clone()) };
    engine.start(request, &place).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_rows_and_leaves_its_evidence() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), 6);
    let context = sessions(SessionSettings::default()).context().unwrap();
    let files = folder.path().to_str().unwrap();
    context.register_parquet("facts", files, ParquetReadOptions::default()).await.unwrap();
    let job = start(&context, "SELECT bucket, count(*) AS n FROM facts WHERE id >= 0 GROUP BY bucket").await;
    let finished = tokio::time::timeout(PATIENCE, job.wait()).await.unwrap().unwrap();
    assert_eq!(finished.row_count(), 7);
    let rows = finished.collect().await.unwrap();
    let counted: i64 =
        rows.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().to_vec()).sum();
    assert_eq!(counted, 6 * ROWS_PER_FILE);

    let progress = job.progress().await;
    assert_eq!((progress.done(), progress.partitions()), (3, 3));
    let evidence = job.evidence().await;
    let [stage] = evidence.stages.as_slice() else { panic!("{evidence:?}") };
    assert_eq!(stage.state, EngineStageState::Succeeded);
    assert_eq!(stage.tasks.iter().map(|task| task.rows).sum::<u64>(), 7);
    assert!(stage.tasks.iter().all(|task| task.state == TaskState::Succeeded && task.duration_ms().is_some()));
    let read: i64 = stage
        .operators
        .iter()
        .filter(|operator| operator.name == "DataSourceExec")
        .flat_map(|operator| &operator.metrics)
        .filter_map(|(name, value)| (name == "output_rows").then_some(*value))
        .sum();
    assert_eq!(read, 6 * ROWS_PER_FILE, "{}", stage.analyzed);
    let root = stage.analyzed.lines().next().unwrap();
    assert!(root.contains("output_rows=7,") || root.contains("output_rows=7]"), "{root}");
    let gets = stage.operators[0].metrics.iter().find(|(name, _)| name == "store_gets");
    assert!(gets.is_some_and(|(_, gets)| *gets > 0), "{:?}", stage.operators[0].metrics);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_into_memory_wait_in_a_file() {
    let spill = tempfile::tempdir().unwrap();
    let settings = SessionSettings {
        memory_limit_bytes: Some(48 * 1024 * 1024),
        spill_dir: Some(spill.path().to_owned()),
        ..SessionSettings::default()
    };
    let context = sessions(settings).context().unwrap();
    let sql = "SELECT value, repeat('x', 1000) AS filler FROM generate_series(1, 200000)";
    let finished = tokio::time::timeout(PATIENCE, start(&context, sql).await.wait()).await.unwrap().unwrap();
    assert_eq!(finished.row_count(), 200_000);
    assert!(spill.path().read_dir().unwrap().next().is_some(), "nothing was written");
    // They can be read more than once, and come in their order where there is one partition.
    for _ in 0..2 {
        let mut next = 1;
        let mut stream = finished.stream();
        while let Some(batch) = stream.try_next().await.unwrap() {
            for value in batch.column(0).as_primitive::<Int64Type>().values() {
                next += i64::from(*value == next);
            }
        }
        assert_eq!(next, 200_001);
    }
    drop(finished);
    drop(context);
    let left: Vec<_> = walk(spill.path());
    assert!(left.is_empty(), "{left:?}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_soon_whatever_it_does() {
    let context = sessions(SessionSettings::default()).context().unwrap();
    let endless = "SELECT count(*) AS n FROM generate_series(1, 500) AS a(x), generate_series(1, 1000000000) AS b(y) \
                   WHERE (x * y) % 7 = 8";
    let job = start(&context, endless).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::time::timeout(SOON, job.cancel()).await.expect("cancelling ends");
    assert!(matches!(job.wait().await, Err(EngineError::Cancelled)));
    let evidence = job.evidence().await;
    assert_eq!(evidence.stages[0].state, EngineStageState::Failed);
    assert!(evidence.stages[0].tasks.iter().all(|task| task.state != TaskState::Running));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_its_code() {
    let context = sessions(SessionSettings::default()).context().unwrap();
    let job = start(&context, "SELECT sum(value * 9223372036854775807) AS s FROM generate_series(1, 10)").await;
    let failed = tokio::time::timeout(PATIENCE, job.wait()).await.unwrap().map(|_| ()).unwrap_err();
    let EngineError::Raised(failure) = failed else { panic!("{failed:?}") };
    assert_eq!(failure.code, "WL0373");
}
