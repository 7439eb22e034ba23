//! Servers start, report their status, survive each other, and end cleanly.

use std::fs;
use std::path::Path;

use windlass_tests::processes::{ProcessCluster, ServerProcess, executor_args, free_address, http_get};

use super::{server, stdout};

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn reason(process: &ServerProcess) -> String {
    process.readiness().map(|(_, body)| body["reasons"].to_string()).unwrap_or_default()
}

#[test]
fn a_cluster_starts_reports_its_health_and_stops_in_order() {
    let mut cluster = ProcessCluster::start(2);
    for process in [&cluster.scheduler, &cluster.executors[0], &cluster.executors[1]] {
        assert_eq!(process.get("/healthz").unwrap(), (200, "alive\n".to_owned()));
        assert_eq!(process.get("/nothing").unwrap().0, 404);
        assert!(process.metric("process_resident_memory_bytes").unwrap() > 0.0);
    }
    cluster.executors[0].wait_until_ready();
    let (ready, body) = cluster.scheduler.readiness().unwrap();
    assert!(ready);
    assert_eq!((body["executors"].as_u64(), body["vcores"].as_u64()), (Some(2), Some(4)));
    for (metric, value) in [
        ("windlass_vcores", 4.0),
        ("windlass_runs_active", 0.0),
        ("windlass_runs_queued", 0.0),
        ("windlass_runs_queued_seconds_count", 0.0),
        ("windlass_tasks_pending", 0.0),
        ("windlass_tasks_running", 0.0),
        ("windlass_runs_total{status=\"succeeded\"}", 0.0),
        ("windlass_stages_total{layer=\"\",status=\"committed\"}", 0.0),
        ("windlass_maintenance_turns_total{outcome=\"succeeded\"}", 0.0),
        ("windlass_maintenance_files_removed_total{action=\"vacuum\"}", 0.0),
        ("windlass_maintenance_bytes_removed_total{action=\"compact\"}", 0.0),
        ("windlass_maintenance_bytes_written_total", 0.0),
        ("windlass_maintenance_failures_total{action=\"look\"}", 0.0),
        ("job_submitted_total", 0.0),
    ] {
        assert_eq!(cluster.scheduler.metric(metric), Some(value), "{metric}");
    }
    for (metric, value) in [
        ("windlass_executor_connected", 1.0),
        ("windlass_executor_vcores", 2.0),
        ("windlass_executor_tasks_running", 0.0),
        ("windlass_executor_tasks_total{outcome=\"succeeded\"}", 0.0),
        ("windlass_executor_memory_limit_bytes", f64::from(256 << 20)),
        ("windlass_executor_memory_reserved_bytes", 0.0),
    ] {
        assert_eq!(cluster.executors[0].metric(metric), Some(value), "{metric}");
    }

    let work_dir = cluster.work_dir(0);
    assert!(!is_empty(&work_dir));
    cluster.executors[0].signal("TERM");
    assert_eq!(cluster.executors[0].wait().code(), Some(0));
    assert!(is_empty(&work_dir), "the work folder is left behind");
    assert!(cluster.executors[0].log().contains("drained: leaving the cluster"));
    let left = |scheduler: &ServerProcess| scheduler.metric("windlass_executors") == Some(1.0);
    cluster.scheduler.wait_until("having lost an executor", left);
    cluster.scheduler.signal("TERM");
    assert_eq!(cluster.scheduler.wait().code(), Some(0));
    cluster.executors[1].signal("TERM");
    assert_eq!(cluster.executors[1].wait().code(), Some(0));
}

#[test]
fn an_executor_waits_for_its_scheduler_and_survives_it() {
    let mut cluster = ProcessCluster::start(1);
    cluster.executors[0].wait_until_ready();
    let (_, first) = cluster.executors[0].readiness().unwrap();
    // A short absence: the next heartbeat joins the new scheduler.
    cluster.scheduler.kill();
    cluster.scheduler.restart();
    cluster.wait_for_executors(1);

    // A long one: the engine gives up, and the executor rejoins.
    cluster.scheduler.kill();
    let executor = &mut cluster.executors[0];
    executor
        .wait_until("missing its scheduler", |executor| executor.metric("windlass_executor_connected") == Some(0.0));
    executor.wait_until("rejoining", |executor| reason(executor).contains("cannot be joined"));
    assert_eq!(executor.get("/readyz").unwrap().0, 503);
    assert_eq!(executor.get("/healthz").unwrap().0, 200);
    cluster.scheduler.restart();
    cluster.wait_for_executors(1);
    cluster.executors[0].wait_until_ready();
    let (_, body) = cluster.executors[0].readiness().unwrap();
    assert_ne!(body["executor"], first["executor"], "it rejoined under the old id");
    assert_eq!(cluster.executors[0].metric("windlass_executor_connected"), Some(1.0));

    // Without a scheduler there is nothing to drain for.
    cluster.scheduler.kill();
    cluster.executors[0].signal("TERM");
    assert_eq!(cluster.executors[0].wait().code(), Some(0));
    assert!(is_empty(&cluster.work_dir(0)));
}

#[test]
fn an_executor_without_a_scheduler_reports_it_and_stops_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let (nobody, work_dir) = (free_address(), folder.path().join("work"));
    let args = executor_args(&nobody.to_string(), &work_dir);
    let mut executor = ServerProcess::start("windlass-executor", "executor", folder.path(), args, &[]);
    executor.wait_until("giving a reason", |executor| reason(executor).contains(&nobody.to_string()));
    let check =
        server("windlass-executor").arg(format!("--http-bind={}", executor.http())).arg("--healthcheck").output();
    let check = check.unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert!(stdout(&check).contains("\"ready\":false"), "{}", stdout(&check));
    assert!(executor.log().contains("cannot join the scheduler"));
    executor.signal("TERM");
    assert_eq!(executor.wait().code(), Some(0));
    assert!(is_empty(&work_dir));
}

#[test]
fn leftovers_of_a_killed_executor_are_removed_by_the_next_one() {
    let mut cluster = ProcessCluster::start(1);
    let work_dir = cluster.work_dir(0);
    cluster.executors[0].kill();
    assert!(!is_empty(&work_dir));
    cluster.executors[0].restart();
    cluster.executors[0].wait_until_ready();
    let folders = fs::read_dir(&work_dir).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 1);
}

#[test]
fn a_healthcheck_needs_no_other_setting() {
    let cluster = ProcessCluster::start(1);
    let bind = cluster.scheduler.http().to_string();
    let check = |bind: &str| server("windlass-scheduler").arg("--healthcheck").env("WINDLASS_HTTP_BIND", bind).output();
    let ready = check(&bind).unwrap();
    assert_eq!(ready.status.code(), Some(0), "{}", stdout(&ready));
    assert!(stdout(&ready).contains("\"ready\":true"));
    let silent = check(&free_address().to_string()).unwrap();
    assert_eq!(silent.status.code(), Some(1));
    assert!(stdout(&silent).contains("does not answer"));
    assert_eq!(http_get(cluster.scheduler.http(), "/readyz").unwrap().0, 200);
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = ProcessCluster::start(1);
    let folder = tempfile::tempdir().unwrap();
    let taken = format!("--http-bind={}", cluster.scheduler.http());
    let output = server("windlass-scheduler").arg(taken).arg("--home").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[WL0908]"));
    let args = executor_args("127.0.0.1:1", folder.path());
    let taken = format!("--grpc-port={}", cluster.engine().port());
    let args = args.iter().filter(|arg| !arg.starts_with("--grpc-port"));
    let output = server("windlass-executor").args(args).args([&taken, "--http-bind=127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let reported = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        reported.contains("error[WL0531]") && reported.contains(&cluster.engine().port().to_string()),
        "{reported}"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut cluster = ProcessCluster::start(1);
    // A scheduler that hangs keeps the executor draining.
    cluster.scheduler.signal("STOP");
    cluster.executors[0].signal("TERM");
    cluster.executors[0].wait_until("draining", |executor| reason(executor).contains("draining"));
    cluster.executors[0].signal("TERM");
    assert_eq!(cluster.executors[0].wait().code(), Some(1));
    cluster.scheduler.signal("CONT");
}
