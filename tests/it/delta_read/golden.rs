//! Tables written by Spark and other engines, with their expected rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext, col, lit};
use windlass_base::error::Coded;
use windlass_engine::session::Sessions;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;
use windlass_tests::{Requirement, skip};

use super::cluster_like::{pinned, provider, scan_all, sessions};
use super::tables::rows_of;

/// A golden table and its rows.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) provider: Arc<dyn TableProvider>,
    pub(crate) expected: Vec<RecordBatch>,
}

/// A table whose partition values are times without a zone. Its expected rows interpret them as the local time of the
/// machine that wrote them, seven hours behind UTC, which the log does not record; readers interpret them as UTC.
const LOCAL_TIME: &str = "data-reader-partition-values";

fn in_utc(expected: DataFrame) -> DataFrame {
    let behind = lit(ScalarValue::new_interval_mdn(0, 0, 7 * 3_600_000_000_000));
    expected.with_column("as_timestamp", col("as_timestamp") - behind).unwrap()
}

/// The folder of the golden tables: `$WINDLASS_GOLDEN`, or `../shared/golden` next to the workspace.
pub(crate) fn golden_root() -> Option<PathBuf> {
    let root = match std::env::var_os("WINDLASS_GOLDEN") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden"),
    };
    if root.join("tables").is_dir() {
        return Some(root.canonicalize().unwrap());
    }
    skip(Requirement::Golden, &format!("there are no golden tables at {}", root.display()));
    None
}

/// Every valid golden table, scanned with the options of `sessions`.
pub(crate) async fn golden_tables(sessions: &Sessions) -> Vec<Golden> {
    let Some(root) = golden_root() else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root.join("tables")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let ctx = sessions.context().unwrap();
    let mut tables = Vec::new();
    for folder in folders {
        let expected = folder.join("expected");
        if !expected.is_dir() {
            continue;
        }
        let expected = ctx.read_parquet(expected.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = if name == LOCAL_TIME { in_utc(expected) } else { expected };
        let table = pinned(sessions, &folder.join("delta"), PinAt::Latest).await;
        tables.push(Golden { name, provider: provider(sessions, &table), expected: expected.collect().await.unwrap() });
    }
    assert!(tables.len() >= 15, "the golden tables are incomplete");
    tables
}

#[tokio::test]
async fn every_table_reads_back_to_its_rows() {
    for partitions in [1, 2, 4] {
        let sessions = sessions(partitions);
        for table in golden_tables(&sessions).await {
            let rows = scan_all(&sessions, &table.provider).await;
            let schema = table.provider.schema();
            let (rows, expected) = (rows_of(&rows, &schema), rows_of(&table.expected, &schema));
            assert_eq!(rows, expected, "{} with {partitions} partitions", table.name);
        }
    }
}

/// The same on executors: every scan is split into tasks, which are sent and run separately.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_reads_back_to_its_rows_on_a_cluster() {
    let cluster = windlass_tests::shared_cluster().await;
    for partitions in [1, 2, 4] {
        let state = cluster.sessions.state(cluster.sessions.config().with_target_partitions(partitions)).unwrap();
        let ctx = SessionContext::new_with_state(state);
        for table in golden_tables(&cluster.sessions).await {
            ctx.deregister_table("golden").unwrap();
            ctx.register_table("golden", Arc::clone(&table.provider)).unwrap();
            let rows = cluster.rows(&ctx, "SELECT * FROM golden").await.unwrap();
            let schema = table.provider.schema();
            let (rows, expected) = (rows_of(&rows, &schema), rows_of(&table.expected, &schema));
            assert_eq!(rows, expected, "{} with {partitions} partitions", table.name);
        }
    }
}

#[tokio::test]
async fn invalid_logs_are_distinguished() {
    let Some(root) = golden_root() else { return };
    let sessions = sessions(1);
    let mut reported = Vec::new();
    for name in ["deltalog-invalid-protocol-version", "deltalog-state-reconstruction-without-metadata"] {
        let location = Location::from_path(&root.join("tables").join(name).join("delta")).unwrap();
        let error = windlass_delta::pin::pin(&location, PinAt::Latest, sessions.stores()).await.unwrap_err();
        let message = error.to_string().replace(root.to_str().unwrap(), "…");
        reported.push(format!("{} {message}\n  help: {}", error.code(), error.help().unwrap()));
    }
    insta::assert_snapshot!(reported.join("\n"), @r#"
    WL0406 the Delta table at `…/tables/deltalog-invalid-protocol-version/delta` needs reader version 99; versions up to 3 are read
      help: the version is newer than this Windlass, or the log is damaged; read a copy written with an older protocol
    WL0407 the log of the Delta table at `…/tables/deltalog-state-reconstruction-without-metadata/delta` is invalid: there is no `metaData` action up to version 0
      help: restore the missing or damaged files of `_delta_log`, or pin a version before the damage
    "#);
}
