//! Jobs can be watched, cancelled and inspected; clusters start and stop without leftovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_scheduler::execute::{EngineError, EngineStageState, RunningJob, TaskState};
use windlass_tests::{EmbeddedCluster, embedded_cluster, shared_cluster};

use super::functions::gate;
use super::{context_with_files, sorted_rows};

const TIMEOUT: Duration = Duration::from_secs(60);

async fn gated_cluster(open: &Arc<AtomicBool>) -> EmbeddedCluster {
    let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    embedded_cluster(settings, Functions::standard().with_scalar(gate(open)), 1).await
}

/// Waits until the two partitions before the gate are done.
async fn until_the_gate(job: &RunningJob) {
    let reached = async {
        while job.progress().await.done() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, reached).await.expect("the job reaches the gate");
}

async fn until(mut condition: impl FnMut() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, reached).await.expect("the condition comes true");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_moves() {
    let open = Arc::new(AtomicBool::new(false));
    let cluster = gated_cluster(&open).await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 6).await;
    let job = cluster.submit_sql(&context, "SELECT sum(wait_at_gate(id)) FROM facts").await.unwrap();
    until_the_gate(&job).await;
    let progress = job.progress().await;
    assert_eq!(progress.stages.len(), 2);
    assert_eq!((progress.stages[0].done, progress.stages[0].partitions), (2, 6));
    assert_eq!(progress.stages[1].done, 0);

    open.store(true, Ordering::Release);
    let rows = job.wait().await.unwrap().collect().await.unwrap();
    assert_eq!(sorted_rows(&rows).len(), 1);
    let progress = job.progress().await;
    assert_eq!(progress.done(), progress.partitions());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_has_ended_and_has_evidence() {
    let open = Arc::new(AtomicBool::new(false));
    let cluster = gated_cluster(&open).await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 8).await;
    let job = cluster.submit_sql(&context, "SELECT wait_at_gate(id) FROM facts").await.unwrap();
    until_the_gate(&job).await;
    tokio::time::timeout(TIMEOUT, job.cancel()).await.expect("cancelling ends");
    assert!(matches!(job.wait().await, Err(EngineError::Cancelled)));

    let stages = job.evidence().await.stages;
    assert_eq!(stages[0].state, EngineStageState::Failed);
    assert_eq!(stages[0].tasks.iter().filter(|task| task.state == TaskState::Succeeded).count(), 2);

    // A cancelled job releases its slots, and cancelling twice is not an error.
    job.cancel().await;
    open.store(true, Ordering::Release);
    let rows = cluster.run_sql(&context, "SELECT wait_at_gate(id) FROM facts").await.unwrap().row_count();
    assert_eq!(rows, 80);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_cancelled_as_soon_as_it_is_submitted() {
    let open = Arc::new(AtomicBool::new(false));
    let cluster = gated_cluster(&open).await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 8).await;
    let job = cluster.submit_sql(&context, "SELECT wait_at_gate(id) FROM facts").await.unwrap();
    job.cancel().await;
    assert!(matches!(job.wait().await, Err(EngineError::Cancelled)));
    open.store(true, Ordering::Release);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_names_stages_tasks_operators_and_metrics() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(cluster, folder.path(), 3).await;
    let sql = "SELECT bucket, sum(id) AS total FROM facts WHERE id < 25 GROUP BY bucket ORDER BY total";
    let evidence = cluster.run_sql(&context, sql).await.unwrap().evidence();

    assert_eq!(evidence.stages.iter().map(|stage| stage.stage).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(evidence.stages.iter().map(|stage| stage.feeds.clone()).collect::<Vec<_>>(), [vec![2], vec![3], vec![]]);
    for stage in &evidence.stages {
        assert_eq!((stage.state, stage.attempts), (EngineStageState::Succeeded, 1));
        assert!(stage.analyzed.contains("output_rows="), "{}", stage.analyzed);
        for task in &stage.tasks {
            assert_eq!((&task.state, task.attempt), (&TaskState::Succeeded, 1));
            assert_eq!(task.executor.as_deref(), Some(cluster.executors[0].id()));
            assert!(task.duration_ms().unwrap() >= 0);
        }
    }
    let scan = &evidence.stages[0];
    assert_eq!(scan.tasks.iter().map(|task| task.partitions.clone()).collect::<Vec<_>>(), [[0], [1], [2]]);
    let source = scan.operators.last().unwrap();
    assert_eq!(source.name, "DataSourceExec");
    assert_eq!(source.index, source.depth);
    assert!(source.display.contains("parquet"), "{}", source.display);
    let metric = |name: &str| source.metrics.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    assert_eq!(metric("output_rows"), Some(25));
    assert!(metric("bytes_scanned").unwrap() > 0);
    assert!(metric("row_groups_pruned_statistics_matched").is_some());
    let written: u64 = evidence.stages[2].tasks.iter().map(|task| task.rows).sum();
    assert_eq!(written, 7);
    assert!(evidence.stages[2].tasks.iter().all(|task| task.bytes > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planned_stages_are_those_that_run() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(cluster, folder.path(), 3).await;
    let sql = "SELECT bucket, count(*) AS n FROM facts GROUP BY bucket";
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let text = cluster.engine.place(&plan, &context).text();
    assert_eq!(text, cluster.engine.place(&plan, &context).text());
    let job = cluster.submit_plan(&context, plan).await.unwrap().wait().await.unwrap();
    let stages = job.evidence().stages;
    assert_eq!(text.matches("stage ").count(), stages.len() + text.matches("upstream_stage").count());
    assert!(text.starts_with(&format!("stage 1: 3 partitions\n{}", stages[0].plan)), "{text}");
    assert!(!text.contains(job.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_job_are_removed_with_its_result() {
    let cluster = shared_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(cluster, folder.path(), 3).await;
    let job = cluster.run_sql(&context, "SELECT bucket, count(*) FROM facts GROUP BY bucket").await.unwrap();
    let files = cluster.executors[0].work_dir().join(job.id());
    assert!(files.is_dir());
    let rows = job.stream();
    drop(job);
    assert!(files.is_dir());
    drop(rows);
    until(|| !files.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let cluster = embedded_cluster(SessionSettings::default(), Functions::standard(), 2).await;
        let context = context_with_files(&cluster, folder.path(), 6).await;
        let job = cluster.run_sql(&context, "SELECT bucket, count(*) FROM facts GROUP BY bucket").await.unwrap();
        assert_eq!(job.row_count(), 7);
        drop(job);
        let folders: Vec<_> = cluster.executors.iter().map(|executor| executor.work_dir().to_owned()).collect();
        assert!(folders.iter().all(|folder| folder.is_dir()));
        cluster.stop().await;
        assert!(folders.iter().all(|folder| !folder.exists()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_executor_is_replaced_by_the_others() {
    let open = Arc::new(AtomicBool::new(false));
    let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    let mut cluster = embedded_cluster(settings, Functions::standard().with_scalar(gate(&open)), 2).await;
    let folder = tempfile::tempdir().unwrap();
    let context = context_with_files(&cluster, folder.path(), 8).await;
    let job = cluster.submit_sql(&context, "SELECT wait_at_gate(id) AS id FROM facts").await.unwrap();
    until_the_gate(&job).await;
    cluster.executors.pop().unwrap().stop().await;
    open.store(true, Ordering::Release);
    let rows = job.wait().await.unwrap().collect().await.unwrap();
    let expected = context.sql("SELECT id FROM facts").await.unwrap().collect().await.unwrap();
    assert_eq!(sorted_rows(&rows), sorted_rows(&expected));
    cluster.stop().await;
}
