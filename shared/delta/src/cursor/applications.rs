//! Which applications have committed to a table: for stages, `pipeline/stage`.

use std::collections::BTreeSet;

use windlass_base::ids::AppId;
use windlass_storage::{Location, Stores};

use super::is_run;
use crate::DeltaError;
use crate::log::{Action, CommitFile, LogListing, log_store};

/// The applications whose transactions are in the newest `most` commits of the table at `location`, without those that say
/// how far inputs are applied. `None` if there is no table. Commits whose files are gone are not looked for.
///
/// # Errors
/// [`DeltaError::Log`] if the log cannot be read, [`ReadError::InvalidLog`](crate::ReadError::InvalidLog) if it is damaged.
pub async fn applications(
    location: &Location,
    most: u64,
    stores: &Stores,
) -> Result<Option<BTreeSet<AppId>>, DeltaError> {
    let log = log_store(location, stores)?;
    let listing = match LogListing::list(location, &log).await {
        Ok(listing) => listing,
        Err(error) if error.is_not_a_table() => return Ok(None),
        Err(error) => return Err(error),
    };
    let (_, newest) = listing.range();
    let mut found = BTreeSet::new();
    for version in (0..=newest).rev().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        let Some(commit) = CommitFile::read(location, &log, version).await? else { break };
        for action in commit.actions() {
            if let Action::Transaction(transaction) = action?
                && is_run(&transaction.app_id)
            {
                found.insert(AppId::new(transaction.app_id));
            }
        }
    }
    Ok(Some(found))
}
