//! A task that reaches an executor after its job was cancelled is ended.

use std::sync::Arc;

use ballista_core::execution_plans::ShuffleWriterExec;
use ballista_core::serde::protobuf::executor_grpc_client::ExecutorGrpcClient;
use ballista_core::serde::protobuf::{LaunchMultiTaskParams, MultiTaskDefinition, TaskId};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_base::config::SessionSettings;
use windlass_engine::codec::PlanCodec;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_tests::processes::{ClusterOptions, ProcessCluster, ServerProcess, free_address};

/// Takes hours.
const ENDLESS: &str = "SELECT count(*) FROM (SELECT unnest(range(0, 1000000)) AS n) a \
                       JOIN (SELECT unnest(range(0, 1000000)) AS n) b ON a.n < b.n";
/// As a scheduler names a job.
const JOB: &str = "0000000000000";

/// The task as the scheduler would send it.
async fn endless_task() -> MultiTaskDefinition {
    let settings = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
    let context = Sessions::new(settings, Functions::standard()).unwrap().context().unwrap();
    let plan = context.sql(ENDLESS).await.unwrap().create_physical_plan().await.unwrap();
    let writer = ShuffleWriterExec::try_new(JOB.into(), 1, plan, String::new()).unwrap();
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::new(writer), &PlanCodec::default()).unwrap();
    let mut plan = Vec::new();
    node.try_encode(&mut plan).unwrap();
    let task = TaskId { global_output_partition_ids: vec![0], vcores_consumed: 1, ..TaskId::default() };
    MultiTaskDefinition {
        task_ids: vec![task],
        job_id: JOB.to_owned(),
        stage_id: 1,
        plan,
        session_id: "orphan".to_owned(),
        ..MultiTaskDefinition::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_job_the_scheduler_does_not_run_is_ended() {
    let address = free_address();
    let executor_args = vec![format!("--grpc-port={}", address.port())];
    let mut cluster = ProcessCluster::with(ClusterOptions { executor_args, ..ClusterOptions::default() });
    let mut executor = ExecutorGrpcClient::connect(format!("http://{address}")).await.unwrap();
    let launch = LaunchMultiTaskParams {
        multi_tasks: vec![endless_task().await],
        scheduler_endpoint: cluster.engine().to_string(),
    };
    let refused = executor.launch_multi_task(launch).await.unwrap().into_inner().failed_jobs;
    assert!(refused.is_empty(), "{refused:?}");

    let metric = |name: &'static str, value: f64| move |process: &ServerProcess| process.metric(name) == Some(value);
    let executor = &mut cluster.executors[0];
    executor.wait_until("having ended the task", metric("windlass_executor_tasks_total{outcome=\"cancelled\"}", 1.0));
    assert_eq!(executor.metric("windlass_executor_tasks_running"), Some(0.0));
    // The executor's own folder, in which the job's folder no longer exists.
    let work_dir =
        std::fs::read_dir(cluster.work_dir(0)).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap();
    let job = work_dir.path().join(JOB);
    let executor = &mut cluster.executors[0];
    executor.wait_until("having removed its files", |_| !job.exists());
    assert!(executor.log().contains("ending tasks whose job the scheduler no longer runs"), "{}", executor.log());
}
