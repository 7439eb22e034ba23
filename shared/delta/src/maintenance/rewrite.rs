//! Data files written again as others with the same rows: read in bins, a bin a task, and committed without a change of data.
//!
//! ```text
//! PinnedTable + bins ─in_bins→ a scan with a task for each bin ─rewrite_plan→ StagedFiles ─rewrite→ RewriteOutcome
//! ```
//!
//! The commit takes the files out that were read, and puts those in that were written, all with `dataChange` false, so
//! that readers of changes see none. Others may commit meanwhile: the rewrite stands as long as they have left the files
//! alone that it read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::catalog::TableProvider;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action as LogAction, Add, EagerSnapshot};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use serde_json::{Value, json};
use uuid::Uuid;
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use crate::DeltaError;
use crate::commit::removals;
use crate::error::WriteError;
use crate::log::{
    Action, COMMIT_TOKEN, CommitFile, ConditionalCommit, LogState, PreparedCommit, check_commits, explain, log_store,
    put_once, unread,
};
use crate::pin::PinnedTable;
use crate::scan::files::resolve;
use crate::scan::{DeltaScan, ScanOptions};
use crate::write::{DeltaWriteExec, StagedFiles, WriteSpec};

/// Files of a table that are read by tasks of their own, and the rows in them.
#[derive(Debug)]
pub struct Bins {
    /// A scan of these files alone, with a task for each bin.
    pub provider: Arc<dyn TableProvider>,
    /// The rows that it gives; `None` if the log does not count them.
    pub rows: Option<u64>,
}

/// The files of `table` that `bins` name, as the log has their paths.
///
/// # Errors
/// [`WriteError::BadMerge`] for a path that is not in the table.
pub fn bins(table: &PinnedTable, bins: &[Vec<String>], options: &ScanOptions) -> Result<Bins, DeltaError> {
    let all = table.files();
    let places: HashMap<&str, usize> =
        all.files.iter().enumerate().map(|(place, file)| (file.log_path.as_ref(), place)).collect();
    let place = |path: &String| {
        places.get(path.as_str()).copied().ok_or_else(|| WriteError::BadMerge {
            table: table.location().to_string(),
            reason: format!("the table has no file `{path}`"),
        })
    };
    let listed = bins.iter().flatten().map(place).collect::<Result<Vec<_>, _>>()?;
    let files = all.listed(&listed).map_err(|source| DeltaError::Log {
        location: table.location().to_string(),
        source: DeltaTableError::Arrow { source },
    })?;
    let rows = files.total_rows();
    let scan = DeltaScan::new(table.with_files(files), options.clone());
    Ok(Bins { provider: Arc::new(scan.in_bins(bins.iter().map(Vec::len).collect())), rows })
}

/// The plan that writes the rows of `input` as data files of the table of `spec`: each partition on its own, laid out by
/// `order` if there is one. The rows are in the table already, so they are not checked again.
///
/// # Errors
/// [`WriteError::InputDiffers`] if the input does not have the table's columns.
pub fn rewrite_plan(
    input: Arc<dyn ExecutionPlan>,
    spec: WriteSpec,
    order: Option<Arc<dyn PhysicalExpr>>,
) -> Result<Arc<dyn ExecutionPlan>, WriteError> {
    let options = SortOptions { descending: false, nulls_first: true };
    let ordering = order.and_then(|expr| LexOrdering::new([PhysicalSortExpr { expr, options }]));
    let input = match ordering {
        Some(ordering) => Arc::new(SortExec::new(ordering, input).with_preserve_partitioning(true)),
        None => input,
    };
    Ok(Arc::new(DeltaWriteExec::try_new(input, Arc::new(spec), Vec::new())?))
}

/// Everything that a rewrite's commit consists of.
#[derive(Debug, Clone)]
pub struct RewriteRequest {
    /// The table's root.
    pub location: Location,
    /// The version whose files were read.
    pub base: TableVersion,
    /// The files that were read, as the log has their paths.
    pub replaced: Vec<String>,
    /// The rows in them; `None` if the log does not count them.
    pub rows: Option<u64>,
    /// The files that were written.
    pub staged: StagedFiles,
    /// The columns by which they are laid out; empty if their rows are in the order in which they were.
    pub zorder: Vec<String>,
    /// Bytes that a written file should come to.
    pub target_file_bytes: u64,
    /// What goes into `commitInfo` besides.
    pub info: HashMap<String, Value>,
}

/// How a rewrite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewriteOutcome {
    /// It made this version.
    Rewritten(TableVersion),
    /// Others have changed the table so that it does not fit any more; nothing was committed.
    Conflicted {
        /// What they changed.
        reason: String,
    },
}

/// Commits a rewrite once, whatever the store answers.
///
/// # Errors
/// [`WriteError::Incomplete`] if the files written do not have the rows of those that were read, and the errors of a
/// [`commit`](crate::commit::commit) whose outcome cannot be told.
pub async fn rewrite(request: &RewriteRequest, stores: &Stores) -> Result<RewriteOutcome, DeltaError> {
    let table = request.location.to_string();
    if let Some(rows) = request.rows.filter(|rows| *rows != request.staged.rows()) {
        let written = request.staged.rows();
        let reason = format!("{rows} rows of `{table}` were read to be written again, and {written} were written");
        return Err(WriteError::Incomplete { reason }.into());
    }
    let path = |path: &String| resolve(&request.location, path);
    let rewriter = Rewriter {
        request,
        replaced: request.replaced.iter().map(path).collect::<Result<_, _>>()?,
        log: log_store(&request.location, stores)?,
        table,
        token: Uuid::new_v4().simple().to_string(),
    };
    put_once(&rewriter).await
}

/// One call of [`rewrite`].
struct Rewriter<'a> {
    request: &'a RewriteRequest,
    replaced: HashSet<StorePath>,
    log: LogStoreRef,
    table: String,
    token: String,
}

/// What others have committed since the files were read.
enum Since {
    /// Nothing that the rewrite minds.
    Harmless,
    /// The rewrite itself, whose answer was lost.
    Own(TableVersion),
    /// Something that it does not fit.
    Conflict(String),
}

impl ConditionalCommit for Rewriter<'_> {
    type Outcome = RewriteOutcome;
    type Base = EagerSnapshot;

    const ATTEMPTS: usize = 50;

    fn log(&self) -> &LogStoreRef {
        &self.log
    }

    fn table(&self) -> &str {
        &self.table
    }

    async fn look(&self, tried: bool) -> Result<LogState<RewriteOutcome, EagerSnapshot>, DeltaError> {
        let snapshot = self.snapshot().await.map_err(|error| unread(&self.table, error, tried))?;
        let newest = TableVersion(snapshot.version());
        Ok(match self.since(newest).await.map_err(|error| unread(&self.table, error, tried))? {
            Since::Harmless => LogState::Open(snapshot),
            Since::Own(version) => LogState::Decided(RewriteOutcome::Rewritten(version)),
            Since::Conflict(reason) => LogState::Decided(RewriteOutcome::Conflicted { reason }),
        })
    }

    async fn prepare(&self, snapshot: EagerSnapshot) -> Result<Option<PreparedCommit<RewriteOutcome>>, DeltaError> {
        let files = snapshot.file_views(self.log.as_ref(), None).try_collect::<Vec<_>>().await;
        let Ok(files) = files else { return Ok(None) };
        let mut actions = removals(&self.table, &self.request.replaced, &files)?;
        let added = self.request.staged.added().iter().cloned();
        actions.extend(added.map(|add| LogAction::Add(Add { data_change: false, ..add })));
        let target_size = i64::try_from(self.request.target_file_bytes).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: None, target_size };
        let data = CommitData::new(actions, operation, self.info(&snapshot), Vec::new());
        let bytes = data.get_bytes().map_err(|error| WriteError::Encode {
            what: format!("the commit to `{}`", self.table),
            reason: error.to_string(),
        })?;
        let version = snapshot.version() + 1;
        let outcome = RewriteOutcome::Rewritten(TableVersion(version));
        Ok(Some(PreparedCommit { version, bytes, outcome }))
    }
}

impl Rewriter<'_> {
    async fn snapshot(&self) -> Result<EagerSnapshot, DeltaError> {
        let location = &self.request.location;
        check_commits(location, &self.log, None).await?;
        match EagerSnapshot::try_new(self.log.as_ref(), None).await {
            Ok(snapshot) => Ok(snapshot),
            Err(cause) => Err(explain(location, &self.log, None, cause).await),
        }
    }

    /// What was committed after the version whose files were read, up to `newest`.
    async fn since(&self, newest: TableVersion) -> Result<Since, DeltaError> {
        for version in self.request.base.0 + 1..=newest.0 {
            let Some(commit) = CommitFile::read(&self.request.location, &self.log, version).await? else {
                return Ok(Since::Conflict(format!("what version {version} changed is not in the log any more")));
            };
            if commit.token().is_some_and(|token| token == self.token) {
                return Ok(Since::Own(TableVersion(version)));
            }
            for action in commit.actions() {
                match action? {
                    Action::Add(file) | Action::Remove(file) if self.is_replaced(&file.path)? => {
                        return Ok(Since::Conflict(format!("version {version} changed a file that was rewritten")));
                    }
                    Action::Metadata(_) | Action::Protocol(_) => {
                        return Ok(Since::Conflict(format!("version {version} changed the table's definition")));
                    }
                    _ => {}
                }
            }
        }
        Ok(Since::Harmless)
    }

    fn is_replaced(&self, path: &str) -> Result<bool, DeltaError> {
        Ok(self.replaced.contains(&resolve(&self.request.location, path)?))
    }

    fn info(&self, snapshot: &EagerSnapshot) -> HashMap<String, Value> {
        let (request, mut info) = (self.request, self.request.info.clone());
        info.insert(COMMIT_TOKEN.to_owned(), json!(self.token));
        info.insert("readVersion".to_owned(), json!(snapshot.version()));
        info.insert("isBlindAppend".to_owned(), json!(false));
        info.insert(
            "operationMetrics".to_owned(),
            json!({
                "numRemovedFiles": request.replaced.len().to_string(),
                "numAddedFiles": request.staged.files().to_string(),
                "numAddedBytes": request.staged.bytes().to_string(),
            }),
        );
        if !request.zorder.is_empty() {
            info.insert("windlass.zorder".to_owned(), json!(request.zorder));
        }
        info
    }
}
