//! Maintenance, pins and tags on a cluster, through the client library.

use chrono::{TimeDelta, Utc};
use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_client::{MaintainOptions, NewMark, Project, RunOptions, Windlass};
use windlass_evidence::artifact::{MaintenanceAction, MaintenanceEvent, MaintenanceKind, MaintenanceRecord, RunStatus};

use super::support::{Lab, Limits, shop};

/// Every run adds a file, and two files are enough to be compacted.
const EVENTS: [(&str, &str); 1] = [(
    "events",
    "/* windlass\nio: { mode: append, maintenance: { optimize: { small_files: 1 } } }\n*/\nSELECT id, customer FROM orders",
)];

async fn run(windlass: &Windlass, project: &Project) {
    let handle = windlass.run(project, &RunOptions::default()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
}

fn compact() -> MaintainOptions {
    MaintainOptions { only: vec![MaintenanceKind::Compact], ..MaintainOptions::default() }
}

fn mark(name: &str, version: Option<u64>) -> NewMark {
    NewMark {
        name: name.to_owned(),
        tag: false,
        table: "events".into(),
        version: version.map(TableVersion),
        expires_at: None,
        reason: None,
    }
}

fn compaction(record: &MaintenanceRecord) -> &MaintenanceAction {
    record.tables[0].actions.iter().find(|action| action.kind == MaintenanceKind::Compact).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_followed_to_its_record() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &EVENTS);
    let windlass = lab.connect().await;
    run(&windlass, &project).await;
    run(&windlass, &project).await;

    let dry = MaintainOptions { dry_run: true, ..compact() };
    let planned = windlass.maintain(&project, &dry).await.unwrap().wait().await.unwrap();
    assert!(planned.dry_run && compaction(&planned).due, "{planned:?}");
    assert_eq!(windlass.tables(&project).await.unwrap()[0].version, Some(TableVersion(2)));

    let mut handle = windlass.maintain(&project, &compact()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = handle.events.recv().await {
        events.push(event);
    }
    let record = handle.wait().await.unwrap();
    let outcome = compaction(&record).outcome.clone().unwrap();
    assert_eq!((outcome.files_removed, outcome.files_added, outcome.failure.as_ref()), (2, 1, None));
    assert!(matches!(events.first(), Some(MaintenanceEvent::Planned { due: 1, .. })), "{events:?}");
    let last = MaintenanceEvent::Ended { table: "events".into(), action: MaintenanceKind::Compact, outcome };
    assert_eq!(events.last(), Some(&last));
    let table = &windlass.tables(&project).await.unwrap()[0];
    assert_eq!((table.version, table.files), (Some(TableVersion(3)), 1));

    let unknown = MaintainOptions { select: vec!["nothing".to_owned()], ..MaintainOptions::default() };
    let error = match windlass.maintain(&project, &unknown).await {
        Ok(handle) => handle.wait().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.problems().is_some(), "{error}");
    lab.server.stop_accepting();
    let error = windlass.maintain(&project, &compact()).await.unwrap_err();
    assert_eq!(error.code().0, "WL0806", "{error}");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_kept_and_released() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &EVENTS);
    let windlass = lab.connect().await;
    run(&windlass, &project).await;
    assert!(windlass.version_marks(&project).await.unwrap().is_empty());

    let until = Utc::now() + TimeDelta::days(7);
    let pin = NewMark { expires_at: Some(until), reason: Some("a test".to_owned()), ..mark("june", None) };
    let pinned = windlass.set_mark(&project, &pin).await.unwrap();
    assert_eq!((pinned.name.as_str(), pinned.version, pinned.tag), ("june", TableVersion(1), false));
    assert_eq!(pinned.expires_at.map(|at| at.timestamp_millis()), Some(until.timestamp_millis()));
    assert_eq!(pinned.reason.as_deref(), Some("a test"));
    let tag = windlass.set_mark(&project, &NewMark { tag: true, ..mark("first", Some(1)) }).await.unwrap();
    assert!(tag.tag && tag.expires_at.is_none() && tag.reason.is_none(), "{tag:?}");
    let taken = windlass.set_mark(&project, &mark("june", Some(1))).await.unwrap_err();
    assert_eq!(taken.code().0, "WL0682", "{taken}");

    let mut names: Vec<String> = windlass.version_marks(&project).await.unwrap().into_iter().map(|m| m.name).collect();
    names.sort();
    assert_eq!(names, ["first", "june"]);
    assert_eq!(windlass.release_mark(&project, "june").await.unwrap(), pinned);
    let unknown = windlass.release_mark(&project, "june").await.unwrap_err();
    assert_eq!(unknown.code().0, "WL0681", "{unknown}");
    assert_eq!(windlass.version_marks(&project).await.unwrap(), [tag]);
    lab.server.stop().await;
}
