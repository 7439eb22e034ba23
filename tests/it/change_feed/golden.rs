//! Tables written by Spark: each feed equals that of the Delta kernel, a single-process reader.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::table_changes::TableChanges as KernelChanges;
use deltalake::logstore::{StorageConfig, logstore_for};
use url::Url;
use windlass_tests::{Requirement, skip};

use super::support::{feed, feed_batches};
use crate::delta_read::cluster_like::{pinned, sessions};
use crate::delta_read::golden::golden_root;
use crate::delta_read::tables::rows_of;
use windlass_project::spec::source::PinAt;

/// The golden tables that have a change feed, with the first version for which it is enabled.
pub(crate) fn feeds() -> Vec<(PathBuf, u64)> {
    let Some(root) = golden_root() else { return Vec::new() };
    let root = root.join("change-feed");
    let mut folders: Vec<PathBuf> = match std::fs::read_dir(&root) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => {
            skip(Requirement::Golden, &format!("there are no golden tables at {}", root.display()));
            return Vec::new();
        }
    };
    folders.sort();
    assert!(folders.len() >= 5, "the golden tables are incomplete");
    let is_late = |folder: &Path| folder.ends_with("cdf-column-mapping-name-mode");
    folders.into_iter().map(|folder| (folder.clone(), u64::from(is_late(&folder)))).collect()
}

/// The kernel's rows of the versions `first` to `last`.
fn oracle(folder: &Path, first: u64, last: u64) -> Vec<RecordBatch> {
    let url = Url::from_directory_path(folder).unwrap();
    let log = logstore_for(&url, StorageConfig::default()).unwrap();
    let engine = log.engine(None);
    let changes = KernelChanges::try_new(url, engine.as_ref(), first, Some(last)).unwrap();
    let scan = changes.into_scan_builder().build().unwrap();
    let rows = scan.execute(engine).unwrap();
    rows.map(|rows| ArrowEngineData::try_from_engine_data(rows.unwrap()).unwrap().record_batch().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_feed_equals_the_kernels() {
    for partitions in [1, 2] {
        let sessions = sessions(partitions);
        for (folder, start) in feeds() {
            let newest = pinned(&sessions, &folder, PinAt::Latest).await.version().0;
            for (first, last) in (start..=newest).flat_map(|first| (first..=newest).map(move |last| (first, last))) {
                let changes = feed(&sessions, &folder, first, last).await.unwrap();
                let rows = rows_of(&feed_batches(&sessions, &changes).await, changes.schema());
                let of_kernel = folder.clone();
                let expected = tokio::task::spawn_blocking(move || oracle(&of_kernel, first, last)).await.unwrap();
                let expected = rows_of(&expected, changes.schema());
                assert_eq!(rows, expected, "{} from {first} to {last}", folder.display());
            }
        }
    }
}
