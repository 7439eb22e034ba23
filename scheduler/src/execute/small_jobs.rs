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
use tokio::sync::Semaphore;

/// Which jobs of a cluster are small, and how many of them run at a time.
#[derive(Debug, Clone)]
pub struct SmallJobs {
    limit_bytes: u64,
    pub(super) turns: Arc<Semaphore>,
}

impl SmallJobs {
    /// Jobs that read at most `limit_bytes` are small, as many as the machine has processors run at a time.
    pub fn new(limit_bytes: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { limit_bytes, turns: Arc::new(Semaphore::new(processors)) }
    }

    /// Why `plan` should run beside the scheduler; `None` if it is not small, or if its size is not known.
    pub(super) fn reason(&self, plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
        let bytes = input_bytes(plan).filter(|bytes| *bytes <= self.limit_bytes)?;
        Some(format!("its inputs have {}, and jobs up to {} are not sent", ByteSize(bytes), ByteSize(self.limit_bytes)))
    }
}

/// How much a plan reads, in bytes of files and of memory.
///
/// `None` if that is not known, or says little about the work: rows that are generated, joins of each row with each.
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
    if node.is::<NestedLoopJoinExec>() || node.is::<CrossJoinExec>() {
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
