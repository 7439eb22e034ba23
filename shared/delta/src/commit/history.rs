//! Finding a commit again: which version a run made, and what it did.

use chrono::{DateTime, Utc};
use deltalake::kernel::Action;
use deltalake::logstore::LogStoreRef;
use serde::Deserialize;
use serde::de::IgnoredAny;
use windlass_base::ids::{AppId, RunId, RunSequence, TableVersion};
use windlass_storage::Location;

use super::CommitReceipt;
use crate::DeltaError;
use crate::history::commit_lines;
use crate::merge::MergeCounts;

/// A commit of a run.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) receipt: CommitReceipt,
    /// The token of the call that made it.
    pub(super) token: Option<String>,
    /// The run that it says it is of.
    pub(super) run_id: Option<RunId>,
}

/// The fields of a commit's lines that matter here; lines of other kinds have none of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Txn>,
    add: Option<Added>,
    remove: Option<IgnoredAny>,
    commit_info: Option<Info>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    size: u64,
    stats: Option<String>,
    deletion_vector: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
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
) -> Result<Option<Found>, DeltaError> {
    let failed = |source| DeltaError::Log { location: location.to_string(), source };
    for version in (0..=newest.0).rev() {
        let Some(bytes) = log_store.read_commit_entry(version).await.map_err(failed)? else { return Ok(None) };
        let lines: Vec<Line> = commit_lines(location, version, &bytes)?;
        let mut txns = lines.iter().filter_map(|line| line.txn.as_ref());
        if txns.any(|txn| txn.app_id == app_id.as_str() && txn.version == sequence.0) {
            return Ok(Some(found(TableVersion(version), &lines)));
        }
    }
    Ok(None)
}

fn found(version: TableVersion, lines: &[Line]) -> Found {
    let mut receipt = CommitReceipt {
        version,
        timestamp: DateTime::UNIX_EPOCH,
        rows: 0,
        bytes: 0,
        files_added: 0,
        files_removed: 0,
        merged: None,
    };
    let (mut token, mut run_id) = (None, None);
    // A file that is added with rows marked was there before: it is removed in the same commit.
    let is_marked = |line: &&Line| line.add.as_ref().is_some_and(|added| added.deletion_vector.is_some());
    let marked = lines.iter().filter(is_marked).count() as u64;
    for line in lines {
        if let Some(added) = line.add.as_ref().filter(|added| added.deletion_vector.is_none()) {
            let stats = added.stats.as_deref().and_then(|stats| serde_json::from_str::<Stats>(stats).ok());
            receipt.rows += stats.map_or(0, |stats| stats.num_records);
            receipt.bytes += added.size;
            receipt.files_added += 1;
        }
        receipt.files_removed += u64::from(line.remove.is_some());
        if let Some(info) = &line.commit_info {
            receipt.timestamp = moment(info.timestamp);
            token.clone_from(&info.commit_token);
            run_id.clone_from(&info.run_id);
            receipt.merged = info.operation_metrics.as_ref().and_then(Metrics::counts);
        }
    }
    receipt.files_removed = receipt.files_removed.saturating_sub(marked);
    Found { receipt, token, run_id }
}

/// When a commit with these actions was made.
pub(super) fn timestamp(actions: &[Action]) -> DateTime<Utc> {
    let info = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info.timestamp),
        _ => None,
    });
    moment(info.flatten())
}

fn moment(millis: Option<i64>) -> DateTime<Utc> {
    millis.and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH)
}
