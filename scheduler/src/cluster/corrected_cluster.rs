//! The engine's cluster state, corrected where it hands out tasks: the jobs' graphs are made exact, and the count of free
//! vcores true. Executors whose lifelines broke are shown without heartbeats.
//!
//! The engine takes vcores from an executor when it hands it a task and gives them back when the task's status arrives, if it
//! still finds the task. It does not when the task's stage was rolled back because an executor with its input was lost, nor
//! when its job was cancelled. Such vcores would be gone for as long as the executor lives: the next stages get fewer
//! executors, in the end none, and runs wait for ever. What the running tasks of all jobs hold is known, though, so before
//! tasks are handed out whatever else is missing is given back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::{ExecutorHeartbeat, executor_status};
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::Mutex;

use super::ClusterTimeouts;
use super::exact_graph::ExactJobs;
use super::lifeline::Lifelines;

type Jobs = Arc<HashMap<JobId, JobInfoCache>>;

/// The vcores of one executor, as the engine counts them.
#[derive(Debug, Clone, Copy)]
struct Account {
    total: u32,
    free: u32,
}

/// A cluster state of the engine, corrected.
pub(crate) struct CorrectedCluster {
    inner: Arc<dyn ClusterState>,
    jobs: Mutex<ExactJobs>,
    accounts: Mutex<HashMap<String, Account>>,
    lifelines: Lifelines,
}

impl CorrectedCluster {
    pub(crate) fn new(inner: Arc<dyn ClusterState>, timeouts: ClusterTimeouts) -> Self {
        Self { inner, jobs: Mutex::default(), accounts: Mutex::default(), lifelines: Lifelines::new(timeouts) }
    }
}

/// What the running tasks of `jobs` hold of each executor.
async fn held(jobs: &Jobs) -> HashMap<String, u32> {
    let mut held = HashMap::new();
    for job in jobs.values() {
        let graph = job.execution_graph.read().await;
        for task in graph.running_tasks() {
            let vcores = graph.task_vcores(task.stage_id, task.task_id).unwrap_or(0);
            *held.entry(task.executor_id).or_insert(0) += vcores;
        }
    }
    held
}

#[async_trait]
impl ClusterState for CorrectedCluster {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Jobs,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        self.jobs.lock().await.admit(&active_jobs).await;
        let mut accounts = self.accounts.lock().await;
        let held = held(&active_jobs).await;
        for (executor, account) in accounts.iter_mut() {
            let due = account.total.saturating_sub(held.get(executor).copied().unwrap_or(0));
            let missing = due.saturating_sub(account.free);
            if missing > 0 {
                tracing::debug!(%executor, missing, "vcores of tasks that no job knows any more are free again");
                self.inner.unbind_tasks(vec![(executor.clone(), missing)]).await?;
                account.free = due;
            }
        }
        let bound = self.inner.bind_schedulable_tasks(distribution, active_jobs, executors).await?;
        for (executor, task) in &bound {
            if let Some(account) = accounts.get_mut(executor) {
                account.free = account.free.saturating_sub(task.vcores_consumed);
            }
        }
        Ok(bound)
    }

    async fn unbind_tasks(&self, executor_slots: Vec<ExecutorSlot>) -> Result<()> {
        let mut accounts = self.accounts.lock().await;
        let mut given_back = Vec::with_capacity(executor_slots.len());
        for (executor, vcores) in executor_slots {
            let Some(account) = accounts.get_mut(&executor) else { continue };
            // What was given back before its task's status arrived is not given back twice.
            let vcores = vcores.min(account.total.saturating_sub(account.free));
            account.free += vcores;
            given_back.push((executor, vcores));
        }
        self.inner.unbind_tasks(given_back).await
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        let mut accounts = self.accounts.lock().await;
        let (executor, account) =
            (metadata.id.clone(), Account { total: spec.total_vcores, free: spec.available_vcores });
        self.inner.register_executor(metadata.clone(), spec).await?;
        accounts.insert(executor, account);
        self.lifelines.watch(&metadata);
        Ok(())
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        let status = heartbeat.status.as_ref().and_then(|status| status.status.as_ref());
        if matches!(status, Some(executor_status::Status::Terminating(_))) {
            // It may close its port at any moment, and says itself that it leaves.
            self.lifelines.release(&heartbeat.executor_id);
        }
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        let mut accounts = self.accounts.lock().await;
        accounts.remove(executor_id);
        self.lifelines.release(executor_id);
        self.inner.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        let heartbeats = self.inner.executor_heartbeats().into_iter();
        heartbeats.map(|(executor, heartbeat)| (executor, self.lifelines.seen(heartbeat))).collect()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id).map(|heartbeat| self.lifelines.seen(heartbeat))
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}
