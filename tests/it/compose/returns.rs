//! Parts of the cluster that disappear and return.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, EXECUTORS, FIRST, SCHEDULER, SECOND};
use super::eventually;
use super::losses::{ANSWER, rows_of_slow_scan, slow_scan};
use super::pipeline::Pipeline;

/// Checks that `executor` does its part of a run.
fn works(cluster: &Cluster, pipeline: &Pipeline, executor: &str) {
    let before = cluster.tasks_done(executor);
    pipeline.run(cluster);
    let after = cluster.tasks_done(executor);
    assert!(after > before, "{executor} had done {before} tasks before the run and {after} after it");
}

#[test]
fn an_executor_without_network_is_lost_and_works_again_after_it_returns() {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    let pipeline = slow_scan();
    pipeline.put(&cluster);
    let expected = rows_of_slow_scan();
    let mut run = pipeline.start(&cluster);
    eventually("work on the executor to be cut off", || {
        assert!(run.goes_on(), "the run ended before the executor worked for it");
        (cluster.tasks_running(SECOND) > 0).then_some(())
    });
    cluster.cut_off(SECOND);
    let since = Instant::now();
    assert!(run.goes_on(), "the run ended before the executor could be cut off");
    cluster.has_executors(1);
    run.succeeds();
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);

    // Long enough that each side has given up on the other.
    std::thread::sleep(Duration::from_secs(30).saturating_sub(since.elapsed()));
    cluster.connect(SECOND);
    cluster.has_executors(2);
    works(&cluster, &pipeline, SECOND);
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);
}

#[test]
fn an_executor_restarted_during_a_run_works_again() {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    let pipeline = slow_scan();
    pipeline.put(&cluster);
    let expected = rows_of_slow_scan();
    let mut run = pipeline.start(&cluster);
    eventually("work on the executor to be restarted", || {
        assert!(run.goes_on(), "the run ended before the executor worked for it");
        (cluster.tasks_running(FIRST) > 0).then_some(())
    });
    cluster.restart(FIRST);
    run.succeeds();
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);
    cluster.has_executors(2);
    works(&cluster, &pipeline, FIRST);
}

#[test]
fn executors_find_a_scheduler_again_that_was_restarted_or_killed() {
    let Some(cluster) = Cluster::start(&EXECUTORS) else { return };
    let pipeline = slow_scan();
    pipeline.put(&cluster);
    let expected = rows_of_slow_scan();

    cluster.restart(SCHEDULER);
    cluster.has_executors(2);
    pipeline.run(&cluster);
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);

    cluster.kill(SCHEDULER);
    cluster.start_again(SCHEDULER);
    cluster.has_executors(2);
    pipeline.run(&cluster);
    assert_eq!(pipeline.rows(&cluster, &ANSWER), expected);
}
