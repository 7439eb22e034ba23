//! Past and present runs.

use std::collections::BTreeSet;

use windlass_base::ids::RunId;
use windlass_evidence::bundle::{BundleReader, ListedRun};

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
    /// The newest runs first, at most `limit`: of one target of the project, or of all.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] if the runs cannot be listed. A run that cannot be read is among all, with the reason.
    pub async fn list(&self, target: Option<&str>, limit: usize) -> Result<Vec<ListedRun>, ClientError> {
        let Some(target) = target else { return Ok(self.bundles.list(&self.live, Some(limit)).await?) };
        let mut listed = Vec::new();
        for run_id in self.bundles.run_ids().await? {
            if listed.len() == limit {
                break;
            }
            let record = self.bundles.run(&run_id, &self.live).await;
            if record.as_ref().is_ok_and(|record| record.target.as_deref() == Some(target)) {
                listed.push(ListedRun { run_id, record });
            }
        }
        Ok(listed)
    }

    /// Finds the run for `wanted`: an id, a prefix of one, or `latest`.
    ///
    /// # Errors
    /// [`ClientError::NoSuchRun`] if none or several match.
    pub async fn find(&self, wanted: &str) -> Result<RunId, ClientError> {
        self.find_for(wanted, None).await
    }

    /// As [`Runs::find`]; `latest` is the newest run of `target`, if that is given.
    ///
    /// # Errors
    /// As [`Runs::find`].
    pub async fn find_for(&self, wanted: &str, target: Option<&str>) -> Result<RunId, ClientError> {
        let none = |several| ClientError::NoSuchRun { wanted: wanted.to_owned(), several };
        if wanted == LATEST && target.is_some() {
            return self.list(target, 1).await?.pop().map(|run| run.run_id).ok_or_else(|| none(false));
        }
        let ids = self.bundles.run_ids().await?;
        let mut matching = ids.iter().filter(|run| wanted == LATEST || run.as_str().starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some(run), _) if wanted == LATEST => Ok(run.clone()),
            (Some(run), None) => Ok(run.clone()),
            (Some(run), Some(_)) if run.as_str() == wanted => Ok(run.clone()),
            (found, _) => Err(none(found.is_some())),
        }
    }
}
