//! The main entry point: an embedded or a remote Windlass.

use futures::FutureExt;
use futures::future::BoxFuture;
use windlass_api::FILES_MISSING;
use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{CleanRecord, PlannedRun};
pub use windlass_evidence::artifact::{CursorReset, CursorStatus, NewMark, PinStatus, TableStatus, VersionMark};

use crate::clean::CleanOptions;
#[cfg(feature = "embedded")]
use crate::embedded::{Embedded, EmbeddedConfig};
use crate::error::ClientError;
use crate::maintenance::{MaintainHandle, MaintainOptions};
use crate::project::Project;
use crate::query_result::QueryResult;
use crate::remote::{ConnectOptions, Remote};
use crate::run::{QueryOptions, RunHandle, RunOptions};
use crate::runs::Runs;

/// Windlass: a scheduler and an executor in this process, or a remote cluster.
pub struct Windlass {
    backend: Backend,
}

enum Backend {
    #[cfg(feature = "embedded")]
    Embedded(Box<Embedded>),
    Remote(Remote),
}

impl Windlass {
    /// Starts a scheduler and an executor in this process.
    ///
    /// # Errors
    /// [`ClientError`] if the home cannot be used or a part does not start.
    #[cfg(feature = "embedded")]
    pub async fn embedded(config: EmbeddedConfig) -> Result<Self, ClientError> {
        Ok(Self { backend: Backend::Embedded(Box::new(Embedded::start(config).await?)) })
    }

    /// Connects to the scheduler whose API is at `url`, such as `http://windlass-scheduler:50051`. Waits for a
    /// scheduler that is just starting. Of several schedulers name all, separated by commas: calls go to the one that leads.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`], [`ClientError::Unreachable`], and [`ClientError::NotWindlass`] if something else
    /// listens there or it has another version of the API.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, ConnectOptions::default()).await
    }

    /// As [`Windlass::connect`], with other timeouts.
    ///
    /// # Errors
    /// As [`Windlass::connect`].
    pub async fn connect_with(url: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        Ok(Self { backend: Backend::Remote(Remote::connect(url, options).await?) })
    }

    /// How many executors the cluster has; `None` if this is no cluster.
    ///
    /// # Errors
    /// [`ClientError`] if the scheduler does not answer.
    pub async fn executors(&self) -> Result<Option<u32>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => Ok(None),
            Backend::Remote(remote) => remote.executors().await.map(Some),
        }
    }

    /// What a run would do: pins, order, columns, decisions. Nothing is written.
    ///
    /// # Errors
    /// [`ClientError`] if the run cannot be planned.
    pub async fn plan(&self, project: &Project, options: &RunOptions) -> Result<PlannedRun, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.plan(project, options).await,
            Backend::Remote(remote) => with_files(|| remote.plan(project, options).boxed()).await,
        }
    }

    /// Starts a run. On a cluster this returns when the scheduler has planned and accepted it, or lets it wait for others
    /// ([`RunHandle::queued`]).
    ///
    /// # Errors
    /// [`ClientError::Project`] if a parameter is wrong; on a cluster also anything that prevents the run from
    /// starting, which an embedded Windlass reports in [`RunHandle::wait`]; so does a cluster if the run has waited.
    pub async fn run(&self, project: &Project, options: &RunOptions) -> Result<RunHandle, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.run(project, options),
            Backend::Remote(remote) => with_files(|| remote.run(project, options).boxed()).await,
        }
    }

    /// Runs a SQL query over the project's tables, views and sources.
    ///
    /// # Errors
    /// [`ClientError`] if the query fails.
    pub async fn query(
        &self,
        project: &Project,
        sql: &str,
        options: &QueryOptions,
    ) -> Result<QueryResult, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.query(project, sql, options).await,
            Backend::Remote(remote) => with_files(|| remote.query(project, sql, options).boxed()).await,
        }
    }

    /// The project's runs, past and present.
    ///
    /// # Errors
    /// [`ClientError`] if they cannot be read.
    pub async fn runs(&self, project: &Project) -> Result<Runs, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.runs().await,
            Backend::Remote(remote) => remote.runs(project).await,
        }
    }

    /// The current tables of the project's stages.
    ///
    /// # Errors
    /// [`ClientError`] if one exists and cannot be read.
    pub async fn tables(&self, project: &Project) -> Result<Vec<TableStatus>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.tables(project).await,
            Backend::Remote(remote) => with_files(|| remote.tables(project).boxed()).await,
        }
    }

    /// How far each of those tables has consumed its sources, according to the transactions in its log.
    ///
    /// # Errors
    /// As [`Windlass::tables`].
    pub async fn cursors(&self, project: &Project) -> Result<Vec<CursorStatus>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.cursors(project).await,
            Backend::Remote(remote) => with_files(|| remote.cursors(project).boxed()).await,
        }
    }

    /// Sets cursors of a stage by hand: the next run applies the changes after them, or computes all rows. Returns the
    /// new cursors.
    ///
    /// # Errors
    /// [`ClientError`] while a run of the pipeline is active, and if there is no such stage, source or version.
    pub async fn reset_cursor(&self, project: &Project, reset: &CursorReset) -> Result<CursorStatus, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.reset_cursor(project, reset).await,
            Backend::Remote(remote) => with_files(|| remote.reset_cursor(project, reset).boxed()).await,
        }
    }

    /// The versions that the project's active runs have pinned.
    ///
    /// # Errors
    /// [`ClientError`] if they cannot be read.
    pub async fn pins(&self, project: &Project) -> Result<Vec<PinStatus>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.pins().await,
            Backend::Remote(remote) => remote.pins(project).await,
        }
    }

    /// Starts a turn of maintenance over the project's tables: rewrites files, removes what no version needs, and cleans
    /// logs, as their policies say.
    ///
    /// # Errors
    /// [`ClientError::Project`] if a parameter is wrong; on a cluster also if the project is. What prevents the turn from
    /// beginning is reported in [`MaintainHandle::wait`].
    pub async fn maintain(&self, project: &Project, options: &MaintainOptions) -> Result<MaintainHandle, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.maintain(project, options),
            Backend::Remote(remote) => with_files(|| remote.maintain(project, options).boxed()).await,
        }
    }

    /// The versions of the project's tables that are kept by hand: pins and tags.
    ///
    /// # Errors
    /// [`ClientError`] if they cannot be read.
    pub async fn version_marks(&self, project: &Project) -> Result<Vec<VersionMark>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.version_marks().await,
            Backend::Remote(remote) => remote.version_marks(project).await,
        }
    }

    /// Keeps a version of a table until the pin is released or expires, or the tag is removed.
    ///
    /// # Errors
    /// [`ClientError`] if there is no such table or version, or the name is in use.
    pub async fn set_mark(&self, project: &Project, mark: &NewMark) -> Result<VersionMark, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.set_mark(project, mark).await,
            Backend::Remote(remote) => with_files(|| remote.set_mark(project, mark).boxed()).await,
        }
    }

    /// Releases a pin, or removes a tag. The next maintenance may remove the version.
    ///
    /// # Errors
    /// [`ClientError`] if nothing has that name.
    pub async fn release_mark(&self, project: &Project, name: &str) -> Result<VersionMark, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.release_mark(name).await,
            Backend::Remote(remote) => remote.release_mark(project, name).await,
        }
    }

    /// Stops a run on a cluster, or takes it out of the queue, and waits until it has stopped: after that no task of it is
    /// launched and nothing is committed. Returns its final status, which differs from `cancelled` if it ended first.
    ///
    /// # Errors
    /// [`ClientError::OwnRun`] if this is embedded: then a run is stopped through its [`RunHandle`].
    pub async fn cancel(&self, run_id: &RunId) -> Result<String, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => Err(ClientError::OwnRun),
            Backend::Remote(remote) => remote.cancel(run_id).await,
        }
    }

    /// Removes what the project's home keeps and nothing needs any more: bundles of old runs, what killed runs and processes
    /// have left, and if `options` say so tables of stages that no longer exist. With `dry_run` it is only found, and nothing
    /// is written.
    ///
    /// # Errors
    /// [`ClientError`] while a run of the pipeline is active or another process writes to the home, except for a dry run,
    /// and if the home cannot be read. What cannot be removed is no error: the record says why.
    pub async fn clean(&self, project: &Project, options: &CleanOptions) -> Result<CleanRecord, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.clean(project, options).await,
            Backend::Remote(remote) => with_files(|| remote.clean(project, options).boxed()).await,
        }
    }

    /// Stops an embedded scheduler and executor, or disconnects from a cluster, whose runs continue.
    pub async fn stop(self) {
        match self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.stop().await,
            Backend::Remote(_) => {}
        }
    }
}

/// Asks a cluster something about a project, and once more if the scheduler has lost the project's files meanwhile: it was
/// started anew between their arrival and the question.
async fn with_files<'a, T>(ask: impl Fn() -> BoxFuture<'a, Result<T, ClientError>>) -> Result<T, ClientError> {
    match ask().await {
        Err(error) if error.code() == FILES_MISSING => ask().await,
        answer => answer,
    }
}
