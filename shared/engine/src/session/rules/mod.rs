//! Rules that every session adds to the engine's analysis of a plan, after type coercion. They replace what the engine
//! computes only approximately, or loses on the way to executors, by exact functions.

mod arithmetic;
mod decimals;
mod single_rows;
mod times;
mod windows;
mod zeros;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// The node with its expressions rewritten bottom-up, keeping their names. `rewrite` gets their input columns.
fn rewritten(
    node: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let inputs = node.inputs();
    let columns: DFSchemaRef = if inputs.is_empty() { node.schema().clone() } else { merge_schema(&inputs).into() };
    let names = NamePreserver::new(&node);
    let node = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| rewrite(expr, &columns))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
}

/// The rules, in their order.
pub(super) fn rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![
        Arc::new(single_rows::SingleRows),
        Arc::new(decimals::ExactDecimals),
        Arc::new(times::ComparedTimes),
        Arc::new(zeros::OneZero),
        Arc::new(arithmetic::ExactArithmetic),
        Arc::new(windows::WholeWindows),
    ]
}
