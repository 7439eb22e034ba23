//! Checkpoints of the log: made after commits, in a step of their own that no commit depends on.

use deltalake::checkpoints::create_checkpoint;
use deltalake::{DeltaResult, DeltaTable};
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use crate::DeltaError;
use crate::log::log_store;

/// Versions from one checkpoint to the next when the table does not say otherwise (`delta.checkpointInterval`).
const DEFAULT_INTERVAL: u64 = 100;
/// No interval is shorter, so that most commits need not look at the table again.
const SHORTEST_INTERVAL: u64 = 10;

/// Makes a checkpoint if `version`, just committed, is a multiple of the table's interval (at least 10). Old log
/// files stay: cleaning them up is maintenance, which knows what is pinned. Returns whether one was made.
///
/// # Errors
/// [`DeltaError::Log`] if the log or the store fails. The commit is not affected.
pub async fn maybe_checkpoint(location: &Location, version: TableVersion, stores: &Stores) -> Result<bool, DeltaError> {
    if version.0 == 0 || !version.0.is_multiple_of(SHORTEST_INTERVAL) {
        return Ok(false);
    }
    let mut table = DeltaTable::new(log_store(location, stores)?);
    let mut make = async || -> DeltaResult<bool> {
        table.load_version(version.0).await?;
        let configuration = table.snapshot()?.metadata().configuration().get("delta.checkpointInterval").cloned();
        let interval = configuration.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_INTERVAL);
        if !version.0.is_multiple_of(interval.max(SHORTEST_INTERVAL)) {
            return Ok(false);
        }
        create_checkpoint(&table, None).await?;
        Ok(true)
    };
    make().await.map_err(|source| DeltaError::Log { location: location.to_string(), source })
}
