//! Turns of maintenance that follow runs on a cluster.

use std::fs;
use std::path::Path;
use std::time::Duration;

use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::RunStatus;

use super::support::{Lab, Limits, shop};

/// Every run adds a file, and two files are enough to be compacted.
const EVENTS: [(&str, &str); 1] =
    [("events", "/* windlass\nio: { mode: append }\n*/\nSELECT id, customer FROM orders")];
const MAINTENANCE: &str = "maintenance: { after_runs: true, optimize: { small_files: 1 } }\n";

fn maintained(dir: &Path) -> Project {
    shop(dir, &EVENTS);
    let path = dir.join("windlass.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{MAINTENANCE}")).unwrap();
    Project::open(dir, None, &[]).unwrap()
}

async fn run(windlass: &Windlass, project: &Project) {
    let record = windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!((record.status, record.warnings.len()), (RunStatus::Succeeded, 0), "{record:?}");
}

/// Waits until the table has one file.
async fn compacted(windlass: &Windlass, project: &Project) {
    for _ in 0..300 {
        if windlass.tables(project).await.unwrap()[0].files == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was compacted: {:?}", windlass.tables(project).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_by_a_turn_that_gives_way_to_the_next_run() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = maintained(dir.path());
    let windlass = lab.connect().await;
    run(&windlass, &project).await;
    run(&windlass, &project).await;
    compacted(&windlass, &project).await;
    assert!(lab.left_behind().iter().any(|file| file.contains("/shop/maintenance/")), "{:?}", lab.left_behind());

    // Each comes at another moment of the turn that follows the one before, and none is refused.
    for pause in 0..8 {
        run(&windlass, &project).await;
        tokio::time::sleep(Duration::from_millis(pause * pause)).await;
    }
    compacted(&windlass, &project).await;

    // A turn that somebody asks for is not refused because of one that follows a run, nor does that keep a scheduler from
    // draining.
    run(&windlass, &project).await;
    let turn = windlass.maintain(&project, &Default::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(turn.tables.len(), 1, "{turn:?}");
    run(&windlass, &project).await;
    lab.server.stop_accepting();
    tokio::time::timeout(Duration::from_secs(30), lab.server.drained()).await.unwrap();
    lab.server.stop().await;
}
