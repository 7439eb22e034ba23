//! One commit per run, even if others write concurrently.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::future::join_all;
use windlass_base::error::Coded;
use windlass_base::ids::{AppId, RunId, TableVersion};
use windlass_delta::changes::changes;
use windlass_delta::commit::{CommitMode, CommitOutcome, CommitRequest, commit, maybe_checkpoint};
use windlass_delta::cursor::read_progress;
use windlass_delta::table::{SchemaChange, ensure_table};
use windlass_delta::write::StagedFiles;
use windlass_project::spec::table::WriteMode;

use super::lab::{Lab, info, receipt};

async fn ids(lab: &Lab, table: &str, version: Option<u64>) -> Vec<i64> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    let like = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let rows = lab.select(table, version, "true", &like).await;
    rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

async fn numbers(lab: &Lab, from: i64, to: i64) -> RecordBatch {
    lab.rows(&format!("SELECT value AS id FROM generate_series({from}, {to})")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_ran_twice_counts_once() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 100).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let plan = lab.write_plan(state.write_spec("t"), &rows, 2).await;
    let zombie = lab.run_partition(&plan, 0).await;
    let retried = lab.run_partition(&plan, 0).await;
    let other = lab.run_partition(&plan, 1).await;
    let late = lab.run_partition(&plan, 1).await;
    let paths = |reports: &[RecordBatch]| -> Vec<String> {
        StagedFiles::from_batches(reports).unwrap().paths().map(str::to_owned).collect()
    };
    assert_ne!(paths(&zombie), paths(&retried));
    assert_ne!(paths(&other), paths(&late));
    let staged = StagedFiles::from_batches(&[retried, other].concat()).unwrap();
    lab.commit(&lab.request(&state, staged, 1)).await;
    assert_eq!(ids(&lab, "t", None).await, (1..=100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_with_missing_rows_is_refused() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 10).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let plan = lab.write_plan(state.write_spec("t"), &rows, 1).await;
    let report = lab.run_partition(&plan, 0).await.remove(0);
    assert_eq!(report.num_rows(), 2);
    for part in [report.slice(0, 1), report.slice(1, 1)] {
        let error = StagedFiles::from_batches(&[part]).unwrap_err();
        assert!(error.to_string().starts_with("the reports of the write's tasks are not complete"), "{error}");
    }
    assert_eq!(StagedFiles::from_batches(&[report.slice(0, 1), report.slice(1, 1)]).unwrap().rows(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_files_can_be_stored() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 10).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 2).await).await.unwrap();
    let text = serde_json::to_string(&(&staged, &state)).unwrap();
    assert_eq!(serde_json::from_str::<(_, _)>(&text).unwrap(), (staged, state));
}

#[tokio::test(flavor = "multi_thread")]
async fn committing_again_does_nothing() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 10).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 2).await).await.unwrap();
    let request = lab.request(&state, staged, 7);
    let first = receipt(lab.commit(&request).await);
    let again = lab.commit(&request).await;
    assert_eq!(again, CommitOutcome::AlreadyCommitted(first.clone()));
    // Also when others have committed since, and when the run's own table has been replaced.
    let more = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
    receipt(lab.commit(&CommitRequest { app_id: AppId::new("other"), ..lab.request(&state, more, 1) }).await);
    assert_eq!(lab.commit(&request).await, CommitOutcome::AlreadyCommitted(first));
    assert_eq!(lab.open("t", None).await.version(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_with_the_same_number_are_distinguished_by_id() {
    let lab = Lab::on_disk();
    let definition = lab.define("t", numbers(&lab, 1, 1).await.schema());
    let state = lab.ensure(&definition).await.unwrap();
    let stage = async |from, to| {
        lab.run(lab.write_plan(state.write_spec("t"), &numbers(&lab, from, to).await, 1).await).await.unwrap()
    };
    let of_run = |run: &str, staged, sequence| CommitRequest {
        run_id: RunId::new(run),
        ..lab.request(&state, staged, sequence)
    };
    // Two schedulers, each with its own counter.
    let first = of_run("one", stage(1, 3).await, 7);
    let second = of_run("two", stage(4, 6).await, 7);
    let receipt = receipt(lab.commit(&first).await);
    let reason = "run one has taken the number 7 of this run, and committed version 1".to_owned();
    assert_eq!(lab.commit(&second).await, CommitOutcome::Conflicted { reason: reason.clone() });
    assert_eq!(lab.commit(&first).await, CommitOutcome::AlreadyCommitted(receipt.clone()));
    // Also when a later run has committed since.
    let later = of_run("three", stage(7, 9).await, 8);
    assert!(matches!(lab.commit(&later).await, CommitOutcome::Committed(_)));
    assert_eq!(lab.commit(&second).await, CommitOutcome::Conflicted { reason });
    assert_eq!(lab.commit(&first).await, CommitOutcome::AlreadyCommitted(receipt));
    assert_eq!(ids(&lab, "t", None).await, [1, 2, 3, 7, 8, 9]);
    // A commit of a program that does not identify itself.
    let text = "{\"commitInfo\":{}}\n{\"txn\":{\"appId\":\"lab/stage\",\"version\":9}}\n";
    std::fs::write(lab.path("t").join("_delta_log/00000000000000000003.json"), text).unwrap();
    let outcome = lab.commit(&of_run("four", stage(1, 1).await, 9)).await;
    let reason = "another program has taken the number 9 of this run, and committed version 3".to_owned();
    assert_eq!(outcome, CommitOutcome::Conflicted { reason });
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_to_a_damaged_log() {
    for (damage, says) in [(0, "is empty"), (40, "is damaged or cut off")] {
        let lab = Lab::on_disk();
        let definition = lab.define("t", numbers(&lab, 1, 1).await.schema());
        lab.write(&definition, &numbers(&lab, 1, 3).await, WriteMode::Append, 1).await;
        let state = lab.ensure(&definition).await.unwrap();
        let staged = lab.run(lab.write_plan(state.write_spec("t"), &numbers(&lab, 4, 6).await, 1).await).await.unwrap();
        let file = lab.path("t").join("_delta_log/00000000000000000001.json");
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..damage]).unwrap();
        let expected = format!("`_delta_log/00000000000000000001.json` {says}");
        for error in [
            commit(&lab.request(&state, staged.clone(), 2), lab.stores()).await.unwrap_err(),
            read_progress(&state.location, &AppId::new("lab/stage"), &Default::default(), lab.stores())
                .await
                .unwrap_err(),
            changes(&state.location, TableVersion(0), TableVersion(1), lab.stores()).await.unwrap_err(),
        ] {
            assert_eq!(error.code().0, "WL0407", "{error}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
        assert!(!lab.path("t").join("_delta_log/00000000000000000002.json").exists());
        std::fs::write(&file, whole).unwrap();
        lab.commit(&lab.request(&state, staged, 2)).await;
        assert_eq!(ids(&lab, "t", None).await, [1, 2, 3, 4, 5, 6]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_later_one_overtook_does_not_commit() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 10).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
    let sixth = receipt(lab.commit(&lab.request(&state, staged.clone(), 6)).await);
    receipt(lab.commit(&lab.request(&state, staged.clone(), 9)).await);
    let CommitOutcome::Conflicted { reason } = lab.commit(&lab.request(&state, staged.clone(), 8)).await else {
        panic!()
    };
    assert_eq!(reason, "run 9 has committed already, so run 8 is too late");
    let again = lab.commit(&lab.request(&state, staged, 6)).await;
    assert_eq!(again, CommitOutcome::AlreadyCommitted(sixth));
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_committers_of_one_run_commit_once() {
    let lab = Arc::new(Lab::on_disk());
    let rows = numbers(&lab, 1, 5).await;
    let definition = lab.define("t", rows.schema());
    let state = lab.ensure(&definition).await.unwrap();
    for round in 1..=20 {
        let racers = (0..8).map(|_| {
            let (lab, state, rows) = (Arc::clone(&lab), state.clone(), rows.clone());
            tokio::spawn(async move {
                let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
                lab.commit(&lab.request(&state, staged, round)).await
            })
        });
        let outcomes: Vec<CommitOutcome> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let committed: Vec<_> = outcomes.iter().filter(|o| matches!(o, CommitOutcome::Committed(_))).collect();
        let [CommitOutcome::Committed(receipt)] = committed[..] else { panic!("round {round}: {outcomes:?}") };
        assert_eq!(receipt.version, TableVersion(round.cast_unsigned()));
        let same = CommitOutcome::AlreadyCommitted(receipt.clone());
        assert_eq!(outcomes.iter().filter(|&outcome| *outcome == same).count(), 7, "round {round}: {outcomes:?}");
    }
    assert_eq!(ids(&lab, "t", None).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_different_stages_are_all_kept() {
    let lab = Arc::new(Lab::on_disk());
    let rows = numbers(&lab, 1, 1).await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let writers = (0..8i64).map(|writer| {
        let (lab, state) = (Arc::clone(&lab), state.clone());
        tokio::spawn(async move {
            for run in 1..=5 {
                let id = writer * 100 + run;
                let rows = numbers(&lab, id, id).await;
                let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
                let request =
                    CommitRequest { app_id: AppId::new(format!("w/{writer}")), ..lab.request(&state, staged, run) };
                receipt(lab.commit(&request).await);
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let expected: Vec<i64> = (0..8).flat_map(|writer| (1..=5).map(move |run| writer * 100 + run)).collect();
    assert_eq!(ids(&lab, "t", None).await, expected);
    assert_eq!(lab.open("t", None).await.version(), Some(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_replaces_the_rows_present_at_commit() {
    let lab = Lab::on_disk();
    let definition = lab.define("t", numbers(&lab, 1, 1).await.schema());
    let first = lab.write(&definition, &numbers(&lab, 1, 3).await, WriteMode::Append, 1).await;
    let state = lab.ensure(&definition).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &numbers(&lab, 7, 9).await, 1).await).await.unwrap();
    lab.write(&definition, &numbers(&lab, 4, 6).await, WriteMode::Append, 2).await;
    let request = CommitRequest { mode: CommitMode::Overwrite, ..lab.request(&state, staged, 3) };
    let third = receipt(lab.commit(&request).await);
    assert_eq!((third.version.0, third.files_added, third.files_removed), (3, 1, 6));
    assert_eq!(ids(&lab, "t", None).await, [7, 8, 9]);
    assert_eq!(ids(&lab, "t", Some(2)).await, [1, 2, 3, 4, 5, 6], "older versions stay readable");
    assert_eq!(ids(&lab, "t", Some(first.version.0)).await, [1, 2, 3]);
    let actions = lab.newest_actions("t").await;
    let commit_info = &actions["commitInfo"][0];
    assert_eq!(commit_info["operation"], "WRITE");
    assert_eq!(commit_info["windlassStage"], "run");
    assert_eq!(commit_info["readVersion"], 2);
    assert_eq!(actions["txn"][0]["appId"], "lab/stage");
    assert_eq!(actions["txn"][0]["version"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_against_a_version_conflicts_with_any_later_one() {
    let lab = Lab::on_disk();
    let definition = lab.define("t", numbers(&lab, 1, 1).await.schema());
    let state = lab.ensure(&definition).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &numbers(&lab, 1, 3).await, 1).await).await.unwrap();
    let mut request = lab.request(&state, staged, 1);
    request.base.version = Some(state.version);
    lab.write(&definition, &numbers(&lab, 4, 6).await, WriteMode::Append, 0).await;
    let outcome = lab.commit(&request).await;
    let reason = "the table is at version 1, the rows were computed from 0".to_owned();
    assert_eq!(outcome, CommitOutcome::Conflicted { reason });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changed_since_planning_is_a_conflict() {
    let lab = Lab::on_disk();
    let old = lab.rows("SELECT 1 AS id, 'a' AS name").await;
    let definition = lab.define("t", old.schema());
    let state = lab.ensure(&definition).await.unwrap();
    let planned = lab.run(lab.write_plan(state.write_spec("t"), &old, 1).await).await.unwrap();

    let new = lab.rows("SELECT 2 AS id, 2.5 AS ratio").await;
    let mut changed = lab.define("t", new.schema());
    changed.partition_by = vec!["id".to_owned()];
    changed.constraints.insert("positive".to_owned(), "ratio > 0".to_owned());
    let allowed = ensure_table(&changed, SchemaChange::Allow, lab.stores(), &info("change")).await.unwrap();
    assert!(allowed.change.is_some());
    let staged = lab.run(lab.write_plan(allowed.write_spec("t"), &new, 1).await).await.unwrap();
    let request = CommitRequest { mode: CommitMode::Overwrite, ..lab.request(&allowed, staged, 1) };
    receipt(lab.commit(&request).await);
    let table = lab.open("t", None).await;
    assert_eq!(table.snapshot().unwrap().metadata().id(), state.table_id, "the table keeps its id");
    assert_eq!(lab.read("t", &new.schema()).await, super::lab::like_input(&new, &new.schema()));
    assert_eq!(lab.ensure(&changed).await.unwrap().change, None);

    let outcome = lab.commit(&lab.request(&state, planned, 2)).await;
    let CommitOutcome::Conflicted { reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "the table's columns, partitioning or properties have changed since the write was planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_table_is_not_overwritten() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 3).await;
    let mut definition = lab.define("t", rows.schema());
    definition.properties.insert("delta.appendOnly".to_owned(), "true".to_owned());
    lab.write(&definition, &rows, WriteMode::Append, 1).await;
    let state = lab.ensure(&definition).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
    let request = CommitRequest { mode: CommitMode::Overwrite, ..lab.request(&state, staged, 2) };
    let error = commit(&request, lab.stores()).await.unwrap_err().to_string();
    assert!(error.ends_with("is append-only (`delta.appendOnly`), so its rows cannot be replaced"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_made_at_the_tables_interval_and_change_nothing() {
    let lab = Lab::on_disk();
    let rows = numbers(&lab, 1, 2).await;
    let mut definition = lab.define("t", rows.schema());
    definition.properties.insert("delta.checkpointInterval".to_owned(), "10".to_owned());
    let mut made = Vec::new();
    for run in 1..=21 {
        let receipt = lab.write(&definition, &rows, WriteMode::Append, run).await;
        if maybe_checkpoint(&definition.location, receipt.version, lab.stores()).await.unwrap() {
            made.push(receipt.version.0);
        }
    }
    assert_eq!(made, [10, 20]);
    assert!(lab.path("t").join("_delta_log/_last_checkpoint").is_file());
    assert_eq!(ids(&lab, "t", None).await.len(), 42);
    assert!(lab.path("t").join("_delta_log/00000000000000000000.json").is_file(), "no log file is cleaned up");
    let state = lab.ensure(&definition).await.unwrap();
    let again = lab.commit(&lab.request(&state, StagedFiles::default(), 21)).await;
    assert!(matches!(again, CommitOutcome::AlreadyCommitted(found) if found.version == TableVersion(21)));
}
