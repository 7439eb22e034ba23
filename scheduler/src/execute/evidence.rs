//! What is known of the execution of a job: plain data, taken from the engine's records of its stages.

use std::collections::HashMap;

use ballista_core::JobId;
use ballista_core::serde::protobuf::task_status::Status as TaskStatus;
use ballista_scheduler::display::{DisplayableBallistaExecutionPlan, format_stage_metrics};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use windlass_base::count::counted;
use windlass_engine::task::TaskRequests;
use windlass_engine::task_failure::TaskFailure;

use super::task_size::plan_bytes;

/// The execution of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvidence {
    /// The job's id in the cluster.
    pub job: String,
    /// The stages in the order of their numbers.
    pub stages: Vec<StageEvidence>,
}

/// The execution of a stage: a part of the plan that runs without exchanging rows between its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct StageEvidence {
    /// The stage's number.
    pub stage: usize,
    /// Its state.
    pub state: EngineStageState,
    /// How often it was started; more than once if what it reads from was lost.
    pub attempts: usize,
    /// The stages that read its output; none if it is the last.
    pub feeds: Vec<usize>,
    /// Its plan, as the tasks ran it.
    pub plan: String,
    /// Its plan with the metrics of the tasks that succeeded, merged.
    pub analyzed: String,
    /// Its tasks in the order they were started in, of the last attempt.
    pub tasks: Vec<TaskEvidence>,
    /// Its operators, each before its inputs.
    pub operators: Vec<OperatorEvidence>,
}

/// The state of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineStageState {
    /// It waits for other stages or for its first task.
    Waiting,
    /// Its tasks run.
    Running,
    /// All of its tasks succeeded.
    Succeeded,
    /// One of its tasks failed, or the job was cancelled while they ran.
    Failed,
}

/// The execution of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEvidence {
    /// The task's number in its stage.
    pub task: usize,
    /// The partitions it worked on: one, or all if the stage gathers its input.
    pub partitions: Vec<usize>,
    /// Counts the tasks that were given the same partition, from 1.
    pub attempt: usize,
    /// The executor, if the engine still knows it: of a failed task it does not.
    pub executor: Option<String>,
    /// Its state.
    pub state: TaskState,
    /// When it started, in milliseconds since 1970; `None` if it has not, or never reported.
    pub started_ms: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<i64>,
    /// Rows it put out.
    pub rows: u64,
    /// Bytes it put out, as they lie on disk.
    pub bytes: u64,
    /// Bytes of its plan, as it is sent to the executor.
    pub plan_bytes: u64,
}

impl JobEvidence {
    /// This job and another that followed it, as one: the other's stages are counted on.
    pub fn and(mut self, next: Self) -> Self {
        let last = self.stages.iter().map(|stage| stage.stage).max().unwrap_or(0);
        let renumbered = next.stages.into_iter().map(|mut stage| {
            stage.stage += last;
            stage.feeds.iter_mut().for_each(|fed| *fed += last);
            stage
        });
        self.stages.extend(renumbered);
        self.job = format!("{}, {}", self.job, next.job);
        self
    }

    /// Every stage's plan with its merged metrics, in the order of the stages.
    pub fn analyzed_text(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            let tasks = counted(stage.tasks.len(), "task");
            text.push_str(&format!(
                "stage {} ({tasks}, attempt {})\n{}\n\n",
                stage.stage,
                stage.attempts,
                stage.analyzed.trim_end()
            ));
        }
        text
    }
}

impl TaskEvidence {
    /// How long it ran, in milliseconds.
    pub fn duration_ms(&self) -> Option<i64> {
        Some(self.ended_ms? - self.started_ms?)
    }
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed or was stopped, with this message.
    Failed(String),
}

/// What an operator of a stage did, summed over the tasks that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorEvidence {
    /// Its place in the stage's plan, counted from 0, each operator before its inputs.
    pub index: usize,
    /// How many operators it lies below.
    pub depth: usize,
    /// Its kind, such as `AggregateExec`.
    pub name: String,
    /// Its line of the plan.
    pub display: String,
    /// Its metrics by name: counts, bytes, and times in nanoseconds. Two-sided ones come as two, such as
    /// `files_ranges_pruned_statistics_pruned` and `…_matched`. Empty if no task has succeeded.
    pub metrics: Vec<(String, i64)>,
}

pub(super) fn of_unplanned(id: &JobId) -> JobEvidence {
    JobEvidence { job: id.to_string(), stages: Vec::new() }
}

pub(super) fn of_graph(graph: &ExecutionGraphBox) -> JobEvidence {
    let mut stages: Vec<_> = graph.stages().iter().map(|(number, stage)| stage_evidence(*number, stage)).collect();
    stages.sort_by_key(|stage| stage.stage);
    JobEvidence { job: graph.job_id().to_string(), stages }
}

/// Of a job that ran as a whole in this process, with a task for each partition.
pub(super) fn of_whole(
    job: &str,
    plan: &dyn ExecutionPlan,
    state: EngineStageState,
    tasks: Vec<TaskEvidence>,
    requests: &TaskRequests,
) -> JobEvidence {
    let mut nodes = Vec::new();
    collect_nodes(plan, 0, &mut nodes);
    let mut metrics: Vec<MetricsSet> = nodes.iter().filter_map(|(node, _)| node.metrics()).collect();
    requests.report(&mut metrics);
    let stage = StageEvidence {
        stage: 1,
        state,
        attempts: 1,
        feeds: Vec::new(),
        plan: displayable(plan).indent(false).to_string(),
        // The plan has run here and holds its metrics already: they are not to be added once more.
        analyzed: DisplayableBallistaExecutionPlan::new(plan, &metrics).indent().to_string(),
        tasks,
        operators: operators(plan, &metrics),
    };
    JobEvidence { job: job.to_owned(), stages: vec![stage] }
}

/// A task of a job that runs as a whole, before it begins.
pub(super) fn local_task(partition: usize) -> TaskEvidence {
    TaskEvidence {
        task: partition,
        partitions: vec![partition],
        attempt: 1,
        executor: None,
        state: TaskState::Running,
        started_ms: None,
        ended_ms: None,
        rows: 0,
        bytes: 0,
        plan_bytes: 0,
    }
}

fn stage_evidence(number: usize, stage: &ExecutionStage) -> StageEvidence {
    let (state, attempt, metrics) = match stage {
        ExecutionStage::UnResolved(stage) => (EngineStageState::Waiting, stage.stage_attempt_num, None),
        ExecutionStage::Resolved(stage) => (EngineStageState::Waiting, stage.stage_attempt_num, None),
        ExecutionStage::Running(stage) => {
            (EngineStageState::Running, stage.stage_attempt_num, stage.stage_metrics.as_deref())
        }
        ExecutionStage::Successful(stage) => {
            (EngineStageState::Succeeded, stage.stage_attempt_num, Some(stage.stage_metrics.as_slice()))
        }
        ExecutionStage::Failed(stage) => {
            (EngineStageState::Failed, stage.stage_attempt_num, stage.stage_metrics.as_deref())
        }
    };
    let metrics = metrics.unwrap_or_default();
    let plan = stage.plan();
    let mut feeds = stage.output_links().to_vec();
    feeds.sort_unstable();
    StageEvidence {
        stage: number,
        state,
        attempts: attempt + 1,
        feeds,
        plan: displayable(plan).indent(false).to_string(),
        analyzed: format_stage_metrics(plan, metrics),
        tasks: tasks(stage),
        operators: operators(plan, metrics),
    }
}

fn tasks(stage: &ExecutionStage) -> Vec<TaskEvidence> {
    let mut attempts: HashMap<usize, usize> = HashMap::new();
    let task = |info: &TaskInfo| {
        let partitions = info.global_input_partition_ids.clone();
        let attempt = partitions.first().map_or(1, |partition| {
            let attempt = attempts.entry(*partition).or_default();
            *attempt += 1;
            *attempt
        });
        let (state, executor) = match &info.task_status {
            TaskStatus::Running(running) => (TaskState::Running, Some(running.executor_id.clone())),
            TaskStatus::Successful(done) => (TaskState::Succeeded, Some(done.executor_id.clone())),
            TaskStatus::Failed(failed) => (TaskState::Failed(message(&failed.error)), None),
        };
        let written = match &info.task_status {
            TaskStatus::Successful(done) => done.partitions.as_slice(),
            TaskStatus::Running(_) | TaskStatus::Failed(_) => &[],
        };
        TaskEvidence {
            task: info.task_id,
            partitions,
            attempt,
            executor,
            state,
            started_ms: milliseconds(info.start_exec_time),
            ended_ms: milliseconds(info.end_exec_time),
            rows: written.iter().map(|part| part.num_rows).sum(),
            bytes: written.iter().map(|part| part.num_bytes).sum(),
            plan_bytes: plan_bytes(stage, &info.global_input_partition_ids),
        }
    };
    stage.task_infos().unwrap_or_default().iter().map(task).collect()
}

fn message(error: &str) -> String {
    TaskFailure::find_in(error).map_or_else(|| error.to_owned(), |task| task.failure.message)
}

/// The engine writes 0 for a time that it does not know.
fn milliseconds(time: u128) -> Option<i64> {
    i64::try_from(time).ok().filter(|time| *time > 0)
}

/// The operators of a plan with their metrics: the engine keeps one set for each operator that has any, in the plan's
/// order. If the numbers differ, nobody knows which belong to which, and none are given.
fn operators(plan: &dyn ExecutionPlan, metrics: &[MetricsSet]) -> Vec<OperatorEvidence> {
    let mut nodes = Vec::new();
    collect_nodes(plan, 0, &mut nodes);
    let measured = nodes.iter().filter(|(node, _)| node.metrics().is_some()).count();
    let mut sets = if measured == metrics.len() { metrics.iter() } else { [].iter() };
    nodes
        .into_iter()
        .enumerate()
        .map(|(index, (node, depth))| OperatorEvidence {
            index,
            depth,
            name: node.name().to_owned(),
            display: displayable(node).one_line().to_string().trim_end().to_owned(),
            metrics: node.metrics().and_then(|_| sets.next()).map(values).unwrap_or_default(),
        })
        .collect()
}

fn collect_nodes<'a>(plan: &'a dyn ExecutionPlan, depth: usize, nodes: &mut Vec<(&'a dyn ExecutionPlan, usize)>) {
    nodes.push((plan, depth));
    for child in plan.children() {
        collect_nodes(child.as_ref(), depth + 1, nodes);
    }
}

fn values(set: &MetricsSet) -> Vec<(String, i64)> {
    let mut values = Vec::new();
    let mut push = |name: String, value: usize| values.push((name, i64::try_from(value).unwrap_or(i64::MAX)));
    for metric in set.aggregate_by_name().iter() {
        let value = metric.value();
        match value {
            MetricValue::StartTimestamp(_) | MetricValue::EndTimestamp(_) => {}
            MetricValue::PruningMetrics { name, pruning_metrics } => {
                push(format!("{name}_pruned"), pruning_metrics.pruned());
                push(format!("{name}_matched"), pruning_metrics.matched());
            }
            MetricValue::Ratio { name, ratio_metrics } => {
                push(format!("{name}_part"), ratio_metrics.part());
                push(format!("{name}_total"), ratio_metrics.total());
            }
            _ => push(value.name().to_owned(), value.as_usize()),
        }
    }
    values.sort();
    values
}
