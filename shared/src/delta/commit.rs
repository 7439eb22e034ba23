//! The one commit of a stage.
//!
//! ```text
//! snapshot ─facts→ decide ─┬─ the run's transaction is there → AlreadyCommitted (or Committed, if it was this call)
//!     ↑                    ├─ the table is not what was planned → Conflicted
//!     └── the log decides ─┴─ attempt: put version + 1 if absent; whatever comes back, look again
//! ```
//!
//! Exactly once: the attempt carries `txn(app_id, sequence)` and is put at exactly the version after the snapshot
//! whose transactions were read, and only if that version is absent. So a lost reply, a second driver or a late
//! request can neither repeat a commit nor slip one in unseen. Delta protocol, "Transaction Identifiers".
//!
//! An overwrite replaces every file that is there when it commits, also those that others have added since it was
//! planned; an append leaves them alone. Either is built anew on each new snapshot, so concurrent writers never make
//! it fail, unless there are so many that it never gets a turn.

mod checkpoint;
mod decide;
mod history;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, EagerSnapshot, Transaction};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use checkpoint::maybe_checkpoint;
use decide::{Decision, LogFacts, decide};

use super::DeltaError;
use super::history::History;
use super::log_store::log_store;
use super::table::{TableChange, TableState, changed, fingerprint};
use super::write::{StagedFiles, WriteError};
use crate::ids::{AppId, RunSequence, TableVersion};
use crate::spec::table::WriteMode;
use crate::storage::{Location, Stores};

/// How often a commit is tried before the table counts as too busy.
const ATTEMPTS: usize = 100;
/// How often the log is read before its store counts as out of reach.
const READS: usize = 5;
/// The `commitInfo` key of the token by which a call recognises its own commit.
const TOKEN: &str = "commitToken";

/// Everything that a stage's commit consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitRequest {
    /// The table's root.
    pub location: Location,
    /// The files to add.
    pub staged: StagedFiles,
    /// Whether they replace those that are there.
    pub mode: WriteMode,
    /// Who commits.
    pub app_id: AppId,
    /// The run that commits; a run commits once, and never after a later one.
    pub sequence: RunSequence,
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
    /// How many files were removed.
    pub files_removed: u64,
}

/// Commits staged files exactly once, however often and from wherever it is called for the same run.
///
/// Needs a multi-threaded tokio runtime, as everything that reads a Delta log does.
///
/// # Errors
/// [`DeltaError::Log`] if the log could not be read before anything was tried, [`WriteError::Unknown`] if it could not
/// be read afterwards, [`WriteError::Contended`] if others were always faster: in all three cases calling again is
/// safe. [`WriteError::AppendOnly`] and [`WriteError::Forgotten`] as they say.
pub async fn commit(request: &CommitRequest, stores: &Stores) -> Result<CommitOutcome, DeltaError> {
    let committer = Committer {
        request,
        log_store: log_store(&request.location, stores)?,
        table: request.location.to_string(),
        token: Uuid::new_v4().simple().to_string(),
    };
    committer.run().await
}

/// The last run that `app_id` committed to the table at `location`; `None` if there is no table, or no commit of its.
///
/// # Errors
/// [`DeltaError::Log`] if the log cannot be read.
pub async fn last_sequence(
    location: &Location,
    app_id: &AppId,
    stores: &Stores,
) -> Result<Option<RunSequence>, DeltaError> {
    let log_store = log_store(location, stores)?;
    match History::list(location, &log_store).await {
        Ok(_) => {}
        Err(error) if error.is_not_a_table() => return Ok(None),
        Err(error) => return Err(error),
    }
    let last = async {
        let snapshot = EagerSnapshot::try_new(log_store.as_ref(), None).await?;
        snapshot.transaction_version(log_store.as_ref(), app_id.as_str()).await
    };
    let last = last.await.map_err(|source| DeltaError::Log { location: location.to_string(), source })?;
    Ok(last.map(RunSequence))
}

/// One call of [`commit`].
struct Committer<'a> {
    request: &'a CommitRequest,
    log_store: LogStoreRef,
    table: String,
    token: String,
}

impl Committer<'_> {
    async fn run(&self) -> Result<CommitOutcome, DeltaError> {
        for attempt in 0..=ATTEMPTS {
            let (snapshot, facts) = self.read(attempt > 0).await?;
            match decide(&facts, self.request) {
                Decision::AlreadyCommitted => return self.found(facts.version, attempt > 0).await,
                Decision::Superseded(last) => return self.superseded(facts.version, last, attempt > 0).await,
                Decision::Conflict(reason) => return Ok(CommitOutcome::Conflicted { reason }),
                Decision::AppendOnly => return Err(WriteError::AppendOnly { table: self.table.clone() }.into()),
                Decision::Attempt if attempt == ATTEMPTS => break,
                Decision::Attempt => {}
            }
            if let Some(receipt) = self.attempt(&snapshot).await? {
                return Ok(CommitOutcome::Committed(receipt));
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(WriteError::Contended { table: self.table.clone(), attempts: ATTEMPTS }.into())
    }

    /// The newest snapshot and what it says about this run: both from one reading of the log.
    async fn read(&self, tried: bool) -> Result<(EagerSnapshot, LogFacts), DeltaError> {
        let mut failures = 0;
        loop {
            match self.read_once().await {
                Ok(found) => return Ok(found),
                Err(_) if failures + 1 < READS => {}
                Err(source) if tried => return Err(WriteError::Unknown { table: self.table.clone(), source }.into()),
                Err(source) => return Err(DeltaError::Log { location: self.table.clone(), source }),
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
    }

    async fn read_once(&self) -> Result<(EagerSnapshot, LogFacts), DeltaTableError> {
        let log_store = self.log_store.as_ref();
        let snapshot = EagerSnapshot::try_new(log_store, None).await?;
        let last = snapshot.transaction_version(log_store, &self.request.app_id).await?;
        let append_only = snapshot.metadata().configuration().get("delta.appendOnly");
        let facts = LogFacts {
            version: TableVersion(snapshot.version()),
            last_sequence: last.map(RunSequence),
            fingerprint: fingerprint(snapshot.metadata(), snapshot.protocol()),
            append_only: append_only.is_some_and(|value| value == "true"),
        };
        Ok((snapshot, facts))
    }

    /// Puts the version after the snapshot's. `None` means: look at the log.
    async fn attempt(&self, snapshot: &EagerSnapshot) -> Result<Option<CommitReceipt>, DeltaError> {
        let Some(actions) = self.actions(snapshot).await? else { return Ok(None) };
        let files_removed = actions.iter().filter(|action| matches!(action, Action::Remove(_))).count() as u64;
        let data = CommitData::new(
            actions,
            self.operation(snapshot),
            self.commit_info(snapshot, files_removed),
            vec![Transaction::new_with_last_update(
                &self.request.app_id,
                self.request.sequence.0,
                Some(Utc::now().timestamp_millis()),
            )],
        );
        let bytes = data.get_bytes().map_err(|error| WriteError::Encode {
            what: format!("the commit to `{}`", self.table),
            reason: error.to_string(),
        })?;
        let version = snapshot.version() + 1;
        let put = self.log_store.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
        match put {
            Ok(()) => Ok(Some(CommitReceipt {
                version: TableVersion(version),
                timestamp: history::timestamp(&data.actions),
                rows: self.request.staged.rows(),
                bytes: self.request.staged.bytes(),
                files_added: self.request.staged.files() as u64,
                files_removed,
            })),
            Err(TransactionError::VersionAlreadyExists(_)) => Ok(None),
            Err(error) => {
                tracing::warn!(table = %self.table, version, %error, "a commit failed; the log decides whether it is there");
                Ok(None)
            }
        }
    }

    /// The actions of a commit on `snapshot`; `None` if its files could not be listed.
    async fn actions(&self, snapshot: &EagerSnapshot) -> Result<Option<Vec<Action>>, DeltaError> {
        let mut actions = Vec::new();
        if let Some(change) = &self.request.change {
            actions.extend(changed(snapshot.metadata(), snapshot.protocol(), change)?);
        }
        actions.extend_from_slice(self.request.staged.actions());
        if self.request.mode == WriteMode::Overwrite {
            let views = snapshot.file_views(self.log_store.as_ref(), None);
            let removes = views.map_ok(|view| Action::Remove(view.remove_action(true)));
            let Ok(removes) = removes.try_collect::<Vec<_>>().await else { return Ok(None) };
            actions.extend(removes);
        }
        Ok(Some(actions))
    }

    fn operation(&self, snapshot: &EagerSnapshot) -> DeltaOperation {
        let partition_by = match &self.request.change {
            Some(change) => change.partition_by.clone(),
            None => snapshot.metadata().partition_columns().to_vec(),
        };
        let mode = match self.request.mode {
            WriteMode::Overwrite => SaveMode::Overwrite,
            WriteMode::Append => SaveMode::Append,
        };
        DeltaOperation::Write { mode, partition_by: Some(partition_by).filter(|by| !by.is_empty()), predicate: None }
    }

    fn commit_info(&self, snapshot: &EagerSnapshot, files_removed: u64) -> HashMap<String, Value> {
        let staged = &self.request.staged;
        let mut info: HashMap<String, Value> = self.request.info.clone().into_iter().collect();
        info.insert(TOKEN.to_owned(), json!(self.token));
        info.insert("readVersion".to_owned(), json!(snapshot.version()));
        info.insert("isBlindAppend".to_owned(), json!(self.request.mode == WriteMode::Append));
        info.insert(
            "operationMetrics".to_owned(),
            json!({
                "numFiles": staged.files().to_string(),
                "numOutputRows": staged.rows().to_string(),
                "numOutputBytes": staged.bytes().to_string(),
                "numRemovedFiles": files_removed.to_string(),
            }),
        );
        info
    }

    /// The run's transaction is in the log: finds its commit, and whether this call made it.
    async fn found(&self, newest: TableVersion, tried: bool) -> Result<CommitOutcome, DeltaError> {
        let sequence = self.request.sequence;
        match self.look_back(newest, tried).await? {
            Some(found) if found.token.as_deref() == Some(&self.token) => Ok(CommitOutcome::Committed(found.receipt)),
            Some(found) => Ok(CommitOutcome::AlreadyCommitted(found.receipt)),
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
        Ok(match self.look_back(newest, tried).await? {
            Some(found) => CommitOutcome::AlreadyCommitted(found.receipt),
            None => {
                let reason = format!("run {last} has committed already, so run {} is too late", self.request.sequence);
                CommitOutcome::Conflicted { reason }
            }
        })
    }

    async fn look_back(&self, newest: TableVersion, tried: bool) -> Result<Option<history::Found>, DeltaError> {
        let mut failures = 0;
        loop {
            match history::find(&self.log_store, newest, &self.request.app_id, self.request.sequence).await {
                Ok(found) => return Ok(found),
                Err(_) if failures + 1 < READS => {}
                Err(source) if tried => return Err(WriteError::Unknown { table: self.table.clone(), source }.into()),
                Err(source) => return Err(DeltaError::Log { location: self.table.clone(), source }),
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
    }
}

/// How long to wait after the given number of failures: none at first, then a random part of a growing time.
fn pause(failures: usize) -> Duration {
    let longest = 1u64 << failures.min(8);
    let random = u64::from(Uuid::new_v4().as_bytes()[0]);
    Duration::from_micros(if failures == 0 { 0 } else { longest * 1000 * random / 255 })
}
