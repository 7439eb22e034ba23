//! Validates the ids in the engine's own nodes when they arrive, because paths of shuffle files are derived from them.

use std::sync::Arc;

use ballista_core::execution_plans::{
    RangeShuffleReaderExec, RangeShuffleWriterExec, ShuffleReaderExec, ShuffleWriterExec, SortShuffleWriterExec,
};
use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use windlass_base::error::Coded;
use windlass_base::ids::EngineJobId;

/// Refuses a node whose files would be outside the folder of a job.
pub(super) fn check(node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let node = node.as_ref();
    let writes = [
        node.downcast_ref::<ShuffleWriterExec>().map(ShuffleWriterExec::job_id),
        node.downcast_ref::<SortShuffleWriterExec>().map(SortShuffleWriterExec::job_id),
        node.downcast_ref::<RangeShuffleWriterExec>().map(RangeShuffleWriterExec::job_id),
    ];
    for job in writes.into_iter().flatten() {
        check_job(job.as_str())?;
    }
    let reads = [
        node.downcast_ref::<ShuffleReaderExec>().map(|node| &node.partition),
        node.downcast_ref::<RangeShuffleReaderExec>().map(|node| &node.partition),
    ];
    for location in reads.into_iter().flatten().flatten().flatten() {
        check_location(location)?;
    }
    Ok(())
}

fn check_location(location: &PartitionLocation) -> Result<()> {
    check_job(location.partition_id.job_id.as_str())
}

fn check_job(job: &str) -> Result<()> {
    match EngineJobId::parse(job) {
        Ok(_) => Ok(()),
        Err(error) => Err(DataFusionError::External(Box::new(error.to_failure()))),
    }
}
