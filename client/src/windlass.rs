//! Windlass, wherever it runs.

use windlass_base::ids::RunId;
use windlass_evidence::artifact::PlannedRun;
pub use windlass_evidence::artifact::{CursorReset, CursorStatus, PinStatus, TableStatus};

#[cfg(feature = "embedded")]
use crate::embedded::{Embedded, EmbeddedConfig};
use crate::error::ClientError;
use crate::project::Project;
use crate::query_result::QueryResult;
use crate::remote::{ConnectOptions, Remote};
use crate::run::{QueryOptions, RunHandle, RunOptions};
use crate::runs::Runs;

/// Windlass: a scheduler and an executor in this process, or a cluster behind its API.
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

    /// Connects to the scheduler whose API is at `url`, such as `http://windlass-scheduler:50051`. A scheduler that is
    /// just starting is waited for.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`], [`ClientError::Unreachable`], and [`ClientError::NotWindlass`] if something else
    /// listens there or it speaks another version of the API.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, ConnectOptions::default()).await
    }

    /// As [`Windlass::connect`], with other patience.
    ///
    /// # Errors
    /// As [`Windlass::connect`].
    pub async fn connect_with(url: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        Ok(Self { backend: Backend::Remote(Remote::connect(url, options).await?) })
    }

    /// What a run would do: pins, order, columns, decisions. Nothing is written.
    ///
    /// # Errors
    /// [`ClientError`] if the run cannot be planned.
    pub async fn plan(&self, project: &Project, options: &RunOptions) -> Result<PlannedRun, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.plan(project, options).await,
            Backend::Remote(remote) => remote.plan(project, options).await,
        }
    }

    /// Starts a run. On a cluster this returns when the scheduler has planned and accepted it.
    ///
    /// # Errors
    /// [`ClientError::Project`] if a parameter is wrong; on a cluster also everything that keeps the run from starting,
    /// which an embedded one tells in [`RunHandle::wait`].
    pub async fn run(&self, project: &Project, options: &RunOptions) -> Result<RunHandle, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.run(project, options),
            Backend::Remote(remote) => remote.run(project, options).await,
        }
    }

    /// Answers a question in SQL over the project's tables, views and sources.
    ///
    /// # Errors
    /// [`ClientError`] if the question cannot be answered.
    pub async fn query(
        &self,
        project: &Project,
        sql: &str,
        options: &QueryOptions,
    ) -> Result<QueryResult, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.query(project, sql, options).await,
            Backend::Remote(remote) => remote.query(project, sql, options).await,
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

    /// The tables that the project's stages write, as they are now.
    ///
    /// # Errors
    /// [`ClientError`] if one is there and cannot be read.
    pub async fn tables(&self, project: &Project) -> Result<Vec<TableStatus>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.tables(project).await,
            Backend::Remote(remote) => remote.tables(project).await,
        }
    }

    /// How far each of those tables has come, by the transactions in its own log.
    ///
    /// # Errors
    /// As [`Windlass::tables`].
    pub async fn cursors(&self, project: &Project) -> Result<Vec<CursorStatus>, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.cursors(project).await,
            Backend::Remote(remote) => remote.cursors(project).await,
        }
    }

    /// Sets cursors of a stage by hand: the next run consumes what lies behind them, or computes all rows. Returns what
    /// they say then.
    ///
    /// # Errors
    /// [`ClientError`] while a run of the pipeline is active, and if there is no such stage, source or version.
    pub async fn reset_cursor(&self, project: &Project, reset: &CursorReset) -> Result<CursorStatus, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.reset_cursor(project, reset).await,
            Backend::Remote(remote) => remote.reset_cursor(project, reset).await,
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

    /// Stops a run on a cluster and waits until it has: after that no task of it is handed out and nothing is
    /// committed. Returns the status with which it ended, which is another than `cancelled` if it was faster.
    ///
    /// # Errors
    /// [`ClientError::OwnRun`] if this is not a cluster: there, a run is stopped through its [`RunHandle`].
    pub async fn cancel(&self, run_id: &RunId) -> Result<String, ClientError> {
        match &self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(_) => Err(ClientError::OwnRun),
            Backend::Remote(remote) => remote.cancel(run_id).await,
        }
    }

    /// Ends an embedded scheduler and executor, or lets go of a cluster, whose runs continue.
    pub async fn stop(self) {
        match self.backend {
            #[cfg(feature = "embedded")]
            Backend::Embedded(embedded) => embedded.stop().await,
            Backend::Remote(_) => {}
        }
    }
}
