//! Past and present runs.

use std::collections::BTreeSet;

use windlass_base::ids::RunId;
use windlass_evidence::bundle::BundleReader;

use crate::error::{ClientError, LATEST};

/// The runs of a pipeline: their bundles, with the plans and metrics of every stage, and which are active.
#[derive(Debug)]
pub struct Runs {
    /// Reads the bundles.
    pub bundles: BundleReader,
    /// The active runs.
    pub live: BTreeSet<RunId>,
}

impl Runs {
    /// Finds the run for `wanted`: an id, a prefix of one, or `latest`.
    ///
    /// # Errors
    /// [`ClientError::NoSuchRun`] if none or several match.
    pub async fn find(&self, wanted: &str) -> Result<RunId, ClientError> {
        let ids = self.bundles.run_ids().await?;
        let mut matching = ids.iter().filter(|run| wanted == LATEST || run.as_str().starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some(run), _) if wanted == LATEST => Ok(run.clone()),
            (Some(run), None) => Ok(run.clone()),
            (Some(run), Some(_)) if run.as_str() == wanted => Ok(run.clone()),
            (found, _) => Err(ClientError::NoSuchRun { wanted: wanted.to_owned(), several: found.is_some() }),
        }
    }
}
