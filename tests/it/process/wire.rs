//! Messages that no scheduler and no client of Windlass sends: whatever they refer to, no foreign file is removed or
//! handed out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action as FlightAction, Ticket};
use ballista_core::execution_plans::{ShuffleReaderExec, ShuffleWriterExec};
use ballista_core::serde::protobuf::executor_grpc_client::ExecutorGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    Action, CancelJobParams, CleanJobDataParams, ExecuteQueryParams, ExecutorStoppedParams, FetchPartition,
    GetJobStatusParams, LaunchMultiTaskParams, MultiTaskDefinition, RemoveJobDataParams, TaskId, TaskStatus,
    UpdateTaskStatusParams, action::ActionType,
};
use ballista_core::serde::scheduler::{
    ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification, PartitionId, PartitionLocation,
    PartitionStats,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::prost::Message;
use tonic_types::StatusExt;
use windlass_api::v1::windlass_service_client::WindlassServiceClient;
use windlass_api::v1::{
    CancelRunRequest, GetBundlePartRequest, ListRunsRequest, Scope, SubmitRunRequest, WatchRunRequest,
};
use windlass_base::ids::RunId;
use windlass_engine::codec::PlanCodec;
use windlass_tests::processes::{ClusterOptions, ProcessCluster, free_address};

/// The stable code of a status.
fn code(status: &Status) -> String {
    status.get_details_error_info().map_or_else(|| format!("no code: {status}"), |info| info.reason)
}

/// The folder that must not be touched, with a file where a shuffle file would be.
struct Victim {
    folder: PathBuf,
}

const SECRET: &str = "not for everyone";

impl Victim {
    fn make(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join("1/0")).unwrap();
        fs::write(folder.join("1/0/data.arrow"), SECRET).unwrap();
        Self { folder }
    }

    /// Names that lead there, or to another forbidden place, from the folder of an executor's jobs.
    fn names(&self) -> Vec<String> {
        let path = self.folder.display().to_string();
        let name = self.folder.file_name().unwrap().to_str().unwrap();
        let mut names = vec![
            path.clone(),
            format!("{path}/"),
            format!("/{path}"),
            format!("../../../{name}"),
            format!("job/../../../../{name}"),
            format!("./../../../{name}"),
            format!("%2e%2e/%2e%2e/%2e%2e/{name}"),
            format!("..\\..\\..\\{name}"),
            format!("C:\\{name}"),
            format!("C:{name}"),
            format!("\\\\host\\{name}"),
        ];
        names.extend(["", ".", "..", "/", "../spill", "a/b", "a\0b", "a\nb", "job name", "größe"].map(str::to_owned));
        names
    }

    fn is_whole(&self) -> bool {
        fs::read_to_string(self.folder.join("1/0/data.arrow")).is_ok_and(|text| text == SECRET)
    }
}

fn fetch(job: &str) -> Vec<u8> {
    let fetch = FetchPartition { job_id: job.to_owned(), stage_id: 1, partition_id: 0, ..FetchPartition::default() };
    Action { settings: Vec::new(), action_type: Some(ActionType::FetchPartition(fetch)) }.encode_to_vec()
}

/// The bytes that the executor sends of a job's file.
async fn read(flight: &mut FlightServiceClient<Channel>, job: &str) -> Result<Vec<u8>, Status> {
    let action = FlightAction { r#type: "IO_BLOCK_TRANSPORT".to_owned(), body: fetch(job).into() };
    let mut blocks = flight.do_action(action).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(block) = blocks.message().await? {
        bytes.extend_from_slice(&block.body);
    }
    Ok(bytes)
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

/// A task of the job `job` whose plan writes as the job `writes` what it reads from the job `reads`.
fn task(job: &str, writes: &str, reads: Option<&str>) -> MultiTaskDefinition {
    let input: Arc<dyn ExecutionPlan> = match reads {
        None => Arc::new(EmptyExec::new(schema())),
        Some(reads) => {
            let location = PartitionLocation {
                map_partition_id: 0,
                partition_id: PartitionId { job_id: reads.into(), stage_id: 1, partition_id: 0 },
                executor_meta: ExecutorMetadata {
                    id: "other".to_owned(),
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                    grpc_port: 2,
                    specification: ExecutorSpecification::default(),
                    os_info: ExecutorOperatingSystemSpecification::default(),
                },
                partition_stats: PartitionStats::new(Some(1), Some(1), Some(1)),
                file_id: None,
                is_sort_shuffle: false,
            };
            let reader =
                ShuffleReaderExec::try_new(1, vec![vec![location]], schema(), Partitioning::UnknownPartitioning(1));
            Arc::new(reader.unwrap())
        }
    };
    let writer = ShuffleWriterExec::try_new(writes.into(), 2, input, String::new()).unwrap();
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::new(writer), &PlanCodec::default()).unwrap();
    let mut plan = Vec::new();
    node.try_encode(&mut plan).unwrap();
    let id = TaskId { global_output_partition_ids: vec![0], vcores_consumed: 1, ..TaskId::default() };
    MultiTaskDefinition {
        task_ids: vec![id],
        job_id: job.to_owned(),
        stage_id: 2,
        plan,
        session_id: "s".to_owned(),
        ..MultiTaskDefinition::default()
    }
}

/// Where an executor of the cluster keeps the files of jobs.
fn jobs_folder(cluster: &ProcessCluster) -> PathBuf {
    let folders = fs::read_dir(cluster.work_dir(0)).unwrap().flatten().map(|entry| entry.path());
    folders.filter(|path| path.is_dir()).map(|path| path.join("jobs")).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_serves_only_files_of_jobs() {
    let (grpc, shuffle) = (free_address(), free_address());
    let executor_args = vec![format!("--grpc-port={}", grpc.port()), format!("--flight-port={}", shuffle.port())];
    let mut cluster = ProcessCluster::with(ClusterOptions { executor_args, ..ClusterOptions::default() });
    let victim = Victim::make(cluster.folder().join("victim"));
    let jobs = jobs_folder(&cluster);
    let spill = jobs.parent().unwrap().join("spill");
    assert!(jobs.is_dir() && spill.is_dir());
    let mut executor = ExecutorGrpcClient::connect(format!("http://{grpc}")).await.unwrap();
    let mut flight =
        FlightServiceClient::new(Channel::from_shared(format!("http://{shuffle}")).unwrap().connect().await.unwrap());

    // What a job has written is served, and what is next to it is not.
    fs::create_dir_all(jobs.join("GOOD/1/0")).unwrap();
    fs::write(jobs.join("GOOD/1/0/data.arrow"), "of the job").unwrap();
    assert_eq!(read(&mut flight, "GOOD").await.unwrap(), b"of the job");
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, jobs.join(name)).unwrap();
    link(&victim.folder, "LINK");
    fs::create_dir_all(jobs.join("STAGE")).unwrap();
    link(&victim.folder.join("1"), "STAGE/1");
    fs::create_dir_all(jobs.join("FILE/1/0")).unwrap();
    link(&victim.folder.join("1/0/data.arrow"), "FILE/1/0/data.arrow");
    let links = ["LINK", "STAGE", "FILE"].map(str::to_owned);
    for name in victim.names().iter().chain(&links) {
        let refused = read(&mut flight, name).await.unwrap_err();
        assert_eq!(code(&refused), "WL0536", "{name:?}");
        let refused = flight.do_get(Ticket { ticket: fetch(name).into() }).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::InvalidArgument, "WL0536".to_owned()), "{name:?}");
    }
    // The engine reports that a job does not exist.
    assert!(!code(&read(&mut flight, "ABSENT").await.unwrap_err()).starts_with("WL"));

    // Files of jobs are removed, and nothing else.
    for name in victim.names().iter().chain(&links) {
        for stages in [vec![], vec![1]] {
            let params = RemoveJobDataParams { job_id: name.clone(), remove_stage_ids: stages };
            let _ = executor.remove_job_data(params).await;
        }
        assert!(victim.is_whole() && spill.is_dir() && jobs.join("GOOD").is_dir(), "{name:?}");
    }
    let params = RemoveJobDataParams { job_id: "GOOD".to_owned(), remove_stage_ids: Vec::new() };
    executor.remove_job_data(params).await.unwrap();
    assert!(!jobs.join("GOOD").exists());

    // A task without a valid job is not run: neither by its own id, nor by the id in its plan, nor by the id of what it
    // reads.
    let names = victim.names();
    for name in &names {
        let tasks = [task("OK", name, None), task("OK", "OK", Some(name))];
        for task in tasks {
            let launch =
                LaunchMultiTaskParams { multi_tasks: vec![task], scheduler_endpoint: cluster.engine().to_string() };
            let failed = executor.launch_multi_task(launch).await.unwrap().into_inner().failed_jobs;
            assert_eq!(failed, ["OK"], "{name:?}");
        }
        let launch = LaunchMultiTaskParams {
            multi_tasks: vec![task(name, "OK", None)],
            scheduler_endpoint: cluster.engine().to_string(),
        };
        executor.launch_multi_task(launch).await.unwrap();
    }
    let refusals = |log: &str| log.lines().filter(|line| line.contains("a task is refused")).count();
    let executor = &mut cluster.executors[0];
    executor.wait_until("having refused every task", |process| refusals(&process.log()) >= names.len());
    assert!(executor.log().contains("WL0536"), "{}", executor.log());
    assert!(victim.is_whole() && spill.is_dir());
    assert!(!executor.has_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_answers_executors_and_clients_and_serves_only_bundles() {
    let mut cluster = ProcessCluster::start(1);
    let victim = Victim::make(cluster.folder().join("victim"));
    let mut engine = SchedulerGrpcClient::connect(format!("http://{}", cluster.engine())).await.unwrap();
    for name in victim.names() {
        let asked = engine.get_job_status(GetJobStatusParams { job_id: name.clone() }).await;
        assert_eq!(code(&asked.unwrap_err()), "WL0536", "{name:?}");
        let status = TaskStatus { job_id: name.clone(), ..TaskStatus::default() };
        let update = UpdateTaskStatusParams { executor_id: "x".to_owned(), task_status: vec![status] };
        assert_eq!(code(&engine.update_task_status(update).await.unwrap_err()), "WL0536", "{name:?}");
        let stopped = ExecutorStoppedParams { executor_id: name.clone(), reason: String::new() };
        assert_eq!(code(&engine.executor_stopped(stopped).await.unwrap_err()), "WL0536", "{name:?}");
        let clean =
            engine.clean_job_data(CleanJobDataParams { job_id: name.clone(), remove_stage_ids: Vec::new() }).await;
        assert_eq!(clean.unwrap_err().code(), Code::Unimplemented);
    }
    let cancel = engine.cancel_job(CancelJobParams { job_id: "JOB".to_owned() }).await;
    assert_eq!(cancel.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(engine.execute_query(ExecuteQueryParams::default()).await.unwrap_err().code(), Code::Unimplemented);

    // A bundle elsewhere on the disk, and a link to it in the home.
    let run = RunId::generate();
    let elsewhere = cluster.folder().join("elsewhere");
    let bundle = elsewhere.join("runs").join(run.as_str());
    fs::create_dir_all(&bundle).unwrap();
    for part in ["run.json", "log.jsonl"] {
        fs::write(bundle.join(part), SECRET).unwrap();
    }
    let home = cluster.folder().join("home/shop/runs").join(run.as_str());
    fs::create_dir_all(&home).unwrap();
    std::os::unix::fs::symlink(bundle.join("run.json"), home.join("run.json")).unwrap();
    std::os::unix::fs::symlink(bundle.join("log.jsonl"), home.join("log.jsonl")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.join("stages")).unwrap();
    let mut api = WindlassServiceClient::connect(cluster.url()).await.unwrap();
    let scope = |pipeline: &str, home: &str| Some(Scope { pipeline: pipeline.to_owned(), home: home.to_owned() });
    let part = |pipeline: &str, home: &str, run: &str, path: &str| GetBundlePartRequest {
        scope: scope(pipeline, home),
        run_id: run.to_owned(),
        path: path.to_owned(),
    };
    // However a home on the disk is written, the client cannot choose it: the scheduler's own home is used.
    let url = format!("file://{}", elsewhere.display());
    for home in [url.clone(), url.replace("file", "FILE"), format!(" {url}"), url.replace("file", "fi\tle")] {
        for pipeline in ["other", "shop"] {
            let got = api.get_bundle_part(part(pipeline, &home, run.as_str(), "run.json")).await;
            let refused = got.unwrap_err();
            let expected: &[&str] = if pipeline == "shop" { &["WL0537", "WL0804"] } else { &["WL0623", "WL0804"] };
            assert!(expected.contains(&code(&refused).as_str()), "{home:?}: {refused}");
        }
        let listed = api.list_runs(ListRunsRequest { scope: scope("other", &home), limit: 0 }).await;
        assert!(listed.map_or(true, |listed| listed.into_inner().runs.is_empty()), "{home:?}");
    }
    for path in ["run.json", "stages/runs/stage.json"] {
        let got = api.get_bundle_part(part("shop", "", run.as_str(), path)).await.map(drop);
        assert!(
            got.as_ref().map_or_else(|status| code(status) == "WL0537", |()| path != "run.json"),
            "{path}: {got:?}"
        );
    }
    let watch = WatchRunRequest { scope: scope("shop", ""), run_id: run.to_string(), from_seq: 0 };
    assert_eq!(code(&api.watch_run(watch).await.unwrap_err()), "WL0537");

    for name in victim.names() {
        assert_eq!(code(&api.get_bundle_part(part("shop", "", &name, "run.json")).await.unwrap_err()), "WL0804");
        assert_eq!(code(&api.get_bundle_part(part(&name, "", run.as_str(), "run.json")).await.unwrap_err()), "WL0804");
        assert_eq!(code(&api.cancel_run(CancelRunRequest { run_id: name.clone() }).await.unwrap_err()), "WL0804");
        let submit = SubmitRunRequest { run_id: name.clone(), ..SubmitRunRequest::default() };
        assert_eq!(code(&api.submit_run(submit).await.unwrap_err()), "WL0804");
        let watch = WatchRunRequest { scope: scope("shop", ""), run_id: name.clone(), from_seq: 0 };
        assert_eq!(code(&api.watch_run(watch).await.unwrap_err()), "WL0804");
        // A path that stays inside but is not a part of a bundle has no content.
        match api.get_bundle_part(part("shop", "", run.as_str(), &name)).await {
            Ok(chunks) => assert!(chunks.into_inner().message().await.unwrap().is_none(), "{name:?}"),
            Err(refused) => assert_eq!(code(&refused), "WL0801", "{name:?}"),
        }
    }
    assert!(victim.is_whole() && !cluster.scheduler.has_ended());
}
