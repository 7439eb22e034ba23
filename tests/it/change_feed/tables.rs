//! Random tables of another writer: applying the feed between two versions to the rows of one gives those of the other.

use std::path::Path;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use deltalake::DeltaTable;
use deltalake::kernel::{DataType, StructField};
use deltalake::protocol::SaveMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use windlass_engine::session::Sessions;

use super::support::{applied, feed, feed_rows, state};
use crate::delta_read::cluster_like::sessions;
use crate::delta_read::tables::{array, batch};

/// Makes an empty table with its change feed on.
pub(crate) async fn create(folder: &Path, partition_by: &[&str]) -> DeltaTable {
    let fields = [("id", DataType::LONG), ("region", DataType::STRING), ("value", DataType::LONG)];
    let url = deltalake::ensure_table_uri(folder.to_str().unwrap()).unwrap();
    let table = DeltaTable::try_from_url(url).await.unwrap();
    table
        .create()
        .with_columns(fields.map(|(name, data_type)| StructField::nullable(name, data_type)))
        .with_partition_columns(partition_by.iter().map(|name| (*name).to_owned()))
        .with_configuration([("delta.enableChangeDataFeed", Some("true"))])
        .await
        .unwrap()
}

/// Rows with these ids.
pub(crate) fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let regions = ids.clone().map(|id| [Some("north"), Some("south"), None, Some("a b/c=d")][(id % 4) as usize]);
    batch(vec![
        ("id", array(Int64Array::from_iter_values(ids.clone()))),
        ("region", array(regions.collect::<StringArray>())),
        ("value", array(ids.map(|id| (id % 5 != 0).then_some(id * 10)).collect::<Int64Array>())),
    ])
}

pub(crate) async fn append(table: DeltaTable, ids: std::ops::Range<i64>) -> DeltaTable {
    table.write(vec![rows(ids)]).with_save_mode(SaveMode::Append).await.unwrap()
}

/// Commits something.
async fn change(table: DeltaTable, random: &mut StdRng, next: &mut i64) -> DeltaTable {
    let (first, count) = (*next, random.random_range(1..30));
    let rest = random.random_range(0..5);
    match random.random_range(0..12) {
        0..4 => {
            *next += count;
            append(table, first..first + count).await
        }
        4 => {
            *next += count;
            table.write(vec![rows(first..first + count)]).with_save_mode(SaveMode::Overwrite).await.unwrap()
        }
        5..7 => table.delete().with_predicate(format!("id % 5 = {rest}").as_str()).await.unwrap().0,
        7 => table.delete().with_predicate("region = 'north'").await.unwrap().0,
        8..10 => {
            let update = table.update().with_predicate(format!("id % 4 = {}", rest % 4).as_str());
            update.with_update("value", "coalesce(value, 0) + 1").await.unwrap().0
        }
        10 => table.optimize().await.unwrap().0,
        _ => {
            let newest = table.version().unwrap();
            // Restoring the newest version is not a restore.
            if newest < 2 {
                return append(table, first..first + 1).await;
            }
            let version = random.random_range(1..newest);
            table.restore().with_version_to_restore(version).await.unwrap().0
        }
    }
}

async fn check(sessions: &Sessions, folder: &Path, after: u64, to: u64) {
    let changes = feed(sessions, folder, after + 1, to).await.unwrap();
    let rows = feed_rows(sessions, &changes).await;
    let expected = state(sessions, folder, to).await;
    assert_eq!(applied(state(sessions, folder, after).await, &rows), expected, "from {after} to {to}");
    assert_eq!(changes.is_empty(), changes.files() == 0);
    if let Some(most) = changes.rows() {
        assert!(rows.len() as u64 <= most, "{} rows, but at most {most} were promised", rows.len());
    }
    if changes.insert_only() {
        assert!(rows.iter().all(|row| row.contains(" | insert | ")));
    }
}

#[tokio::test]
async fn the_feed_transforms_one_version_into_another() {
    let count = std::env::var("WINDLASS_FEED_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(50);
    for seed in 0..count.min(1_000) {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let folder = TempDir::new().unwrap();
        let partition_by: &[&str] = if random.random_bool(0.5) { &["region"] } else { &[] };
        let mut table = create(folder.path(), partition_by).await;
        let mut next = 0;
        for _ in 0..random.random_range(3..9) {
            table = change(table, &mut random, &mut next).await;
        }
        let newest = table.version().unwrap();
        let sessions = sessions(random.random_range(1..4));
        for after in 0..newest {
            check(&sessions, folder.path(), after, after + 1).await;
        }
        check(&sessions, folder.path(), 0, newest).await;
        let after = random.random_range(0..=newest);
        check(&sessions, folder.path(), after, random.random_range(after..=newest)).await;
    }
}

#[tokio::test]
async fn every_change_is_reported_with_its_kind_and_version() {
    let folder = TempDir::new().unwrap();
    let table = create(folder.path(), &["region"]).await;
    let table = append(table, 0..3).await;
    let (table, _) = table.delete().with_predicate("id = 1").await.unwrap();
    let (table, _) = table.update().with_predicate("id = 2").with_update("value", "99").await.unwrap();
    let (table, _) = append(table, 3..6).await.optimize().await.unwrap();
    assert_eq!(append(table, 8..9).await.version(), Some(6));
    let sessions = sessions(2);
    let changes = feed(&sessions, folder.path(), 0, 6).await.unwrap();
    let times = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let rows: Vec<String> = feed_rows(&sessions, &changes)
        .await
        .iter()
        .map(|row| {
            let (row, time) = row.rsplit_once(" | ").unwrap();
            times.borrow_mut().insert(time.to_owned());
            row.to_owned()
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    0 | north | NULL | insert | 1
    1 | south | 10 | delete | 2
    1 | south | 10 | insert | 1
    2 | NULL | 20 | insert | 1
    2 | NULL | 20 | update_preimage | 3
    2 | NULL | 99 | update_postimage | 3
    3 | a b/c=d | 30 | insert | 4
    4 | north | 40 | insert | 4
    5 | south | NULL | insert | 4
    8 | north | 80 | insert | 6
    ");
    let times = times.into_inner();
    assert_eq!(times.len(), 5, "a time a commit that changed rows: {times:?}");
    assert!(times.iter().all(|time| time.ends_with('Z')), "{times:?}");
    let nothing = feed(&sessions, folder.path(), 5, 5).await.unwrap();
    assert!(nothing.is_empty() && nothing.files() == 0 && feed_rows(&sessions, &nothing).await.is_empty());
    assert!(feed(&sessions, folder.path(), 6, 6).await.unwrap().insert_only());
    assert!(!changes.insert_only());
}
