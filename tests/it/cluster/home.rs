//! A scheduler and a program that embeds Windlass, with separate states, use the same home.

use windlass_base::error::Coded;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, ReceiptOutcome, RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;
use windlass_tests::processes::ProcessCluster;

/// A query that takes minutes.
const SLOW: &str = "SELECT sum(a.n * b.n % 7) AS s FROM many AS a CROSS JOIN many AS b CROSS JOIN many AS c";
const QUICK: &str = "SELECT count(*) AS s FROM many";

/// A project whose stage `added` adds a row in every run.
fn project(base: &std::path::Path, last: &str) -> Project {
    let files = [
        ("windlass.yaml", "name: shared\nsources: { rows: { kind: rows, columns: { n: long }, rows: [[1], [2]] } }\n"),
        ("stages/added.sql", "/* windlass\nio: { mode: append }\n*/\nSELECT sum(n) AS s FROM rows"),
        ("stages/many.sql", "/* windlass\nmaterialize: view\n*/\nSELECT unnest(range(0, 20000)) AS n FROM rows"),
        ("stages/last.sql", last),
    ];
    let files: ProjectFiles = files.into_iter().collect();
    Project::from_files(&files, base, None, &[]).unwrap()
}

async fn succeed(windlass: &Windlass, project: &Project) -> RunRecord {
    let record = windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    let added = record.stages.iter().find(|stage| stage.stage.as_str() == "added").unwrap();
    assert_eq!(added.receipt.as_ref().unwrap().outcome, ReceiptOutcome::Committed);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_and_an_embedded_run_take_turns_and_lose_no_rows() {
    let cluster = ProcessCluster::start(1);
    let dir = tempfile::tempdir().unwrap();
    let connected = Windlass::connect(&cluster.url()).await.unwrap();
    let home = Location::from_path(&cluster.folder().join("home/shared")).unwrap();
    let quick = project(dir.path(), QUICK);
    let embedded = Windlass::embedded(windlass_tests::embedded(home, quick.graph.session.clone())).await.unwrap();

    let slow = project(dir.path(), SLOW);
    let mut handle = connected.run(&slow, &RunOptions::default()).await.unwrap();
    let mut missing = vec!["added", "last"];
    while !missing.is_empty() {
        match handle.events.recv().await.expect("the run goes on").kind {
            LogKind::StageCommitted { stage, .. } if stage.as_str() == "added" => {
                missing.retain(|name| *name != "added")
            }
            LogKind::StageStarted { stage, .. } if stage.as_str() == "last" => missing.retain(|name| *name != "last"),
            _ => {}
        }
    }
    let refused = embedded.run(&quick, &RunOptions::default()).await.unwrap().wait().await.unwrap_err();
    assert_eq!(refused.code().0, "WL0615", "{refused}");
    assert!(refused.to_string().contains(handle.run_id.as_str()), "{refused}");
    embedded.plan(&quick, &RunOptions::default()).await.unwrap();
    handle.cancel_token().cancel();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Cancelled);

    // Each numbers its own runs, and sees what the other has committed.
    let mut numbers = Vec::new();
    for windlass in [&embedded, &connected, &embedded, &embedded, &connected] {
        numbers.push(succeed(windlass, &quick).await.sequence.0);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let rows = connected.query(&quick, "SELECT s FROM added", &Default::default()).await.unwrap();
    let rows = rows.collect().await.unwrap();
    assert_eq!(rows.iter().map(|rows| rows.num_rows()).sum::<usize>(), 6);
    embedded.stop().await;
    connected.stop().await;
}
