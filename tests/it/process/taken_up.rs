//! A scheduler that is killed while it drives a run and others wait: the one that is started next takes them up.

use std::fs;
use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, RunRecord, RunStatus};
use windlass_tests::processes::{ClusterOptions, ProcessCluster, ServerProcess};

/// `added` adds a row in every run, and is done before `sums`, which takes some seconds.
const STAGES: [(&str, &str); 3] = [
    ("added", "/* windlass\nio: { mode: append }\n*/\nSELECT count(*) AS n FROM orders"),
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT id, n + unnest(range(0, 6000)) AS n FROM orders, added"),
    ("sums", "SELECT a.n % 100 AS k, count(*) AS c, sum(b.n) AS s FROM many a JOIN many b ON a.id <= b.id GROUP BY 1"),
];
pub(super) const QUESTION: &str = "SELECT sum(c) AS c, (SELECT count(*) FROM added) AS added FROM sums";
pub(super) const ANSWER: &str = "\
+-----------+-------+
| c         | added |
+-----------+-------+
| 360000000 | 1     |
+-----------+-------+";

pub(super) fn project(dir: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::create_dir_all(dir.join("data")).unwrap();
    for part in 0..4 {
        fs::write(dir.join(format!("data/{part}.csv")), format!("id\n{part}\n")).unwrap();
    }
    let source = format!("{{ kind: listing, format: csv, location: '{}' }}", dir.join("data").display());
    fs::write(dir.join("windlass.yaml"), format!("name: taken_up\nsources:\n  orders: {source}\n")).unwrap();
    for (name, sql) in STAGES {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

/// Kills the scheduler when `added` has committed and a task of `sums` runs, and starts it again: the run as the client that has watched all the time sees it end.
async fn over_a_restart(cluster: &mut ProcessCluster, dir: &Path) -> RunRecord {
    let project = project(dir);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = handle.events.recv().await {
        seen.push(event.seq);
        if matches!(&event.kind, LogKind::StageStarted { stage, .. } if stage.as_str() == "sums") {
            break;
        }
    }
    let busy = |process: &ServerProcess| process.metric("windlass_executor_tasks_running") > Some(0.0);
    cluster.executors[0].wait_until("having a task", busy);
    cluster.scheduler.kill();
    cluster.scheduler.restart();
    let mut resumed = false;
    while let Some(event) = handle.events.recv().await {
        seen.push(event.seq);
        resumed |= matches!(event.kind, LogKind::RunResumed { .. });
    }
    assert!(resumed, "the run was not taken up");
    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>(), "lines were lost or came twice");
    handle.wait().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_its_run_end_over_a_restart_of_the_scheduler() {
    let mut cluster = ProcessCluster::with(ClusterOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let run = over_a_restart(&mut cluster, dir.path()).await;
    assert_eq!((run.status, run.resumptions.len()), (RunStatus::Succeeded, 1), "{:?}", run.stages);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let project = project(dir.path());
    let rows = windlass.query(&project, QUESTION, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    assert_eq!(pretty_format_batches(&rows).unwrap().to_string(), ANSWER);
    let runs = windlass.runs(&project).await.unwrap();
    assert_eq!(runs.bundles.run_ids().await.unwrap(), [run.run_id]);
    // Nothing is kept of a run that has ended.
    let kept = fs::read_dir(cluster.folder().join("home/.submissions")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_goes_on_after_a_restart_of_the_scheduler() {
    let mut cluster = ProcessCluster::with(ClusterOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let mut active = windlass.run(&project, &RunOptions::default()).await.unwrap();
    while let Some(event) = active.events.recv().await {
        if matches!(&event.kind, LogKind::StageStarted { stage, .. } if stage.as_str() == "sums") {
            break;
        }
    }
    let only = |priority| RunOptions { select: vec!["added".to_owned()], priority, ..RunOptions::default() };
    let second = windlass.run(&project, &only(0)).await.unwrap();
    let third = windlass.run(&project, &only(-1)).await.unwrap();
    let urgent = windlass.run(&project, &only(1)).await.unwrap();
    assert_eq!(*urgent.queued.borrow(), Some(1));
    assert_eq!(cluster.scheduler.metric("windlass_runs_queued"), Some(3.0));
    cluster.scheduler.kill();
    cluster.scheduler.restart();

    let mut records = Vec::new();
    for handle in [active, urgent, second, third] {
        records.push(handle.wait().await.unwrap());
    }
    let seen: Vec<_> = records.iter().map(|run| (run.status, run.resumptions.len())).collect();
    let succeeded = RunStatus::Succeeded;
    assert_eq!(seen, [(succeeded, 1), (succeeded, 0), (succeeded, 0), (succeeded, 0)]);
    assert!(records.is_sorted_by(|before, after| before.sequence < after.sequence), "in another order");
    assert_eq!(cluster.scheduler.metric("windlass_runs_queued_seconds_count"), Some(3.0));
    let question = "SELECT count(*) AS added FROM added";
    let rows = windlass.query(&project, question, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    assert!(pretty_format_batches(&rows).unwrap().to_string().contains("| 4 "));
    let kept = fs::read_dir(cluster.folder().join("home/.submissions")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
}
