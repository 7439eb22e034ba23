//! Which outputs of a stage count after some of its tasks were started again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::protobuf::{FailedTask, RunningTask, ShuffleWritePartition, SuccessfulTask};
use ballista_core::serde::scheduler::{
    ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification, PartitionId, PartitionLocation,
    PartitionStats,
};
use ballista_scheduler::state::execution_stage::{
    ExecutionStage, ResolvedStage, StageOutput, SuccessfulStage, TaskInfo, UnresolvedStage,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::prelude::SessionConfig;

use super::{Retried, counting, exact, is_exact, miscounted};

/// The stage that was started again, and the one that reads it.
const INPUT: usize = 1;
const READER: usize = 2;

/// What the task `task` wrote of the partition `partition` on `executor`.
fn location(task: usize, partition: usize, executor: &str) -> PartitionLocation {
    PartitionLocation {
        map_partition_id: task,
        partition_id: PartitionId { job_id: "job".into(), stage_id: INPUT, partition_id: partition },
        executor_meta: ExecutorMetadata {
            id: executor.to_owned(),
            host: "localhost".to_owned(),
            port: 1,
            grpc_port: 2,
            specification: ExecutorSpecification::default(),
            os_info: ExecutorOperatingSystemSpecification::default(),
        },
        partition_stats: PartitionStats::new(Some(1), Some(1), Some(8)),
        file_id: None,
        is_sort_shuffle: false,
    }
}

fn in_file(location: PartitionLocation, file: u64) -> PartitionLocation {
    PartitionLocation { file_id: Some(file), ..location }
}

fn with_bytes(location: PartitionLocation, bytes: u64) -> PartitionLocation {
    PartitionLocation { partition_stats: PartitionStats::new(Some(1), Some(1), Some(bytes)), ..location }
}

fn task(task_id: usize, task_status: Status) -> TaskInfo {
    TaskInfo {
        task_id,
        scheduled_time: 0,
        launch_time: 0,
        start_exec_time: 0,
        end_exec_time: 0,
        finish_time: 0,
        task_status,
        global_input_partition_ids: vec![task_id],
        vcores_consumed: 1,
    }
}

/// A task that has written `partitions` on `executor`, each into the file of its number if there is one.
fn done(task_id: usize, executor: &str, partitions: &[(u64, Option<u64>)]) -> TaskInfo {
    let partitions = partitions.iter().map(|(partition_id, file_id)| ShuffleWritePartition {
        partition_id: *partition_id,
        file_id: *file_id,
        ..ShuffleWritePartition::default()
    });
    let partitions = partitions.collect();
    let successful = SuccessfulTask { executor_id: executor.to_owned(), partitions, ..SuccessfulTask::default() };
    task(task_id, Status::Successful(successful))
}

fn running(task_id: usize, executor: &str) -> TaskInfo {
    task(task_id, Status::Running(RunningTask { executor_id: executor.to_owned() }))
}

/// The tasks and executors of locations.
fn told(locations: &[PartitionLocation]) -> Vec<(usize, &str)> {
    locations.iter().map(|location| (location.map_partition_id, location.executor_meta.id.as_str())).collect()
}

fn output(locations: Vec<PartitionLocation>) -> StageOutput {
    let mut output = StageOutput::new();
    locations.into_iter().for_each(|location| output.add_partition(location));
    output.complete = true;
    output
}

#[test]
fn what_successful_tasks_have_written_counts_in_its_order() {
    let tasks = [done(0, "a", &[(0, None)]), done(1, "b", &[(0, None)])];
    let written = [location(0, 0, "a"), location(1, 0, "b")];
    assert_eq!(told(&counting(&written, &tasks)), [(0, "a"), (1, "b")]);
    let turned = [location(1, 0, "b"), location(0, 0, "a")];
    assert_eq!(told(&counting(&turned, &tasks)), [(1, "b"), (0, "a")]);
    assert!(counting(&[], &tasks).is_empty());
}

#[test]
fn what_an_earlier_attempt_has_written_elsewhere_does_not_count() {
    // Task 0 wrote on the executor that was lost, and again on another; task 1 wrote on `b` both times.
    let tasks = [done(0, "b", &[(0, None)]), done(1, "b", &[(0, None)])];
    let written = [location(0, 0, "lost"), location(1, 0, "b"), location(0, 0, "b")];
    assert_eq!(told(&counting(&written, &tasks)), [(1, "b"), (0, "b")]);
}

#[test]
fn what_was_written_to_the_same_place_counts_once_with_the_last_statistics() {
    let tasks = [done(0, "a", &[(0, None)])];
    let written = [with_bytes(location(0, 0, "a"), 3), with_bytes(location(0, 0, "a"), 5)];
    let counting = counting(&written, &tasks);
    assert_eq!(counting.len(), 1);
    assert_eq!(counting[0].partition_stats.num_bytes(), Some(5));
}

#[test]
fn files_and_partitions_of_a_task_are_told_apart() {
    let tasks = [done(0, "a", &[(0, Some(1)), (1, Some(2))])];
    let written = [in_file(location(0, 0, "a"), 1), in_file(location(0, 1, "a"), 2)];
    assert_eq!(counting(&written, &tasks).len(), 2);
    // A file that its last attempt did not write, and a partition that it did not write.
    assert!(counting(&[in_file(location(0, 0, "a"), 7)], &tasks).is_empty());
    assert!(counting(&[in_file(location(0, 2, "a"), 1)], &tasks).is_empty());
    assert!(counting(&[location(0, 0, "a")], &tasks).is_empty());
}

#[test]
fn only_tasks_that_have_succeeded_count() {
    let failed = task(1, Status::Failed(FailedTask::default()));
    let tasks = [running(0, "a"), failed, done(2, "a", &[(0, None)])];
    let written = [location(0, 0, "a"), location(1, 0, "a"), location(2, 0, "a"), location(3, 0, "a")];
    assert_eq!(told(&counting(&written, &tasks)), [(2, "a")]);
    assert!(counting(&written, &[]).is_empty());
}

#[test]
fn an_output_is_exact_if_all_of_it_counts() {
    let tasks = [done(0, "a", &[(0, None), (1, None)]), done(1, "b", &[(0, None), (1, None)])];
    let whole = || vec![location(0, 0, "a"), location(0, 1, "a"), location(1, 0, "b"), location(1, 1, "b")];
    assert!(is_exact(&output(whole()), &tasks));
    assert!(is_exact(&StageOutput::new(), &tasks));
    let once_more = [whole(), vec![location(1, 1, "lost")]].concat();
    assert!(!is_exact(&output(once_more), &tasks));
    let twice = [whole(), vec![location(1, 1, "b")]].concat();
    assert!(!is_exact(&output(twice), &tasks));
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]))
}

fn reader(stage: usize, partitions: Vec<Vec<PartitionLocation>>) -> Arc<dyn ExecutionPlan> {
    let partitioning = Partitioning::UnknownPartitioning(partitions.len());
    Arc::new(ShuffleReaderExec::try_new(stage, partitions, schema(), partitioning).unwrap())
}

/// A stage that is read, and for each partition which outputs of which task.
type StageRead = (usize, Vec<Vec<(usize, String)>>);

/// What the readers of a plan read, by stage.
fn read(plan: &Arc<dyn ExecutionPlan>) -> Vec<StageRead> {
    let reader = plan.downcast_ref::<ShuffleReaderExec>().map(|reader| {
        let owned = |locations: &Vec<PartitionLocation>| {
            told(locations).into_iter().map(|(task, executor)| (task, executor.to_owned())).collect()
        };
        (reader.stage_id, reader.partition.iter().map(owned).collect())
    });
    reader.into_iter().chain(plan.children().into_iter().flat_map(read)).collect()
}

#[test]
fn readers_of_a_stage_that_was_started_again_read_what_counts_and_others_what_they_did() {
    let retried: Retried = HashMap::from([(INPUT, vec![done(0, "a", &[(0, None), (1, None)])])]);
    let partitions = || vec![vec![location(0, 0, "lost"), location(0, 0, "a")], vec![location(0, 1, "a")]];
    let plan = UnionExec::try_new(vec![reader(INPUT, partitions()), reader(7, partitions())]).unwrap();
    let exact = exact(plan, &retried).unwrap();
    let (a, lost) = ((0, "a".to_owned()), (0, "lost".to_owned()));
    let expected = [(INPUT, vec![vec![a.clone()], vec![a.clone()]]), (7, vec![vec![lost, a.clone()], vec![a]])];
    assert_eq!(read(&exact), expected);
    assert_eq!(exact.properties().output_partitioning().partition_count(), 4, "partitions without rows are kept");
}

#[test]
fn a_plan_that_reads_exactly_stays_the_same() {
    let retried: Retried = HashMap::from([(INPUT, vec![done(0, "a", &[(0, None)])])]);
    let plan = reader(INPUT, vec![vec![location(0, 0, "a")]]);
    assert!(Arc::ptr_eq(&plan, &exact(Arc::clone(&plan), &retried).unwrap()));
}

/// A stage that has ended at its `attempt`, with these tasks.
fn ended(attempt: usize, task_infos: Vec<TaskInfo>) -> ExecutionStage {
    ExecutionStage::Successful(SuccessfulStage {
        stage_id: INPUT,
        stage_attempt_num: attempt,
        partitions: task_infos.len(),
        output_links: vec![READER],
        inputs: HashMap::new(),
        plan: Arc::new(EmptyExec::new(schema())),
        task_infos,
        stage_metrics: Vec::new(),
        session_config: Arc::new(SessionConfig::new()),
        output_column_stats: Vec::new(),
    })
}

/// A stage over that one, all inputs of which are there, with this plan.
fn resolved(plan: Arc<dyn ExecutionPlan>, locations: Vec<PartitionLocation>) -> ResolvedStage {
    let inputs = HashMap::from([(INPUT, output(locations))]);
    ResolvedStage::new(READER, 0, plan, Vec::new(), inputs, HashSet::new(), Arc::new(SessionConfig::new()))
}

#[test]
fn a_count_is_wrong_if_its_stage_was_started_again_and_rows_of_before_are_in_it() {
    let tasks = || vec![done(0, "a", &[(0, None)])];
    let counted = |attempt: usize, locations: Vec<PartitionLocation>| {
        let over = resolved(Arc::new(EmptyExec::new(schema())), locations);
        let running = ExecutionStage::Running(over.to_running());
        let told = [ExecutionStage::Resolved(over), running]
            .map(|over| miscounted(&HashMap::from([(INPUT, ended(attempt, tasks())), (READER, over)])));
        assert_eq!(told[0], told[1], "a stage that runs is looked at like one that is about to");
        told[0]
    };
    let (good, bad) = (|| vec![location(0, 0, "a")], || vec![location(0, 0, "lost"), location(0, 0, "a")]);
    assert!(counted(1, bad()));
    assert!(!counted(1, good()));
    assert!(!counted(0, bad()), "nothing was started again");
}

#[test]
fn rows_that_are_read_are_no_wrong_count() {
    let tasks = || vec![done(0, "a", &[(0, None)])];
    let bad = || vec![location(0, 0, "lost"), location(0, 0, "a")];
    let reads = resolved(reader(INPUT, vec![bad()]), bad());
    let stages = HashMap::from([(INPUT, ended(1, tasks())), (READER, ExecutionStage::Resolved(reads))]);
    assert!(!miscounted(&stages), "its readers are made exact when its tasks are handed out");
    // One that still waits for inputs has not counted anything.
    let inputs = HashMap::from([(INPUT, output(bad()))]);
    let plan = Arc::new(EmptyExec::new(schema()));
    let config = Arc::new(SessionConfig::new());
    let waits = UnresolvedStage::new_with_inputs(READER, 0, plan, Vec::new(), inputs, HashSet::new(), config);
    let stages = HashMap::from([(INPUT, ended(1, tasks())), (READER, ExecutionStage::UnResolved(waits))]);
    assert!(!miscounted(&stages));
}
