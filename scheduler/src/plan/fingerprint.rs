//! The hash of a stage's logical plan.

use datafusion::logical_expr::LogicalPlan;

/// A hash of the plan as it follows from the SQL: white space, comments and the case of keywords do not change it.
pub fn plan_fingerprint(plan: &LogicalPlan) -> String {
    let text = plan.display_indent_schema().to_string();
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}
