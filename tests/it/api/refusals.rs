//! What the API refuses: each with a code, and without leftovers.

use bytes::Bytes;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use windlass_api::digest;
use windlass_api::v1::windlass_service_client::WindlassServiceClient;
use windlass_api::v1::{
    GetBundlePartRequest, GetServerInfoRequest, Project, ProjectFile, PutFilesRequest, Scope, SubmitRunRequest,
};
use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_client::{QueryOptions, RunOptions};
use windlass_project::spec::RenderStyle;

use super::support::{Lab, Limits, TOTALS, shop};

type Raw = WindlassServiceClient<tonic::transport::Channel>;

async fn raw(lab: &Lab) -> Raw {
    WindlassServiceClient::connect(lab.url.clone()).await.unwrap()
}

/// The stable code of a status.
fn code(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_else(|| format!("no code: {status}"))
}

/// Puts the files and submits them.
async fn submit(api: &mut Raw, files: &[(&str, &str)]) -> Result<String, Status> {
    let puts: Vec<PutFilesRequest> = files
        .iter()
        .map(|(_, text)| PutFilesRequest {
            digest: digest(text.as_bytes()),
            content: Bytes::copy_from_slice(text.as_bytes()),
        })
        .collect();
    api.put_files(tokio_stream::iter(puts)).await?;
    let entry = |(path, text): &(&str, &str)| ProjectFile {
        path: (*path).to_owned(),
        digest: digest(text.as_bytes()),
        size: text.len() as u64,
    };
    let project = Project { files: files.iter().map(entry).collect(), ..Project::default() };
    let request = SubmitRunRequest {
        run_id: RunId::generate().to_string(),
        project: Some(project),
        ..SubmitRunRequest::default()
    };
    Ok(api.submit_run(request).await?.into_inner().run_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_submissions_are_refused_as_a_whole() {
    let lab = Lab::start(Limits { project_bytes: 4096, ..Limits::default() }).await;
    let mut api = raw(&lab).await;
    const NAME: &str = "name: shop\n";
    const ONE: &str = "SELECT 1 AS one";
    let large = format!("{NAME}# {}", "x".repeat(8000));
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("WL0801", &[("windlass.yaml", NAME), ("../outside.sql", ONE)]),
        ("WL0801", &[("windlass.yaml", NAME), ("/etc/outside.sql", ONE)]),
        ("WL0801", &[("windlass.yaml", NAME), ("stages/a.sql", ONE), ("stages/a.sql", NAME)]),
        ("WL0802", &[("windlass.yaml", &large)]),
        ("WL0111", &[("stages/a.sql", ONE)]),
        ("WL0104", &[("windlass.yaml", "name: shop\nsoures: {}\n"), ("stages/a.sql", ONE)]),
    ];
    for (expected, files) in cases {
        let status = submit(&mut api, files).await.unwrap_err();
        assert_eq!(code(&status), expected, "{files:?}: {status:?}");
    }
    let mut request = SubmitRunRequest { run_id: "../../etc".to_owned(), ..SubmitRunRequest::default() };
    assert_eq!(code(&api.submit_run(request.clone()).await.unwrap_err()), "WL0804");
    request.run_id = RunId::generate().to_string();
    let lost = ProjectFile { path: "windlass.yaml".to_owned(), digest: digest(b"never put"), size: 9 };
    request.project = Some(Project { files: vec![lost], ..Project::default() });
    assert_eq!(code(&api.submit_run(request).await.unwrap_err()), "WL0803");
    let wrong = PutFilesRequest { digest: digest(b"a"), content: Bytes::from_static(b"b") };
    assert_eq!(code(&api.put_files(tokio_stream::iter([wrong])).await.unwrap_err()), "WL0803");

    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
    assert_eq!(lab.server.active_runs(), 0);
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_of_bundles_are_served() {
    let lab = Lab::start(Limits::default()).await;
    let mut api = raw(&lab).await;
    let scope = Some(Scope { pipeline: "shop".to_owned(), home: String::new() });
    let ask = |path: &str| GetBundlePartRequest {
        scope: scope.clone(),
        run_id: RunId::generate().to_string(),
        path: path.to_owned(),
    };
    assert_eq!(code(&api.get_bundle_part(ask("../../../etc/passwd")).await.unwrap_err()), "WL0801");
    let status = api.get_bundle_part(ask("run.json")).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::NotFound, "WL0623".to_owned()));
    let outside = GetBundlePartRequest {
        scope: Some(Scope { pipeline: "../x".to_owned(), home: String::new() }),
        ..ask("run.json")
    };
    assert_eq!(code(&api.get_bundle_part(outside).await.unwrap_err()), "WL0804");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_api_is_refused_by_name() {
    let lab = Lab::start(Limits::default()).await;
    let mut request = Request::new(GetServerInfoRequest {});
    request.metadata_mut().insert("windlass-api", "2".parse().unwrap());
    let status = raw(&lab).await.get_server_info(request).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::FailedPrecondition, "WL0805".to_owned()));
    insta::assert_snapshot!(status.message(), @"the client speaks version 2 of the API, and this scheduler version 1");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_submission_sent_twice_is_one_run() {
    let lab = Lab::start(Limits::default()).await;
    let mut api = raw(&lab).await;
    let files = [("windlass.yaml", "name: shop\n"), ("stages/one.sql", "SELECT 1 AS one")];
    let run_id = submit(&mut api, &files).await.unwrap();
    let entry = |(path, text): &(&str, &str)| ProjectFile {
        path: (*path).to_owned(),
        digest: digest(text.as_bytes()),
        size: text.len() as u64,
    };
    let again = SubmitRunRequest {
        run_id: run_id.clone(),
        project: Some(Project { files: files.iter().map(entry).collect(), ..Project::default() }),
        ..SubmitRunRequest::default()
    };
    assert_eq!(api.submit_run(again).await.unwrap().into_inner().run_id, run_id);
    let runs = lab.dir.path().join("home/shop/runs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 1);
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_that_only_the_scheduler_can_find_point_into_the_clients_files() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let mut stages = TOTALS.to_vec();
    stages.push(("bad", "SELECT customr\nFROM orders"));
    let project = shop(dir.path(), &stages);
    let windlass = lab.connect().await;
    let error = windlass.run(&project, &RunOptions::default()).await.unwrap_err();
    insta::assert_snapshot!(error.problems().unwrap().render(RenderStyle::default()));
    let error = windlass.query(&project, "SELECT * FROM totls", &QueryOptions::default()).await.err().unwrap();
    assert_eq!((error.code().0, error.help().is_some()), ("WL0361", true), "{error}");
    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
    lab.server.stop().await;
}
