//! Rewrites subqueries that the engine cannot plan, or only in some positions, into ones that it can plan everywhere.
//!
//! ```text
//! EXISTS, IN as values ─→ scalar subqueries that count                          (values)
//! scalar subqueries in aggregates, windows, sorts ─→ columns of a projection    (hoist)
//! correlated ones that the engine cannot decorrelate ─→ joins with their outer values   (dependent)
//! ```
//!
//! The rules run before the engine's own, which decorrelate what they can.

mod dependent;
mod hoist;
mod values;

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;

/// The rules, in the required order.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![Arc::new(values::SubqueryValues), Arc::new(dependent::DependentJoins)]
}
