//! Cursors set by hand: what is written, the state afterwards, and when it is refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_client::{CursorReset, CursorStatus, Project, RunOptions, Windlass};
use windlass_evidence::artifact::{RunStatus, SourceCursor};
use windlass_scheduler::state::{LeaseHolder, ProcessIdentity, RedbStore, StateStore};

const MANIFEST: &str = "
name: shop
sources:
  orders: { kind: listing, format: csv, location: orders.csv }
";

/// `totals` reads `clean` through a view, `both` two tables, `seen` files.
const STAGES: [(&str, &str); 5] = [
    ("clean", "/* windlass\nio: { key: [id] }\n*/\nSELECT id, customer, amount FROM orders"),
    ("paid", "/* windlass\nmaterialize: view\n*/\nSELECT * FROM clean WHERE amount > 0"),
    (
        "totals",
        "/* windlass\nio: { key: [customer], incremental: auto }\n*/\n\
         SELECT customer, sum(amount) AS total FROM paid GROUP BY customer",
    ),
    (
        "both",
        "/* windlass\nio: { key: [id], incremental: auto }\n*/\nSELECT id, total FROM clean JOIN totals USING (customer)",
    ),
    ("seen", "/* windlass\nio: { key: [id], incremental: auto }\n*/\nSELECT id FROM orders"),
];

fn project(dir: &Path) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), MANIFEST).unwrap();
    fs::write(dir.join("orders.csv"), "id,customer,amount\n1,ada,5\n2,ada,20\n3,bo,30\n").unwrap();
    for (name, sql) in STAGES {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

async fn windlass(project: &Project) -> Windlass {
    let home = project.home(None).unwrap();
    Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap()
}

fn reset(stage: &str) -> CursorReset {
    CursorReset { stage: stage.into(), source: None, to: None, reason: None }
}

fn names(cursor: &CursorStatus) -> Vec<&str> {
    cursor.sources.iter().map(|source| source.source.as_str()).collect()
}

fn source<'c>(cursor: &'c CursorStatus, name: &str) -> &'c SourceCursor {
    cursor.sources.iter().find(|source| source.source.as_str() == name).unwrap()
}

async fn code(windlass: &Windlass, project: &Project, reset: &CursorReset) -> &'static str {
    windlass.reset_cursor(project, reset).await.unwrap_err().code().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_a_commit_without_rows_that_says_who_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = windlass(&project).await;
    assert_eq!(code(&windlass, &project, &reset("totals")).await, "WL0671", "there is no table yet");
    let run = async || {
        let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded);
        record.sequence
    };
    let sequence = run().await;

    let cursors = windlass.cursors(&project).await.unwrap();
    let of = |stage: &str| cursors.iter().find(|cursor| cursor.stage.as_str() == stage).unwrap();
    assert!(cursors.iter().all(|cursor| cursor.last_run == Some(sequence)), "{cursors:?}");
    assert_eq!(
        (names(of("totals")), names(of("both")), names(of("seen"))),
        (vec!["clean"], vec!["clean", "totals"], vec!["orders"])
    );
    assert!(source(of("totals"), "clean").table_id.is_some() && source(of("seen"), "orders").table_id.is_none());

    let before = of("totals").version.unwrap();
    let why = Some("the orders of May were wrong".to_owned());
    let to = CursorReset { to: Some(TableVersion(0)), reason: why, ..reset("totals") };
    let cursor = windlass.reset_cursor(&project, &to).await.unwrap();
    assert_eq!(cursor.version, Some(TableVersion(before.0 + 1)));
    assert_eq!(cursor.last_run, Some(sequence), "a reset is not a run");
    assert_eq!((source(&cursor, "clean").version, source(&cursor, "clean").behind), (Some(0), Some(1)));
    let commit = dir.path().join(format!(".windlass/tables/totals/_delta_log/{:020}.json", before.0 + 1));
    let commit = fs::read_to_string(commit).unwrap();
    assert!(commit.contains("CURSOR RESET") && commit.contains("the orders of May were wrong"), "{commit}");
    assert!(commit.contains(&std::process::id().to_string()), "it does not say who: {commit}");
    assert!(!commit.contains("\"add\"") && !commit.contains("\"remove\""), "{commit}");

    let cursor = windlass.reset_cursor(&project, &reset("both")).await.unwrap();
    assert_eq!(source(&cursor, "clean").version, Some(-1));
    assert_eq!((source(&cursor, "totals").version, source(&cursor, "totals").behind), (Some(-1), None));
    let cursor = windlass.reset_cursor(&project, &reset("seen")).await.unwrap();
    assert_eq!(source(&cursor, "orders").version, Some(-1));

    // Runs continue, and the tables are unchanged.
    let next = run().await;
    assert!(next > sequence);
    let rows = windlass.query(&project, "SELECT sum(total) AS t FROM totals", &Default::default()).await.unwrap();
    let rows = rows.collect().await.unwrap();
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
    assert!(shown.contains("| 55 |"), "{shown}");
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reset_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let windlass = windlass(&project).await;
    windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let versions = async || -> Vec<_> {
        windlass.tables(&project).await.unwrap().into_iter().map(|table| table.version).collect()
    };
    let before = versions().await;
    let refused = async |reset: CursorReset| code(&windlass, &project, &reset).await;
    assert_eq!(refused(reset("nothing")).await, "WL0353");
    assert_eq!(refused(reset("paid")).await, "WL0671", "a view has no cursors");
    assert_eq!(refused(CursorReset { source: Some("orders".into()), ..reset("totals") }).await, "WL0672");
    assert_eq!(refused(CursorReset { to: Some(TableVersion(0)), ..reset("both") }).await, "WL0673");
    assert_eq!(refused(CursorReset { to: Some(TableVersion(0)), ..reset("seen") }).await, "WL0673");
    let beyond = CursorReset { to: Some(TableVersion(99)), source: Some("clean".into()), ..reset("both") };
    assert_eq!(refused(beyond).await, "WL0674");

    let store = RedbStore::open(dir.path().join(".windlass/state.redb")).await.unwrap();
    let holder =
        LeaseHolder { who: ProcessIdentity::current(), run_id: Some("other-run".into()), note: "another run".into() };
    let lease = store.acquire_lease("pipelines/shop", &holder, Duration::from_secs(60)).await.unwrap();
    assert_eq!(refused(reset("totals")).await, "WL0606", "a run is under way");
    store.release_lease(&lease.granted().unwrap()).await.unwrap();
    assert_eq!(versions().await, before);
    windlass.reset_cursor(&project, &reset("totals")).await.unwrap();
    // The lease was released.
    windlass.reset_cursor(&project, &reset("totals")).await.unwrap();
    windlass.stop().await;
}
