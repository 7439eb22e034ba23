//! Whether a table holds anything yet: a run makes a table in a commit of its own before it writes to it, so a table may be
//! there that no run has committed to.

use serde::Deserialize;
use windlass_base::ids::NodeName;
use windlass_storage::Stores;

use super::cursor::{FileAction, Txn, is_run};
use super::history::commit_lines;
use super::log_store::log_store;
use super::pin::PinnedTable;
use super::{DeltaError, ReadError};

/// The fields of a commit's lines that matter here; lines of other kinds have none of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Txn>,
    add: Option<FileAction>,
    remove: Option<FileAction>,
    commit_info: Option<Info>,
}

#[derive(Debug, Deserialize)]
struct Info {
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
    let failed = |source| DeltaError::Log { location: location.to_string(), source };
    for version in (0..=table.version().0).rev() {
        // A log that was cleaned up is not that of a new table.
        let Some(bytes) = log.read_commit_entry(version).await.map_err(failed)? else { return Ok(()) };
        let lines: Vec<Line> = commit_lines(location, version, &bytes)?;
        let fills = |line: &Line| line.txn.as_ref().is_some_and(is_run) || line.add.is_some() || line.remove.is_some();
        if lines.iter().any(fills) {
            return Ok(());
        }
        let stage = lines.into_iter().find_map(|line| line.commit_info?.stage);
        if let Some(stage) = stage.filter(|_| version == 0) {
            return Err(ReadError::NotBuilt { location: location.to_string(), stage }.into());
        }
    }
    Ok(())
}
