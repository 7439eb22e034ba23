//! The rows of a finished job.

use std::collections::HashMap;
use std::sync::Arc;

use ballista_core::execution_plans::ShuffleReaderExec;
use ballista_core::serde::protobuf::task_status::Status as TaskStatus;
use ballista_core::serde::protobuf::{ShuffleWritePartition, SuccessfulTask};
use ballista_core::serde::scheduler::{ExecutorMetadata, PartitionId, PartitionLocation, PartitionStats};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result as EngineResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, SendableRecordBatchStream};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::job::Job;
use super::kept_rows::KeptRows;
use super::local::{LocalJob, LocalOutcome};
use super::{EngineError, JobEvidence, evidence};

/// A job that succeeded. Its rows stay on the executors until this and the streams made from it are dropped.
pub struct FinishedJob {
    from: Finished,
    rows: u64,
}

enum Finished {
    OnCluster {
        job: Arc<Job>,
        graph: ExecutionGraphBox,
        /// Where the rows are, in the order of the partitions.
        locations: Vec<PartitionLocation>,
    },
    Here {
        job: Arc<LocalJob>,
        partitions: Vec<Arc<KeptRows>>,
    },
}

impl FinishedJob {
    pub(super) fn new(job: Arc<Job>, graph: ExecutionGraphBox) -> Result<Self, EngineError> {
        let (locations, rows) = locations(&graph)?;
        Ok(Self { from: Finished::OnCluster { job, graph, locations }, rows })
    }

    pub(super) fn here(job: Arc<LocalJob>, outcome: Arc<LocalOutcome>) -> Result<Self, EngineError> {
        let partitions = (*outcome).clone()?;
        let rows = partitions.iter().map(|kept| kept.row_count()).sum();
        Ok(Self { from: Finished::Here { job, partitions }, rows })
    }

    /// The job's id in the cluster.
    pub fn id(&self) -> &str {
        match &self.from {
            Finished::OnCluster { job, .. } => job.control.id.as_str(),
            Finished::Here { job, .. } => job.id(),
        }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        match &self.from {
            Finished::OnCluster { job, .. } => job.plan.schema(),
            Finished::Here { job, .. } => job.plan.schema(),
        }
    }

    /// How many rows there are.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// The rows, read as they are asked for: in the plan's order if it has one partition, else partition by partition.
    pub fn stream(&self) -> SendableRecordBatchStream {
        let schema = self.schema();
        match &self.from {
            Finished::OnCluster { job, locations, .. } => {
                let job = Arc::clone(job);
                let rows = stream::iter(locations.clone()).flat_map(move |location| match read(&job, location) {
                    Ok(batches) => batches,
                    Err(error) => stream::once(async move { Err(error) }).boxed(),
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, rows))
            }
            Finished::Here { partitions, .. } => {
                let rows = stream::iter(partitions.clone()).flat_map(|kept| kept.stream());
                Box::pin(RecordBatchStreamAdapter::new(schema, rows))
            }
        }
    }

    /// All rows at once.
    ///
    /// # Errors
    /// [`EngineError::Fetch`].
    pub async fn collect(&self) -> Result<Vec<RecordBatch>, EngineError> {
        let batches = self.stream().try_collect().await;
        batches.map_err(|error| EngineError::Fetch(error.find_root().message().into_owned()))
    }

    /// The evidence of the job's execution.
    pub fn evidence(&self) -> JobEvidence {
        match &self.from {
            Finished::OnCluster { graph, .. } => evidence::of_graph(graph),
            Finished::Here { job, .. } => job.evidence(),
        }
    }
}

/// Reads a partition: from the disk if it is on this machine, else from its executor.
fn read(job: &Job, location: PartitionLocation) -> EngineResult<BoxStream<'static, EngineResult<RecordBatch>>> {
    // An empty folder holds no file, so that the rows are fetched.
    let folder = job.control.engine.work_dir(&location.executor_meta.id).unwrap_or_default();
    let reader = ShuffleReaderExec::try_new(
        location.partition_id.stage_id,
        vec![vec![location]],
        job.plan.schema(),
        Partitioning::UnknownPartitioning(1),
    )?;
    Ok(reader.with_work_dir(folder).execute(0, Arc::clone(&job.task))?.boxed())
}

/// Where the rows of the final stage are, and how many.
///
/// The engine's own list is only ever added to: after a retry it also holds what was lost or written twice. What counts
/// are the tasks that the stage counts as successful.
fn locations(graph: &ExecutionGraphBox) -> Result<(Vec<PartitionLocation>, u64), EngineError> {
    let executors: HashMap<String, ExecutorMetadata> = graph
        .output_locations()
        .into_iter()
        .map(|location| (location.executor_meta.id.clone(), location.executor_meta))
        .collect();
    let mut locations = Vec::new();
    let mut rows = 0;
    for stage in graph.stages().values() {
        let ExecutionStage::Successful(stage) = stage else { return Err(EngineError::Lost) };
        if !stage.output_links.is_empty() {
            continue;
        }
        for task in &stage.task_infos {
            let TaskStatus::Successful(done) = &task.task_status else { continue };
            let executor = executor_of(done, &executors)?;
            for part in done.partitions.iter().filter(|part| part.num_rows > 0) {
                rows += part.num_rows;
                locations.push(location(graph, stage.stage_id, task.task_id, executor, part));
            }
        }
    }
    locations.sort_by_key(|location| location.partition_id.partition_id);
    Ok((locations, rows))
}

fn executor_of<'a>(
    task: &SuccessfulTask,
    executors: &'a HashMap<String, ExecutorMetadata>,
) -> Result<&'a ExecutorMetadata, EngineError> {
    let id = &task.executor_id;
    executors.get(id).ok_or_else(|| EngineError::Fetch(format!("the executor {id} is not known")))
}

fn location(
    graph: &ExecutionGraphBox,
    stage_id: usize,
    task_id: usize,
    executor: &ExecutorMetadata,
    part: &ShuffleWritePartition,
) -> PartitionLocation {
    PartitionLocation {
        map_partition_id: task_id,
        partition_id: PartitionId {
            job_id: graph.job_id().clone(),
            stage_id,
            partition_id: usize::try_from(part.partition_id).unwrap_or(usize::MAX),
        },
        executor_meta: executor.clone(),
        partition_stats: PartitionStats::new(Some(part.num_rows), Some(part.num_batches), Some(part.num_bytes)),
        file_id: part.file_id,
        is_sort_shuffle: part.is_sort_shuffle,
    }
}
