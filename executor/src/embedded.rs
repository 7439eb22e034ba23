//! An executor inside this process.

use std::path::Path;

use windlass_engine::session::Sessions;
use windlass_process::WorkDir;

use crate::metrics::TaskMetrics;
use crate::node::ExecutorNode;
use crate::{EXECUTOR, ExecutorConfig, ExecutorError};

/// An executor in the same process as its scheduler, with its own threads. There may be several.
///
/// Call [`EmbeddedExecutor::stop`] to leave the cluster cleanly; if merely dropped, it stops as well, but the scheduler
/// only notices missing heartbeats.
#[derive(Debug)]
pub struct EmbeddedExecutor {
    node: ExecutorNode,
}

impl EmbeddedExecutor {
    /// Starts an executor and returns when the scheduler has accepted it.
    ///
    /// Its tasks run in sessions of `sessions`: with their functions, object stores, caches and memory pool.
    ///
    /// # Errors
    /// [`ExecutorError`]: the work folder, the threads and ports, or joining the scheduler.
    pub async fn start(config: ExecutorConfig, sessions: Sessions) -> Result<Self, ExecutorError> {
        let work_dir = WorkDir::create(&config.work_dir, EXECUTOR)?;
        let metrics = TaskMetrics::new().map_err(|error| ExecutorError::Services(error.into()))?;
        Ok(Self { node: ExecutorNode::start_joined(config, work_dir, sessions, metrics).await? })
    }

    /// The executor's id in the cluster.
    pub fn id(&self) -> &str {
        self.node.id()
    }

    /// The folder with this executor's shuffle files.
    pub fn work_dir(&self) -> &Path {
        self.node.work_dir()
    }

    /// Leaves the cluster, ends running tasks without waiting for them and removes the work folder.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}
