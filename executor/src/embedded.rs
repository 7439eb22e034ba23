//! An executor inside this process.

use std::path::Path;

use windlass_engine::session::Sessions;

use crate::metrics::TaskMetrics;
use crate::node::ExecutorNode;
use crate::work_dir::WorkDir;
use crate::{ExecutorConfig, ExecutorError};

/// An executor next to its scheduler in this process, with threads of its own. Several may live in parallel.
///
/// Call [`EmbeddedExecutor::stop`] to leave the cluster in order; when merely dropped it stops as well, but the
/// scheduler learns of it only from missing heartbeats.
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
        let work_dir = WorkDir::create(&config.work_dir)?;
        let metrics = TaskMetrics::new().map_err(|error| ExecutorError::Services(error.into()))?;
        Ok(Self { node: ExecutorNode::start_joined(config, work_dir, sessions, metrics).await? })
    }

    /// The executor's id in the cluster.
    pub fn id(&self) -> &str {
        self.node.id()
    }

    /// The folder that holds this executor's shuffle files.
    pub fn work_dir(&self) -> &Path {
        self.node.work_dir()
    }

    /// Leaves the cluster, ends running tasks without waiting for them and removes the work folder.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}
