//! Cursors: how far a stage's table has taken in each of its inputs, kept as transactions of the table's own commits.
//!
//! ```text
//! a run's commit   txn pipeline/stage                              = number of the run
//!                  txn pipeline/stage#code                         = hash of the definition that made the rows
//!                  txn pipeline/stage#source=orders&table=<id>     = version of `orders` that is taken in
//!                  txn pipeline/stage#commit=orders&table=<id>     = hash of the commit that made that version
//!                  txn pipeline/stage#files=source_files           = hash of the listing that is taken in
//! a reset          one or more of `source` and `files`             = -1, or an older version
//! ```
//!
//! Every commit of a run carries all of them, so the newest commits say everything: whoever wants to know walks back
//! from the newest version to the last commit of a run. A transaction stays in checkpoints, so cursors outlive the files
//! of the log. Delta protocol, "Transaction Identifiers".
//!
//! What was committed since by others is looked at on the way: whether rows or columns are not those of the run any more.

use std::collections::BTreeMap;

use deltalake::kernel::EagerSnapshot;
use deltalake::logstore::LogStoreRef;
use serde::Deserialize;
use windlass_base::code_parts::CodeParts;
use windlass_base::ids::{AppId, NodeName, RunId, RunSequence, TableVersion};
use windlass_storage::{Location, Stores};

pub use super::log::{commit_hash, hash_as_version};

use super::log::{Action, CommitFile, LogListing, log_store};
use super::table::same_shape;
use super::{DeltaError, ReadError};

/// What `commitInfo` calls the parts of the definition that made the rows.
pub const CODE_PARTS: &str = "windlass.code";

/// What `commitInfo` calls the version that held the rows of a run already, in a commit that says no more than that.
pub const DONE_IN: &str = "windlass.done_in";

/// What a cursor says once it was reset: nothing is taken in.
pub const RESET: i64 = -1;

const CODE: &str = "#code";
const SOURCE: &str = "#source=";
const COMMIT: &str = "#commit=";
const TABLE: &str = "&table=";
const FILES: &str = "#files=";

/// The transaction that says which definition made a stage's rows.
pub fn code_key(app_id: &AppId) -> AppId {
    AppId::new(format!("{app_id}{CODE}"))
}

/// The transaction that says which version of a Delta table a stage has taken in under the name `source`. A table that
/// takes the place of another has another id, and with it another cursor.
pub fn source_key(app_id: &AppId, source: &NodeName, table_id: &str) -> AppId {
    AppId::new(format!("{app_id}{SOURCE}{source}{TABLE}{table_id}"))
}

/// The transaction that says which commit made the version of [`source_key`], as
/// [`commit_hash`] has it: a copy of the table that went another way has another.
pub fn commit_key(app_id: &AppId, source: &NodeName, table_id: &str) -> AppId {
    AppId::new(format!("{app_id}{COMMIT}{source}{TABLE}{table_id}"))
}

/// The transaction that says which listing of a source of files a stage has taken in.
pub fn files_key(app_id: &AppId, source: &NodeName) -> AppId {
    AppId::new(format!("{app_id}{FILES}{source}"))
}

/// Whether `app_id` is that of a run itself, and not of a transaction that says how far inputs are taken in.
pub(super) fn is_run(app_id: &str) -> bool {
    !app_id.contains('#')
}

/// Which inputs to ask about where the newest commits do not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorQuestion {
    /// Delta tables by the names under which they are read, with their ids.
    pub sources: Vec<(NodeName, String)>,
    /// Sources of files.
    pub files: Vec<NodeName>,
}

/// What a stage's table remembers of the stage's runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableMemory {
    /// The table's newest version.
    pub version: TableVersion,
    /// The last run that committed.
    pub last_run: Option<RunSequence>,
    /// The version that it made, if its commit is still in the log.
    pub run_version: Option<TableVersion>,
    /// Its id, if its commit is still in the log.
    pub run_id: Option<RunId>,
    /// The version that has held its rows since, if its commit is still in the log: an earlier one than its own if it found
    /// them done by a run that was interrupted.
    pub rows_version: Option<TableVersion>,
    /// Which definition made the rows, as [`hash_as_version`] has it.
    pub code: Option<i64>,
    /// The parts of that definition, as the last run's commit says.
    pub code_parts: Option<CodeParts>,
    /// The version of each Delta input that is taken in, by its name and the table's id; [`RESET`] if it was reset.
    pub sources: BTreeMap<(NodeName, String), i64>,
    /// The version of each Delta input that the last run took in, whatever its cursor was set to since.
    pub taken: BTreeMap<(NodeName, String), i64>,
    /// The commit that made that version, as [`commit_hash`] has it, where it was known.
    pub commits: BTreeMap<(NodeName, String), i64>,
    /// The listing of each source of files that is taken in, as [`hash_as_version`] has it; [`RESET`] if it was reset.
    pub files: BTreeMap<NodeName, i64>,
    /// The cursors that were reset since the last run, by the names of the inputs.
    pub reset: Vec<NodeName>,
    /// A version since the last run in which somebody else changed rows, or columns, partitioning or constraints.
    pub foreign: Option<TableVersion>,
    /// Whether columns, partitioning or constraints are not those of the last run any more.
    pub redefined: bool,
}

/// Reads what the table at `location` remembers of the stage that commits as `app_id`; `None` if there is no table.
///
/// # Errors
/// [`DeltaError::Log`] if the log cannot be read.
pub async fn remember(
    location: &Location,
    app_id: &AppId,
    question: &CursorQuestion,
    stores: &Stores,
) -> Result<Option<TableMemory>, DeltaError> {
    let log = log_store(location, stores)?;
    let listing = match LogListing::list(location, &log).await {
        Ok(listing) => listing,
        Err(error) if error.is_not_a_table() => return Ok(None),
        Err(error) => return Err(error),
    };
    let (oldest, newest) = listing.range();
    let mut memory = TableMemory { version: TableVersion(newest), ..TableMemory::default() };
    let mut redefined = None;
    for version in (0..=newest).rev() {
        let Some(commit) = CommitFile::read(location, &log, version).await? else {
            ask_snapshot(location, &log, app_id, question, &mut memory).await?;
            return Ok(Some(memory));
        };
        let commit = StageCommit::of(&commit, app_id)?;
        let sets_metadata = commit.sets_metadata;
        if memory.take_in(app_id, TableVersion(version), commit) {
            if let Some(later) = redefined
                && !same_shape(location, &log, version, newest).await?
            {
                memory.redefined = true;
                memory.foreign.get_or_insert(TableVersion(later));
            }
            return Ok(Some(memory));
        }
        if sets_metadata {
            redefined.get_or_insert(version);
        }
        if version == oldest && oldest > 0 {
            ask_snapshot(location, &log, app_id, question, &mut memory).await?;
            return Ok(Some(memory));
        }
    }
    // The whole log is there, and no run is in it.
    Ok(Some(memory))
}

impl TableMemory {
    /// The version of an input that is in the table's rows, its cursor being at `cursor`: what the last run took in, or
    /// more, if somebody set the cursor forward.
    pub fn taken_in(&self, input: &(NodeName, String), cursor: TableVersion) -> TableVersion {
        let taken = self.taken.get(input).and_then(|taken| u64::try_from(*taken).ok()).unwrap_or_default();
        cursor.max(TableVersion(taken))
    }

    /// Takes in a commit, older than those before. Returns whether it is that of a run, which says everything.
    fn take_in(&mut self, app_id: &AppId, version: TableVersion, commit: StageCommit) -> bool {
        let is_run = commit.run.is_some();
        for (key, at) in &commit.transactions {
            if let Some((source, table)) = key.strip_prefix(SOURCE).and_then(|key| key.split_once(TABLE)) {
                let (source, key) = (NodeName::new(source), (NodeName::new(source), table.to_owned()));
                if !is_run && !self.sources.contains_key(&key) {
                    self.reset.push(source);
                }
                if is_run {
                    self.taken.insert(key.clone(), *at);
                }
                self.sources.entry(key).or_insert(*at);
            } else if let Some((source, table)) = key.strip_prefix(COMMIT).and_then(|key| key.split_once(TABLE)) {
                self.commits.entry((NodeName::new(source), table.to_owned())).or_insert(*at);
            } else if let Some(source) = key.strip_prefix(FILES) {
                let source = NodeName::new(source);
                if !is_run && !self.files.contains_key(&source) {
                    self.reset.push(source.clone());
                }
                self.files.entry(source).or_insert(*at);
            } else if key == CODE {
                self.code.get_or_insert(*at);
            }
        }
        if let Some(run) = commit.run {
            self.code_parts = commit.info.code_parts;
            self.last_run = Some(run);
            self.run_version = Some(version);
            self.rows_version = Some(commit.info.done_in.unwrap_or(version));
            self.run_id = commit.info.run_id;
            return true;
        }
        if commit.changes_rows {
            self.foreign.get_or_insert(version);
        }
        false
    }
}

/// Asks the newest snapshot, which knows the transactions of commits whose files are gone.
async fn ask_snapshot(
    location: &Location,
    log: &LogStoreRef,
    app_id: &AppId,
    question: &CursorQuestion,
    memory: &mut TableMemory,
) -> Result<(), DeltaError> {
    let failed = |source| DeltaError::Log { location: location.to_string(), source };
    let snapshot = EagerSnapshot::try_new(log.as_ref(), None).await.map_err(failed)?;
    let ask = async |key: AppId| snapshot.transaction_version(log.as_ref(), &key).await.map_err(failed);
    memory.last_run = ask(app_id.clone()).await?.map(RunSequence);
    if memory.code.is_none() {
        memory.code = ask(code_key(app_id)).await?;
    }
    for (source, table) in &question.sources {
        let key = (source.clone(), table.clone());
        if !memory.sources.contains_key(&key)
            && let Some(version) = ask(source_key(app_id, source, table)).await?
        {
            memory.taken.insert(key.clone(), version);
            memory.sources.insert(key.clone(), version);
        }
        if let Some(mark) = ask(commit_key(app_id, source, table)).await? {
            memory.commits.insert(key, mark);
        }
    }
    for source in &question.files {
        if !memory.files.contains_key(source)
            && let Some(mark) = ask(files_key(app_id, source)).await?
        {
            memory.files.insert(source.clone(), mark);
        }
    }
    // Whether somebody else has changed rows since the run cannot be seen any more.
    memory.foreign.get_or_insert(memory.version);
    Ok(())
}

/// What a commit says about a stage.
#[derive(Debug, Default)]
struct StageCommit {
    /// The run that made it, if one did.
    run: Option<RunSequence>,
    /// The stage's other transactions, by what follows its application id.
    transactions: Vec<(String, i64)>,
    /// Whether rows are not what they were before.
    changes_rows: bool,
    /// Whether the table's metadata is set.
    sets_metadata: bool,
    info: RunInfo,
}

/// What `commitInfo` says about the run that committed.
#[derive(Debug, Default, Deserialize)]
struct RunInfo {
    /// As commits of a run name it.
    #[serde(rename = "windlass.run_id")]
    run_id: Option<RunId>,
    /// As [`DONE_IN`] names it.
    #[serde(default, rename = "windlass.done_in")]
    done_in: Option<TableVersion>,
    /// As [`CODE_PARTS`] names them.
    #[serde(default, rename = "windlass.code")]
    code_parts: Option<CodeParts>,
}

impl StageCommit {
    /// What `commit` says about the stage that commits as `app_id`.
    fn of(commit: &CommitFile, app_id: &AppId) -> Result<Self, ReadError> {
        let mut of_stage = Self::default();
        for action in commit.actions() {
            match action? {
                Action::Transaction(transaction) => match transaction.app_id.strip_prefix(app_id.as_str()) {
                    Some("") => of_stage.run = of_stage.run.or(Some(RunSequence(transaction.version))),
                    Some(key) => of_stage.transactions.push((key.to_owned(), transaction.version)),
                    None => {}
                },
                Action::Add(file) | Action::Remove(file) => of_stage.changes_rows |= file.data_change,
                Action::Metadata(_) => of_stage.sets_metadata = true,
                Action::CommitInfo(info) => of_stage.info = commit.info(info)?,
                Action::ChangeData(_) | Action::Protocol(_) => {}
            }
        }
        Ok(of_stage)
    }
}
