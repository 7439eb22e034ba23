//! Whether a run ended, by what its bundle says.

use std::collections::BTreeMap;

use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use serde::Deserialize;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{RunLayout, RunStatus};
use windlass_storage::{StorageError, Stores};

use crate::home::Home;

/// The part of a run's record that tells.
#[derive(Debug, Deserialize)]
struct Ending {
    status: RunStatus,
}

/// The runs that were asked about, and whether each was interrupted.
#[derive(Debug, Default)]
pub(super) struct EarlierRuns {
    interrupted: Mutex<BTreeMap<RunId, bool>>,
}

impl EarlierRuns {
    /// Whether a run began and never ended, which only the death of its process explains: the caller has the pipeline's
    /// lease, or only wants to know. A run of which the home knows nothing has ended.
    ///
    /// # Errors
    /// [`StorageError`] if the home's store fails.
    pub(super) async fn interrupted(&self, home: &Home, run: &RunId, stores: &Stores) -> Result<bool, StorageError> {
        if let Some(known) = self.interrupted.lock().get(run) {
            return Ok(*known);
        }
        let found = look(home, run, stores).await?;
        self.interrupted.lock().insert(run.clone(), found);
        Ok(found)
    }
}

async fn look(home: &Home, run: &RunId, stores: &Stores) -> Result<bool, StorageError> {
    let file = home.root().join(&RunLayout::new(run.clone()).run());
    let failed = |source| StorageError::Access { location: file.to_string(), source };
    let found = match stores.store(&file)?.get(&file.path()?).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(false),
        found => found.map_err(failed)?,
    };
    let bytes = found.bytes().await.map_err(failed)?;
    Ok(serde_json::from_slice::<Ending>(&bytes).is_ok_and(|ending| !ending.status.is_over()))
}
