//! Has a stage read what counts of the stages below it, and nothing twice.
//!
//! When an executor is lost, the engine starts stages again that were reading from it, and their tasks on the other
//! executors with them. What those had written by then stays among the inputs of the stages above, and the new attempt's
//! output is added to it: rows would come twice. Which output counts is known, though, from the tasks that a stage holds
//! for successful, so before a stage's tasks are handed out, its readers lose the rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::protobuf::{JobStatus, TaskStatus};
use ballista_core::serde::scheduler::{ExecutorMetadata, PartitionLocation};
use ballista_scheduler::scheduler_server::event::QueryStageSchedulerEvent;
use ballista_scheduler::scheduler_server::timestamp_millis;
use ballista_scheduler::state::execution_graph::{ExecutionGraph, ExecutionGraphBox, RunningTaskInfo};
use ballista_scheduler::state::execution_stage::{ExecutionStage, RunningStage, StageOutput, TaskInfo};
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

/// What the engine is told of a job that must fail, see [`miscounted`].
pub(crate) const MISCOUNTED: &str = "rows were counted that an executor had written before another was lost";

/// The jobs whose graphs are exact.
#[derive(Default)]
pub(crate) struct ExactJobs {
    known: HashSet<JobId>,
}

impl ExactJobs {
    /// Makes the graphs of all `jobs` exact. No task of a job may have been handed out before.
    pub(crate) async fn admit(&mut self, jobs: &HashMap<JobId, JobInfoCache>) {
        self.known.retain(|job| jobs.contains_key(job));
        for (id, job) in jobs {
            if self.known.insert(id.clone()) {
                let mut graph = job.execution_graph.write().await;
                let inner = graph.cloned();
                *graph = Box::new(ExactGraph { inner });
            }
        }
    }
}

/// A graph of the engine whose stages read exactly.
#[derive(Debug)]
struct ExactGraph {
    inner: ExecutionGraphBox,
}

/// The tasks of the stages that have been started more than once, by stage.
type Retried = HashMap<usize, Vec<TaskInfo>>;

fn retried(stages: &HashMap<usize, ExecutionStage>) -> Retried {
    let retried = stages.iter().filter(|(_, stage)| attempt(stage) > 0);
    retried.map(|(id, stage)| (*id, stage.task_infos().unwrap_or_default().to_vec())).collect()
}

/// Whether one of `stages` was given the number of rows of an input instead of its rows, and the number is wrong. The engine
/// does so as soon as all inputs are there; nothing then tells which ones they were, so that only the whole job can be run
/// again.
fn miscounted(stages: &HashMap<usize, ExecutionStage>) -> bool {
    let retried = retried(stages);
    !retried.is_empty()
        && stages.values().any(|stage| {
            let (inputs, plan) = match stage {
                ExecutionStage::Resolved(stage) => (&stage.inputs, &stage.plan),
                ExecutionStage::Running(stage) => (&stage.inputs, &stage.plan),
                _ => return false,
            };
            let read = stages_read(plan);
            inputs.iter().any(|(input, output)| {
                !read.contains(input) && retried.get(input).is_some_and(|tasks| !is_exact(output, tasks))
            })
        })
}

fn attempt(stage: &ExecutionStage) -> usize {
    match stage {
        ExecutionStage::UnResolved(stage) => stage.stage_attempt_num,
        ExecutionStage::Resolved(stage) => stage.stage_attempt_num,
        ExecutionStage::Running(stage) => stage.stage_attempt_num,
        ExecutionStage::Successful(stage) => stage.stage_attempt_num,
        ExecutionStage::Failed(stage) => stage.stage_attempt_num,
    }
}

/// The stages whose output `plan` reads.
fn stages_read(plan: &Arc<dyn ExecutionPlan>) -> HashSet<usize> {
    let mut read = HashSet::new();
    // The closure does not fail.
    let _ = plan.apply(|node| {
        read.extend(node.downcast_ref::<ShuffleReaderExec>().map(|reader| reader.stage_id));
        Ok(TreeNodeRecursion::Continue)
    });
    read
}

fn is_exact(output: &StageOutput, tasks: &[TaskInfo]) -> bool {
    output.partition_locations.values().all(|locations| counting(locations, tasks).len() == locations.len())
}

/// Those of `locations`, which hold one partition of a stage with these tasks, that count, each once.
fn counting(locations: &[PartitionLocation], tasks: &[TaskInfo]) -> Vec<PartitionLocation> {
    let mut seen = HashSet::new();
    // Attempts may have written to the same place: the last one's statistics are true.
    let newest_first = locations.iter().rev().filter(|location| is_written(location, tasks));
    let mut counting: Vec<_> = newest_first
        .filter(|location| {
            seen.insert((location.map_partition_id, location.partition_id.partition_id, location.file_id))
        })
        .cloned()
        .collect();
    counting.reverse();
    counting
}

/// Whether one of `tasks` has succeeded and written to `location`.
fn is_written(location: &PartitionLocation, tasks: &[TaskInfo]) -> bool {
    let Some(Status::Successful(done)) = tasks.get(location.map_partition_id).map(|task| &task.task_status) else {
        return false;
    };
    done.executor_id == location.executor_meta.id
        && done.partitions.iter().any(|part| {
            usize::try_from(part.partition_id) == Ok(location.partition_id.partition_id)
                && part.file_id == location.file_id
        })
}

/// `plan` with readers that read what counts of the `retried` stages.
fn exact(plan: Arc<dyn ExecutionPlan>, retried: &Retried) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let exact = plan.transform_up(|node| {
        let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() else { return Ok(Transformed::no(node)) };
        let Some(tasks) = retried.get(&reader.stage_id) else { return Ok(Transformed::no(node)) };
        let partitions: Vec<_> = reader.partition.iter().map(|locations| counting(locations, tasks)).collect();
        let count = |partitions: &[Vec<PartitionLocation>]| partitions.iter().map(Vec::len).sum::<usize>();
        let dropped = count(&reader.partition) - count(&partitions);
        if dropped == 0 {
            return Ok(Transformed::no(node));
        }
        tracing::info!(stage = reader.stage_id, dropped, "leaving out what an earlier attempt of the stage wrote");
        let mut reader = reader.clone();
        reader.partition = partitions;
        Ok(Transformed::yes(Arc::new(reader) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(exact.data)
}

impl ExecutionGraph for ExactGraph {
    fn fetch_running_stage(&mut self, black_list: &[usize]) -> Option<&mut RunningStage> {
        let retried = retried(self.inner.stages());
        let stage = self.inner.fetch_running_stage(black_list)?;
        if !retried.is_empty() {
            match exact(Arc::clone(&stage.plan), &retried) {
                Ok(plan) => stage.plan = plan,
                Err(error) => {
                    tracing::error!(stage = stage.stage_id, %error, "the stage waits: what it is to read is not known");
                    return None;
                }
            }
        }
        Some(stage)
    }

    fn update_task_status(
        &mut self,
        executor: &ExecutorMetadata,
        task_statuses: Vec<TaskStatus>,
        max_task_failures: usize,
        max_stage_failures: usize,
    ) -> Result<Vec<QueryStageSchedulerEvent>> {
        let mut events =
            self.inner.update_task_status(executor, task_statuses, max_task_failures, max_stage_failures)?;
        if miscounted(self.inner.stages()) {
            tracing::warn!(job = %self.inner.job_id(), "the job fails: {MISCOUNTED}");
            let failed_at = timestamp_millis();
            events.push(QueryStageSchedulerEvent::JobRunningFailed {
                job_id: self.inner.job_id().clone(),
                fail_message: MISCOUNTED.to_owned(),
                queued_at: failed_at,
                failed_at,
            });
        }
        Ok(events)
    }

    fn cloned(&self) -> ExecutionGraphBox {
        Box::new(Self { inner: self.inner.cloned() })
    }

    // From here on the engine's own.

    fn job_id(&self) -> &JobId {
        self.inner.job_id()
    }

    fn job_name(&self) -> &str {
        self.inner.job_name()
    }

    fn session_id(&self) -> &str {
        self.inner.session_id()
    }

    fn scheduler_id(&self) -> Option<&str> {
        self.inner.scheduler_id()
    }

    fn session_config(&self) -> Arc<SessionConfig> {
        self.inner.session_config()
    }

    fn status(&self) -> &JobStatus {
        self.inner.status()
    }

    fn logical_plan(&self) -> Option<&str> {
        self.inner.logical_plan()
    }

    fn physical_plan(&self) -> Arc<dyn ExecutionPlan> {
        self.inner.physical_plan()
    }

    fn start_time(&self) -> u64 {
        self.inner.start_time()
    }

    fn end_time(&self) -> u64 {
        self.inner.end_time()
    }

    fn completed_stages(&self) -> usize {
        self.inner.completed_stages()
    }

    fn is_successful(&self) -> bool {
        self.inner.is_successful()
    }

    fn revive(&mut self) -> bool {
        self.inner.revive()
    }

    fn running_stages(&self) -> Vec<usize> {
        self.inner.running_stages()
    }

    fn running_tasks(&self) -> Vec<RunningTaskInfo> {
        self.inner.running_tasks()
    }

    fn available_tasks(&self) -> usize {
        self.inner.available_tasks()
    }

    fn update_status(&mut self, status: JobStatus) {
        self.inner.update_status(status);
    }

    fn output_locations(&self) -> Vec<PartitionLocation> {
        self.inner.output_locations()
    }

    fn reset_stages_on_lost_executor(&mut self, executor_id: &str) -> Result<(HashSet<usize>, Vec<RunningTaskInfo>)> {
        self.inner.reset_stages_on_lost_executor(executor_id)
    }

    fn resolve_stage(&mut self, stage_id: usize) -> Result<bool> {
        self.inner.resolve_stage(stage_id)
    }

    fn succeed_stage(&mut self, stage_id: usize) -> bool {
        self.inner.succeed_stage(stage_id)
    }

    fn fail_stage(&mut self, stage_id: usize, err_msg: String) -> bool {
        self.inner.fail_stage(stage_id, err_msg)
    }

    fn rollback_running_stage(
        &mut self,
        stage_id: usize,
        failure_reasons: HashSet<String>,
    ) -> Result<Vec<RunningTaskInfo>> {
        self.inner.rollback_running_stage(stage_id, failure_reasons)
    }

    fn rollback_resolved_stage(&mut self, stage_id: usize) -> Result<bool> {
        self.inner.rollback_resolved_stage(stage_id)
    }

    fn rerun_successful_stage(&mut self, stage_id: usize) -> bool {
        self.inner.rerun_successful_stage(stage_id)
    }

    fn fail_job(&mut self, error: String) {
        self.inner.fail_job(error);
    }

    fn abort_running(&mut self, error: String) -> Vec<RunningTaskInfo> {
        self.inner.abort_running(error)
    }

    fn succeed_job(&mut self) -> Result<()> {
        self.inner.succeed_job()
    }

    fn stages(&self) -> &HashMap<usize, ExecutionStage> {
        self.inner.stages()
    }

    fn stage_count(&self) -> usize {
        self.inner.stage_count()
    }
}

#[cfg(test)]
mod tests;
