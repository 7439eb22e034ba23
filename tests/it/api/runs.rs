//! Runs on a cluster through the client library.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_client::{CleanOptions, CursorReset, Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, PlanText, Refresh, RunStatus, SavedPlan};
use windlass_storage::Location;

use super::support::{Lab, Limits, ORDERS, SLOW, TOTALS, ask, shop};

const QUESTION: &str = "SELECT customer, total FROM totals ORDER BY customer";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_to_its_end_and_its_evidence_is_read() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;

    let plan = windlass.plan(&project, &RunOptions::default()).await.unwrap();
    assert_eq!(plan.tables.len(), 2);
    assert_eq!(plan.pins[0].source.as_str(), "orders");
    assert!(lab.left_behind().is_empty(), "planning wrote {:?}", lab.left_behind());

    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    let mut numbers = Vec::new();
    let mut last = None;
    while let Some(event) = handle.events.recv().await {
        numbers.push(event.seq);
        last = Some(event.kind);
    }
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert!(matches!(last, Some(LogKind::RunFinished { status: RunStatus::Succeeded, .. })));
    let bundle = handle.bundle.clone();
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded);
    assert!(fs::exists(format!("{bundle}/run.json")).unwrap(), "{bundle}");

    let runs = windlass.runs(&project).await.unwrap();
    let run_id = runs.find("latest").await.unwrap();
    assert_eq!(run_id, record.run_id);
    let text = runs.bundles.plan_text(&run_id, &"totals".into(), PlanText::Analyzed).await.unwrap().unwrap();
    assert!(text.contains("output_rows"), "{text}");
    let metrics = runs.bundles.metrics(&run_id, &"totals".into()).await.unwrap().unwrap();
    assert!(metrics.iter().map(datafusion::arrow::array::RecordBatch::num_rows).sum::<usize>() > 0);
    assert_eq!(runs.bundles.log(&run_id).await.unwrap().len(), numbers.len());
    let itself = runs.diff(&run_id, &run_id, None).await.unwrap();
    assert!(itself.is_empty() && itself.before.run_id == run_id, "{itself:#?}");
    assert!(runs.diff(&run_id, &run_id, Some(&"total".into())).await.unwrap_err().help().unwrap().contains("`totals`"));

    let tables = windlass.tables(&project).await.unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["paid", "totals"]);
    assert!(tables.iter().all(|table| table.version == Some(TableVersion(1)) && table.files > 0), "{tables:?}");
    let cursors = windlass.cursors(&project).await.unwrap();
    assert!(cursors.iter().all(|cursor| cursor.last_run == Some(record.sequence)), "{cursors:?}");
    assert!(windlass.pins(&project).await.unwrap().is_empty(), "no run is under way");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_program_gives_the_same_rows_embedded_and_on_a_cluster() {
    async fn job(windlass: Windlass, project: &Project) -> String {
        let options = RunOptions { params: vec![("least".to_owned(), "10".to_owned())], ..RunOptions::default() };
        let record = windlass.run(project, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded);
        let rows = ask(&windlass, project, QUESTION, &QueryOptions::default()).await;
        windlass.stop().await;
        rows
    }
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    fs::write(dir.path().join("orders.csv"), ORDERS).unwrap();
    let home = Location::from_path(&dir.path().join("home")).unwrap();
    let embedded = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let here = job(embedded, &project).await;
    assert_eq!(here, job(lab.connect().await, &project).await);
    insta::assert_snapshot!(here, @"
    +----------+-------+
    | customer | total |
    +----------+-------+
    | ada      | 20    |
    | bo       | 70    |
    +----------+-------+
    ");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_at_the_versions_asked_for() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;
    let run = async || {
        let handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().status, RunStatus::Succeeded);
    };
    run().await;
    fs::write(lab.dir.path().join("data/orders.csv"), "id,customer,amount\n1,cy,1\n").unwrap();
    run().await;
    let at = |name: &str, version| QueryOptions {
        versions: BTreeMap::from([(name.into(), TableVersion(version))]),
        ..QueryOptions::default()
    };
    let newest = ask(&windlass, &project, QUESTION, &QueryOptions::default()).await;
    assert!(newest.contains("cy") && !newest.contains("ada"), "{newest}");
    let first = ask(&windlass, &project, QUESTION, &at("totals", 1)).await;
    assert!(first.contains("ada") && !first.contains("cy"), "{first}");
    let error = windlass.query(&project, "SELECT * FROM orders", &at("orders", 1)).await.err().unwrap();
    assert_eq!(error.code().0, "WL0364", "{error}");
    let error = windlass.query(&project, QUESTION, &at("totals", 99)).await.err().unwrap();
    assert_eq!(&error.code().0[..4], "WL04", "{error}");
    let error = windlass.query(&project, "DROP TABLE totals", &QueryOptions::default()).await.err().unwrap();
    assert_eq!(error.code().0, "WL0363", "{error}");
    let limited = QueryOptions { limit: Some(3), ..QueryOptions::default() };
    let rows = windlass.query(&project, "SELECT unnest(range(0, 100000)) AS n", &limited).await.unwrap();
    assert_eq!(rows.collect().await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_of_a_project_is_cleaned_by_the_scheduler() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;
    let refresh = Refresh { full: vec!["*".to_owned()], ..Refresh::default() };
    for _ in 0..3 {
        let options = RunOptions { refresh: refresh.clone(), ..RunOptions::default() };
        let record = windlass.run(&project, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded);
    }
    let options = CleanOptions { keep_runs: Some(1), keep_days: Some(0), ..CleanOptions::default() };
    let before = lab.left_behind();
    let dry = windlass.clean(&project, &CleanOptions { dry_run: true, ..options }).await.unwrap();
    assert_eq!((dry.totals.due.items, dry.totals.removed.items), (2, 0), "{dry:?}");
    assert!(dry.totals.due.bytes > 1000 && dry.dry_run, "{dry:?}");
    assert_eq!(lab.left_behind().len(), before.len());

    let cleaned = windlass.clean(&project, &options).await.unwrap();
    assert_eq!(cleaned.totals.removed, dry.totals.due, "{cleaned:?}");
    assert_eq!(windlass.runs(&project).await.unwrap().bundles.run_ids().await.unwrap().len(), 1);
    assert_eq!(lab.left_behind().len() as u64, before.len() as u64 - dry.totals.due.files);
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_executed_by_the_scheduler_unless_something_has_changed() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;
    let options = RunOptions {
        params: vec![("least".to_owned(), "10".to_owned())],
        refresh: Refresh { full: vec!["totals".to_owned()], ..Refresh::default() },
        ..RunOptions::default()
    };
    let save = async || {
        let planned = windlass.plan(&project, &options).await.unwrap();
        let saved = SavedPlan::new(options.to_be_saved(&project), &planned);
        SavedPlan::read(&saved.to_json()).unwrap()
    };
    let apply = async |saved: SavedPlan| windlass.run(&project, &RunOptions::apply(saved)).await;
    let record = apply(save().await).await.unwrap().wait().await.unwrap();
    assert_eq!((record.status, record.refresh), (RunStatus::Succeeded, options.refresh.clone()));

    let saved = save().await;
    fs::write(lab.dir.path().join("data/orders.csv"), "id,customer,amount\n1,cy,100\n").unwrap();
    let error = apply(saved.clone()).await.unwrap_err();
    assert_eq!(error.code().0, "WL0661", "{error}");
    let reported: Vec<String> = error.moved().unwrap().iter().map(ToString::to_string).collect();
    assert!(reported.iter().any(|reported| reported.starts_with("source orders: 1 file of ")), "{reported:?}");
    assert!(reported.iter().all(|reported| error.to_string().contains(reported)), "{error} does not list {reported:?}");
    let mut other = save().await;
    other.params.insert("least".to_owned(), serde_json::json!({ "type": "long", "value": "11" }));
    other.request.select = vec!["totals".to_owned()];
    let mut asked_otherwise = RunOptions::apply(other);
    asked_otherwise.select = Vec::new();
    let error = windlass.run(&project, &asked_otherwise).await.unwrap_err();
    let reported: Vec<String> = error.moved().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(reported[1], "parameter least: 11 → 10", "{reported:?}");
    assert!(reported[0].starts_with("request: "), "{reported:?}");
    assert_eq!(windlass.runs(&project).await.unwrap().bundles.run_ids().await.unwrap().len(), 1, "a refused plan ran");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_are_read_and_reset_through_the_scheduler() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let totals = "/* windlass\nio: { key: [customer], incremental: auto }\n*/\n\
                  SELECT customer, sum(amount) AS total FROM paid GROUP BY customer";
    let project = shop(dir.path(), &[TOTALS[0], ("totals", totals)]);
    let windlass = lab.connect().await;
    windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let reset = |to| CursorReset { stage: "totals".into(), source: Some("paid".into()), to, reason: None };
    let cursor = windlass.reset_cursor(&project, &reset(Some(TableVersion(1)))).await.unwrap();
    assert_eq!((cursor.sources[0].version, cursor.sources[0].behind), (Some(1), Some(0)));
    let cursor = windlass.reset_cursor(&project, &reset(None)).await.unwrap();
    assert_eq!((cursor.sources[0].version, cursor.sources[0].behind), (Some(-1), None));
    assert_eq!(windlass.cursors(&project).await.unwrap()[1], cursor);
    let error = windlass.reset_cursor(&project, &reset(Some(TableVersion(9)))).await.unwrap_err();
    assert_eq!(error.code().0, "WL0674", "{error}");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_has_ended_when_the_cancel_returns() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &SLOW);
    let windlass = lab.connect().await;
    let mut handle = windlass.run(&project, &RunOptions::default()).await.unwrap();
    while let Some(event) = handle.events.recv().await {
        if matches!(event.kind, LogKind::StageProgress { .. }) {
            break;
        }
    }
    let pins = windlass.pins(&project).await.unwrap();
    assert_eq!(pins.len(), 1, "{pins:?}");
    assert_eq!(lab.server.active_runs(), 1);
    assert_eq!(windlass.cancel(&handle.run_id).await.unwrap(), "cancelled");
    assert_eq!(lab.server.active_runs(), 0);
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Cancelled);
    let tables = windlass.tables(&project).await.unwrap();
    assert!(tables[0].version.is_none_or(|version| version.0 == 0), "something was committed: {tables:?}");
    lab.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_scheduler_refuses_new_runs_and_finishes_current_ones() {
    let lab = Lab::start(Limits { runs: 1, ..Limits::default() }).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let slow = shop(dir.path(), &SLOW);
    let windlass = lab.connect().await;
    let handle = windlass.run(&slow, &RunOptions::default()).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let totals = shop(other.path(), &TOTALS);
    let at_once = RunOptions { no_wait: true, ..RunOptions::default() };
    let error = windlass.run(&totals, &at_once).await.unwrap_err();
    assert_eq!(error.code().0, "WL0807", "{error}");
    lab.server.stop_accepting();
    let error = windlass.run(&totals, &RunOptions::default()).await.unwrap_err();
    assert_eq!((error.code().0, error.is_retryable()), ("WL0806", true), "{error}");
    handle.cancel_token().cancel();
    tokio::time::timeout(Duration::from_secs(60), lab.server.drained()).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().status, RunStatus::Cancelled);
    lab.server.stop().await;
}
