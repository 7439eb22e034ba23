//! The bundles of runs, file by file.

use windlass_api::check_path;
use windlass_api::v1::BundleChunk;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::RunLayout;
use windlass_evidence::bundle::{BundleFiles, RecordError};

use super::error::ServiceError;
use super::server::Shared;
use crate::home::Home;
use crate::record::BundleStore;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The bundles of a home.
pub(super) fn bundle_of(shared: &Shared, home: &Home) -> Result<BundleStore, ServiceError> {
    Ok(BundleStore::open(shared.scheduler.sessions.stores(), home.root())?)
}

/// The runs of a home, the newest first.
pub(super) async fn run_ids(bundles: &BundleStore) -> Result<Vec<RunId>, ServiceError> {
    let mut ids = bundles.run_ids().await?;
    // Other folders are no runs, and could not be asked for.
    ids.retain(|id| RunId::parse(id.as_str()).is_ok());
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(ids)
}

/// A file of a run's bundle. A file that is not there has no chunks; an empty one has an empty chunk.
pub(super) async fn part(bundles: &BundleStore, run_id: &RunId, path: &str) -> Result<Vec<BundleChunk>, ServiceError> {
    check_path(path)?;
    let layout = RunLayout::new(run_id.clone());
    // A part that this version does not know is one that the run has not written.
    let content = match RunLayout::is_part(path) {
        true => bundles.get(&format!("{}/{path}", layout.folder())).await?,
        false => None,
    };
    let Some(content) = content else {
        // Telling a run that there never was from a part that it has not written.
        return match path == "run.json" {
            true => Err(RecordError::NoSuchRun { run_id: run_id.clone() }.into()),
            false => Ok(Vec::new()),
        };
    };
    let cuts = (0..content.len().max(1)).step_by(CHUNK_BYTES);
    let chunk = |start: usize| BundleChunk { data: content.slice(start..(start + CHUNK_BYTES).min(content.len())) };
    Ok(cuts.map(chunk).collect())
}
