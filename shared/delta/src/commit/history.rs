//! Looking a run's commit up in the log: which version it made, and what it did.

use chrono::{DateTime, Utc};
use deltalake::kernel;
use deltalake::logstore::LogStoreRef;
use serde::Deserialize;
use windlass_base::ids::{AppId, RunId, RunSequence, TableVersion};
use windlass_storage::Location;

use super::CommitReceipt;
use crate::log::{Action, CommitFile};
use crate::merge::MergeCounts;
use crate::{DeltaError, ReadError};

/// A commit of a run.
#[derive(Debug)]
pub(super) struct RunCommit {
    pub(super) receipt: CommitReceipt,
    /// The token of the call that made it.
    pub(super) token: Option<String>,
    /// The run that it says it is of.
    pub(super) run_id: Option<RunId>,
}

/// What `commitInfo` says about the call that committed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallInfo {
    timestamp: Option<i64>,
    commit_token: Option<String>,
    /// As [`RUN`](super::RUN) names it.
    #[serde(rename = "windlass.run_id")]
    run_id: Option<RunId>,
    operation_metrics: Option<Metrics>,
}

/// The metrics of a merge. Other operations have others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    num_target_rows_inserted: Option<String>,
    num_target_rows_updated: Option<String>,
    num_target_rows_deleted: Option<String>,
}

impl Metrics {
    fn counts(&self) -> Option<MergeCounts> {
        let number = |text: &Option<String>| text.as_ref()?.parse().ok();
        Some(MergeCounts {
            inserted: number(&self.num_target_rows_inserted)?,
            updated: number(&self.num_target_rows_updated)?,
            deleted: number(&self.num_target_rows_deleted)?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: u64,
}

/// The commit of run `sequence`, searched from version `newest` backwards as far as the log goes.
pub(super) async fn find(
    location: &Location,
    log_store: &LogStoreRef,
    newest: TableVersion,
    app_id: &AppId,
    sequence: RunSequence,
) -> Result<Option<RunCommit>, DeltaError> {
    for version in (0..=newest.0).rev() {
        let Some(commit) = CommitFile::read(location, log_store, version).await? else { return Ok(None) };
        if holds(&commit, app_id, sequence)? {
            return Ok(Some(read(TableVersion(version), &commit)?));
        }
    }
    Ok(None)
}

/// Whether a commit has the transaction of run `sequence`.
fn holds(commit: &CommitFile, app_id: &AppId, sequence: RunSequence) -> Result<bool, ReadError> {
    let mut holds = false;
    // Read to its end: a commit that is cut off says nothing.
    for action in commit.actions() {
        if let Action::Transaction(transaction) = action? {
            holds |= transaction.app_id == app_id.as_str() && transaction.version == sequence.0;
        }
    }
    Ok(holds)
}

/// What the commit that made `version` did.
fn read(version: TableVersion, commit: &CommitFile) -> Result<RunCommit, ReadError> {
    let mut receipt = CommitReceipt {
        version,
        timestamp: DateTime::UNIX_EPOCH,
        rows: 0,
        bytes: 0,
        files_added: 0,
        files_removed: 0,
        merged: None,
    };
    let (mut info, mut with_new_vector) = (CallInfo::default(), 0);
    for action in commit.actions() {
        match action? {
            // A file that is added with a deletion vector was in the table before: it is removed in the same commit.
            Action::Add(added) if added.deletion_vector.is_some() => with_new_vector += 1,
            Action::Add(added) => {
                let stats = added.stats.as_deref().and_then(|stats| serde_json::from_str::<Stats>(stats).ok());
                receipt.rows += stats.map_or(0, |stats| stats.num_records);
                receipt.bytes += added.size.unwrap_or_default();
                receipt.files_added += 1;
            }
            Action::Remove(_) => receipt.files_removed += 1,
            Action::CommitInfo(told) => info = commit.info(told)?,
            Action::Transaction(_) | Action::ChangeData(_) | Action::Metadata(_) | Action::Protocol(_) => {}
        }
    }
    receipt.files_removed = receipt.files_removed.saturating_sub(with_new_vector);
    receipt.timestamp = moment(info.timestamp);
    receipt.merged = info.operation_metrics.as_ref().and_then(Metrics::counts);
    Ok(RunCommit { receipt, token: info.commit_token, run_id: info.run_id })
}

/// When a commit with these actions was made.
pub(super) fn timestamp(actions: &[kernel::Action]) -> DateTime<Utc> {
    let info = actions.iter().find_map(|action| match action {
        kernel::Action::CommitInfo(info) => Some(info.timestamp),
        _ => None,
    });
    moment(info.flatten())
}

fn moment(millis: Option<i64>) -> DateTime<Utc> {
    millis.and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH)
}
