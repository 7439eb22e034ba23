//! Filters over what is known of files before they are read.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;

/// The rows of `known` that meet all `filters`, which are over its columns only.
///
/// # Errors
/// The engine's, if a filter cannot be planned or evaluated over them.
pub fn rows_that_meet(state: &dyn Session, filters: &[Expr], known: &RecordBatch) -> Result<Vec<usize>> {
    let rows = known.num_rows();
    let Some(filter) = conjunction(filters.iter().cloned()) else {
        return Ok((0..rows).collect());
    };
    let predicate = state.create_physical_expr(filter, &DFSchema::try_from(known.schema())?)?;
    let met = predicate.evaluate(known)?.into_array(rows)?;
    let met = met.as_boolean();
    Ok((0..rows).filter(|row| met.is_valid(*row) && met.value(*row)).collect())
}
