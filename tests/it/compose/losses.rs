//! Executors killed at a chosen moment of a run.

use std::sync::OnceLock;

use super::cluster::{Cluster, EXECUTORS, FIRST, SECOND};
use super::eventually;
use super::pipeline::{Pipeline, Running};

pub(super) const ANSWER: [&str; 1] = ["answer"];
/// The number of tasks of each stage of a query over the test's rows.
const TASKS: u64 = 4;

/// Rows of a file and hashes of a row: a task takes some seconds, so that there is time to kill it.
const ROWS: usize = 250_000;
const DEPTH: usize = 40;

/// Work that no optimizer can shorten: a hash of a hash of … a value.
fn work(of: &str, depth: usize) -> String {
    let hashed = (0..depth).fold(format!("CAST({of} AS VARCHAR)"), |inner, _| format!("sha512({inner})"));
    format!("left(encode({hashed}, 'hex'), 16)")
}

/// All the work is done where the files are read.
pub(super) fn slow_scan() -> Pipeline {
    let work = work("id", DEPTH);
    let stage = format!(
        "SELECT key, count(*) AS n, max(digest) AS digest FROM (SELECT key, {work} AS digest FROM rows) GROUP BY key"
    );
    Pipeline::of_rows(ROWS, &stage)
}

/// The rows of [`slow_scan`], computed once in one process.
pub(super) fn rows_of_slow_scan() -> &'static str {
    static ROWS: OnceLock<String> = OnceLock::new();
    ROWS.get_or_init(|| slow_scan().rows_embedded(&ANSWER))
}

/// The work is done on rows that come from both executors' scans.
fn slow_shuffle() -> Pipeline {
    let work = work("a.id + b.key", DEPTH);
    let stage = format!(
        "SELECT key, count(*) AS n, max(digest) AS digest
         FROM (SELECT a.key, {work} AS digest FROM rows AS a JOIN rows AS b ON a.id = b.id) GROUP BY key"
    );
    Pipeline::of_rows(ROWS, &stage)
}

/// Rows are written while they are computed, into many small files.
fn slow_write() -> Pipeline {
    let work = work("id", DEPTH);
    let stage =
        format!("/* windlass\nio: {{ target_file_size: 64KiB }}\n*/\nSELECT id, key, {work} AS digest FROM rows");
    Pipeline::of_rows(ROWS, &stage)
}

/// Runs `pipeline` and kills an executor while it works on a task and `phase` is true for the number of finished tasks.
/// The rows are correct nevertheless.
fn survives_a_kill(pipeline: &Pipeline, what: &str, phase: impl Fn(&Cluster, u64) -> bool) {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    pipeline.put(&cluster);
    let expected = pipeline.rows_embedded(&ANSWER);
    let mut run = pipeline.start(&cluster);
    let before = eventually(what, || {
        assert!(run.goes_on(), "the run ended before {what}");
        let killed = cluster.tasks_done(FIRST);
        let all = killed + cluster.tasks_done(SECOND);
        (phase(&cluster, all) && cluster.tasks_running(FIRST) > 0).then_some(killed)
    });
    cluster.kill(FIRST);
    let others = cluster.tasks_done(SECOND);
    assert!(run.goes_on() && phase(&cluster, before + others), "{what} was over before it could be hit");
    println!(
        "killed an executor during {what}: it had done {before} tasks and worked on one, the other had done {others}"
    );
    run.succeeds();
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);
}

#[test]
fn an_executor_killed_during_a_scan_changes_no_row() {
    survives_a_kill(&slow_scan(), "the scan", |_, done| done < TASKS);
}

#[test]
fn an_executor_killed_during_a_shuffle_changes_no_row() {
    // Two scans are done, the join is not.
    survives_a_kill(&slow_shuffle(), "the shuffle", |_, done| (2 * TASKS..3 * TASKS).contains(&done));
}

#[test]
fn an_executor_killed_during_a_write_changes_no_row() {
    survives_a_kill(&slow_write(), "the write", |cluster, done| {
        let objects = cluster.objects("home/losses/tables/answer/");
        let files = objects.iter().filter(|name| name.ends_with(".parquet")).count();
        done < TASKS && files >= 3
    });
}

/// Waits until both executors work for `run`, and kills them.
fn kill_all(cluster: &Cluster, run: &mut Running) {
    eventually("work on all executors", || {
        assert!(run.goes_on(), "the run ended before all executors worked for it");
        EXECUTORS.iter().all(|executor| cluster.tasks_running(executor) > 0).then_some(())
    });
    for executor in EXECUTORS {
        cluster.kill(executor);
    }
    assert!(run.goes_on(), "the run ended before its executors could be killed");
}

#[test]
fn a_run_that_loses_all_executors_fails_with_a_code_and_the_next_one_does_not() {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    let pipeline = slow_scan();
    pipeline.put(&cluster);
    let mut run = pipeline.start(&cluster);
    kill_all(&cluster, &mut run);
    let ended = run.end();
    assert!(!ended.succeeded, "the run went on without executors: {}", ended.reported);
    assert!(ended.reported.contains("WL05"), "no code of the cluster: {}", ended.reported);

    for executor in EXECUTORS {
        cluster.start_again(executor);
    }
    cluster.has_executors(EXECUTORS.len());
    pipeline.run(&cluster);
    assert_eq!(pipeline.rows(&cluster, &ANSWER), rows_of_slow_scan());
}

#[test]
fn a_run_that_loses_all_executors_continues_if_one_returns_in_time() {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    let pipeline = slow_scan();
    pipeline.put(&cluster);
    let mut run = pipeline.start(&cluster);
    kill_all(&cluster, &mut run);
    cluster.start_again(FIRST);
    run.succeeds();
    assert_eq!(pipeline.rows(&cluster, &ANSWER), rows_of_slow_scan());
}
