//! Pins: which version is selected, and what is refused.

use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeZone, Utc};
use datafusion::arrow::array::Int32Array;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_delta::pin::{Pin, pin};
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use super::cluster_like::{pinned, sessions};
use super::tables::{Log, add, append, array, batch, field, metadata, protocol};

/// The code, message and help of pinning the table in `folder`, its path omitted.
async fn refusal(folder: &Path, at: PinAt) -> String {
    let location = Location::from_path(folder).unwrap();
    let error = pin(&location, at, sessions(1).stores()).await.unwrap_err();
    let reported = format!("{} {error}\n  help: {}", error.code(), error.help().unwrap());
    assert!(!error.is_retryable());
    reported.replace(folder.to_str().unwrap(), "…")
}

async fn three_versions(folder: &Path) {
    for value in 0..3 {
        append(folder, batch(vec![("v", array(Int32Array::from(vec![value])))]), &[]).await;
    }
}

fn at(hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, hour, 0, 0).unwrap()
}

fn set_commit_time(folder: &Path, version: u64, time: DateTime<Utc>) {
    let commit =
        std::fs::File::options().write(true).open(folder.join(format!("_delta_log/{version:020}.json"))).unwrap();
    commit.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time.timestamp() as u64)).unwrap();
}

#[tokio::test]
async fn a_version_is_pinned_by_number_and_by_time() {
    let folder = TempDir::new().unwrap();
    three_versions(folder.path()).await;
    let last = pinned(&sessions(1), folder.path(), PinAt::Latest).await.version().0;
    assert_eq!(last, 2);
    for version in 0..=last {
        set_commit_time(folder.path(), version, at(10 + version as u32));
    }
    let sessions = sessions(1);
    for (time, version) in [(at(10), 0), (at(11) - chrono::TimeDelta::seconds(1), 0), (at(11), 1), (at(23), 2)] {
        let table = pinned(&sessions, folder.path(), PinAt::Timestamp(time)).await;
        assert_eq!(table.version(), TableVersion(version), "{time}");
        assert_eq!(table.pin().timestamp, Some(at(10 + version as u32)));
        assert_eq!(table.pin().rows, Some(version + 1));
    }
    let by_number = pinned(&sessions, folder.path(), PinAt::Version(1)).await.pin();
    assert_eq!((by_number.files, by_number.rows, by_number.version), (2, Some(2), TableVersion(1)));
    let written = serde_json::to_string(&by_number).unwrap();
    assert_eq!(serde_json::from_str::<Pin>(&written).unwrap(), by_number);
}

#[tokio::test]
async fn commits_that_carry_their_time_are_pinned_by_it() {
    let folder = TempDir::new().unwrap();
    let configuration = json!({"delta.enableInCommitTimestamps": "true"});
    let protocol =
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["inCommitTimestamp"]}});
    let mut log = Log::new(folder.path());
    for version in 0..4 {
        let info = json!({"commitInfo": {"inCommitTimestamp": at(version + 1).timestamp_millis()}});
        match version {
            0 => log.commit(&[info, protocol.clone(), metadata(&[field("v", "integer")], &[], &configuration)]),
            _ => log.commit(&[info, add(&format!("f{version}"), &json!({}), &Value::Null, Path::new(""))]),
        }
    }
    let sessions = sessions(1);
    for hour in 1..=4 {
        let table = pinned(&sessions, folder.path(), PinAt::Timestamp(at(hour))).await;
        assert_eq!(table.version().0, u64::from(hour) - 1);
        assert_eq!(table.pin().timestamp, Some(at(hour)));
    }
    insta::assert_snapshot!(refusal(folder.path(), PinAt::Timestamp(at(0))).await, @r#"
    WL0404 the Delta table at `…` has no version as old as 2026-01-01T00:00:00.000Z; its oldest, version 0, is from 2026-01-01T01:00:00.000Z
      help: pin a later time, or a version
    "#);
}

#[tokio::test]
async fn missing_items_are_named_with_the_existing_ones() {
    let folder = TempDir::new().unwrap();
    insta::assert_snapshot!(refusal(&folder.path().join("nothing"), PinAt::Latest).await, @r#"
    WL0402 `…` does not exist
      help: check the location: it must be the folder that holds `_delta_log`; the table of another project exists once its stage has been run there
    "#);
    three_versions(folder.path()).await;
    for version in 0..3 {
        set_commit_time(folder.path(), version, at(10 + version as u32));
    }
    insta::assert_snapshot!(refusal(folder.path(), PinAt::Version(7)).await, @r#"
    WL0403 the Delta table at `…` has no version 7; it has versions 0 to 2
      help: pin a version of that range, or a time, or leave the pin out for the newest; clean-up of the log removes older versions
    "#);
    insta::assert_snapshot!(refusal(folder.path(), PinAt::Timestamp(at(9))).await, @r#"
    WL0404 the Delta table at `…` has no version as old as 2026-01-01T09:00:00.000Z; its oldest, version 0, is from 2026-01-01T10:00:00.000Z
      help: pin a later time, or a version
    "#);
}

/// The refusal of a table whose only commit contains `actions`.
async fn of_actions(actions: &[Value]) -> String {
    let folder = TempDir::new().unwrap();
    Log::new(folder.path()).commit(actions);
    refusal(folder.path(), PinAt::Latest).await
}

#[tokio::test]
async fn features_that_are_not_read_are_refused_by_name() {
    let table = metadata(&[field("v", "integer")], &[], &json!({}));
    let mut reported = Vec::new();
    for feature in ["typeWidening", "variantType", "catalogManaged", "someDayFeature"] {
        reported.push(of_actions(&[protocol(&["deletionVectors", feature]), table.clone()]).await);
    }
    reported.push(of_actions(&[json!({"protocol": {"minReaderVersion": 4, "minWriterVersion": 7}}), table]).await);
    insta::assert_snapshot!(reported.join("\n"), @r#"
    WL0405 the Delta table at `…` needs the reader feature `typeWidening`, which is not supported
      help: with the engine that widened the column, run `ALTER TABLE … DROP FEATURE typeWidening`, which rewrites the old files
    WL0405 the Delta table at `…` needs the reader feature `variantType`, which is not supported
      help: copy the table with its variant columns cast to string, and read the copy
    WL0405 the Delta table at `…` needs the reader feature `catalogManaged`, which is not supported
      help: its newest commits are known to its catalog alone; read a copy, or give the table back to the file system with the engine that owns it
    WL0405 the Delta table at `…` needs the reader feature `someDayFeature`, which is not supported
      help: drop the feature with the engine that added it, or copy the table without it; these are read: columnMapping, deletionVectors, timestampNtz, timestampWithoutTimezone, v2Checkpoint, vacuumProtocolCheck
    WL0406 the Delta table at `…` needs reader version 4; versions up to 3 are read
      help: the version is newer than this Windlass, or the log is damaged; read a copy written with an older protocol
    "#);
}

#[tokio::test]
async fn writer_features_do_not_prevent_reading() {
    let folder = TempDir::new().unwrap();
    let protocol = json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["vacuumProtocolCheck", "v2Checkpoint"],
        "writerFeatures": ["vacuumProtocolCheck", "v2Checkpoint", "rowTracking", "domainMetadata", "identityColumns"],
    }});
    Log::new(folder.path()).commit(&[protocol, metadata(&[field("v", "integer")], &[], &json!({}))]);
    assert_eq!(pinned(&sessions(1), folder.path(), PinAt::Latest).await.pin().files, 0);
}

#[tokio::test]
async fn broken_logs_are_distinguished() {
    let table = metadata(&[field("v", "integer")], &[], &json!({}));
    let mut reported = vec![of_actions(&[protocol(&[])]).await, of_actions(std::slice::from_ref(&table)).await];
    let foreign = add("s3://elsewhere/f.parquet", &json!({}), &Value::Null, Path::new(""));
    reported.push(of_actions(&[protocol(&[]), table.clone(), foreign]).await);
    let mapped = metadata(&[field("v", "integer")], &[], &json!({"delta.columnMapping.mode": "shuffled"}));
    reported.push(of_actions(&[protocol(&["columnMapping"]), mapped]).await);

    let folder = TempDir::new().unwrap();
    let mut log = Log::new(folder.path());
    log.commit(&[protocol(&[]), table]);
    log.commit_text("{\"commitInfo\":{}}\n{\"add\": oops}");
    reported.push(refusal(folder.path(), PinAt::Latest).await);

    let folder = TempDir::new().unwrap();
    three_versions(folder.path()).await;
    std::fs::remove_file(folder.path().join(format!("_delta_log/{:020}.json", 1))).unwrap();
    reported.push(refusal(folder.path(), PinAt::Latest).await);
    insta::assert_snapshot!(reported.join("\n"), @r#"
    WL0407 the log of the Delta table at `…` is invalid: there is no `metaData` action up to version 0
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    WL0407 the log of the Delta table at `…` is invalid: there is no `protocol` action up to version 0
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    WL0408 the Delta table at `…` refers to a file in another object store: `s3://elsewhere/f.parquet`
      help: copy the table (a shallow clone keeps its files elsewhere; a deep clone does not)
    WL0407 the log of the Delta table at `…` is invalid: its column mapping mode is `shuffled`
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    WL0407 the log of the Delta table at `…` is invalid: the commit file `_delta_log/00000000000000000001.json` is damaged or cut off (expected value at line 2 column 9)
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    WL0407 the log of the Delta table at `…` is invalid: version 1 has no commit file
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    "#);
}

#[tokio::test]
async fn a_commit_lost_by_the_disk_is_damage_and_not_an_empty_table() {
    for version in 0..3 {
        let folder = TempDir::new().unwrap();
        three_versions(folder.path()).await;
        let name = format!("_delta_log/{version:020}.json");
        let file = folder.path().join(&name);
        let whole = std::fs::read(&file).unwrap();
        let zeros = vec![0; whole.len()];
        let damages: [(&[u8], &str); 4] = [
            (b"", "is empty"),
            (&whole[..whole.len() / 2], "is damaged or cut off"),
            (&whole[..whole.len() - 3], "is damaged or cut off"),
            (&zeros, "is damaged or cut off"),
        ];
        for (content, says) in damages {
            std::fs::write(&file, content).unwrap();
            let reported = refusal(folder.path(), PinAt::Latest).await;
            assert!(
                reported.starts_with("WL0407") && reported.contains(&format!("`{name}` {says}")),
                "{version}: {reported}"
            );
            assert_eq!(refusal(folder.path(), PinAt::Version(2)).await, reported);
        }
        std::fs::write(&file, whole).unwrap();
        assert_eq!(pinned(&sessions(1), folder.path(), PinAt::Latest).await.version(), TableVersion(2));
    }
}
