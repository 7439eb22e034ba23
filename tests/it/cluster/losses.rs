//! Executors that are lost without a word, and clusters without any.
//!
//! Heartbeats may be missing for longer than any test takes, so whatever is noticed is noticed by other means.

use std::path::Path;
use std::process::{Command, Output};

use datafusion::arrow::util::pretty::pretty_format_batches;
use tokio::time::timeout;
use windlass_base::error::Coded;
use windlass_client::{Project, QueryOptions, RunHandle, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, RunRecord, RunStatus};
use windlass_tests::processes::{ClusterOptions, ProcessCluster, ServerProcess, TIMEOUT};

use super::faults::{ANSWER, QUESTION, STAGES, Stages, project};
use crate::command::binary;

/// A stage that takes no time.
const SMALL: &Stages = &[("total", "SELECT sum(id) AS total FROM orders")];
const SHORTAGE: &str = "the cluster has no executor";
const BROKEN: &str = "the connection to an executor broke";
const LOST: &str = "an executor is lost";

fn cluster(executors: usize, flags: &[&str]) -> ProcessCluster {
    let patient = ["--executor-timeout=1h", "--no-executors-grace=1h"];
    let scheduler_args = patient.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
    ProcessCluster::with(ClusterOptions { executors, scheduler_args, ..ClusterOptions::default() })
}

/// A cluster whose only executor was killed.
fn deserted(flags: &[&str]) -> ProcessCluster {
    let mut cluster = cluster(1, flags);
    cluster.executors[0].kill();
    has_executors(&mut cluster, 0);
    // It has ended, as it should, and is not waited for any more.
    cluster.executors.clear();
    cluster
}

fn has_executors(cluster: &mut ProcessCluster, wanted: u32) {
    let counts = |scheduler: &ServerProcess| scheduler.metric("windlass_executors") == Some(f64::from(wanted));
    cluster.scheduler.wait_until(&format!("having {wanted} executors"), counts);
}

/// Starts a run and waits until the first executor works for it.
async fn start_busy(cluster: &mut ProcessCluster, windlass: &Windlass, project: &Project) -> RunHandle {
    let handle = windlass.run(project, &RunOptions::default()).await.unwrap();
    let busy = |process: &ServerProcess| {
        process.metric("windlass_executor_tasks_running").is_some_and(|running| running > 0.0)
    };
    cluster.executors[0].wait_until("having a task", busy);
    handle
}

async fn end(handle: RunHandle) -> RunRecord {
    timeout(TIMEOUT, handle.wait()).await.expect("the run ends").unwrap()
}

async fn answer(windlass: &Windlass, project: &Project) -> String {
    let rows = windlass.query(project, QUESTION, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&rows).unwrap().to_string()
}

#[test]
fn an_idle_executor_that_is_killed_is_missed_before_its_heartbeats() {
    let mut cluster = cluster(2, &[]);
    cluster.executors[1].kill();
    has_executors(&mut cluster, 1);
    assert!(cluster.scheduler.log().contains(LOST));
    // The other one is still there, and whoever joins is.
    cluster.executors[1].restart();
    has_executors(&mut cluster, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_before_heartbeats_of_a_killed_executor_are_missed() {
    let mut cluster = cluster(2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), STAGES);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let handle = start_busy(&mut cluster, &windlass, &project).await;
    cluster.executors[0].kill();
    let run = end(handle).await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.stages);
    assert!(run.stages.iter().all(|stage| stage.attempts <= 1), "{:?}", run.stages);
    assert_eq!(answer(&windlass, &project).await, ANSWER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_executor_is_not_lost() {
    let flags = ["--executor-silence=1s", "--executor-unreachable=1s", "--log=info,windlass_scheduler=debug"];
    let mut cluster = cluster(2, &flags);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), STAGES);
    let windlass = Windlass::connect(&cluster.url()).await.unwrap();
    let handle = start_busy(&mut cluster, &windlass, &project).await;
    cluster.executors[0].signal("STOP");
    // More than one connection to it was given up for its silence.
    let silent = |scheduler: &ServerProcess| scheduler.log().matches(BROKEN).count() >= 2;
    cluster.scheduler.wait_until("missing the answers to pings", silent);
    assert_eq!(cluster.scheduler.metric("windlass_executors"), Some(2.0));
    cluster.executors[0].signal("CONT");
    let run = end(handle).await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.stages);
    assert_eq!(answer(&windlass, &project).await, ANSWER);
    assert!(!cluster.scheduler.log().contains(LOST), "{}", cluster.scheduler.log());
    assert_eq!(cluster.scheduler.metric("windlass_executors"), Some(2.0));
}

/// Waits until the run says that it has no executor; the message.
async fn warning(handle: &mut RunHandle) -> String {
    let warned = async {
        while let Some(event) = handle.events.recv().await {
            if let LogKind::Warning { message, stage: None } = event.kind {
                return message;
            }
        }
        panic!("the run ended without a warning");
    };
    timeout(TIMEOUT, warned).await.expect("the run warns")
}

fn windlass(cluster: &ProcessCluster, project: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("--project").arg(project).args(["--cluster", &cluster.url()]).args(args).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_executors_says_so_and_goes_on_when_one_joins() {
    let mut cluster = deserted(&[]);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), SMALL);
    let client = Windlass::connect(&cluster.url()).await.unwrap();
    assert_eq!(client.executors().await.unwrap(), Some(0));
    let mut handle = client.run(&project, &RunOptions::default()).await.unwrap();
    let message = warning(&mut handle).await;
    assert!(message.contains(SHORTAGE) && message.contains(&cluster.engine().to_string()), "{message}");
    let shown = windlass(&cluster, dir.path(), &["runs", "show"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("running") && shown.contains(SHORTAGE), "{shown}");
    cluster.add_executor();
    let run = end(handle).await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.stages);
    assert_eq!(run.warnings, [message]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_executors_fails_when_it_has_waited_long_enough() {
    let cluster = deserted(&["--no-executor-timeout=1s"]);
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), SMALL);
    let client = Windlass::connect(&cluster.url()).await.unwrap();
    let run = end(client.run(&project, &RunOptions::default()).await.unwrap()).await;
    assert_eq!(run.status, RunStatus::Failed);
    let failure = run.stages.iter().find_map(|stage| stage.failure.clone()).unwrap();
    assert_eq!((failure.code().0, failure.retryable), ("WL0513", true), "{failure}");
    assert!(failure.message.contains(&cluster.engine().to_string()), "{failure}");
    let output = windlass(&cluster, dir.path(), &["run"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(SHORTAGE), "{told}");
}
