//! Executors killed during a run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_base::error::Coded;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, RunRecord, RunStatus};
use windlass_tests::processes::{ClusterOptions, ProcessCluster, ServerProcess};

pub(super) type Stages = [(&'static str, &'static str)];

/// A stage with a scan, a shuffle and a write, which takes some seconds.
pub(super) const STAGES: &Stages = &[
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT id, unnest(range(0, 6000)) AS n FROM orders"),
    ("sums", "SELECT a.n % 100 AS k, count(*) AS c, sum(b.n) AS s FROM many a JOIN many b ON a.id <= b.id GROUP BY 1"),
];
pub(super) const QUESTION: &str = "SELECT count(*) AS k, sum(c) AS c, sum(s) AS s FROM sums";

/// The same, but of the four tasks that join one takes long and the others no time.
const SKEWED: &Stages = &[
    ("few", "/* windlass\nmaterialize: view\n*/\nSELECT id, unnest(range(0, 1000)) AS n FROM orders"),
    (
        "skewed",
        "/* windlass\nmaterialize: view\n*/\n\
         SELECT id, unnest(range(0, CASE WHEN id = 3 THEN 100000 ELSE 10 END)) AS n FROM orders",
    ),
    ("sums", "SELECT a.n % 100 AS k, count(*) AS c, sum(b.n) AS s FROM few a JOIN skewed b ON a.id <= b.id GROUP BY 1"),
];
/// Four tasks that scan and three quick ones that join.
const TASKS_BUT_THE_LONG_ONE: f64 = 7.0;

pub(super) fn project(dir: &Path, stages: &Stages) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::create_dir_all(dir.join("data")).unwrap();
    for part in 0..4 {
        fs::write(dir.join(format!("data/{part}.csv")), format!("id\n{part}\n")).unwrap();
    }
    let source = format!("{{ kind: listing, format: csv, location: '{}' }}", dir.join("data").display());
    fs::write(dir.join("windlass.yaml"), format!("name: faults\nsources:\n  orders: {source}\n")).unwrap();
    for (name, sql) in stages {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

fn cluster(executors: usize) -> ProcessCluster {
    let flags = ["--executor-timeout=5s", "--no-executors-grace=10s"];
    let scheduler_args = flags.map(str::to_owned).to_vec();
    ProcessCluster::with(ClusterOptions { executors, scheduler_args, ..ClusterOptions::default() })
}

/// The result that every run must have: each of 24,000 rows joins those of no smaller id.
pub(super) const ANSWER: &str = "\
+-----+-----------+---------------+
| k   | c         | s             |
+-----+-----------+---------------+
| 100 | 360000000 | 1079820000000 |
+-----+-----------+---------------+";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_executor_costs_no_rows() {
    let mut cluster = cluster(2);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), STAGES);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let busy = |process: &ServerProcess| {
        process.metric("windlass_executor_tasks_running").is_some_and(|running| running > 0.0)
    };
    cluster.executors[0].wait_until("having a task", busy);
    cluster.executors[0].kill();
    while let Some(event) = handle.events.recv().await {
        assert!(!matches!(event.kind, LogKind::StageFailed { .. }), "{:?}", event.kind);
    }
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    let rows = windlass.query(&project, QUESTION, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    assert_eq!(pretty_format_batches(&rows).unwrap().to_string(), ANSWER);
}

/// 10 rows of each id but the last, and 100,000 of the last, join 1,000 rows of every id that is not greater.
const SKEWED_ANSWER: &str = "\
+-----+-----------+----------------+
| k   | c         | s              |
+-----+-----------+----------------+
| 100 | 400060000 | 19999800270000 |
+-----+-----------+----------------+";

/// Kills an executor after all tasks but the long one have succeeded; how the run ends and what it says to `question`.
async fn killed_late(stages: &Stages, question: &str) -> (RunRecord, String, String) {
    let mut cluster = cluster(2);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), stages);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let succeeded = |process: &ServerProcess| {
        process.metric("windlass_executor_tasks_total{outcome=\"succeeded\"}").unwrap_or_default()
    };
    while cluster.executors.iter().map(succeeded).sum::<f64>() < TASKS_BUT_THE_LONG_ONE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.executors[0].kill();
    let run = handle.wait().await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.stages);
    let rows = windlass.query(&project, question, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    (run, pretty_format_batches(&rows).unwrap().to_string(), cluster.scheduler.log())
}

fn attempts(run: &RunRecord, stage: &str) -> u32 {
    run.stages.iter().find(|summary| summary.stage.as_str() == stage).unwrap().attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_before_an_executor_was_lost_are_read_once() {
    let (run, answer, log) = killed_late(SKEWED, QUESTION).await;
    assert_eq!(answer, SKEWED_ANSWER);
    // Otherwise the executor was killed at a time that proves nothing.
    assert!(log.contains("leaving out what an earlier attempt"), "{log}");
    assert_eq!(attempts(&run, "sums"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_only_counted_are_counted_again() {
    let stages = [
        SKEWED[0],
        SKEWED[1],
        (
            "counted",
            "SELECT count(*) AS c FROM (SELECT a.n FROM few a JOIN skewed b ON a.id <= b.id AND (a.n + b.n) % 1000 = 0 \
             LIMIT 1000000000)",
        ),
    ];
    let (run, answer, log) = killed_late(&stages, "SELECT c FROM counted").await;
    // For each pair of ids, every row on the right joins one on the left.
    assert!(answer.contains("| 400060 |"), "{answer}");
    assert!(log.contains("rows were counted that an executor had written before"), "{log}");
    assert_eq!(attempts(&run, "counted"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_executors_ends_with_an_error_that_says_so() {
    let mut cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), STAGES);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    while let Some(event) = handle.events.recv().await {
        if matches!(event.kind, LogKind::StageProgress { .. }) {
            break;
        }
    }
    cluster.executors[0].kill();
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    let failure = record.stages.iter().find_map(|stage| stage.failure.clone()).unwrap();
    assert_eq!((failure.code().0, failure.retryable), ("WL0508", false), "{failure}");
}
