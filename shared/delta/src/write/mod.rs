//! Distributed writes: every task turns its rows into data files and reports them; nothing is visible yet.
//!
//! ```text
//! plan ─delta_write_plan→ DeltaWriteExec ─on executors, a task a partition→ rows of report_schema()
//!     conform → check → partition → files (+ stats) → report
//! rows ─StagedFiles::from_batches→ StagedFiles: typed actions, kept by the event log as they are ─→ the commit
//! ```

pub(crate) mod action_lines;
pub(crate) mod check;
pub(crate) mod conform;
mod exec;
pub(crate) mod files;
pub(crate) mod partition;
mod read_back;
pub(crate) mod report;
mod spec;
mod staged;
mod stats;

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

pub use crate::error::WriteError;
pub use check::RowConstraint;
pub use exec::DeltaWriteExec;
pub use partition::partition_values;
pub use report::report_schema;
pub use spec::{DEFAULT_STATS_COLUMNS, DEFAULT_TARGET_FILE_BYTES, FileCompression, WriteLimits, WriteSpec};
pub use staged::StagedFiles;

/// The plan that writes the rows of `input` as data files of the table of `spec`, a task a partition.
///
/// The rows of a partitioned table are first brought together by partition value, so that few files a value come out;
/// an input of one partition stays one.
///
/// # Errors
/// [`WriteError::InputDiffers`] if the input does not have the table's columns, [`WriteError::BadConstraint`] for a
/// constraint that cannot be compiled in `state`'s session.
pub fn delta_write_plan(
    input: Arc<dyn ExecutionPlan>,
    spec: WriteSpec,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>, WriteError> {
    let constraints = check::compile_constraints(&spec, state)?;
    let spec = Arc::new(spec);
    let plan = DeltaWriteExec::try_new(Arc::clone(&input), Arc::clone(&spec), constraints.clone())?;
    let partitions = input.output_partitioning().partition_count();
    if spec.partition_by.is_empty() || partitions == 1 {
        return Ok(Arc::new(plan));
    }
    let unplanned = |error: DataFusionError| WriteError::Encode {
        what: format!("the write of table `{}`", spec.table),
        reason: error.strip_backtrace(),
    };
    let columns = DeltaWriteExec::partition_columns(&input, &spec).map_err(unplanned)?;
    let by_value = Partitioning::Hash(columns, state.config().target_partitions().max(1));
    let gathered = RepartitionExec::try_new(input, by_value).map_err(unplanned)?;
    Ok(Arc::new(DeltaWriteExec::try_new(Arc::new(gathered), spec, constraints)?))
}
