//! Merges: single rows of a table inserted, updated and deleted, by tasks, in one commit.
//!
//! ```text
//! PinnedTable ─addressed→ its rows with file and position ─the caller joins them with new rows→ changes
//!             └ keys alone ─→ addresses ─rows_at→ only the rows that are wanted                          (rows_at)
//!     ─delta_merge_plan→ DeltaMergeExec ─on executors, a task a partition→ rows of report_schema()      (input, exec)
//!         new rows → data files; old and new rows → change data files; positions of replaced rows
//! rows ─StagedMerge::from_batches→ StagedMerge ─choose_strategy→ MergeStrategy                        (staged, strategy)
//!     ─DeletionVectors→ one file of vectors, written here                                               (vectors)
//!     ─Rewrite→ remaining_rows: a scan of the touched files without replaced rows ─delta_write_plan→ copies (remaining_rows)
//!     ─finish→ MergedFiles ─→ the commit, as CommitMode::Merge                                          (finish)
//! ```
//!
//! Nothing that is written before the commit is visible. Positions are those of one version of the table: the commit
//! conflicts if the table is at another one by then.

mod exec;
mod finish;
mod input;
mod positions;
mod remaining_rows;
mod rows_at;
mod staged;
mod strategy;
mod touched;
mod vectors;

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result as EngineResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, case, col, lit};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

pub use exec::DeltaMergeExec;
pub use finish::{MergedFiles, ReplacedFile, Replacement, finish};
pub use remaining_rows::remaining_rows;
pub use rows_at::rows_at;
pub use staged::{MergeCounts, StagedMerge};
pub use strategy::{MergeStrategy, choose_strategy};

pub use super::scan::{ROW_FILE, ROW_POSITION};
use super::write::check::compile_constraints;
use super::write::{WriteError, WriteSpec};

/// The column of a merge's input that says what becomes of a row: [`INSERT`], [`UPDATE`] or [`DELETE`].
pub const OP: &str = "__wl_op";
/// What precedes a column's name for its value before the merge: null throughout for an insert.
pub const OLD_PREFIX: &str = "old.";
/// What precedes a column's name for its value after the merge: null throughout for a delete.
pub const NEW_PREFIX: &str = "new.";

/// [`OP`] of a row that the table does not have yet.
pub const INSERT: &str = "insert";
/// [`OP`] of a row that takes the place of another.
pub const UPDATE: &str = "update";
/// [`OP`] of a row that is deleted.
pub const DELETE: &str = "delete";

/// The plan that writes the changes of `input` for the table of `spec`, a task a partition.
///
/// Columns of `input`, found by name, in any order:
///
/// | column | type | meaning |
/// |---|---|---|
/// | [`OP`] | text | `insert`, `update` or `delete` |
/// | [`ROW_FILE`], [`ROW_POSITION`] | text, bigint | the address of the old row, as an addressed scan gives it; null for an insert |
/// | `new.c` for every column `c` | as `c` | the new row; of no concern for a delete |
/// | `old.c` for every column `c` | as `c` | the old row; of no concern for an insert, and all of them for a merge without `change_feed` |
///
/// Tasks write new rows as data files and, if the table's `change_feed` is on, all changes as change data files, and
/// report the addresses of old rows; collect with [`StagedMerge::from_batches`]. Nothing becomes visible. Rows of a
/// partitioned table are first brought together by partition value; an input of one partition stays one.
///
/// # Errors
/// [`WriteError::InputDiffers`] if the input does not have these columns, [`WriteError::ColumnName`] for a column that
/// a change feed cannot have, [`WriteError::BadConstraint`] for a constraint that cannot be compiled in `state`'s
/// session.
pub fn delta_merge_plan(
    input: Arc<dyn ExecutionPlan>,
    spec: WriteSpec,
    change_feed: bool,
    state: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>, WriteError> {
    let constraints = compile_constraints(&spec, state)?;
    let spec = Arc::new(spec);
    let plan = DeltaMergeExec::try_new(Arc::clone(&input), Arc::clone(&spec), constraints.clone(), change_feed)?;
    let partitions = input.output_partitioning().partition_count();
    if spec.partition_by.is_empty() || partitions == 1 {
        return Ok(Arc::new(plan));
    }
    let unplanned = |error: datafusion::error::DataFusionError| WriteError::Encode {
        what: format!("the merge into table `{}`", spec.table),
        reason: error.strip_backtrace(),
    };
    let values = partition_columns(&input.schema(), &spec, change_feed).map_err(unplanned)?;
    let by_value = Partitioning::Hash(values, state.config().target_partitions().max(1));
    let gathered = RepartitionExec::try_new(input, by_value).map_err(unplanned)?;
    Ok(Arc::new(DeltaMergeExec::try_new(Arc::new(gathered), spec, constraints, change_feed)?))
}

/// The partition values of a row's files: those of the new row, or of the old one if there is no new one and it is
/// written as a change.
fn partition_columns(input: &Schema, spec: &WriteSpec, change_feed: bool) -> EngineResult<Vec<Arc<dyn PhysicalExpr>>> {
    let column = |name: &String| {
        let new = col(&format!("{NEW_PREFIX}{name}"), input)?;
        let old = match change_feed {
            true => col(&format!("{OLD_PREFIX}{name}"), input)?,
            false => return Ok(new),
        };
        let op = col(OP, input)?;
        let text = matches!(op.data_type(input)?, datafusion::arrow::datatypes::DataType::Utf8);
        if !text || old.data_type(input)? != new.data_type(input)? {
            return Ok(new);
        }
        let is_deleted = binary(op, Operator::Eq, lit(DELETE), input)?;
        case(None, vec![(is_deleted, old)], Some(new))
    };
    spec.partition_by.iter().map(column).collect()
}
