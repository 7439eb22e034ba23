//! Changing deletion vectors: exactly the deleted and restored rows, whatever else a scan skips.

use std::collections::BTreeSet;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use roaring::RoaringTreemap;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_delta::scan::ScanOptions;

use super::support::{feed, run_as_tasks};
use crate::delta_read::cluster_like::sessions_with;
use crate::delta_read::tables::{Log, add, field, metadata, protocol, rows_of};
use crate::delta_read::vectors::{ROWS, inline, relative, row_groups, write_file};

/// The deleted rows of the file in each version from 1 on; `None` while it has no vector.
fn deleted() -> Vec<Option<BTreeSet<i64>>> {
    let scattered: BTreeSet<i64> = (0..ROWS).filter(|row| row % 3 == 0 || (600..700).contains(row)).collect();
    let moved: BTreeSet<i64> = (0..ROWS).filter(|row| row % 5 == 0 || *row == ROWS - 1).collect();
    let group: BTreeSet<i64> = (490..1010).collect();
    vec![None, Some(scattered.clone()), Some(moved), None, Some(group), Some(scattered)]
}

/// A file whose vector changes with each version: it is added, replaced (partly undeleting), dropped and added again. The last
/// version removes the file, vector and all, and adds one that has a vector from the start.
pub(crate) fn write_history(folder: &Path) {
    let fields = [field("id", "long"), field("name", "string")];
    let configuration = json!({"delta.enableChangeDataFeed": "true", "delta.enableDeletionVectors": "true"});
    write_file(&folder.join("a.parquet"), &row_groups(0));
    write_file(&folder.join("b.parquet"), &row_groups(ROWS));
    let action = |kind: &str, name: &str, vector: &Value| {
        let stats = json!({"numRecords": ROWS});
        let mut action = add(name, &json!({}), &stats, &folder.join(name))["add"].take();
        if !vector.is_null() {
            action["deletionVector"] = vector.clone();
        }
        json!({kind: action})
    };
    let mut log = Log::new(folder);
    log.commit(&[protocol(&["deletionVectors"]), metadata(&fields, &[], &configuration)]);
    let mut before = Value::Null;
    for (version, rows) in deleted().into_iter().enumerate() {
        let bitmap = |rows: BTreeSet<i64>| rows.into_iter().map(|row| row as u64).collect::<RoaringTreemap>();
        let now = match (rows, version % 2) {
            (None, _) => Value::Null,
            (Some(rows), 0) => inline(&bitmap(rows)),
            (Some(rows), _) => relative(folder, "v", &bitmap(rows)),
        };
        match version {
            0 => log.commit(&[action("add", "a.parquet", &now)]),
            _ => log.commit(&[action("remove", "a.parquet", &before), action("add", "a.parquet", &now)]),
        }
        before = now;
    }
    let from_the_start = inline(&(0..ROWS as u64).filter(|row| row % 2 == 0).collect());
    log.commit(&[action("remove", "a.parquet", &before), action("add", "b.parquet", &from_the_start)]);
}

/// The changes of the versions `first` to `last`, as the vectors say.
pub(crate) fn expected(first: u64, last: u64) -> Vec<(i64, &'static str, i64)> {
    let states: Vec<BTreeSet<i64>> = std::iter::once(BTreeSet::new())
        .chain(deleted().into_iter().map(|gone| {
            let gone = gone.unwrap_or_default();
            (0..ROWS).filter(|row| !gone.contains(row)).collect()
        }))
        .chain([(0..ROWS).filter(|row| row % 2 != 0).map(|row| row + ROWS).collect()])
        .collect();
    let mut changes = Vec::new();
    for version in first.max(1)..=last {
        let (before, after) = (&states[version as usize - 1], &states[version as usize]);
        changes.extend(before.difference(after).map(|row| (*row, "delete", version as i64)));
        changes.extend(after.difference(before).map(|row| (*row, "insert", version as i64)));
    }
    changes.sort_unstable();
    changes
}

pub(crate) fn ids(rows: &[RecordBatch]) -> Vec<(i64, String, i64)> {
    let Some(first) = rows.first() else { return Vec::new() };
    let mut ids: Vec<_> = rows_of(rows, &first.schema())
        .iter()
        .map(|row| {
            let mut parts = row.split(" | ");
            let mut next = || parts.next().unwrap().to_owned();
            (next().parse().unwrap(), next(), next().parse().unwrap())
        })
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn deletion_vectors_show_deleted_and_restored_rows() {
    let folder = TempDir::new().unwrap();
    write_history(folder.path());
    for (partitions, parquet_pushdown) in [(1, false), (3, true)] {
        let settings =
            SessionSettings { target_partitions: partitions, parquet_pushdown, ..SessionSettings::default() };
        let sessions = sessions_with(settings);
        for (first, last) in (0..=7).flat_map(|first| (first..=7).map(move |last| (first, last))) {
            let changes = feed(&sessions, folder.path(), first, last).await.unwrap();
            let ctx = sessions.context().unwrap();
            ctx.register_table("feed", changes.provider(&ScanOptions::from_config(&sessions.config()))).unwrap();
            for filter in ["true", "id % 7 < 3 AND id < 700", "_change_type = 'insert'", "_commit_version > 3"] {
                let plan =
                    planned(&ctx, &format!("SELECT id, _change_type, _commit_version FROM feed WHERE {filter}")).await;
                let rows = ids(&run_as_tasks(&sessions, &plan).await);
                let is_wanted = |(id, kind, version): &(i64, &str, i64)| match filter {
                    "true" => true,
                    "_change_type = 'insert'" => *kind == "insert",
                    "_commit_version > 3" => *version > 3,
                    _ => id % 7 < 3 && *id < 700,
                };
                let expected: Vec<_> = expected(first, last)
                    .into_iter()
                    .filter(is_wanted)
                    .map(|(id, kind, version)| (id, kind.to_owned(), version))
                    .collect();
                assert!(
                    rows == expected,
                    "versions {first} to {last} where {filter}, {partitions} partitions: {} rows instead of {}",
                    rows.len(),
                    expected.len()
                );
            }
            let most = changes.rows().unwrap();
            let rows = expected(first, last).len() as u64;
            assert!(rows <= most, "{rows} rows, but at most {most} were promised");
        }
    }
}

async fn planned(ctx: &SessionContext, sql: &str) -> std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan> {
    ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

#[tokio::test]
async fn a_missing_deletion_vector_is_named() {
    let folder = TempDir::new().unwrap();
    write_history(folder.path());
    let sessions = sessions_with(SessionSettings::default());
    std::fs::remove_dir_all(folder.path().join("v")).unwrap();
    let reported = feed(&sessions, folder.path(), 2, 3).await.unwrap_err();
    assert_eq!(reported.code().to_string(), "WL0414", "{reported}");
    // Versions that need none of the removed vectors can still be read.
    assert!(feed(&sessions, folder.path(), 1, 1).await.is_ok());
}
