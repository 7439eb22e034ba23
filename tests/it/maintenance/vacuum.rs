//! Which files are removed: those that nothing needs, and no others.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::{Int64Array, StringArray};
use windlass_client::MaintainOptions;
use windlass_evidence::artifact::{MaintenanceKind, PinHolder};
use windlass_project::strategy::Strategy;

use super::history::{History, bytes, commit_file, listed, names};
use super::lab::{Lab, NOTHING_BY_TIME, action, failures, of, stage};
use crate::delta_read::tables::{append, array, batch};

/// The folder is listed in every turn.
const EVERY_TURN: &str = "optimize: off, vacuum: { retention: 0s, full_every: 0s }, keep: { runs: 1, days: 0 }";

/// The names of all files that some versions need.
fn needed(history: &History, versions: &[u64]) -> BTreeSet<String> {
    versions.iter().flat_map(|version| history.of(*version)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_has_exactly_the_files_of_the_versions_that_are_kept() {
    let stages = [("events", "maintenance: { keep: { versions: [1] } }", "SELECT id, g, v FROM t")];
    let lab = Lab::new(NOTHING_BY_TIME, &stages).await;
    let folder = lab.table("events");
    let mut rows = vec![Vec::new()];
    for version in 1..=5_i64 {
        lab.run_with(version * 10..version * 10 + 10).await;
        assert_eq!(lab.version("events").await, version.cast_unsigned(), "each run makes a version");
        rows.push(lab.rows_at("events", version.cast_unsigned()).await);
    }
    assert!(
        rows.windows(2).all(|pair| pair[0].len() < pair[1].len()),
        "each version has more rows than the one before"
    );
    lab.mark("june", false, "events", 2).await;
    lab.mark("first", true, "events", 3).await;
    let history = History::read(&folder);
    assert_eq!(names(&folder), needed(&history, &[1, 2, 3, 4, 5]), "before the first turn");

    let record = lab.turn().await;
    assert_eq!(names(&folder), needed(&history, &[1, 2, 3, 5]), "{:?}", of(&record, "events"));
    let done = action(&record, "events", MaintenanceKind::FullVacuum).outcome.clone().unwrap();
    assert!(done.files_removed > 0 && done.bytes_removed > 0, "{done:?}");
    for version in [1, 2, 3, 5] {
        assert_eq!(lab.rows_at("events", version).await, rows[version as usize], "version {version}, which is kept");
    }
    let error = lab.try_rows_at("events", 4).await;
    assert!(error.is_err(), "version 4, which nothing keeps, has rows without its files: {error:?}");
    let again = lab.turn().await;
    let nothing = action(&again, "events", MaintenanceKind::Vacuum).outcome.clone().map(|done| done.files_removed);
    assert!(nothing.is_none_or(|files| files == 0), "a second turn removed {nothing:?} files");

    let before = bytes(&folder);
    lab.release("june").await;
    assert_eq!(bytes(&folder), before, "releasing a pin removes nothing by itself");
    let record = lab.turn().await;
    assert_eq!(names(&folder), needed(&history, &[1, 3, 5]), "{:?}", of(&record, "events"));
    let done = action(&record, "events", MaintenanceKind::Vacuum).outcome.clone().unwrap();
    assert!(bytes(&folder) < before, "the folder has as many bytes as before");
    assert_eq!(before - bytes(&folder), done.bytes_removed, "{done:?}");
    for version in [1, 3, 5] {
        assert_eq!(lab.rows_at("events", version).await, rows[version as usize], "version {version}, which is kept");
    }
    lab.windlass.stop().await;
}

/// Writes a file below a folder; `age` is how long ago it was.
fn leave(folder: &Path, path: &str, age: Duration) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "left behind").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_commit_names_go_when_they_are_old_and_others_always_stay() {
    /// What killed writers leave.
    const STRAYS: [&str; 3] = [
        "part-00000-aaaa.snappy.parquet",
        "_change_data/cdc-00000-aaaa.parquet",
        "deletion_vector_9bfc20cc-db37-4a34-aaff-9d5641169fad.bin",
    ];
    /// What is no file of the table, however old it is.
    const OTHERS: [&str; 9] = [
        "README.md",
        "_SUCCESS",
        "model.bin",
        "_index/part-1.parquet",
        ".staging/part-2.parquet",
        ".part-3.parquet.crc",
        "copy/_delta_log/00000000000000000000.json",
        "copy/part-4.parquet",
        "copy/p=1/part-5.parquet",
    ];
    const OLD: Duration = Duration::from_secs(2 * 60 * 60);
    let lab =
        Lab::new("vacuum: { retention: 1h, full_every: 0s }", &[("events", "mode: append", "SELECT id FROM t")]).await;
    lab.run().await;
    let folder = lab.table("events");
    let rows = lab.rows("SELECT * FROM events").await;
    let own = listed(&folder);
    STRAYS.iter().for_each(|path| leave(&folder, path, Duration::ZERO));
    STRAYS.iter().for_each(|path| leave(&folder, &path.replace("aaaa", "bbbb").replace("9bfc20cc", "1bfc20cc"), OLD));
    OTHERS.iter().for_each(|path| leave(&folder, path, OLD));

    let expect = |paths: &[&str], when: &str| {
        let mut expected: BTreeSet<String> = own.keys().cloned().collect();
        expected.extend(paths.iter().map(|path| (*path).to_owned()));
        let found: BTreeSet<String> = listed(&folder).into_keys().collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        let left: Vec<_> = found.difference(&expected).collect();
        assert!(missing.is_empty() && left.is_empty(), "{when}: {missing:?} are missing, {left:?} are left");
    };
    let record = lab.turn().await;
    expect(&[STRAYS.as_slice(), OTHERS.as_slice()].concat(), "with a retention of an hour");
    let done = action(&record, "events", MaintenanceKind::FullVacuum).outcome.clone().unwrap();
    assert_eq!(done.files_removed, 3, "{done:?}");

    lab.policy(EVERY_TURN);
    lab.turn().await;
    expect(&OTHERS, "without a retention");
    assert_eq!(lab.rows("SELECT * FROM events").await, rows);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_and_changes_stay_until_the_cursor_has_passed_them() {
    const SUMS: &str = "SELECT g, sum(v) AS total, count(*) AS n FROM base GROUP BY g";
    let stages = [
        ("base", "key: [id], incremental: auto, merge: deletion_vectors", "SELECT id, g, v FROM t"),
        ("reader", "key: [g], incremental: auto", SUMS),
    ];
    let lab = Lab::new(EVERY_TURN, &stages).await;
    lab.run().await;
    let folder = lab.table("base");
    let applied = lab.version("base").await;
    lab.update("id < 3", "v", "v + 1").await;
    lab.run_of(&["base"]).await;
    lab.delete("id = 4").await;
    lab.update("id = 7", "v", "0").await;
    lab.run_of(&["base"]).await;
    let history = History::read(&folder);
    let newest = history.newest();
    let ahead = history.changes(applied, newest);
    let has = |of: &BTreeSet<String>, sort: &str| of.iter().any(|name| name.starts_with(sort));
    assert!(has(&ahead, "deletion_vector_"), "the runs wrote no deletion vector: {ahead:?}");
    let changes = |folder: &Path| listed(folder).into_keys().filter(|path| path.starts_with("_change_data/")).count();
    assert!(changes(&folder) > 0, "the runs wrote no change data: {ahead:?}");
    let before = listed(&folder);

    let record = lab.turn().await;
    assert_eq!(listed(&folder), before, "the reader has yet to apply what follows version {applied}");
    let kept = &of(&record, "base").kept;
    let by = PinHolder::Cursor { stage: "reader".into() };
    assert!(kept.iter().any(|held| held.by == by && held.and_later && held.version.0 == applied), "{kept:?}");

    let run = lab.run_of(&["reader"]).await;
    let strategy = stage(&run, "reader").strategy;
    assert!(strategy.is_some_and(|strategy| strategy != Strategy::Full), "the changes could be applied: {strategy:?}");
    assert_eq!(lab.rows("SELECT * FROM reader").await, lab.rows(SUMS).await);
    let rows = lab.rows("SELECT * FROM base").await;
    let record = lab.turn().await;
    assert_eq!(names(&folder), history.of(newest), "{:?}", of(&record, "base"));
    assert_eq!(changes(&folder), 0);
    assert!(names(&folder).len() < before.len());
    assert_eq!(lab.rows("SELECT * FROM base").await, rows);

    lab.update("g = 2", "v", "v + 5").await;
    lab.run().await;
    assert_eq!(lab.rows("SELECT * FROM base").await, lab.rows("SELECT id, g, v FROM t").await, "after the turns");
    assert_eq!(lab.rows("SELECT * FROM reader").await, lab.rows(SUMS).await, "after the turns");
    lab.windlass.stop().await;
}

/// Values that other programs write in folder names as `p=a%20b` and the like.
const ODD: [Option<&str>; 9] = [
    Some("a b"),
    Some("50%"),
    Some("\u{fc}/\u{e9}"),
    Some("x=y&z"),
    Some("%2F%20"),
    Some("#?"),
    Some(".."),
    Some("10:30"),
    None,
];

#[tokio::test(flavor = "multi_thread")]
async fn files_in_folders_of_any_name_stay_while_they_are_needed() {
    let policy = EVERY_TURN.replace("optimize: off", "optimize: { small_files: 1 }");
    let stages = [("events", "mode: append, partition_by: [p]", "SELECT id, v, 'plain' AS p FROM t")];
    let lab = Lab::new(&policy, &stages).await;
    lab.run().await;
    let folder = lab.table("events");
    for first in [100, 200] {
        let ids: Vec<i64> = (first..first + ODD.len() as i64).collect();
        let rows = vec![
            ("id", array(Int64Array::from(ids.clone()))),
            ("v", array(Int64Array::from(ids))),
            ("p", array(StringArray::from(ODD.to_vec()))),
        ];
        append(&folder, batch(rows), &["p"]).await;
    }
    lab.run_with(10..20).await;
    let history = History::read(&folder);
    let pinned = history.newest();
    assert!(listed(&folder).keys().any(|path| path.contains('%')), "no folder is named in code: {:?}", listed(&folder));
    lab.mark("old", false, "events", pinned).await;
    let rows = lab.rows("SELECT * FROM events").await;
    assert_eq!(lab.others_rows("events").await.len(), rows.len());

    let record = lab.turn().await;
    let history = History::read(&folder);
    assert_eq!(history.newest(), pinned + 1, "the turn has compacted the partitions: {:?}", of(&record, "events"));
    assert_eq!(names(&folder), needed(&history, &[pinned, pinned + 1]), "{:?}", of(&record, "events"));
    assert_eq!(lab.rows_at("events", pinned).await, rows, "the version that is pinned");
    assert_eq!(lab.rows("SELECT * FROM events").await, rows, "the newest version");
    lab.release("old").await;
    let record = lab.turn().await;
    assert_eq!(names(&folder), history.of(pinned + 1), "without the pin: {:?}", of(&record, "events"));
    assert_eq!(lab.rows("SELECT * FROM events").await, rows);
    assert_eq!(lab.others_rows("events").await, rows, "as another program reads it");
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_from_a_table_whose_log_has_a_gap() {
    let lab = Lab::new(EVERY_TURN, &[("events", "mode: append", "SELECT id FROM t")]).await;
    lab.runs([10..20, 20..30, 30..40, 40..50]).await;
    let folder = lab.table("events");
    leave(&folder, "part-00000-left.parquet", Duration::from_secs(2 * 60 * 60));
    fs::remove_file(commit_file(&folder, 2)).unwrap();
    let before = listed(&folder);
    let record = lab.any_turn(&MaintainOptions::default()).await;
    assert_eq!(listed(&folder), before, "{record:?}");
    let failures = failures(&record);
    assert!(failures.len() == 1 && failures[0].contains("version 2 has no commit file"), "{failures:?}");
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_if_a_commit_that_stays_is_missing_below_a_checkpoint() {
    let policy = |retention: &str| {
        format!(
            "optimize: off, checkpoint_every: 1, vacuum: {{ retention: {retention}, full_every: 0s }}, keep: {{ runs: 1 }}"
        )
    };
    let lab = Lab::new(&policy("1h"), &[("events", "mode: append", "SELECT id FROM t")]).await;
    lab.runs([10..20, 20..30, 30..40, 40..50]).await;
    let folder = lab.table("events");
    lab.turn_of(&[MaintenanceKind::Checkpoint]).await;
    let rows = lab.rows("SELECT * FROM events").await;
    leave(&folder, "part-00000-left.parquet", Duration::from_secs(2 * 60 * 60));
    fs::remove_file(commit_file(&folder, 2)).unwrap();
    let before = listed(&folder);
    let record = lab.any_turn(&MaintainOptions::default()).await;
    assert_eq!(listed(&folder), before, "{record:?}");
    let outcome = action(&record, "events", MaintenanceKind::FullVacuum).outcome.clone();
    let failure = outcome.and_then(|outcome| outcome.failure);
    assert!(
        failure.as_ref().is_some_and(|failure| failure.message.contains("version 2 does not exist")),
        "{failure:?}"
    );
    assert_eq!(lab.rows("SELECT * FROM events").await, rows);

    // Without a retention nobody needs the changes of that commit.
    lab.policy(&policy("0s"));
    let record = lab.turn().await;
    let gone: Vec<_> = before.keys().filter(|path| !listed(&folder).contains_key(*path)).cloned().collect();
    assert_eq!(gone, ["part-00000-left.parquet"], "{record:?}");
    assert_eq!(lab.rows("SELECT * FROM events").await, rows);
    lab.windlass.stop().await;
}
