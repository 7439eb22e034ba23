//! Options of runs and queries, and the handle of an active run.

use std::collections::BTreeMap;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_evidence::artifact::{LogEvent, Refresh, RunRecord, RunRequestRecord, SavedPlan, SavedRequest};

use crate::error::ClientError;
use crate::project::Project;

/// The options of a run or a plan.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// What to select; everything if empty.
    pub select: Vec<String>,
    /// What to omit.
    pub exclude: Vec<String>,
    /// Values of parameters, by name.
    pub params: Vec<(String, String)>,
    /// End the run at the first failure; `None` is what the project says.
    pub fail_fast: Option<bool>,
    /// How many stages may run in parallel; `None` is what the project says.
    pub max_parallel: Option<usize>,
    /// What to recompute, or which versions to apply instead of those after the cursors.
    pub refresh: Refresh,
    /// An approved plan: the run only happens if it would do exactly that. Ignored when planning.
    pub approved: Option<SavedPlan>,
    /// What the run begins with. Ignored when planning.
    pub begin: RunBegin,
    /// On a cluster that has other runs to do first, runs with a higher priority start earlier.
    pub priority: i32,
    /// Whether the run is refused instead of waiting for others on a cluster. An embedded run never waits.
    pub no_wait: bool,
}

/// What a run begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RunBegin {
    /// With everything that is selected, over the newest state of its sources.
    #[default]
    Anew,
    /// Where a run ended whose process is gone: that run is taken up, over the pins that it began with. The options are
    /// those that it began with ([`RunOptions::resume`]).
    Resume(RunId),
    /// With those of the selected stages that did not commit in an earlier run, over what that one had pinned.
    RetryOf(RunId),
}

impl RunOptions {
    /// The options that execute a saved plan: the original request, and nothing else. The project must be opened with
    /// [`Project::open_for`].
    pub fn apply(plan: SavedPlan) -> Self {
        let SavedRequest { params, select, exclude, refresh, .. } = plan.request.clone();
        Self { select, exclude, params: params.into_iter().collect(), refresh, approved: Some(plan), ..Self::default() }
    }

    /// The options that take up a run whose process is gone, which was asked to do what `request` says. The project must be
    /// opened with [`Project::open_as`], and be the one that the run began with.
    pub fn resume(run: RunId, request: RunRequestRecord) -> Self {
        Self { begin: RunBegin::Resume(run), ..Self::as_asked(request) }
    }

    /// The options that try again what did not commit in a run, which was asked to do what `request` says. The project must
    /// be opened with [`Project::open_as`].
    pub fn retry(run: RunId, request: RunRequestRecord) -> Self {
        Self { begin: RunBegin::RetryOf(run), ..Self::as_asked(request) }
    }

    fn as_asked(record: RunRequestRecord) -> Self {
        let RunRequestRecord { request, fail_fast, max_parallel } = record;
        let SavedRequest { params, select, exclude, refresh, .. } = request;
        Self {
            select,
            exclude,
            params: params.into_iter().collect(),
            fail_fast,
            max_parallel,
            refresh,
            ..Self::default()
        }
    }

    /// The request to be stored in a saved plan ([`SavedPlan::new`]).
    pub fn to_be_saved(&self, project: &Project) -> SavedRequest {
        SavedRequest {
            target: project.graph.target.clone(),
            params: self.params.iter().cloned().collect(),
            sources: project.sources.iter().cloned().collect(),
            select: self.select.clone(),
            exclude: self.exclude.clone(),
            refresh: self.refresh.clone(),
        }
    }
}

/// The options of a query.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Values of parameters, by name.
    pub params: Vec<(String, String)>,
    /// The row limit; `None` for all.
    pub limit: Option<usize>,
    /// Versions to read tables and Delta sources at; the newest, or the project's pin, if not named here.
    pub versions: BTreeMap<NodeName, TableVersion>,
}

/// An active run. It continues when this is dropped, unless it is embedded in a process that ends.
#[derive(Debug)]
pub struct RunHandle {
    /// The run.
    pub run_id: RunId,
    /// The location of its bundle, if known before the run ends.
    pub bundle: String,
    /// Every line of the run's log, as it is written. It ends when the run does.
    pub events: UnboundedReceiver<LogEvent>,
    /// The run's place in the cluster's queue, counted from 1, while it waits there.
    pub queued: watch::Receiver<Option<u32>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) done: JoinHandle<Result<RunRecord, ClientError>>,
}

impl RunHandle {
    /// The token that stops the run.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the end of the run, and if it is embedded, for that of the maintenance that follows it (`after_runs`), which
    /// the run's token stops as well. A failed stage is not an error: it is in the record.
    ///
    /// # Errors
    /// [`ClientError`] if the run did not start, was aborted, or cannot be followed any more.
    pub async fn wait(self) -> Result<RunRecord, ClientError> {
        match self.done.await {
            Ok(outcome) => outcome,
            Err(error) => Err(ClientError::Follower(error)),
        }
    }
}
