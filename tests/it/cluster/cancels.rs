//! A cancel is final: after it has been acknowledged nothing is committed any more, and tasks end soon.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::RunStatus;
use windlass_tests::processes::ProcessCluster;

const CANCELS: usize = 20;
/// How long tasks may continue after the acknowledgement.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A quick table, so that some cancels meet a commit, and one that takes minutes on all executors, in a scan, a shuffle
/// and a write.
const STAGES: [(&str, &str); 3] = [
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT id, unnest(range(0, 20000)) AS n FROM orders"),
    ("quick", "SELECT count(*) AS orders FROM orders"),
    ("slow", "SELECT a.n % 1000 AS k, a.id, count(*) AS c FROM many a CROSS JOIN many b GROUP BY 1, 2"),
];

fn project(dir: &Path, data: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::create_dir_all(data).unwrap();
    for part in 0..4 {
        fs::write(data.join(format!("{part}.csv")), format!("id\n{part}\n")).unwrap();
    }
    let source = format!("{{ kind: listing, format: csv, location: '{}' }}", data.display());
    fs::write(dir.join("windlass.yaml"), format!("name: cancels\nsources:\n  orders: {source}\n")).unwrap();
    for (name, sql) in STAGES {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

/// The commits of all tables.
fn commits(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for table in fs::read_dir(home.join("cancels/tables")).into_iter().flatten().flatten() {
        for commit in fs::read_dir(table.path().join("_delta_log")).into_iter().flatten().flatten() {
            found.push(commit.path().display().to_string());
        }
    }
    found.sort();
    found
}

/// Whether an executor has no task and its process uses no CPU.
fn is_idle(cluster: &ProcessCluster) -> bool {
    cluster.executors.iter().all(|executor| {
        let before = executor.cpu_time();
        std::thread::sleep(Duration::from_millis(200));
        executor.metric("windlass_executor_tasks_running") == Some(0.0)
            && executor.cpu_time() - before < Duration::from_millis(100)
    })
}

/// What the executors report about themselves.
fn at_work(cluster: &ProcessCluster) -> String {
    let reported = cluster.executors.iter().map(|executor| {
        let (running, before) = (executor.metric("windlass_executor_tasks_running"), executor.cpu_time());
        std::thread::sleep(Duration::from_millis(200));
        format!("{running:?} tasks, {:?} of processor time in 200 ms", executor.cpu_time() - before)
    });
    reported.collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_works_and_nothing_is_committed_after_a_cancel() {
    let seed = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("WINDLASS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = ProcessCluster::start(2);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &dir.path().join("data"));
    let home = cluster.folder().join("home");
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    for cancel in 0..CANCELS {
        let handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1500))).await;
        let status = windlass.cancel(&handle.run_id).await.unwrap();
        let acknowledged = Instant::now();
        let committed = commits(&home);
        assert_eq!(status, "cancelled", "run {cancel} was faster than its cancel");
        while !is_idle(&cluster) {
            assert!(acknowledged.elapsed() < TIMEOUT, "tasks of run {cancel} still work: {}", at_work(&cluster));
        }
        assert_eq!(commits(&home), committed, "something was committed after the cancel of run {cancel}");
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Cancelled);
    }
}
