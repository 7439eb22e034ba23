//! The one commit of a stage.
//!
//! ```text
//! snapshot ─facts→ decide ─┬─ the run's transaction is there → AlreadyCommitted (or Committed, if it was this call)
//!     ↑                    ├─ another run has taken the number → Conflicted
//!     ↑                    ├─ the table is not what was planned → Conflicted
//!     └── the log decides ─┴─ attempt: put version + 1 if absent; whatever comes back, look again     (log/put.rs)
//! ```
//!
//! Exactly once: the attempt carries `txn(app_id, sequence)` and is put at exactly the version after the snapshot
//! whose transactions were read, and only if that version is absent. So a lost reply, a second driver or a late
//! request can neither repeat a commit nor slip one in unseen. Delta protocol, "Transaction Identifiers". A number alone
//! does not tell runs apart, as two schedulers may count for themselves: a commit with the run's number is the run's
//! own only if it carries the run's id.
//!
//! A commit against one version conflicts if anything was committed in between. A merge, a replacement of partitions and
//! a commit without rows make no sense otherwise; for an overwrite and an append it is the caller's choice. Without a
//! version, an overwrite replaces every file that the table has when it commits, and an append leaves them alone: either is
//! then built again on each new snapshot, and fails only if others are always faster.
//!
//! Along with its own transaction a commit records cursor transactions: those of other application ids, such as how far the
//! changes of each source are applied. They are in the table exactly if the commit's rows are.

mod actions;
mod checkpoint;
mod decide;
mod history;
mod mode;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, EagerSnapshot, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use windlass_base::ids::{AppId, RunId, RunSequence, TableVersion};
use windlass_storage::{Location, Stores};

pub(crate) use actions::removals;
pub use checkpoint::maybe_checkpoint;
use decide::{Decision, SnapshotFacts, decide};
pub use mode::CommitMode;

use super::DeltaError;
use super::log::{
    COMMIT_TOKEN, ConditionalCommit, LogState, PreparedCommit, check_commits, explain, log_store, pause, put_once,
    unread,
};
use super::merge::MergeCounts;
use super::table::{TableChange, TableState, fingerprint};
use super::write::{StagedFiles, WriteError};

/// How often the log is read before its store counts as out of reach.
const READS: usize = 5;
/// The `commitInfo` key of the run that committed.
pub(crate) const RUN: &str = "windlass.run_id";

/// Everything that a stage's commit consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitRequest {
    /// The table's root.
    pub location: Location,
    /// The files to add.
    pub staged: StagedFiles,
    /// What becomes of those that are there.
    pub mode: CommitMode,
    /// Who commits.
    pub app_id: AppId,
    /// The run that commits, by which it knows its own commit again.
    pub run_id: RunId,
    /// The run's number; a run commits once, and never after a later one.
    pub sequence: RunSequence,
    /// Versions of other application ids to record in the same commit.
    pub cursor_transactions: BTreeMap<AppId, i64>,
    /// What the table must be like.
    pub base: BaseExpectation,
    /// A change of the table to commit along, as [`TableState::change`] has it. For overwrites.
    pub change: Option<TableChange>,
    /// What goes into `commitInfo` besides: run, stage, plan fingerprint, engine.
    pub info: BTreeMap<String, Value>,
}

/// What the table must be like for the staged files to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseExpectation {
    /// [`TableState::fingerprint`] of the table that the write was planned against.
    pub fingerprint: String,
    /// The version that the rows were computed from, for commits that must not lose others' changes since;
    /// `None` if any version will do.
    pub version: Option<TableVersion>,
}

impl BaseExpectation {
    /// The table as it was looked at; any version of it will do.
    pub fn of(state: &TableState) -> Self {
        Self { fingerprint: state.fingerprint.clone(), version: None }
    }
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommitOutcome {
    /// This call committed.
    Committed(CommitReceipt),
    /// The run had committed before, and nothing was done now. The staged files of this call are not in the table
    /// unless they are the same as then.
    AlreadyCommitted(CommitReceipt),
    /// The table is no longer what the files were written for; nothing was committed.
    Conflicted {
        /// What changed.
        reason: String,
    },
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitReceipt {
    /// The version that it made.
    pub version: TableVersion,
    /// When, by the clock of the process that committed.
    pub timestamp: DateTime<Utc>,
    /// Rows in the added files.
    pub rows: u64,
    /// Bytes of the added files.
    pub bytes: u64,
    /// How many files were added.
    pub files_added: u64,
    /// How many files were removed. A file that stays with a new deletion vector is neither added nor removed.
    pub files_removed: u64,
    /// How many rows a merge has changed; `None` for commits of other kinds.
    #[serde(default)]
    pub merged: Option<MergeCounts>,
}

/// Commits staged files exactly once, however often and from wherever it is called for the same run.
///
/// # Errors
/// [`DeltaError::Log`] if the log could not be read before anything was tried, [`WriteError::Unknown`] if it could not
/// be read afterwards, [`WriteError::Contended`] if others were always faster: in all three cases calling again is
/// safe. [`WriteError::AppendOnly`] and [`WriteError::Forgotten`] as they say, [`WriteError::BadMerge`] if files that
/// are to be replaced are not those of the version that the request is against.
pub async fn commit(request: &CommitRequest, stores: &Stores) -> Result<CommitOutcome, DeltaError> {
    let committer = Committer {
        request,
        log_store: log_store(&request.location, stores)?,
        table: request.location.to_string(),
        token: Uuid::new_v4().simple().to_string(),
    };
    put_once(&committer).await
}

/// How many files a commit is about.
struct FileCounts {
    removed: u64,
    /// Removed and added again with a new deletion vector.
    with_new_vector: u64,
    changes: u64,
}

impl FileCounts {
    fn of(actions: &[Action]) -> Self {
        let count = |is: fn(&Action) -> bool| actions.iter().filter(|action| is(action)).count() as u64;
        let with_new_vector = count(|action| matches!(action, Action::Add(add) if add.deletion_vector.is_some()));
        Self {
            removed: count(|action| matches!(action, Action::Remove(_))) - with_new_vector,
            with_new_vector,
            changes: count(|action| matches!(action, Action::Cdc(_))),
        }
    }
}

/// One call of [`commit`].
struct Committer<'a> {
    request: &'a CommitRequest,
    log_store: LogStoreRef,
    table: String,
    token: String,
}

impl ConditionalCommit for Committer<'_> {
    type Outcome = CommitOutcome;
    type Base = EagerSnapshot;

    const ATTEMPTS: usize = 100;

    fn log(&self) -> &LogStoreRef {
        &self.log_store
    }

    fn table(&self) -> &str {
        &self.table
    }

    async fn look(&self, tried: bool) -> Result<LogState<CommitOutcome, EagerSnapshot>, DeltaError> {
        let (snapshot, facts) = self.read(tried).await?;
        Ok(match decide(&facts, self.request) {
            Decision::AlreadyCommitted => LogState::Decided(self.already_committed(facts.version, tried).await?),
            Decision::Superseded(last) => LogState::Decided(self.superseded(facts.version, last, tried).await?),
            Decision::Conflict(reason) => LogState::Decided(CommitOutcome::Conflicted { reason }),
            Decision::AppendOnly => return Err(WriteError::AppendOnly { table: self.table.clone() }.into()),
            Decision::Attempt => LogState::Open(snapshot),
        })
    }

    /// The version after the snapshot's; `None` if the snapshot's files could not be listed.
    async fn prepare(&self, snapshot: EagerSnapshot) -> Result<Option<PreparedCommit<CommitOutcome>>, DeltaError> {
        let actions = actions::actions(self.request, &snapshot, self.log_store.as_ref()).await?;
        let Some(actions) = actions else { return Ok(None) };
        let files = FileCounts::of(&actions);
        let info = self.commit_info(&snapshot, &files);
        let data = CommitData::new(actions, self.operation(&snapshot), info, self.transactions());
        let bytes = data.get_bytes().map_err(|error| WriteError::Encode {
            what: format!("the commit to `{}`", self.table),
            reason: error.to_string(),
        })?;
        let version = snapshot.version() + 1;
        let receipt = CommitReceipt {
            version: TableVersion(version),
            timestamp: history::timestamp(&data.actions),
            rows: self.request.staged.rows(),
            bytes: self.request.staged.bytes(),
            files_added: self.request.staged.files() as u64,
            files_removed: files.removed,
            merged: self.request.mode.replacement().map(|replacement| replacement.counts),
        };
        Ok(Some(PreparedCommit { version, bytes, outcome: CommitOutcome::Committed(receipt) }))
    }
}

impl Committer<'_> {
    /// The newest snapshot and what it says about this run: both from one reading of the log.
    async fn read(&self, tried: bool) -> Result<(EagerSnapshot, SnapshotFacts), DeltaError> {
        let mut failures = 0;
        loop {
            match self.read_once().await {
                Ok(found) => return Ok(found),
                Err(DeltaError::Log { .. }) if failures + 1 < READS => {}
                Err(error) => return Err(unread(&self.table, error, tried)),
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
    }

    async fn read_once(&self) -> Result<(EagerSnapshot, SnapshotFacts), DeltaError> {
        let location = &self.request.location;
        check_commits(location, &self.log_store, None).await?;
        let log_store = self.log_store.as_ref();
        let snapshot = match EagerSnapshot::try_new(log_store, None).await {
            Ok(snapshot) => snapshot,
            Err(cause) => return Err(explain(location, &self.log_store, None, cause).await),
        };
        let last = snapshot.transaction_version(log_store, &self.request.app_id).await;
        let last = last.map_err(|source| DeltaError::Log { location: self.table.clone(), source })?;
        let append_only = snapshot.metadata().configuration().get("delta.appendOnly");
        let facts = SnapshotFacts {
            version: TableVersion(snapshot.version()),
            last_sequence: last.map(RunSequence),
            fingerprint: fingerprint(snapshot.metadata(), snapshot.protocol()),
            append_only: append_only.is_some_and(|value| value == "true"),
        };
        Ok((snapshot, facts))
    }

    fn transactions(&self) -> Vec<Transaction> {
        let now = Some(Utc::now().timestamp_millis());
        let cursors = &self.request.cursor_transactions;
        let cursors = cursors.iter().filter(|(app_id, _)| **app_id != self.request.app_id);
        let cursors = cursors.map(|(app_id, version)| (app_id, *version));
        std::iter::once((&self.request.app_id, self.request.sequence.0))
            .chain(cursors)
            .map(|(app_id, version)| Transaction::new_with_last_update(app_id, version, now))
            .collect()
    }

    fn operation(&self, snapshot: &EagerSnapshot) -> DeltaOperation {
        let partition_by = match &self.request.change {
            Some(change) => change.partition_by.clone(),
            None => snapshot.metadata().partition_columns().to_vec(),
        };
        let mode = match self.request.mode {
            CommitMode::Merge(_) => {
                return DeltaOperation::Merge {
                    predicate: None,
                    merge_predicate: None,
                    matched_predicates: Vec::new(),
                    not_matched_predicates: Vec::new(),
                    not_matched_by_source_predicates: Vec::new(),
                };
            }
            CommitMode::Overwrite | CommitMode::ReplacePartitions { .. } => SaveMode::Overwrite,
            CommitMode::Append | CommitMode::Touch => SaveMode::Append,
        };
        DeltaOperation::Write { mode, partition_by: Some(partition_by).filter(|by| !by.is_empty()), predicate: None }
    }

    fn commit_info(&self, snapshot: &EagerSnapshot, files: &FileCounts) -> HashMap<String, Value> {
        let staged = &self.request.staged;
        let mut info: HashMap<String, Value> = self.request.info.clone().into_iter().collect();
        info.insert(COMMIT_TOKEN.to_owned(), json!(self.token));
        info.insert(RUN.to_owned(), json!(self.request.run_id));
        info.insert("readVersion".to_owned(), json!(snapshot.version()));
        info.insert("isBlindAppend".to_owned(), json!(!self.request.mode.replaces()));
        let mut metrics = json!({
            "numFiles": staged.files().to_string(),
            "numOutputRows": staged.rows().to_string(),
            "numOutputBytes": staged.bytes().to_string(),
            "numRemovedFiles": files.removed.to_string(),
        });
        if let Some(replacement) = self.request.mode.replacement() {
            let counts = replacement.counts;
            metrics = json!({
                "numTargetRowsInserted": counts.inserted.to_string(),
                "numTargetRowsUpdated": counts.updated.to_string(),
                "numTargetRowsDeleted": counts.deleted.to_string(),
                "numTargetRowsCopied": staged.rows().saturating_sub(counts.inserted + counts.updated).to_string(),
                "numOutputRows": staged.rows().to_string(),
                "numTargetFilesAdded": staged.files().to_string(),
                "numTargetBytesAdded": staged.bytes().to_string(),
                "numTargetFilesRemoved": files.removed.to_string(),
                "numTargetDeletionVectorsAdded": files.with_new_vector.to_string(),
                "numTargetChangeFilesAdded": files.changes.to_string(),
            });
        }
        info.insert("operationMetrics".to_owned(), metrics);
        info
    }

    /// The run's number is in the log: finds its commit, and whether it is the run's own, and made by this call.
    async fn already_committed(&self, newest: TableVersion, tried: bool) -> Result<CommitOutcome, DeltaError> {
        let sequence = self.request.sequence;
        match self.find_commit(newest, tried).await? {
            Some(commit) if commit.token.as_deref() == Some(&self.token) => {
                Ok(CommitOutcome::Committed(commit.receipt))
            }
            Some(commit) => Ok(self.outcome_of_earlier(commit)),
            None => Err(WriteError::Forgotten {
                table: self.table.clone(),
                app_id: self.request.app_id.to_string(),
                sequence: sequence.0,
            }
            .into()),
        }
    }

    /// A later run has committed. This one may have done so before it; if not, it must not any more.
    async fn superseded(
        &self,
        newest: TableVersion,
        last: RunSequence,
        tried: bool,
    ) -> Result<CommitOutcome, DeltaError> {
        Ok(match self.find_commit(newest, tried).await? {
            Some(commit) => self.outcome_of_earlier(commit),
            None => {
                let reason = format!("run {last} has committed already, so run {} is too late", self.request.sequence);
                CommitOutcome::Conflicted { reason }
            }
        })
    }

    /// What a commit that has the run's number, and was not made by this call, means for the run.
    fn outcome_of_earlier(&self, commit: history::RunCommit) -> CommitOutcome {
        let (run_id, sequence) = (&self.request.run_id, self.request.sequence);
        match commit.run_id {
            Some(other) if other == *run_id => CommitOutcome::AlreadyCommitted(commit.receipt),
            other => {
                let who = other.map_or("another program".to_owned(), |other| format!("run {other}"));
                let version = commit.receipt.version;
                let reason =
                    format!("{who} has taken the number {sequence} of this run, and committed version {version}");
                CommitOutcome::Conflicted { reason }
            }
        }
    }

    async fn find_commit(&self, newest: TableVersion, tried: bool) -> Result<Option<history::RunCommit>, DeltaError> {
        let mut failures = 0;
        loop {
            let CommitRequest { location, app_id, sequence, .. } = self.request;
            match history::find(location, &self.log_store, newest, app_id, *sequence).await {
                Ok(found) => return Ok(found),
                Err(DeltaError::Log { .. }) if failures + 1 < READS => {}
                Err(error) => return Err(unread(&self.table, error, tried)),
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
    }
}
