//! The rows of a job that ran in this process, until nobody wants them any more: a few in memory, where they count as memory of
//! queries, and what is more in a file that goes with them.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::{SendableRecordBatchStream, SpillManager};
use futures::stream::{self, BoxStream, StreamExt};

/// Bytes of a partition's rows that stay in memory.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// The rows of one partition.
pub(super) struct KeptRows {
    batches: Vec<RecordBatch>,
    /// The memory that the batches count for.
    _memory: MemoryReservation,
    /// The rows after those in memory.
    file: Option<(SpillManager, Arc<dyn SpillFile>)>,
    rows: u64,
}

impl KeptRows {
    /// Takes all rows of a partition.
    ///
    /// # Errors
    /// That of the rows, or the disk's.
    pub(super) async fn take(mut rows: SendableRecordBatchStream, task: &TaskContext) -> Result<Self> {
        let memory = MemoryConsumer::new("rows of a job").register(task.memory_pool());
        let (mut batches, mut count) = (Vec::new(), 0);
        let mut next = rows.next().await.transpose()?;
        while let Some(batch) = next.take_if(|batch| fits(batch, &memory)) {
            count += batch.num_rows() as u64;
            batches.push(batch);
            next = rows.next().await.transpose()?;
        }
        let mut file = None;
        if next.is_some() {
            let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
            let manager = SpillManager::new(task.runtime_env(), metrics, rows.schema());
            let mut written = manager.create_in_progress_file("rows of a job")?;
            while let Some(batch) = next {
                count += batch.num_rows() as u64;
                written.append_batch(&batch)?;
                next = rows.next().await.transpose()?;
            }
            file = written.finish()?.map(|file| (manager, file));
        }
        Ok(Self { batches, _memory: memory, file, rows: count })
    }

    pub(super) fn row_count(&self) -> u64 {
        self.rows
    }

    /// The rows in their order.
    pub(super) fn stream(&self) -> BoxStream<'static, Result<RecordBatch>> {
        let in_memory = stream::iter(self.batches.clone().into_iter().map(Ok));
        let Some((manager, file)) = &self.file else { return in_memory.boxed() };
        match manager.read_spill_as_stream(Arc::clone(file), None) {
            Ok(rest) => in_memory.chain(rest).boxed(),
            Err(error) => stream::once(async move { Err(error) }).boxed(),
        }
    }
}

/// Whether there is memory for the batch, which then is taken.
fn fits(batch: &RecordBatch, memory: &MemoryReservation) -> bool {
    let bytes = batch.get_array_memory_size();
    // What has no columns is no more than a number.
    let is_little = batch.num_columns() == 0 || memory.size() + bytes <= KEPT_BYTES;
    is_little && memory.try_grow(bytes).is_ok()
}
