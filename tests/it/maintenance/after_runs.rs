//! Turns that follow runs, embedded.

use std::fs;
use std::path::Path;

use chrono::{Timelike, Utc};
use windlass_base::ids::TableVersion;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{MaintenanceKind, MaintenanceRecord, RunRecord, RunStatus};
use windlass_storage::Location;

/// A project in which every run adds a file to `events`, and only the first makes `names`.
fn project(dir: &Path, maintenance: &str) -> Project {
    let project = format!(
        "name: shop\nsources:\n  orders: {{ kind: listing, format: csv, location: orders.csv }}\nmaintenance: {maintenance}\n"
    );
    fs::create_dir(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), project).unwrap();
    fs::write(dir.join("orders.csv"), "id,customer\n1,ada\n2,bo\n").unwrap();
    let events = "/* windlass\nio: { mode: append }\n*/\nSELECT id, customer FROM orders";
    fs::write(dir.join("stages/events.sql"), events).unwrap();
    fs::write(dir.join("stages/names.sql"), "SELECT DISTINCT customer FROM orders").unwrap();
    Project::open(dir, None, &[]).unwrap()
}

async fn start(dir: &Path, project: &Project) -> Windlass {
    let home = Location::from_path(&dir.join("home")).unwrap();
    Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap()
}

async fn run(windlass: &Windlass, project: &Project) -> RunRecord {
    let record = windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded, "{record:?}");
    record
}

/// The version and the files of `events`.
async fn events(windlass: &Windlass, project: &Project) -> (Option<TableVersion>, u64) {
    let tables = windlass.tables(project).await.unwrap();
    let table = tables.iter().find(|table| table.name.as_str() == "events").unwrap();
    (table.version, table.files)
}

/// The turns that a home has records of, in their order.
fn turns(dir: &Path) -> Vec<MaintenanceRecord> {
    let Ok(entries) = fs::read_dir(dir.join("home/maintenance")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_by_a_turn_over_the_tables_that_it_has_written() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), "{ after_runs: true, optimize: { small_files: 1 } }");
    let windlass = start(dir.path(), &project).await;
    // One file is not too many. From the second run on, the turn makes a version of its own.
    for (written, version) in [(1, 1), (2, 3), (4, 5)] {
        let record = run(&windlass, &project).await;
        assert_eq!(events(&windlass, &project).await, (Some(TableVersion(version)), 1));
        // The run has ended as if nothing followed it.
        assert!(record.warnings.is_empty(), "{:?}", record.warnings);
        let stage = record.stages.iter().find(|stage| stage.stage.as_str() == "events").unwrap();
        let receipt = stage.receipt.clone().unwrap();
        assert_eq!((receipt.version, receipt.rows, receipt.files), (TableVersion(written), 2, 1));
        let runs = windlass.runs(&project).await.unwrap();
        assert_eq!(runs.bundles.run(&record.run_id, &runs.live).await.unwrap(), record);
    }

    let turns = turns(dir.path());
    let tables = |turn: &MaintenanceRecord| turn.tables.iter().map(|t| t.table.to_string()).collect::<Vec<_>>();
    assert_eq!(turns.iter().map(tables).collect::<Vec<_>>(), [vec!["events", "names"], vec!["events"], vec!["events"]]);
    for turn in &turns {
        assert!(turn.ended_at.is_some() && turn.tables.iter().all(|table| table.failure.is_none()), "{turn:?}");
        // All kinds of actions are decided about.
        let kinds: Vec<_> = turn.tables[0].actions.iter().map(|action| action.kind).collect();
        let all = [MaintenanceKind::Compact, MaintenanceKind::Checkpoint, MaintenanceKind::CleanLog];
        assert!(all.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    }
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_turn_follows_while_the_window_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Utc::now().hour();
    let window = format!("{:02}:00-{:02}:00", (hour + 10) % 24, (hour + 12) % 24);
    let maintenance = format!("{{ after_runs: true, window: \"{window}\", optimize: {{ small_files: 1 }} }}");
    let project = project(dir.path(), &maintenance);
    let windlass = start(dir.path(), &project).await;
    run(&windlass, &project).await;
    run(&windlass, &project).await;
    assert_eq!(events(&windlass, &project).await, (Some(TableVersion(2)), 2));
    assert!(turns(dir.path()).is_empty());
    windlass.stop().await;
}
