//! Subqueries that the engine plans in no place, or only in some, turned into ones that it plans in every place.
//!
//! ```text
//! EXISTS, IN as values ─→ scalar subqueries that count                          (values)
//! scalar subqueries in aggregates, windows, sorts ─→ columns of a projection    (places)
//! correlated ones that the engine cannot take apart ─→ joins with their outer values   (dependent)
//! ```
//!
//! The rules stand before the engine's own, which take apart what they can.

mod dependent;
mod hoist;
mod values;

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;

/// The rules, in the order in which they must stand.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![Arc::new(values::SubqueryValues), Arc::new(dependent::DependentJoins)]
}
