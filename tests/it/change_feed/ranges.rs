//! Ranges that cannot be read, with the reasons; and metadata changes within a range.

use std::path::Path;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_base::error::Coded;

use super::support::{feed, feed_rows};
use super::tables::{append, create};
use crate::delta_read::cluster_like::sessions;
use crate::delta_read::tables::{Log, add, array, batch, field, metadata, protocol, write_parquet};

/// Why the versions `first` to `last` cannot be read, with what to do.
async fn refused(folder: &Path, first: u64, last: u64) -> String {
    let error = feed(&sessions(1), folder, first, last).await.unwrap_err();
    assert!(!error.is_retryable());
    let root = folder.canonicalize().unwrap();
    let message = error.to_string().replace(&root.display().to_string(), "…");
    format!("{} {message}\n  help: {}", error.code(), error.help().unwrap())
}

fn log_file(folder: &Path, version: u64) -> std::path::PathBuf {
    folder.join(format!("_delta_log/{version:020}.json"))
}

/// The lines of a version's commit.
fn actions(folder: &Path, version: u64) -> Vec<Value> {
    let text = std::fs::read_to_string(log_file(folder, version)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn five_versions(folder: &Path) {
    let mut table = append(create(folder, &[]).await, 0..10).await;
    table = table.delete().with_predicate("id = 3").await.unwrap().0;
    table = append(table, 10..20).await;
    table = table.delete().with_predicate("id >= 0").await.unwrap().0;
    assert_eq!(table.version(), Some(4));
}

#[tokio::test]
async fn ends_that_the_table_does_not_have_are_refused() {
    let folder = TempDir::new().unwrap();
    five_versions(folder.path()).await;
    let reported = [
        refused(folder.path(), 3, 9).await,
        refused(folder.path(), 8, 9).await,
        refused(folder.path(), 8, 7).await,
        refused(folder.path(), 4, 2).await,
    ];
    insta::assert_snapshot!(reported.join("\n"), @r#"
    WL0410 the changes of the Delta table at `…` cannot be read: version 9 is asked for, but the newest version is 4
      help: the table may have been replaced by an older copy of itself: if that is right, rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)
    WL0410 the changes of the Delta table at `…` cannot be read: version 7 is asked for, but the newest version is 4
      help: the table may have been replaced by an older copy of itself: if that is right, rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)
    WL0410 the changes of the Delta table at `…` cannot be read: version 7 is asked for, but the newest version is 4
      help: the table may have been replaced by an older copy of itself: if that is right, rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)
    WL0410 the changes of the Delta table at `…` cannot be read: the range would begin with version 4 and end before it, with version 2
      help: read the table at the version up to which its changes were read, or later; to go back, rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)
    "#);
    assert!(feed(&sessions(1), folder.path(), 5, 4).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_log_entry_is_a_gap() {
    let folder = TempDir::new().unwrap();
    five_versions(folder.path()).await;
    std::fs::remove_file(log_file(folder.path(), 3)).unwrap();
    insta::assert_snapshot!(refused(folder.path(), 2, 4).await, @r#"
    WL0410 the changes of the Delta table at `…` cannot be read: the log of version 3 is no longer there
      help: rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`); to prevent this, run more often, or keep the log longer (`delta.logRetentionDuration`)
    "#);
    // The cursor's own version cannot be reconstructed, so its metadata are unknown.
    assert!(refused(folder.path(), 4, 4).await.contains("the log of version 3 is no longer there"));
    assert!(feed(&sessions(1), folder.path(), 1, 2).await.is_ok());
}

#[tokio::test]
async fn a_cleaned_log_is_read_from_its_checkpoint_on() {
    let folder = TempDir::new().unwrap();
    let mut table = append(create(folder.path(), &[]).await, 0..10).await;
    table = append(table, 10..20).await;
    table = append(table, 20..30).await;
    deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
    table = append(table, 30..40).await;
    assert_eq!(table.version(), Some(4));
    for version in 0..3 {
        std::fs::remove_file(log_file(folder.path(), version)).unwrap();
    }
    let sessions = sessions(1);
    for (first, rows) in [(3, 20), (4, 10), (5, 0)] {
        let changes = feed(&sessions, folder.path(), first, 4).await.unwrap();
        assert_eq!(feed_rows(&sessions, &changes).await.len(), rows);
    }
    insta::assert_snapshot!(refused(folder.path(), 2, 4).await, @r#"
    WL0410 the changes of the Delta table at `…` cannot be read: the log of version 2 is no longer there
      help: rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`); to prevent this, run more often, or keep the log longer (`delta.logRetentionDuration`)
    "#);
}

#[tokio::test]
async fn files_that_vacuum_removed_are_named() {
    let folder = TempDir::new().unwrap();
    five_versions(folder.path()).await;
    let recorded =
        actions(folder.path(), 2).iter().find_map(|action| action["cdc"]["path"].as_str().map(str::to_owned));
    let recorded = recorded.expect("a change data file");
    std::fs::remove_file(folder.path().join(&recorded)).unwrap();
    let reported = refused(folder.path(), 1, 4).await.replace(&recorded, "<file>");
    insta::assert_snapshot!(reported, @r#"
    WL0414 the changes of version 2 of the Delta table at `…` are gone: `<file>` was removed by vacuum
      help: rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`); to prevent this, run more often than files are vacuumed (`delta.deletedFileRetentionDuration`)
    "#);
    // A version whose changes are elsewhere does not need it.
    assert!(feed(&sessions(1), folder.path(), 3, 4).await.is_ok());
    let data = actions(folder.path(), 3).iter().find_map(|action| action["add"]["path"].as_str().map(str::to_owned));
    let data = data.expect("a data file");
    std::fs::remove_file(folder.path().join(&data)).unwrap();
    assert!(refused(folder.path(), 3, 3).await.contains(&data));
}

#[tokio::test]
async fn a_feed_that_was_off_is_refused() {
    let folder = TempDir::new().unwrap();
    five_versions(folder.path()).await;
    let mut log = Log::at(folder.path(), 5);
    let mut set = actions(folder.path(), 0).into_iter().find(|action| action["metaData"].is_object()).unwrap();
    let mut switch = |on: bool| {
        set["metaData"]["configuration"]["delta.enableChangeDataFeed"] = json!(on.to_string());
        log.commit(&[set.clone()]);
    };
    switch(false);
    switch(true);
    switch(true);
    insta::assert_snapshot!(refused(folder.path(), 4, 7).await, @r#"
    WL0411 the changes of the Delta table at `…` are not recorded in version 5: its change data feed was off
      help: set `delta.enableChangeDataFeed = true` on the table and leave it on; changes from before are not recorded, so rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)
    "#);
    // Once it is enabled again, there is a feed again; other changes of the settings do not matter.
    assert!(feed(&sessions(1), folder.path(), 6, 7).await.unwrap().is_empty());
}

fn ids(first: i64) -> RecordBatch {
    batch(vec![("id", array(Int64Array::from_iter_values(first..first + 2)))])
}

fn named(first: i64) -> RecordBatch {
    let names = StringArray::from_iter_values((first..first + 2).map(|id| format!("n{id}")));
    batch(vec![("id", array(Int64Array::from_iter_values(first..first + 2))), ("name", array(names))])
}

#[tokio::test]
async fn columns_may_be_added_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let on = json!({"delta.enableChangeDataFeed": "true"});
    let with = |name: &str, batch: RecordBatch| {
        write_parquet(&folder.path().join(name), &[batch]);
        add(name, &json!({}), &Value::Null, &folder.path().join(name))
    };
    let (id, name, id_as_text) = (field("id", "long"), field("name", "string"), field("id", "string"));
    let required = json!({"name": "size", "type": "long", "nullable": false, "metadata": {}});
    let commented = json!({"name": "name", "type": "string", "nullable": true, "metadata": {"comment": "a name"}});
    let mut log = Log::new(folder.path());
    log.commit(&[protocol(&[]), metadata(std::slice::from_ref(&id), &[], &on), with("a.parquet", ids(0))]);
    log.commit(&[with("b.parquet", ids(2))]);
    log.commit(&[metadata(&[id.clone(), name.clone()], &[], &on), with("c.parquet", named(4))]);
    log.commit(&[metadata(&[id.clone(), commented.clone()], &[], &on)]);
    log.commit(&[with("d.parquet", named(6))]);
    let sessions = sessions(2);
    let changes = feed(&sessions, folder.path(), 0, 4).await.unwrap();
    let rows = feed_rows(&sessions, &changes).await;
    let rows: Vec<&str> = rows.iter().map(|row| row.rsplit_once(" | ").unwrap().0).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    0 | NULL | insert | 0
    1 | NULL | insert | 0
    2 | NULL | insert | 1
    3 | NULL | insert | 1
    4 | n4 | insert | 2
    5 | n5 | insert | 2
    6 | n6 | insert | 4
    7 | n7 | insert | 4
    "#);
    // A reader that stops before still sees the columns of that time.
    assert_eq!(feed(&sessions, folder.path(), 0, 1).await.unwrap().schema().fields().len(), 4);

    // How rows are laid out in files does not matter.
    Log::at(folder.path(), 5).commit(&[metadata(&[id.clone(), name.clone()], &["id"], &on)]);
    assert!(feed(&sessions, folder.path(), 5, 5).await.is_ok());

    let mut reported = Vec::new();
    let replaced = json!({"metaData": {
        "id": "another", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [], "configuration": on,
        "schemaString": json!({"type": "struct", "fields": [id.clone()]}).to_string(),
    }});
    for action in [
        metadata(std::slice::from_ref(&id), &[], &on),
        metadata(&[name.clone(), id.clone()], &[], &on),
        metadata(&[id_as_text, name.clone()], &[], &on),
        metadata(&[id.clone(), name.clone(), required], &[], &on),
        replaced,
    ] {
        Log::at(folder.path(), 5).commit(&[action]);
        reported.push(refused(folder.path(), 5, 5).await.lines().next().unwrap().to_owned());
    }
    insta::assert_snapshot!(reported.join("\n"), @r#"
    WL0412 the columns of the Delta table at `…` changed in version 5, so that earlier changes cannot be read with later ones: `name`
    WL0412 the columns of the Delta table at `…` changed in version 5, so that earlier changes cannot be read with later ones: `name`, `id`
    WL0412 the columns of the Delta table at `…` changed in version 5, so that earlier changes cannot be read with later ones: `id`
    WL0412 the columns of the Delta table at `…` changed in version 5, so that earlier changes cannot be read with later ones: `size`
    WL0413 the Delta table at `…` was replaced by another in version 5
    "#);
}

#[tokio::test]
async fn a_commit_time_in_the_log_is_used_if_the_table_says_so() {
    let folder = TempDir::new().unwrap();
    let fields = [field("id", "long")];
    let mut log = Log::new(folder.path());
    let info = |time: i64| json!({"commitInfo": {"inCommitTimestamp": time, "timestamp": 1}});
    for (version, on) in [(0, "false"), (1, "true")] {
        let set = json!({"delta.enableChangeDataFeed": "true", "delta.enableInCommitTimestamps": on});
        let name = format!("{version}.parquet");
        write_parquet(&folder.path().join(&name), &[ids(version)]);
        let added = add(&name, &json!({}), &Value::Null, &folder.path().join(&name));
        log.commit(&[info(86_400_000 + version), protocol(&[]), metadata(&fields, &[], &set), added]);
    }
    let sessions = sessions(1);
    let rows = feed_rows(&sessions, &feed(&sessions, folder.path(), 0, 1).await.unwrap()).await;
    let in_commit: Vec<bool> = rows.iter().map(|row| row.ends_with("1970-01-02T00:00:00.001Z")).collect();
    assert_eq!(in_commit, [false, false, true, true], "{rows:?}");
}
