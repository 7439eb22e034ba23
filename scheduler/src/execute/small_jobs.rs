//! Jobs of a cluster that are so small that sending them costs more than running them: they run beside the scheduler.

use std::any::Any;
use std::sync::Arc;

use bytesize::ByteSize;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::unnest::UnnestExec;
use tokio::sync::Semaphore;

/// Which jobs of a cluster are small, and how many of them run at a time.
#[derive(Debug, Clone)]
pub struct SmallJobs {
    limit_bytes: u64,
    pub(super) turns: Arc<Semaphore>,
}

impl SmallJobs {
    /// Jobs that read at most `limit_bytes` are small, none if it is 0; as many as the machine has processors run at a time.
    pub fn new(limit_bytes: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { limit_bytes, turns: Arc::new(Semaphore::new(processors)) }
    }

    /// Why `plan` should run beside the scheduler; `None` if it is not small, or if its size is not known.
    pub(super) fn reason(&self, plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
        if self.limit_bytes == 0 {
            return None;
        }
        let bytes = input_bytes(plan).filter(|bytes| *bytes <= self.limit_bytes)?;
        Some(format!("its inputs have {}, and jobs up to {} are not sent", ByteSize(bytes), ByteSize(self.limit_bytes)))
    }
}

/// How much a plan reads, in bytes of files and of memory.
///
/// `None` if that is not known, or says little about the work: rows that are generated or unnested, joins of each row with
/// each.
fn input_bytes(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let mut bytes = Some(0);
    // The visitor cannot fail.
    let _ = plan.apply(|node| {
        bytes = bytes.zip(bytes_of(node)).map(|(sum, more): (u64, u64)| sum.saturating_add(more));
        Ok(if bytes.is_some() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    bytes
}

fn bytes_of(node: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    if node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() || node.is::<UnnestExec>() {
        return None;
    }
    if !node.children().is_empty() || node.is::<EmptyExec>() || node.is::<PlaceholderRowExec>() {
        return Some(0);
    }
    let source: &dyn Any = node.downcast_ref::<DataSourceExec>()?.data_source().as_ref();
    if let Some(memory) = source.downcast_ref::<MemorySourceConfig>() {
        let batches = memory.partitions().iter().flatten();
        return Some(batches.map(|batch| batch.get_array_memory_size() as u64).sum());
    }
    let files = source.downcast_ref::<FileScanConfig>()?.file_groups.iter().flat_map(|group| group.files());
    Some(
        files.map(|file| file.range.as_ref().map_or(file.object_meta.size, |r| (r.end - r.start).unsigned_abs())).sum(),
    )
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn plan(sql: &str) -> Arc<dyn ExecutionPlan> {
        let context = SessionContext::new();
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..1000))]).unwrap();
        context.register_batch("numbers", rows).unwrap();
        context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    #[tokio::test]
    async fn jobs_are_small_by_what_they_read() {
        let one = plan("SELECT 1").await;
        let read = plan("SELECT sum(n) FROM numbers").await;
        assert_eq!(input_bytes(&one), Some(0));
        let bytes = input_bytes(&read).unwrap();
        assert!((8000..10_000).contains(&bytes), "{bytes}");
        for (limit, small) in [(0, [false, false]), (bytes - 1, [true, false]), (bytes, [true, true])] {
            let jobs = SmallJobs::new(limit);
            assert_eq!([&one, &read].map(|plan| jobs.reason(plan).is_some()), small, "{limit}");
        }
    }

    #[tokio::test]
    async fn what_makes_more_rows_than_it_reads_is_not_small() {
        for sql in [
            "SELECT unnest(range(0, 1000000)) AS n FROM numbers",
            "SELECT value FROM generate_series(1, 1000000)",
            "SELECT a.n + b.n AS n FROM numbers AS a CROSS JOIN numbers AS b",
            "SELECT count(*) FROM numbers AS a JOIN numbers AS b ON a.n < b.n",
        ] {
            assert_eq!(SmallJobs::new(u64::MAX).reason(&plan(sql).await), None, "{sql}");
        }
    }
}
