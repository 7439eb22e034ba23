//! Executors that are killed while a run needs them.

use std::fs;
use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_shared::artifact::{LogKind, RunStatus};
use windlass_shared::error::Coded;
use windlass_tests::processes::{ClusterOptions, ProcessCluster};

/// A stage with a scan, a shuffle and a write, which takes some seconds.
const STAGES: [(&str, &str); 2] = [
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT id, unnest(range(0, 6000)) AS n FROM orders"),
    ("sums", "SELECT a.n % 100 AS k, count(*) AS c, sum(b.n) AS s FROM many a JOIN many b ON a.id <= b.id GROUP BY 1"),
];
const QUESTION: &str = "SELECT count(*) AS k, sum(c) AS c, sum(s) AS s FROM sums";

fn project(dir: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::create_dir_all(dir.join("data")).unwrap();
    for part in 0..4 {
        fs::write(dir.join(format!("data/{part}.csv")), format!("id\n{part}\n")).unwrap();
    }
    let source = format!("{{ kind: listing, format: csv, location: '{}' }}", dir.join("data").display());
    fs::write(dir.join("windlass.yaml"), format!("name: faults\nsources:\n  orders: {source}\n")).unwrap();
    for (name, sql) in STAGES {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

fn cluster(executors: usize) -> ProcessCluster {
    let flags = ["--executor-timeout=5s", "--no-executors-grace=10s"];
    let scheduler_args = flags.map(str::to_owned).to_vec();
    ProcessCluster::with(ClusterOptions { executors, scheduler_args, ..ClusterOptions::default() })
}

/// The answer that every run must give: each of 24,000 rows meets those of no smaller id.
const ANSWER: &str = "\
+-----+-----------+---------------+
| k   | c         | s             |
+-----+-----------+---------------+
| 100 | 360000000 | 1079820000000 |
+-----+-----------+---------------+";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_executor_costs_no_rows() {
    let mut cluster = cluster(2);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let busy = |process: &windlass_tests::processes::ServerProcess| {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_executors_ends_with_an_error_that_says_so() {
    let mut cluster = cluster(1);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
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
