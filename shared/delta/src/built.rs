//! Whether a table holds anything yet: a run makes a table in a commit of its own before it writes to it, so a table may be
//! there that no run has committed to.

use serde::Deserialize;
use windlass_base::ids::NodeName;
use windlass_storage::Stores;

use super::cursor::is_run;
use super::log::{Action, CommitFile, log_store};
use super::pin::PinnedTable;
use super::{DeltaError, ReadError};

#[derive(Debug, Deserialize)]
struct StageInfo {
    #[serde(rename = "windlass.stage")]
    stage: Option<NodeName>,
}

/// Refuses a table that a run has made and none has committed to, up to the pinned version: that it holds no rows says
/// nothing about the rows of its stage. Tables of other programs pass, also empty ones.
///
/// # Errors
/// [`ReadError::NotBuilt`] for such a table, [`DeltaError::Log`] if the log cannot be read.
pub async fn check_built(table: &PinnedTable, stores: &Stores) -> Result<(), DeltaError> {
    if table.pin().files > 0 {
        return Ok(());
    }
    let location = table.location();
    let log = log_store(location, stores)?;
    for version in (0..=table.version().0).rev() {
        // A log that was cleaned up is not that of a new table.
        let Some(commit) = CommitFile::read(location, &log, version).await? else { return Ok(()) };
        let (mut is_filled, mut stage) = (false, None);
        for action in commit.actions() {
            match action? {
                Action::Transaction(transaction) => is_filled |= is_run(&transaction.app_id),
                Action::Add(_) | Action::Remove(_) => is_filled = true,
                Action::CommitInfo(info) => stage = commit.info::<StageInfo>(info)?.stage,
                Action::ChangeData(_) | Action::Metadata(_) | Action::Protocol(_) => {}
            }
        }
        if is_filled {
            return Ok(());
        }
        if let Some(stage) = stage.filter(|_| version == 0) {
            return Err(ReadError::NotBuilt { location: location.to_string(), stage }.into());
        }
    }
    Ok(())
}
