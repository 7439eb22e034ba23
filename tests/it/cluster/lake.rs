//! A cluster of processes whose data, tables and bundles are in an object store: only the servers have its credentials,
//! and nobody tells them.

use std::process::Output;

use assert_cmd::Command;
use windlass_api::v1::windlass_service_client::WindlassServiceClient;
use windlass_api::v1::{GetServerInfoRequest, ListRunsRequest, Scope, WatchRunRequest};
use windlass_tests::StorageServer;
use windlass_tests::processes::{ClusterOptions, ProcessCluster};

use crate::command::binary;
use crate::storage::lake::{Lake, TABLES, output_text};
use crate::storage::secrets::{check, holds_a_secret, with_credentials};

/// The command on the lake's project and the cluster, without any settings of a store.
fn windlass(lake: &Lake, cluster: &ProcessCluster) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("WINDLASS_")) {
            command.env_remove(name);
        }
    }
    command.args(["--cluster", &cluster.url(), "--project"]).arg(lake.project());
    command
}

fn say(command: &mut Command, args: &[&str]) -> Output {
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", output_text(&output));
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_a_store_has_the_plain_rows_and_reveals_no_credentials() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let environment = with_credentials(server.environment());
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let scheduler_args = vec!["--log=debug".to_owned()];
    let executor_args = scheduler_args.clone();
    let options = ClusterOptions {
        executors: 2,
        standbys: 0,
        home: Some(lake.home.clone()),
        environment,
        scheduler_args,
        executor_args,
    };
    let cluster = ProcessCluster::with(options);

    let mut printed = Vec::new();
    for args in [
        vec!["-vvv", "run", "--events"],
        vec!["-vvv", "plan", "--output", "json"],
        vec!["runs", "log", "--output", "json"],
        vec!["runs", "show", "--output", "json"],
        vec!["explain", "latest", "totals"],
        vec!["tables", "--output", "json"],
        vec!["cursors", "ls", "--output", "json"],
        vec!["pins", "ls", "--output", "json"],
    ] {
        printed.push(output_text(&say(&mut windlass(&lake, &cluster), &args)));
    }
    let mut answers = Vec::new();
    for (_, sql) in TABLES {
        let output = say(&mut windlass(&lake, &cluster), &["query", sql, "--limit", "0", "--output", "csv"]);
        answers.push(String::from_utf8(output.stdout).unwrap());
    }
    assert_eq!(answers, lake.plain_answers().await);
    let refused = windlass(&lake, &cluster).args(["-vvv", "query", "SELECT nothing FROM totals"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    printed.push(output_text(&refused));

    // What the API answers, as messages.
    let mut api = WindlassServiceClient::connect(cluster.url()).await.unwrap();
    printed.push(format!("{:?}", api.get_server_info(GetServerInfoRequest {}).await.unwrap()));
    let scope = Some(Scope { pipeline: "shop".to_owned(), home: String::new() });
    let runs = api.list_runs(ListRunsRequest { scope: scope.clone(), limit: 0 }).await.unwrap().into_inner().runs;
    let watch = WatchRunRequest { scope, run_id: runs[0].run_id.clone(), from_seq: 0 };
    let mut lines = api.watch_run(watch).await.unwrap().into_inner();
    while let Some(line) = lines.message().await.unwrap() {
        printed.push(line.json);
    }
    // What the servers report by HTTP and in their logs.
    for process in std::iter::once(&cluster.scheduler).chain(&cluster.executors) {
        for path in ["/healthz", "/readyz", "/metrics"] {
            printed.push(process.get(path).unwrap().1);
        }
        let log = process.log();
        assert!(log.contains("DEBUG"), "the log is too quiet to show anything");
        printed.push(log);
    }
    check(&lake, &printed).await;
    assert!(!printed.iter().any(|text| holds_a_secret(text.as_bytes())));
    let bundle = lake.objects("home/shop/runs").await;
    assert!(bundle.iter().any(|path| path.ends_with("metrics.arrow")), "{bundle:?}");
}
