//! The hash of a stage's logical plan.

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use windlass_engine::canonical::{Names, canonical};

/// A hash of the plan as it follows from the SQL, in its canonical form: white space, comments and the case of keywords do
/// not change it.
///
/// # Errors
/// The engine's, if the plan is no query.
pub fn plan_fingerprint(plan: &LogicalPlan) -> Result<String> {
    Ok(canonical(plan, Names::Outside)?.digest().to_owned())
}
