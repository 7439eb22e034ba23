//! Exact versions of what the engine computes only approximately, or loses on the way to executors: arithmetic and sums
//! that fail on overflow, scalar subqueries with at most one row, and window function calls with all of their options.
//! And the position of a row on a Z-order curve, by which maintenance sorts rows.
//!
//! They are not called by name. The rules in `session/rules` and plans that are built in code contain them, and every
//! session registers them, so that such plans run on every executor.

mod arithmetic;
mod filtered;
mod shifted;
mod single_value;
mod sum;
mod zorder;

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, WindowUDF};
use windlass_base::engine_terms::with_sql_types;
use windlass_base::error::{ErrorCode, Failure};

pub(crate) use arithmetic::{ArithmeticOp, checked, negated};
pub(crate) use filtered::Filtered;
pub(crate) use shifted::Shifted;
pub(crate) use single_value::single_value;
pub use sum::exact_sum;
pub use zorder::zorder_key;

/// More than one row in a scalar subquery.
pub const SEVERAL_ROWS: ErrorCode = ErrorCode("WL0372");
/// A number that is too large for its type.
pub const OVERFLOW: ErrorCode = ErrorCode("WL0373");

/// The scalar functions.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    arithmetic::all().into_iter().chain([zorder::zorder()]).collect()
}

/// The aggregate functions. One has the name of a function of the engine, and replaces it.
pub(crate) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    vec![exact_sum(), single_value()]
}

/// Whether a window function embeds its call options, so that those of the engine's call do not matter.
pub fn embeds_call_options(function: &WindowUDF) -> bool {
    function.inner().is::<Shifted>()
}

/// `sum(value)` for plans that are built in code: the function that executors have under that name.
pub fn sum_of(value: Expr) -> Expr {
    exact_sum().call(vec![value])
}

/// The error of a result that does not fit its type.
fn overflow(what: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Failure {
        code: OVERFLOW.to_string(),
        message: with_sql_types(what),
        help: Some("cast what goes in to a wider type first, such as DECIMAL(38, 0) or DOUBLE".to_owned()),
        retryable: false,
    }))
}
