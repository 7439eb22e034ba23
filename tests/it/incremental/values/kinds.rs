//! Each kind of special value separately, with the resulting rows.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_base::error::Coded;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{RunRecord, RunStatus};
use windlass_project::strategy::Strategy;

use super::odd::{Odd, rows};
use super::pair::{Pair, Stage};
use crate::incremental::one_source::summary;
use crate::incremental::tables::open;

const NAN: f64 = f64::NAN;
/// The NaN of a computation that has none on many machines.
const OTHER_NAN: f64 = f64::from_bits(0xfff8_0000_0000_0000);

/// How a stage of a failed run failed.
fn failure(record: &RunRecord, stage: &str) -> String {
    assert_eq!(record.status, RunStatus::Failed);
    let failure = summary(record, stage).failure.as_ref().unwrap();
    format!("{}: {}", failure.code, failure.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn times_finer_than_microseconds_find_their_rows_again() {
    const STAGES: &[Stage] = &[
        ("events", "key: [at]", "SELECT CAST(at AS TIMESTAMP) AS at, f, id FROM odd"),
        (
            "latest",
            "key: [at]",
            "SELECT CAST(at AS TIMESTAMP) AS at, max(id) AS id FROM odd GROUP BY CAST(at AS TIMESTAMP)",
        ),
        (
            "nested",
            "key: [moment]",
            "SELECT named_struct('at', CAST(at AS TIMESTAMP), 'zone', 'UTC') AS moment, count(*) AS n FROM odd
             GROUP BY named_struct('at', CAST(at AS TIMESTAMP), 'zone', 'UTC')",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let old = "1969-12-31T23:59:59.999999999";
    let first = rows(&[Odd::time(1, "2026-01-02T03:04:05.000001999"), Odd::time(2, old)]);
    let pair = Pair::new(dir.path(), first, &[], STAGES).await;
    pair.run().await;
    // The row of one time is replaced, that of the other is deleted.
    pair.delete("id IN (1, 2)").await;
    pair.append(rows(&[Odd::time(3, "2026-01-02T03:04:05.000001001")])).await;
    let run = pair.run().await;
    assert_eq!(summary(&run, "events").strategy, Some(Strategy::RowWise));
    assert_eq!(summary(&run, "latest").strategy, Some(Strategy::AffectedKeys));
    assert_eq!(pair.texts("events").await, ["2026-01-02T03:04:05.000001 | 1.0 | 3"]);
    assert_eq!(pair.texts("latest").await, ["2026-01-02T03:04:05.000001 | 3"]);

    // Two times that a table cannot distinguish are one key, in a first run as in a later one.
    pair.append(rows(&[Odd::time(4, "2026-01-02T03:04:05.000001999")])).await;
    let failed = failure(&pair.run_alone().await, "events");
    assert!(failed.contains("WL0657") && failed.contains("2026-01-02T03:04:05.000001"), "{failed}");
    assert_eq!(pair.texts("events").await, ["2026-01-02T03:04:05.000001 | 1.0 | 3"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_of_zero_is_a_change_only_where_it_is_observable() {
    const STAGES: &[Stage] = &[
        ("kept", "key: [id]", "SELECT id, f FROM odd"),
        ("inverses", "key: [id]", "SELECT id, 1 / f AS inverse FROM odd"),
        (
            "texts",
            "key: [text]",
            "SELECT CAST(f AS VARCHAR) AS text, count(*) AS n FROM odd GROUP BY CAST(f AS VARCHAR)",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new(dir.path(), rows(&[Odd::float(1, -0.0), Odd::float(2, 1.0)]), &[], STAGES).await;
    pair.run().await;
    assert_eq!(pair.texts("kept").await, ["1 | 0.0", "2 | 1.0"]);
    assert_eq!(pair.texts("inverses").await, ["1 | -inf", "2 | 1.0"]);
    let version = open(&pair.table("kept")).await.version();
    pair.delete("id = 1").await;
    pair.append(rows(&[Odd::float(1, 0.0)])).await;
    pair.run().await;
    assert_eq!(pair.texts("inverses").await, ["1 | inf", "2 | 1.0"]);
    assert_eq!(pair.texts("texts").await, ["0.0 | 1", "1.0 | 1"]);
    // Nothing to write: the commit advances the cursor.
    let files = |version: Option<u64>| {
        let log = pair.table("kept").join(format!("_delta_log/{:020}.json", version.unwrap()));
        fs::read_to_string(log).unwrap().matches("\"add\"").count()
    };
    let now = open(&pair.table("kept")).await.version();
    assert!(now > version && files(now) == 0, "{version:?} to {now:?}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_floats_are_one_key_one_group_and_one_partition() {
    const STAGES: &[Stage] = &[
        ("groups", "key: [f]", "SELECT f, count(*) AS n, min(id) AS first FROM odd GROUP BY f"),
        ("parts", "key: [f], partition_by: [f]", "SELECT f, count(*) AS n FROM odd GROUP BY f"),
        ("inside", "key: [s]", "SELECT s, count(*) AS n FROM odd GROUP BY s"),
        ("partners", "key: [id]", "SELECT a.id, count(*) AS n FROM odd AS a JOIN odd AS b ON a.l = b.l GROUP BY a.id"),
        (
            "extremes",
            "key: [one]",
            "SELECT id % 1 AS one, max(f) AS most, min(f) AS least, max(CASE WHEN isnan(f) OR f > 0 THEN NULL ELSE f END) AS below FROM odd
             GROUP BY id % 1",
        ),
        ("upserted", "key: [f], mode: upsert, incremental: off", "SELECT f, max(id) AS last FROM odd GROUP BY f"),
        (
            "replaced",
            "partition_by: [f], mode: replace_partitions, incremental: off",
            "SELECT f, id FROM odd WHERE id > 4",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let floats = [0.0, -0.0, NAN, OTHER_NAN, f64::NEG_INFINITY];
    let first: Vec<Odd> = (1..).zip(floats).map(|(id, float)| Odd::float(id, float)).collect();
    let pair = Pair::new(dir.path(), rows(&first), &[], STAGES).await;
    pair.run().await;
    assert_eq!(pair.texts("groups").await, ["-inf | 1 | 5", "0.0 | 2 | 1", "NaN | 2 | 3"]);
    assert_eq!(pair.texts("partners").await, ["1 | 2", "2 | 2", "3 | 2", "4 | 2", "5 | 1"]);
    assert_eq!(pair.texts("extremes").await, ["0 | NaN | -inf | 0.0"]);
    // Some values are replaced by other equal ones, in another order.
    pair.delete("id IN (1, 3)").await;
    pair.append(rows(&[Odd::float(6, -0.0), Odd::float(7, OTHER_NAN), Odd::float(8, NAN)])).await;
    let run = pair.run().await;
    assert_eq!(summary(&run, "groups").strategy, Some(Strategy::AffectedKeys));
    assert_eq!(summary(&run, "parts").strategy, Some(Strategy::PartitionReplace));
    assert_eq!(pair.texts("groups").await, ["-inf | 1 | 5", "0.0 | 2 | 2", "NaN | 3 | 4"]);
    assert_eq!(pair.texts("parts").await, ["-inf | 1", "0.0 | 2", "NaN | 3"]);
    assert_eq!(
        pair.texts("inside").await,
        ["{f: -inf, n: NULL} | 1", "{f: 0.0, n: NULL} | 2", "{f: NaN, n: NULL} | 3"]
    );
    assert_eq!(pair.texts("upserted").await, ["-inf | 5", "0.0 | 6", "NaN | 8"]);
    assert_eq!(pair.texts("replaced").await, ["-inf | 5", "0.0 | 6", "NaN | 7", "NaN | 8"]);
    // As Windlass itself reads them, over files that are skipped by their statistics and partitions.
    let answer = pair.answer("SELECT count(*) AS n FROM parts WHERE f = CAST('-0.0' AS DOUBLE) OR f > 1e300").await;
    assert!(answer.contains("| 2 |"), "{answer}");

    // Only the larger of two keys is deleted.
    pair.delete("id IN (4, 7, 8)").await;
    pair.run().await;
    assert_eq!(pair.texts("groups").await, ["-inf | 1 | 5", "0.0 | 2 | 2"]);
    assert_eq!(pair.texts("parts").await, ["-inf | 1", "0.0 | 2"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_partitions_may_be_odd_floats() {
    const STAGES: &[Stage] = &[
        ("copied", "key: [id]", "SELECT id, f, 1 / f AS inverse FROM odd"),
        ("zeros", "key: [id]", "SELECT id FROM odd WHERE f = 0"),
        ("groups", "key: [f], partition_by: [f]", "SELECT f, count(*) AS n FROM odd GROUP BY f"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let first = rows(&[Odd::float(1, -0.0), Odd::float(2, NAN), Odd::float(3, 2.0)]);
    let pair = Pair::new(dir.path(), first, &["f"], STAGES).await;
    pair.run().await;
    crate::delta_read::tables::append(&pair.source, rows(&[Odd::float(4, 0.0), Odd::float(5, NAN)]), &["f"]).await;
    pair.delete("id = 3").await;
    pair.run().await;
    assert_eq!(pair.texts("zeros").await, ["1", "4"]);
    assert_eq!(pair.texts("groups").await, ["0.0 | 2", "NaN | 2"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_replaced_however_another_program_writes_their_values() {
    const STAGES: &[Stage] = &[
        ("by_float", "key: [f], partition_by: [f]", "SELECT f, count(*) AS n FROM odd GROUP BY f"),
        (
            "by_time",
            "key: [at], partition_by: [at]",
            "SELECT arrow_cast(at, 'Timestamp(Nanosecond, Some(\"UTC\"))') AS at, count(*) AS n FROM odd GROUP BY at",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let first = rows(&[Odd::float(1, 1.0), Odd { price: 150, ..Odd::float(2, f64::INFINITY) }]);
    let pair = Pair::new(dir.path(), first, &[], STAGES).await;
    pair.run().await;
    // How another program that rewrites files may change the values, in the same rows.
    for (stage, ours, theirs) in [
        ("by_float", r#""f":"1""#, r#""f":"1.0""#),
        ("by_float", r#""f":"Infinity""#, r#""f":"inf""#),
        ("by_time", r#""at":"2026-01-02T03:04:05.000001Z""#, r#""at":"2026-01-02 03:04:05.000001""#),
    ] {
        let log = pair.table(stage).join("_delta_log");
        let rewritten = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
            let Ok(text) = fs::read_to_string(path) else { return false };
            fs::write(path, text.replace(ours, theirs)).unwrap();
            text.contains(ours)
        });
        assert!(rewritten.count() > 0, "{stage}: {ours}");
    }
    pair.append(rows(&[Odd::float(3, 1.0), Odd { price: 150, ..Odd::float(4, f64::INFINITY) }])).await;
    let run = pair.run().await;
    assert_eq!(summary(&run, "by_time").strategy, Some(Strategy::PartitionReplace));
    assert_eq!(pair.texts("by_float").await, ["1.0 | 2", "inf | 2"]);
    assert_eq!(pair.texts("by_time").await, ["2026-01-02T03:04:05.000001Z | 4"]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expectations_look_at_what_is_stored() {
    const STAGES: &[Stage] = &[
        (
            "apart",
            "key: [id], incremental: off\nexpect: [ { unique: [f], on_failure: quarantine } ]",
            "SELECT id, f FROM odd WHERE id < 5",
        ),
        (
            "moments",
            "key: [id], incremental: off\nexpect: [ { unique: [at], on_failure: quarantine } ]",
            "SELECT id, CAST(at AS TIMESTAMP) AS at FROM odd WHERE id > 4",
        ),
        ("referring", "key: [id]\nexpect: [ { references: { columns: [f], to: odd } } ]", "SELECT id, f FROM odd"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let floats = [0.0, -0.0, OTHER_NAN, 7.0];
    let mut first: Vec<Odd> = (1..).zip(floats).map(|(id, float)| Odd::float(id, float)).collect();
    let times = ["2026-01-02T03:04:05.000001001", "2026-01-02T03:04:05.000001999", "2026-01-02T03:04:06"];
    first.extend((5..).zip(times).map(|(id, time)| Odd { inside: (None, Some(id)), ..Odd::time(id, time) }));
    let pair = Pair::new(dir.path(), rows(&first), &[], STAGES).await;
    pair.run().await;
    let ids = |rows: Vec<String>| rows.iter().map(|row| row[..1].to_owned()).collect::<String>();
    assert_eq!(ids(pair.texts("apart").await), "34");
    assert_eq!(ids(pair.texts("moments").await), "7");
    pair.append(rows(&[Odd { inside: (None, None), ..Odd::float(8, NAN) }])).await;
    pair.run().await;
    assert_eq!(ids(pair.texts("referring").await), "12345678");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_partition_or_a_key_is_refused_by_name() {
    const STAGES: &[Stage] = &[
        (
            "groups",
            "key: [at], partition_by: [at]",
            "SELECT b.at, count(*) AS n FROM odd AS a JOIN odd AS b ON a.id = b.id WHERE a.at || b.at <> '' GROUP BY b.at",
        ),
        ("empty", "key: [at, id], partition_by: [at]", "SELECT at, id FROM odd WHERE id < 9"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new(dir.path(), rows(&[Odd::time(1, "a"), Odd::time(2, "b")]), &[], STAGES).await;
    pair.run().await;
    // A key that no row has in the end may be one that no partition has.
    pair.append(rows(&[Odd::time(9, ""), Odd::time(3, "b")])).await;
    pair.run().await;
    assert_eq!(pair.texts("groups").await, ["a | 1", "b | 2"]);
    pair.append(rows(&[Odd::time(4, "")])).await;
    let failed = failure(&pair.run_alone().await, "empty");
    assert!(failed.contains("WL0429") && failed.contains("an empty text"), "{failed}");
    assert_eq!(pair.texts("empty").await, ["a | 1", "b | 2", "b | 3"]);
    pair.stop().await;

    let map = Project::open(&map_project(dir.path()), None, &[]).unwrap();
    let windlass =
        Windlass::embedded(windlass_tests::embedded(map.home(None).unwrap(), map.graph.session.clone())).await;
    let windlass = windlass.unwrap();
    let refused = windlass.plan(&map, &RunOptions::default()).await.err().unwrap();
    assert_eq!(refused.code().0, "WL0668", "{refused}");
    windlass.stop().await;
}

/// A project with a stage whose key is a map.
fn map_project(dir: &Path) -> PathBuf {
    let project = dir.join("map");
    fs::create_dir_all(project.join("stages")).unwrap();
    fs::write(project.join("windlass.yaml"), "name: map\nsources:\n  odd: { kind: delta, location: ../odd }\n")
        .unwrap();
    let sql = "/* windlass\nio: { key: [labels], incremental: auto }\n*/\nSELECT map(make_array('at'), make_array(at)) AS labels, id FROM odd\n";
    fs::write(project.join("stages/labelled.sql"), sql).unwrap();
    project
}
