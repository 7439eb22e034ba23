//! On a cluster, jobs with small inputs run beside the scheduler, and all others on executors.

use assert_cmd::Command;
use windlass_tests::processes::{ClusterOptions, ProcessCluster};

use crate::command::binary;

const PROJECT: &str = "\
name: sizes
sources:
  orders: { kind: rows, columns: { id: long, amount: long }, rows: [[1, 10], [2, 20], [3, 30]] }
";

/// What the command prints about the project on the cluster.
fn windlass(project: &std::path::Path, cluster: &ProcessCluster, args: &[&str]) -> String {
    let mut command = Command::new(binary());
    let output = command.arg("--project").arg(project).args(["--cluster", &cluster.url()]).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn small_jobs_run_beside_the_scheduler_and_the_others_on_executors() {
    let scheduler_args = vec!["--small-job-limit=1MiB".to_owned()];
    let options = ClusterOptions { executors: 1, scheduler_args, ..ClusterOptions::default() };
    let mut cluster = ProcessCluster::with(options);
    let dir = tempfile::tempdir().unwrap();
    let stages = [
        ("sums", "SELECT sum(amount) AS total FROM orders"),
        // Small as its inputs are, there is no telling how many rows it has.
        ("pairs", "SELECT count(*) AS pairs FROM orders AS a JOIN orders AS b ON a.id < b.id"),
        ("numbers", "SELECT value AS n FROM generate_series(1, 100)"),
    ];
    std::fs::create_dir(dir.path().join("stages")).unwrap();
    std::fs::write(dir.path().join("windlass.yaml"), PROJECT).unwrap();
    for (name, sql) in stages {
        std::fs::write(dir.path().join(format!("stages/{name}.sql")), sql).unwrap();
    }

    windlass(dir.path(), &cluster, &["run"]);
    let place = |stage: &str| windlass(dir.path(), &cluster, &["explain", "latest", stage, "--plan", "distributed"]);
    assert!(place("sums").contains("in the scheduler's process: its inputs have "), "{}", place("sums"));
    assert!(place("pairs").contains("stage 1: 1 partition\n"), "{}", place("pairs"));
    assert!(!place("numbers").contains("its inputs have"), "{}", place("numbers"));

    // It needs no executor, and so neither does a stage of it.
    cluster.executors[0].kill();
    let sum = windlass(dir.path(), &cluster, &["query", "SELECT sum(amount) FROM orders", "--output", "csv"]);
    assert!(sum.ends_with("60\n"), "{sum}");
}
