//! Several schedulers that share their state: one leads, and when it is gone another takes up what it did.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use tonic::{Code, Status};
use windlass_api::v1::windlass_service_client::WindlassServiceClient;
use windlass_api::v1::{ListTablesRequest, SubmitRunRequest, WatchRunRequest};
use windlass_api::{DecodedStatus, Standby, decode_status};
use windlass_base::ids::RunId;
use windlass_client::{Project, QueryOptions, RunHandle, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_tests::EtcdServers;
use windlass_tests::processes::{ClusterOptions, ProcessCluster, ServerProcess};

use super::taken_up::{ANSWER, QUESTION, project};

/// Two schedulers and two executors, with their state in the servers, or in one file.
fn cluster(etcd: Option<&EtcdServers>) -> ProcessCluster {
    let state = etcd.map(|servers| format!("--state=etcd://{}/failover", servers.hosts()));
    let scheduler_args = state.into_iter().collect();
    ProcessCluster::with(ClusterOptions { executors: 2, standbys: 1, scheduler_args, ..ClusterOptions::default() })
}

fn leads(scheduler: &ServerProcess) -> bool {
    scheduler.metric("windlass_leads") == Some(1.0)
}

/// A run as a client sees it that watches it all the time.
struct Watched {
    handle: RunHandle,
    lines: Vec<u64>,
    committed: Vec<String>,
    resumed: usize,
}

impl Watched {
    /// Begins a run, and watches it until a task of its long stage runs.
    async fn begin(cluster: &ProcessCluster, windlass: &Windlass, project: &Project) -> Self {
        let handle = windlass.run(project, &RunOptions::default()).await.unwrap();
        let mut watched = Self { handle, lines: Vec::new(), committed: Vec::new(), resumed: 0 };
        while let Some(kind) = watched.next().await {
            if matches!(&kind, LogKind::StageStarted { stage, .. } if stage.as_str() == "sums") {
                break;
            }
        }
        cluster.wait_for_a_task();
        watched
    }

    async fn next(&mut self) -> Option<LogKind> {
        let event = self.handle.events.recv().await?;
        self.lines.push(event.seq);
        match &event.kind {
            LogKind::StageCommitted { stage, .. } => self.committed.push(stage.to_string()),
            LogKind::RunResumed { .. } => self.resumed += 1,
            _ => {}
        }
        Some(event.kind)
    }

    /// Watches it to its end: it was taken up once, no line is lost or came twice, and each stage has committed once.
    async fn end(mut self) -> RunRecord {
        while self.next().await.is_some() {}
        assert_eq!(self.lines, (0..self.lines.len() as u64).collect::<Vec<_>>(), "lines were lost or came twice");
        assert_eq!(self.resumed, 1, "the run was not taken up once");
        assert_eq!(self.committed, ["added", "sums"]);
        let run = self.handle.wait().await.unwrap();
        assert_eq!((run.status, run.resumptions.len()), (RunStatus::Succeeded, 1), "{:?}", run.stages);
        run
    }
}

/// How many commits of each table have added files.
fn commits(home: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for table in fs::read_dir(home.join("taken_up/tables")).unwrap() {
        let table = table.unwrap();
        let log = fs::read_dir(table.path().join("_delta_log")).unwrap().map(|file| file.unwrap().path());
        let adds = log.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
        let adds = adds.filter(|file| fs::read_to_string(file).unwrap().contains("\"add\":"));
        found.insert(table.file_name().into_string().unwrap(), adds.count());
    }
    found
}

/// That the run is the only one, with the right rows, in one commit for each of its tables.
async fn assert_done(cluster: &ProcessCluster, windlass: &Windlass, project: &Project, run: RunId) {
    let rows = windlass.query(project, QUESTION, &QueryOptions::default()).await.unwrap().collect().await.unwrap();
    assert_eq!(pretty_format_batches(&rows).unwrap().to_string(), ANSWER);
    let runs = windlass.runs(project).await.unwrap();
    assert_eq!(runs.bundles.run_ids().await.unwrap(), [run]);
    let once = BTreeMap::from([("added".to_owned(), 1), ("sums".to_owned(), 1)]);
    assert_eq!(commits(&cluster.folder().join("home")), once);
    let kept = fs::read_dir(cluster.folder().join("home/.submissions")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
}

async fn over_a_kill(mut cluster: ProcessCluster) {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = Windlass::connect(&cluster.urls().join(",")).await.unwrap();
    let watched = Watched::begin(&cluster, &windlass, &project).await;
    cluster.scheduler.kill();
    let run = watched.end().await;
    assert!(leads(&cluster.standbys[0]));
    assert_done(&cluster, &windlass, &project, run.run_id).await;

    // It comes back as the one that stands by.
    let leader = cluster.urls()[1].clone();
    cluster.scheduler.restart();
    cluster.scheduler.wait_until("standing by", |scheduler| {
        scheduler.readiness().is_some_and(|(_, body)| body["leader"] == leader.as_str())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_its_scheduler_is_killed() {
    over_a_kill(cluster(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_its_scheduler_is_killed_with_the_state_in_etcd() {
    let Some(servers) = EtcdServers::start(1) else { return };
    over_a_kill(cluster(Some(&servers))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_paused_beyond_its_lease_changes_nothing_any_more() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let mut cluster = cluster(Some(&servers));
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = Windlass::connect(&cluster.urls().join(",")).await.unwrap();
    let watched = Watched::begin(&cluster, &windlass, &project).await;
    cluster.scheduler.signal("STOP");
    cluster.standbys[0].wait_until("leading", leads);
    // Until it ends, it still has the lock of the home on the local disk.
    cluster.scheduler.signal("CONT");
    assert_eq!(cluster.scheduler.wait().code(), Some(1));
    assert!(cluster.scheduler.log().contains("WL0640"), "{}", cluster.scheduler.log());
    let run = watched.end().await;
    assert_done(&cluster, &windlass, &project, run.run_id).await;
}

/// The code of a refusal, and the leader that it names.
fn refusal(status: Status) -> (Code, String, Option<String>) {
    let leader = Standby::of(&status).and_then(|standby| standby.leader);
    let kind = status.code();
    match decode_status(status, &ProjectFiles::new()) {
        DecodedStatus::Failure(failure) if failure.retryable => (kind, failure.code, leader),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_refuses_what_the_leader_does_and_names_it() {
    let mut cluster = cluster(None);
    let [leader, standby]: [String; 2] = cluster.urls().try_into().unwrap();
    cluster.standbys[0].wait_until("knowing the leader", |scheduler| {
        scheduler.readiness().is_some_and(|(_, body)| body["leader"] == leader.as_str())
    });
    let (ready, body) = cluster.standbys[0].readiness().unwrap();
    assert!(!ready && body["reasons"][0] == "standby", "{body}");
    assert_eq!(cluster.standbys[0].get("/healthz").unwrap().0, 200);

    let expected = (Code::Unavailable, "WL0813".to_owned(), Some(leader.clone()));
    let mut api = WindlassServiceClient::connect(standby.clone()).await.unwrap();
    let run_id = RunId::generate().to_string();
    let submission = SubmitRunRequest { run_id: run_id.clone(), ..SubmitRunRequest::default() };
    assert_eq!(refusal(api.submit_run(submission).await.unwrap_err()), expected);
    assert_eq!(refusal(api.list_tables(ListTablesRequest::default()).await.unwrap_err()), expected);

    // A client with both addresses gets through, whichever comes first; so does one that knows the standby only.
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = Windlass::connect(&format!("{standby},{leader}")).await.unwrap();
    let run = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded);
    let redirected = Windlass::connect(&standby).await.unwrap();
    assert_eq!(redirected.tables(&project).await.unwrap().len(), 2);

    // What has ended is read from its bundle, and what may be under way elsewhere is left to the leader.
    let reading = Windlass::connect(&standby).await.unwrap();
    let runs = reading.runs(&project).await.unwrap();
    assert_eq!(runs.bundles.run_ids().await.unwrap(), std::slice::from_ref(&run.run_id));
    let scope = windlass_api::v1::Scope { pipeline: "taken_up".to_owned(), home: String::new() };
    let watch = |run_id: String| WatchRunRequest { scope: Some(scope.clone()), run_id, from_seq: 0 };
    let mut lines = api.watch_run(watch(run.run_id.to_string())).await.unwrap().into_inner();
    assert_eq!(lines.message().await.unwrap().unwrap().seq, 0);
    assert_eq!(refusal(api.watch_run(watch(run_id)).await.unwrap_err()), expected);

    // A leader that is stopped hands over.
    cluster.scheduler.signal("TERM");
    assert_eq!(cluster.scheduler.wait().code(), Some(0));
    cluster.standbys[0].wait_until_ready();
    let small = RunOptions { select: vec!["added".to_owned()], ..RunOptions::default() };
    let again = windlass.run(&project, &small).await.unwrap().wait().await.unwrap();
    assert_eq!(again.status, RunStatus::Succeeded);
}
