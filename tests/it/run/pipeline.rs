//! Whole runs through the client library: an embedded cluster, real files, real Delta tables.

use std::fs;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use windlass_base::error::Coded;
use windlass_client::embedded::local_runs;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, PlanText, RunRecord, RunStatus, StageStatus};
use windlass_scheduler::run::RunError;
use windlass_scheduler::state::{LeaseHolder, ProcessIdentity, RedbStore, StateStore};
use windlass_storage::Location;

const PROJECT: &str = "
name: shop
sources:
  orders: { kind: listing, format: csv, location: orders.csv }
params:
  least: { type: long, default: 0 }
run: { max_parallel_stages: 2, retries: 0 }
";

const STAGES: [(&str, &str); 4] = [
    ("paid", "/* windlass\nmaterialize: view\n*/\nSELECT id, customer, amount FROM orders WHERE amount >= $least"),
    ("big", "/* windlass\nmaterialize: cache\n*/\nSELECT * FROM paid WHERE amount > 10"),
    (
        "totals",
        "/* windlass\nio: { partition_by: [customer], not_null: [customer], constraints: { some: total > 0 } }\n*/\n\
         SELECT customer, sum(amount) AS total, count(*) AS orders FROM big GROUP BY customer",
    ),
    ("log_of_runs", "/* windlass\nio: { mode: append }\n*/\nSELECT count(*) AS orders FROM big"),
];

fn project(dir: &Path, stages: &[(&str, &str)]) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), PROJECT).unwrap();
    fs::write(dir.join("orders.csv"), "id,customer,amount\n1,ada,5\n2,ada,20\n3,bo,30\n4,bo,40\n").unwrap();
    for (name, sql) in stages {
        fs::write(dir.join(format!("stages/{name}.sql")), sql).unwrap();
    }
    Project::open(dir, None, &[]).unwrap()
}

async fn windlass(project: &Project) -> Windlass {
    let mut settings = project.graph.session.clone();
    settings.target_partitions = 2;
    Windlass::embedded(windlass_tests::embedded(home(project), settings)).await.unwrap()
}

fn home(project: &Project) -> Location {
    project.home(None).unwrap()
}

async fn run(windlass: &Windlass, project: &Project, options: &RunOptions) -> RunRecord {
    windlass.run(project, options).await.unwrap().wait().await.unwrap()
}

async fn rows(windlass: &Windlass, project: &Project, sql: &str) -> String {
    let rows = windlass.query(project, sql, &QueryOptions::default()).await.unwrap();
    let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

fn status(record: &RunRecord, stage: &str) -> StageStatus {
    record.stages.iter().find(|summary| summary.stage.as_str() == stage).unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_commits_every_table_once_and_leaves_its_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &STAGES);
    let windlass = windlass(&project).await;
    let first = run(&windlass, &project, &RunOptions::default()).await;
    // A sort order that no table depends on: the tables are recomputed, and have the same rows.
    let orders = fs::read_to_string(dir.path().join("orders.csv")).unwrap() + "5,bo,1\n";
    fs::write(dir.path().join("orders.csv"), orders).unwrap();
    let second = run(&windlass, &project, &RunOptions::default()).await;
    assert_eq!((first.status, second.status), (RunStatus::Succeeded, RunStatus::Succeeded));
    assert_eq!((first.sequence.0, second.sequence.0), (1, 2));
    insta::assert_snapshot!(rows(&windlass, &project, "SELECT * FROM totals ORDER BY customer").await, @"
    +----------+-------+--------+
    | customer | total | orders |
    +----------+-------+--------+
    | ada      | 20    | 1      |
    | bo       | 70    | 2      |
    +----------+-------+--------+
    ");
    insta::assert_snapshot!(rows(&windlass, &project, "SELECT * FROM log_of_runs").await, @"
    +--------+
    | orders |
    +--------+
    | 3      |
    | 3      |
    +--------+
    ");
    assert!(!dir.path().join(".windlass/cache").join(first.run_id.as_str()).exists(), "the cache outlived its run");
    let log = dir.path().join(".windlass/tables/totals/_delta_log");
    let commits = fs::read_dir(&log)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "json"));
    assert_eq!(commits.count(), 3, "one commit to create the table and one a run");
    assert!(fs::read_to_string(log.join("00000000000000000002.json")).unwrap().contains(second.run_id.as_str()));

    let runs = local_runs(&home(&project)).await.unwrap();
    for stage in ["big", "totals", "log_of_runs"].map(Into::into) {
        for which in [PlanText::Logical, PlanText::Optimized, PlanText::Physical, PlanText::Distributed] {
            let of = async |run: &RunRecord| runs.bundles.plan_text(&run.run_id, &stage, which).await.unwrap().unwrap();
            let text = of(&first).await;
            assert_eq!(text, of(&second).await, "{stage} {which:?}");
            assert!(!text.contains(dir.path().to_str().unwrap()), "{stage} {which:?} names a folder:\n{text}");
        }
        let analyzed = runs.bundles.plan_text(&first.run_id, &stage, PlanText::Analyzed).await.unwrap().unwrap();
        assert!(analyzed.contains("output_rows"), "{analyzed}");
        let record = runs.bundles.stage(&first.run_id, &stage).await.unwrap().unwrap();
        assert!(!record.tasks.is_empty() && !record.operators.is_empty());
    }
    let lineage = runs.bundles.lineage(&second.run_id).await.unwrap().unwrap();
    assert!(lineage.stages.iter().all(|stage| stage.output_version.is_some() && !stage.inputs.is_empty()));
    let registered = runs.bundles.registrations(&first.run_id).await.unwrap().unwrap();
    let names: Vec<&str> = registered.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["big", "orders", "paid"]);
    let events = runs.bundles.log(&first.run_id).await.unwrap();
    assert!(matches!(events.first().unwrap().kind, LogKind::RunStarted { .. }));
    assert!(matches!(events.last().unwrap().kind, LogKind::RunFinished { status: RunStatus::Succeeded, .. }));
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_stage_skips_only_its_readers_and_its_table_is_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let mut stages = STAGES.to_vec();
    stages.push(("report", "SELECT max(total) AS most FROM totals"));
    let project = project(dir.path(), &stages);
    let windlass = windlass(&project).await;
    assert_eq!(run(&windlass, &project, &RunOptions::default()).await.status, RunStatus::Succeeded);

    fs::write(dir.path().join("orders.csv"), "id,customer,amount\n1,,50\n2,bo,60\n").unwrap();
    let record = run(&windlass, &project, &RunOptions::default()).await;
    assert_eq!(record.status, RunStatus::Failed);
    assert_eq!(status(&record, "totals"), StageStatus::Failed);
    assert_eq!(status(&record, "report"), StageStatus::Skipped);
    assert_eq!(status(&record, "log_of_runs"), StageStatus::Committed);
    let failure = record.stages.iter().find_map(|stage| stage.failure.clone()).unwrap();
    assert!(failure.message.contains("customer") && !failure.retryable, "{failure}");
    let totals = rows(&windlass, &project, "SELECT count(*) AS n, sum(total) AS total FROM totals").await;
    assert!(totals.contains("| 2 | 90"), "{totals}");
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_refused_with_the_name_of_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &STAGES);
    let windlass = windlass(&project).await;
    let store = RedbStore::open(dir.path().join(".windlass/state.redb")).await.unwrap();
    let holder = LeaseHolder {
        who: ProcessIdentity::current(),
        run_id: Some("other-run".into()),
        note: "another run".to_owned(),
    };
    let lease = store.acquire_lease("pipelines/shop", &holder, std::time::Duration::from_secs(60)).await.unwrap();
    let lease = lease.granted().unwrap();
    let refused = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap_err();
    assert_eq!(refused.code().0, "WL0606");
    let message = refused.to_string();
    assert!(message.contains("other-run") && message.contains(&std::process::id().to_string()), "{message}");
    store.release_lease(&lease).await.unwrap();
    assert_eq!(run(&windlass, &project, &RunOptions::default()).await.status, RunStatus::Succeeded);
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_in_the_sql_are_reported_at_once_and_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    let stages = [
        ("one", "SELECT customr FROM orders"),
        ("two", "SELECT id + date '2026-01-01' AS x, nonsense(id) AS y FROM orders"),
        ("three", "SELECT * FROM one"),
    ];
    let project = project(dir.path(), &stages);
    let windlass = windlass(&project).await;
    let error = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap_err();
    insta::assert_snapshot!(error.problems().unwrap().to_string(), @"
    stages/one.sql:1:8: there is no column `customr` [WL0350]
    stages/two.sql:1:37: there is no function `nonsense` [WL0350]
    ");
    assert!(!dir.path().join(".windlass/tables").exists());
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_pipeline_runs_on_the_tables_of_earlier_runs() {
    let dir = tempfile::tempdir().unwrap();
    let stages = [("one", "SELECT id FROM orders"), ("two", "SELECT count(*) AS n FROM one")];
    let project = project(dir.path(), &stages);
    let windlass = windlass(&project).await;
    let two = RunOptions { select: vec!["two".to_owned()], ..RunOptions::default() };
    let error = windlass.run(&project, &two).await.unwrap().wait().await.unwrap_err();
    assert_eq!(error.code().0, "WL0351", "{error}");
    run(&windlass, &project, &RunOptions { select: vec!["one".to_owned()], ..RunOptions::default() }).await;
    let record = run(&windlass, &project, &two).await;
    assert_eq!((record.status, record.stages.len()), (RunStatus::Succeeded, 1));
    let nothing = RunOptions { select: vec!["orders".to_owned()], ..RunOptions::default() };
    let error = windlass.run(&project, &nothing).await.unwrap().wait().await.unwrap_err();
    assert!(matches!(error, windlass_client::error::ClientError::Run(RunError::NothingSelected)), "{error}");
    windlass.stop().await;
}

/// A stage that takes minutes, on two million pairs per row.
const SLOW: [(&str, &str); 2] = [
    ("many", "/* windlass\nmaterialize: view\n*/\nSELECT unnest(range(0, 3000000)) AS n FROM orders"),
    ("slow", "SELECT a.n, count(*) AS c FROM many a JOIN many b ON a.n % 1000 = b.n % 1000 GROUP BY a.n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_commits_nothing_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &SLOW);
    let windlass = windlass(&project).await;
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    while let Some(event) = handle.events.recv().await {
        if matches!(event.kind, LogKind::StageProgress { .. }) {
            handle.cancel_token().cancel();
            break;
        }
    }
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Cancelled);
    assert_eq!(status(&record, "slow"), StageStatus::Cancelled);
    let log = dir.path().join(".windlass/tables/slow/_delta_log");
    assert_eq!(fs::read_dir(log).unwrap().count(), 1, "only the commit that made the table");
    windlass.stop().await;
}
