//! What the engine computes only nearly, or omits on the way to executors, done exactly: arithmetic and sums that fail
//! when they overflow, values of which there may be one, and calls over windows with all that was said about them.
//!
//! Nobody calls these by name. The rules in `session/rules` put them into plans, and every session knows them, so that a
//! plan that names one runs on every executor.

mod arithmetic;
mod filtered;
mod shifted;
mod single_value;
mod sum;

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, WindowUDF};
use windlass_base::error::{ErrorCode, Failure};

pub(crate) use arithmetic::{ArithmeticOp, checked, negated};
pub(crate) use filtered::Filtered;
pub(crate) use shifted::Shifted;
pub(crate) use single_value::single_value;
pub use sum::exact_sum;

/// More than one row where a query stands in place of a value.
pub const SEVERAL_ROWS: ErrorCode = ErrorCode("WL0372");
/// A number that is too large for its type.
pub const OVERFLOW: ErrorCode = ErrorCode("WL0373");

/// The functions of a row.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    arithmetic::all()
}

/// The functions of a group. One has the name of a function of the engine, and takes its place.
pub(crate) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    vec![exact_sum(), single_value()]
}

/// Whether a function of a window keeps to itself how it is called, so that what the engine says about it makes no difference.
pub fn embeds_call_options(function: &WindowUDF) -> bool {
    function.inner().is::<Shifted>()
}

/// `sum(value)` for plans that are built by hand: the one that executors have under that name.
pub fn sum_of(value: Expr) -> Expr {
    exact_sum().call(vec![value])
}

/// The error of a result that its type cannot hold.
fn overflow(what: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Failure {
        code: OVERFLOW.to_string(),
        message: what.to_owned(),
        help: Some("cast what goes in to a wider type first, such as DECIMAL(38, 0) or DOUBLE".to_owned()),
        retryable: false,
    }))
}
