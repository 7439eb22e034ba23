//! What a table's log says of the runs of its stage: how far each input is applied, and what others have changed since.

use std::collections::BTreeMap;

use deltalake::kernel::EagerSnapshot;
use deltalake::logstore::LogStoreRef;
use serde::Deserialize;
use windlass_base::code_parts::CodeParts;
use windlass_base::ids::{AppId, NodeName, RunId, RunSequence, TableVersion};
use windlass_storage::{Location, Stores};

use super::{CODE, COMMIT, FILES, SOURCE, TABLE, code_key, commit_key, files_key, source_key};
use crate::log::{Action, CommitFile, LogListing, log_store};
use crate::table::same_shape;
use crate::{DeltaError, ReadError};

/// The inputs to look up in a snapshot where the newest commits do not name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorQuery {
    /// Delta tables by the names under which they are read, with their ids.
    pub sources: Vec<(NodeName, String)>,
    /// Sources of files.
    pub files: Vec<NodeName>,
}

/// How far a stage's table has come, by what its log says of the stage's runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableProgress {
    /// The table's newest version.
    pub version: TableVersion,
    /// The last run that committed.
    pub last_run: Option<RunSequence>,
    /// The version that it made, if its commit is still in the log.
    pub run_version: Option<TableVersion>,
    /// Its id, if its commit is still in the log.
    pub run_id: Option<RunId>,
    /// The version that has held its rows since, if its commit is still in the log: an earlier one than its own if
    /// an interrupted run had made them already.
    pub rows_version: Option<TableVersion>,
    /// Which definition made the rows, as [`hash_as_version`](super::hash_as_version) has it.
    pub code: Option<i64>,
    /// The parts of that definition, as the last run's commit says.
    pub code_parts: Option<CodeParts>,
    /// The version of each Delta input that is applied, by its name and the table's id; [`RESET`](super::RESET) if it was reset.
    pub sources: BTreeMap<(NodeName, String), i64>,
    /// The version of each Delta input that the last run applied, whatever its cursor was set to since.
    pub applied: BTreeMap<(NodeName, String), i64>,
    /// The commit that made that version, as [`commit_hash`](super::commit_hash) has it, where it was known.
    pub commits: BTreeMap<(NodeName, String), i64>,
    /// The listing of each source of files that is applied, as [`hash_as_version`](super::hash_as_version) has it; [`RESET`](super::RESET) if it was reset.
    pub files: BTreeMap<NodeName, i64>,
    /// The cursors that were reset since the last run, by the names of the inputs.
    pub reset: Vec<NodeName>,
    /// A version since the last run in which somebody else changed rows, or columns, partitioning or constraints.
    pub foreign: Option<TableVersion>,
    /// Whether columns, partitioning or constraints are not those of the last run any more.
    pub redefined: bool,
}

/// Reads how far the table at `location` has come with the stage that commits as `app_id`; `None` if there is no table.
///
/// # Errors
/// [`DeltaError::Log`] if the log cannot be read.
pub async fn read_progress(
    location: &Location,
    app_id: &AppId,
    query: &CursorQuery,
    stores: &Stores,
) -> Result<Option<TableProgress>, DeltaError> {
    let log = log_store(location, stores)?;
    let listing = match LogListing::list(location, &log).await {
        Ok(listing) => listing,
        Err(error) if error.is_not_a_table() => return Ok(None),
        Err(error) => return Err(error),
    };
    let (oldest, newest) = listing.range();
    let mut progress = TableProgress { version: TableVersion(newest), ..TableProgress::default() };
    let mut redefined = None;
    for version in (0..=newest).rev() {
        let Some(commit) = CommitFile::read(location, &log, version).await? else {
            read_snapshot(location, &log, app_id, query, &mut progress).await?;
            return Ok(Some(progress));
        };
        let commit = StageCommit::of(&commit, app_id)?;
        let sets_metadata = commit.sets_metadata;
        if progress.apply(TableVersion(version), commit) {
            if let Some(later) = redefined
                && !same_shape(location, &log, version, newest).await?
            {
                progress.redefined = true;
                progress.foreign.get_or_insert(TableVersion(later));
            }
            return Ok(Some(progress));
        }
        if sets_metadata {
            redefined.get_or_insert(version);
        }
        if version == oldest && oldest > 0 {
            read_snapshot(location, &log, app_id, query, &mut progress).await?;
            return Ok(Some(progress));
        }
    }
    // The whole log is there, and no run is in it.
    Ok(Some(progress))
}

impl TableProgress {
    /// The version of an input that is in the table's rows, its cursor being at `cursor`: what the last run applied, or
    /// more, if somebody set the cursor forward.
    pub fn applied_version(&self, input: &(NodeName, String), cursor: TableVersion) -> TableVersion {
        let applied = self.applied.get(input).and_then(|applied| u64::try_from(*applied).ok()).unwrap_or_default();
        cursor.max(TableVersion(applied))
    }

    /// Adds what a commit says, older than those before. Returns whether it is that of a run, which says everything.
    fn apply(&mut self, version: TableVersion, commit: StageCommit) -> bool {
        let is_run = commit.run.is_some();
        for (key, at) in &commit.transactions {
            if let Some((source, table)) = key.strip_prefix(SOURCE).and_then(|key| key.split_once(TABLE)) {
                let (source, key) = (NodeName::new(source), (NodeName::new(source), table.to_owned()));
                if !is_run && !self.sources.contains_key(&key) {
                    self.reset.push(source);
                }
                if is_run {
                    self.applied.insert(key.clone(), *at);
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

/// Reads the newest snapshot, which has the transactions of commits whose files are gone.
async fn read_snapshot(
    location: &Location,
    log: &LogStoreRef,
    app_id: &AppId,
    query: &CursorQuery,
    progress: &mut TableProgress,
) -> Result<(), DeltaError> {
    let failed = |source| DeltaError::Log { location: location.to_string(), source };
    let snapshot = EagerSnapshot::try_new(log.as_ref(), None).await.map_err(failed)?;
    let ask = async |key: AppId| snapshot.transaction_version(log.as_ref(), &key).await.map_err(failed);
    progress.last_run = ask(app_id.clone()).await?.map(RunSequence);
    if progress.code.is_none() {
        progress.code = ask(code_key(app_id)).await?;
    }
    for (source, table) in &query.sources {
        let key = (source.clone(), table.clone());
        if !progress.sources.contains_key(&key)
            && let Some(version) = ask(source_key(app_id, source, table)).await?
        {
            progress.applied.insert(key.clone(), version);
            progress.sources.insert(key.clone(), version);
        }
        if let Some(hash) = ask(commit_key(app_id, source, table)).await? {
            progress.commits.insert(key, hash);
        }
    }
    for source in &query.files {
        if !progress.files.contains_key(source)
            && let Some(hash) = ask(files_key(app_id, source)).await?
        {
            progress.files.insert(source.clone(), hash);
        }
    }
    // Whether somebody else has changed rows since the run cannot be seen any more.
    progress.foreign.get_or_insert(progress.version);
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
    /// As [`DONE_IN`](super::DONE_IN) names it.
    #[serde(default, rename = "windlass.done_in")]
    done_in: Option<TableVersion>,
    /// As [`CODE_PARTS`](super::CODE_PARTS) names them.
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
