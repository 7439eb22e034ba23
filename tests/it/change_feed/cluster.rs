//! Change feeds on executors: every scan is split into tasks, sent, and run separately, and no row is lost or repeated.

use datafusion::prelude::SessionContext;
use tempfile::TempDir;
use windlass_delta::changes::TableChanges;
use windlass_delta::pin::pin;
use windlass_delta::scan::ScanOptions;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use super::golden::feeds;
use super::support::{feed, feed_rows};
use super::tables::{append, create};
use super::vectors::{expected, ids, write_history};
use crate::delta_read::tables::rows_of;

/// A session of the cluster with the changes as `feed`, read by up to `partitions` tasks.
fn with_feed(changes: &TableChanges, partitions: usize, cluster: &windlass_tests::EmbeddedCluster) -> SessionContext {
    let config = cluster.sessions.config().with_target_partitions(partitions);
    let options = ScanOptions::from_config(&config);
    let ctx = SessionContext::new_with_state(cluster.sessions.state(config).unwrap());
    ctx.register_table("feed", changes.provider(&options)).unwrap();
    ctx
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_of_other_engines_are_complete() {
    let cluster = windlass_tests::shared_cluster().await;
    for (folder, start) in feeds() {
        let location = Location::from_path(&folder).unwrap();
        let newest = pin(&location, PinAt::Latest, cluster.sessions.stores()).await.unwrap().version().0;
        let changes = feed(&cluster.sessions, &folder, start, newest).await.unwrap();
        let expected = feed_rows(&cluster.sessions, &changes).await;
        for partitions in [1, 2, 4] {
            let ctx = with_feed(&changes, partitions, cluster);
            let rows = cluster.rows(&ctx, "SELECT * FROM feed").await.unwrap();
            assert_eq!(rows_of(&rows, changes.schema()), expected, "{}, {partitions} partitions", folder.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_change_on_executors_too() {
    let folder = TempDir::new().unwrap();
    write_history(folder.path());
    let cluster = windlass_tests::shared_cluster().await;
    let changes = feed(&cluster.sessions, folder.path(), 1, 7).await.unwrap();
    let expected: Vec<_> = expected(1, 7).into_iter().map(|(id, kind, at)| (id, kind.to_owned(), at)).collect();
    for partitions in [1, 2, 4] {
        let ctx = with_feed(&changes, partitions, cluster);
        let rows = cluster.rows(&ctx, "SELECT id, _change_type, _commit_version FROM feed").await.unwrap();
        assert!(ids(&rows) == expected, "{partitions} partitions");
    }
}

/// Net changes, joined with the table itself, as an incremental run uses a feed.
#[tokio::test(flavor = "multi_thread")]
async fn queries_over_feeds_are_those_of_one_process() {
    let folder = TempDir::new().unwrap();
    let mut table = append(create(folder.path(), &["region"]).await, 0..200).await;
    table = table.update().with_predicate("id % 4 = 1").with_update("value", "id").await.unwrap().0;
    table = append(table, 200..300).await;
    table = table.delete().with_predicate("id % 10 = 0").await.unwrap().0;
    table = table.optimize().await.unwrap().0;
    let newest = table.version().unwrap();
    let cluster = windlass_tests::shared_cluster().await;
    let changes = feed(&cluster.sessions, folder.path(), 1, newest).await.unwrap();
    for sql in [
        "SELECT * FROM feed",
        "SELECT _change_type, _commit_version, count(*) AS n FROM feed GROUP BY ALL",
        "SELECT id, value, sum(CASE WHEN _change_type IN ('insert', 'update_postimage') THEN 1 ELSE -1 END) AS net \
         FROM feed GROUP BY id, value HAVING net <> 0",
        "SELECT a.id, b._change_type FROM feed a JOIN feed b ON a.id = b.id WHERE a._change_type = 'delete'",
        "SELECT region, count(*) AS n FROM feed WHERE _change_type = 'update_preimage' AND region IS NOT NULL GROUP BY region",
        "SELECT count(*) AS n FROM feed WHERE region = 'south' AND _commit_version = 2",
        "SELECT id FROM feed WHERE _change_type = 'insert' UNION ALL SELECT id FROM feed WHERE id < 7",
        "SELECT count(*) AS n FROM (SELECT id FROM feed LIMIT 50)",
    ] {
        let alone = with_feed(&changes, 3, cluster).sql(sql).await.unwrap().collect().await.unwrap();
        let schema = alone[0].schema();
        let expected = rows_of(&alone, &schema);
        assert!(!expected.is_empty(), "{sql}");
        for partitions in [1, 2, 4] {
            let ctx = with_feed(&changes, partitions, cluster);
            let rows = cluster.rows(&ctx, sql).await.unwrap();
            assert_eq!(rows_of(&rows, &schema), expected, "{sql}, {partitions} partitions");
        }
    }
}
