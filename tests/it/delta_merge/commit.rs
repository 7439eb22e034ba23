//! One commit per merge, against the version that its positions refer to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::RecordBatch;
use futures::future::join_all;
use serde_json::Value;
use windlass_base::error::Coded;
use windlass_base::ids::{AppId, TableVersion};
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitOutcome, CommitRequest, commit};
use windlass_delta::merge::{MergeCounts, MergeStrategy, Replacement, StagedMerge};
use windlass_delta::table::TableState;
use windlass_delta::write::{StagedFiles, partition_values};
use windlass_project::spec::table::WriteMode;

use super::lab::{define, finished, merge, others_rows, own_rows, pinned, request, small_files, stage};
use crate::delta_write::faults::Faulty;
use crate::delta_write::lab::{Lab, receipt};

/// Rows `from..=to` of id, p and name, with `gone`.
async fn wanted(lab: &Lab, from: i64, to: i64, name: &str, gone: bool) -> RecordBatch {
    let sql =
        "SELECT value AS id, value % 3 AS p, 'NAME ' || value AS name, GONE AS gone FROM generate_series(FROM, TO)";
    let sql = sql.replace("NAME", name).replace("GONE", &gone.to_string());
    lab.rows(&sql.replace("FROM,", &format!("{from},")).replace("TO)", &format!("{to})"))).await
}

fn rows_alone(batch: &RecordBatch) -> RecordBatch {
    batch.project(&[0, 1, 2]).unwrap()
}

/// A table of ids 1 to 30 in three files.
async fn table(lab: &Lab) -> windlass_delta::table::TableDefinition {
    let rows = rows_alone(&wanted(lab, 1, 30, "old", false).await);
    let definition = define(lab, rows.schema());
    lab.write(&definition, &rows, WriteMode::Append, 0).await;
    definition
}

async fn staged(lab: &Lab, state: &TableState, wanted: &RecordBatch, way: MergeStrategy, run: i64) -> CommitRequest {
    let table = pinned(lab, "t").await;
    let spec = small_files(state);
    let staged = stage(lab, &table, &spec, wanted).await;
    let merged = finished(lab, &table, &spec, &staged, way).await;
    request(lab, state, &table, merged, run)
}

const WAYS: [MergeStrategy; 2] = [MergeStrategy::DeletionVectors, MergeStrategy::Rewrite];

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_describes_itself_and_can_be_found_again() {
    for way in WAYS {
        let lab = Lab::on_disk();
        let definition = table(&lab).await;
        let before = lab.newest_actions("t").await;
        let state = lab.ensure(&definition).await.unwrap();
        // Files of ten rows: all of the first are deleted, half of the second are updated.
        let mut changes = vec![wanted(&lab, 1, 10, "x", true).await];
        changes.push(wanted(&lab, 11, 15, "new", false).await);
        changes.push(wanted(&lab, 31, 32, "new", false).await);
        let all = datafusion::arrow::compute::concat_batches(&changes[0].schema(), &changes).unwrap();
        let mut request = staged(&lab, &state, &all, way, 1).await;
        request.cursor_transactions =
            BTreeMap::from([(AppId::new("lab/stage#source=a"), 7), (AppId::new("lab/stage#code"), -3)]);
        let first = receipt(lab.commit(&request).await);
        assert_eq!(first.merged, Some(MergeCounts { inserted: 2, updated: 5, deleted: 10 }));
        let (removed, rows) = match way {
            MergeStrategy::DeletionVectors => (1, 7),
            MergeStrategy::Rewrite => (2, 12),
        };
        assert_eq!((first.files_removed, first.rows), (removed, rows));
        assert_eq!(lab.commit(&request).await, CommitOutcome::AlreadyCommitted(first));

        let actions = lab.newest_actions("t").await;
        let info = &actions["commitInfo"][0];
        assert_eq!((&info["operation"], &info["isBlindAppend"]), (&Value::from("MERGE"), &Value::from(false)));
        assert_eq!(info["operationMetrics"]["numTargetRowsUpdated"], "5");
        let mut txns: Vec<(&str, i64)> = actions["txn"]
            .iter()
            .map(|txn| (txn["appId"].as_str().unwrap(), txn["version"].as_i64().unwrap()))
            .collect();
        txns.sort();
        assert_eq!(txns, [("lab/stage", 1), ("lab/stage#code", -3), ("lab/stage#source=a", 7)]);
        let marked: Vec<_> = actions["add"].iter().filter(|add| !add["deletionVector"].is_null()).collect();
        assert_eq!(marked.len(), usize::from(way == MergeStrategy::DeletionVectors));
        for add in marked {
            let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
            assert_eq!((&stats["numRecords"], &stats["tightBounds"]), (&Value::from(10), &Value::from(false)));
            let same = before["add"].iter().find(|old| old["path"] == add["path"]).unwrap();
            let same: Value = serde_json::from_str(same["stats"].as_str().unwrap()).unwrap();
            assert_eq!((&stats["minValues"], &stats["nullCount"]), (&same["minValues"], &same["nullCount"]));
            assert_eq!(add["deletionVector"]["cardinality"], 5);
            assert!(actions["remove"].iter().any(|remove| remove["path"] == add["path"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_can_be_stored() {
    let lab = Lab::on_disk();
    let definition = table(&lab).await;
    let state = lab.ensure(&definition).await.unwrap();
    let table = pinned(&lab, "t").await;
    let staged = stage(&lab, &table, &small_files(&state), &wanted(&lab, 5, 35, "new", false).await).await;
    let text = serde_json::to_string(&staged).unwrap();
    assert_eq!(serde_json::from_str::<StagedMerge>(&text).unwrap(), staged);
    let merged = finished(&lab, &table, &small_files(&state), &staged, MergeStrategy::DeletionVectors).await;
    let mode = CommitMode::Merge(merged.replacement);
    let text = serde_json::to_string(&(&mode, &merged.added)).unwrap();
    assert_eq!(serde_json::from_str::<(CommitMode, StagedFiles)>(&text).unwrap(), (mode, merged.added));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_into_a_newer_table_conflicts_and_changes_nothing() {
    for way in WAYS {
        let lab = Lab::on_disk();
        let definition = table(&lab).await;
        let state = lab.ensure(&definition).await.unwrap();
        let late = staged(&lab, &state, &wanted(&lab, 1, 20, "late", false).await, way, 2).await;
        merge(&lab, &definition, &wanted(&lab, 1, 5, "first", false).await, way, 1).await;
        let before = own_rows(&lab, &state.schema).await;
        let outcome = lab.commit(&late).await;
        assert!(matches!(outcome, CommitOutcome::Conflicted { .. }), "{outcome:?}");
        assert_eq!(own_rows(&lab, &state.schema).await, before);
        let without = CommitRequest { base: BaseExpectation::of(&state), ..late };
        let outcome = lab.commit(&without).await;
        let reason = "the version that the rows were computed from is not known".to_owned();
        assert_eq!(outcome, CommitOutcome::Conflicted { reason });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_merges_one_commits() {
    let lab = Arc::new(Lab::on_disk());
    let definition = table(&lab).await;
    for round in 1..=10 {
        let state = lab.ensure(&definition).await.unwrap();
        let way = WAYS[round % 2];
        let racers = (0..6i64).map(|racer| {
            let (lab, state) = (Arc::clone(&lab), state.clone());
            tokio::spawn(async move {
                let changes = wanted(&lab, racer, racer + 20, &format!("racer {racer}"), false).await;
                let request = staged(&lab, &state, &changes, way, round as i64).await;
                let app_id = AppId::new(format!("racer/{racer}"));
                lab.commit(&CommitRequest { app_id, ..request }).await
            })
        });
        let outcomes: Vec<CommitOutcome> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        // A writer that pinned the winner's commit may commit after it; one that pinned the previous version must not.
        let committed = outcomes.iter().filter(|outcome| matches!(outcome, CommitOutcome::Committed(_))).count();
        assert!(committed >= 1, "{outcomes:?}");
        let rest = |outcome: &&CommitOutcome| matches!(outcome, CommitOutcome::Conflicted { .. });
        assert_eq!(outcomes.iter().filter(rest).count(), 6 - committed, "{outcomes:?}");
        let rows = own_rows(&lab, &state.schema).await;
        let mut ids: Vec<&str> = rows.iter().filter_map(|row| row.split(" | ").next()).collect();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id exists twice: {rows:?}");
        assert_eq!(others_rows(&lab, &state.schema).await, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_merge_that_is_not_committed_are_invisible() {
    for way in WAYS {
        let lab = Lab::on_disk();
        let definition = table(&lab).await;
        let state = lab.ensure(&definition).await.unwrap();
        let before = own_rows(&lab, &state.schema).await;
        let request = staged(&lab, &state, &wanted(&lab, 10, 40, "lost", false).await, way, 1).await;
        assert!(!request.staged.paths().collect::<Vec<_>>().is_empty());
        drop(request);
        assert_eq!(own_rows(&lab, &state.schema).await, before);
        assert_eq!(others_rows(&lab, &state.schema).await, before);
        // The next run is not affected by the leftovers.
        merge(&lab, &definition, &wanted(&lab, 10, 40, "next", false).await, way, 2).await;
        let rows = own_rows(&lab, &state.schema).await;
        assert_eq!(rows.len(), 40);
        assert_eq!(rows.iter().filter(|row| row.contains("next")).count(), 31);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_commits_once_whatever_the_store_answers() {
    for seed in 0..60 {
        let (store, failing) = Faulty::new(seed);
        let lab = Lab::in_memory(store);
        let definition = table(&lab).await;
        for run in 1..=3 {
            let way = WAYS[usize::try_from(run).unwrap() % 2];
            let state = lab.ensure(&definition).await.unwrap();
            let changes = wanted(&lab, run, run + 10, &format!("run {run}"), false).await;
            let request = staged(&lab, &state, &changes, way, run).await;
            failing.store(true, Ordering::SeqCst);
            let mut committed = 0;
            loop {
                match commit(&request, lab.stores()).await {
                    Ok(CommitOutcome::Committed(_)) => committed += 1,
                    Ok(CommitOutcome::AlreadyCommitted(_)) => {}
                    Ok(other) => panic!("seed {seed}, run {run}: {other:?}"),
                    Err(error) => {
                        assert!(error.is_retryable(), "seed {seed}, run {run}: {error}");
                        continue;
                    }
                }
                break;
            }
            failing.store(false, Ordering::SeqCst);
            assert!(committed <= 1, "seed {seed}");
            assert_eq!(lab.open("t", None).await.version(), Some(run.cast_unsigned() + 1), "seed {seed}");
        }
        let rows = others_rows(&lab, &lab.ensure(&definition).await.unwrap().schema).await;
        assert_eq!(rows.len(), 30, "seed {seed}");
        assert_eq!(rows.iter().filter(|row| row.contains("run")).count(), 13, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_records_only_cursors() {
    let lab = Lab::on_disk();
    let definition = table(&lab).await;
    let state = lab.ensure(&definition).await.unwrap();
    merge(&lab, &definition, &wanted(&lab, 1, 5, "first", false).await, MergeStrategy::Rewrite, 1).await;
    let before = own_rows(&lab, &state.schema).await;
    let marks = BTreeMap::from([(AppId::new("lab/stage#source=a"), 9)]);
    let touch = CommitRequest {
        mode: CommitMode::Touch,
        cursor_transactions: marks,
        ..lab.request(&state, StagedFiles::default(), 2)
    };
    // It must be true of the existing rows: others have written since the table was read.
    let at = |version| BaseExpectation { version, ..BaseExpectation::of(&state) };
    for base in [at(None), at(Some(state.version))] {
        let outcome = lab.commit(&CommitRequest { base, ..touch.clone() }).await;
        assert!(matches!(outcome, CommitOutcome::Conflicted { .. }), "{outcome:?}");
    }
    let touch = CommitRequest { base: at(lab.open("t", None).await.version().map(TableVersion)), ..touch };
    let first = receipt(lab.commit(&touch).await);
    assert_eq!((first.files_added, first.files_removed, first.rows, first.merged), (0, 0, 0, None));
    assert_eq!(lab.commit(&touch).await, CommitOutcome::AlreadyCommitted(first));
    let actions = lab.newest_actions("t").await;
    let mut kinds: Vec<&String> = actions.keys().collect();
    kinds.sort();
    assert_eq!(kinds, ["commitInfo", "txn"]);
    assert_eq!(own_rows(&lab, &state.schema).await, before);
    let log = lab.open("t", None).await;
    let mark =
        log.snapshot().unwrap().transaction_version(log.log_store().as_ref(), "lab/stage#source=a").await.unwrap();
    assert_eq!(mark, Some(9));

    let rows = rows_alone(&wanted(&lab, 50, 51, "more", false).await);
    let files = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
    let loaded = CommitRequest { mode: CommitMode::Touch, ..lab.request(&state, files, 3) };
    assert!(matches!(lab.commit(&loaded).await, CommitOutcome::Conflicted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_replaced_by_value() {
    let lab = Lab::on_disk();
    let rows = lab
        .rows(
            "SELECT value AS id, nullif(value % 3, 2) AS p, 'old' AS name, \
             CASE WHEN value % 2 = 0 THEN DATE '2024-01-01' ELSE DATE '2024-01-02' END AS day \
             FROM generate_series(1, 60)",
        )
        .await;
    let mut definition = define(&lab, rows.schema());
    definition.partition_by = vec!["p".to_owned(), "day".to_owned()];
    lab.write(&definition, &rows, WriteMode::Append, 0).await;
    // Rows are marked in some of the files before.
    let gone = lab.rows(
        "SELECT value AS id, 0 AS p, DATE '2024-01-01' AS day, 'x' AS name, true AS gone FROM generate_series(1, 4)",
    ).await;
    merge(&lab, &definition, &gone, MergeStrategy::DeletionVectors, 1).await;
    let state = lab.ensure(&definition).await.unwrap();

    let by = vec!["day".to_owned(), "p".to_owned()];
    let replaced = lab
        .rows("SELECT DATE '2024-01-02' AS day, CAST(NULL AS BIGINT) AS p UNION ALL SELECT DATE '2024-01-01', 0")
        .await;
    let mut values = partition_values(&replaced, &by).unwrap();
    values.sort();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(values, [vec![text("2024-01-01"), text("0")], vec![text("2024-01-02"), None]]);
    let new = lab
        .rows(
            "SELECT 100 + value AS id, CAST(NULL AS BIGINT) AS p, DATE '2024-01-02' AS day, 'new' AS name \
         FROM generate_series(1, 3)",
        )
        .await;
    let files = lab.run(lab.write_plan(state.write_spec("t"), &new, 1).await).await.unwrap();
    let base = BaseExpectation { fingerprint: state.fingerprint.clone(), version: Some(state.version) };
    let mode = CommitMode::ReplacePartitions { by: by.clone(), values };
    let request = CommitRequest { mode, base: base.clone(), ..lab.request(&state, files.clone(), 2) };
    receipt(lab.commit(&request).await);
    let stays = |row: &&String| {
        let parts: Vec<&str> = row.split(" | ").collect();
        let id: i64 = parts[0].parse().unwrap();
        let replaced =
            (parts[1] == "0" && parts[3] == "2024-01-01") || (parts[1] == "NULL" && parts[3] == "2024-01-02");
        id > 4 && !replaced
    };
    let mut expected: Vec<String> =
        crate::delta_read::tables::rows_of(&[rows], &state.schema).iter().filter(stays).cloned().collect();
    expected.extend(crate::delta_read::tables::rows_of(&[new], &state.schema));
    expected.sort();
    assert_eq!(own_rows(&lab, &state.schema).await, expected);
    assert_eq!(others_rows(&lab, &state.schema).await, expected);
    assert_eq!(lab.newest_actions("t").await["commitInfo"][0]["isBlindAppend"], false);

    // New rows outside the replaced range would eventually be duplicated.
    let state = lab.ensure(&definition).await.unwrap();
    let base = BaseExpectation { version: Some(state.version), ..base };
    let mode = CommitMode::ReplacePartitions { by, values: vec![vec![text("2024-01-01"), text("1")]] };
    let outside = CommitRequest { mode, base, ..lab.request(&state, files, 3) };
    let error = commit(&outside, lab.stores()).await.unwrap_err();
    assert_eq!(error.code().to_string(), "WL0441");
    assert!(error.to_string().contains("is not in a partition that is replaced"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_table_refuses_a_merge() {
    let lab = Lab::on_disk();
    let rows = rows_alone(&wanted(&lab, 1, 3, "old", false).await);
    let mut definition = define(&lab, rows.schema());
    definition.properties.insert("delta.appendOnly".to_owned(), "true".to_owned());
    lab.write(&definition, &rows, WriteMode::Append, 0).await;
    let state = lab.ensure(&definition).await.unwrap();
    let request = staged(&lab, &state, &wanted(&lab, 9, 9, "new", false).await, MergeStrategy::Rewrite, 1).await;
    assert_eq!(commit(&request, lab.stores()).await.unwrap_err().code().to_string(), "WL0433");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_of_a_table_with_vectors_leaves_none_of_its_rows() {
    let lab = Lab::on_disk();
    let definition = table(&lab).await;
    merge(&lab, &definition, &wanted(&lab, 1, 3, "new", true).await, MergeStrategy::DeletionVectors, 1).await;
    let rows = rows_alone(&wanted(&lab, 7, 9, "all", false).await);
    lab.write(&definition, &rows, WriteMode::Overwrite, 2).await;
    let expected = crate::delta_read::tables::rows_of(std::slice::from_ref(&rows), &rows.schema());
    assert_eq!(own_rows(&lab, &rows.schema()).await, expected);
    assert_eq!(others_rows(&lab, &rows.schema()).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_table_does_not_have_is_not_part_of_a_merge() {
    let lab = Lab::on_disk();
    let definition = table(&lab).await;
    let state = lab.ensure(&definition).await.unwrap();
    let mut request = staged(&lab, &state, &wanted(&lab, 1, 3, "new", false).await, MergeStrategy::Rewrite, 1).await;
    let CommitMode::Merge(Replacement { files, .. }) = &mut request.mode else { panic!() };
    files[0].path = "part-elsewhere.parquet".to_owned();
    let error = commit(&request, lab.stores()).await.unwrap_err();
    assert_eq!(error.code().to_string(), "WL0441");
    assert!(error.to_string().ends_with("the table has no file `part-elsewhere.parquet`"), "{error}");
}
