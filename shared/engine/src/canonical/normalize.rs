//! Normalizes a plan by removing columns that are not read.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, lit};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::optimize_projections::OptimizeProjections;

/// The plan after the engine's analysis, with scans of only those columns that are read. So adding a column to a table
/// does not change it.
///
/// # Errors
/// The engine's, if the types do not fit.
pub fn normalize(plan: &LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let typed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    // A plan that cannot be narrowed is used unchanged: then more columns count than are read, but no fewer.
    Ok(with_columns_pruned(typed.clone(), state).unwrap_or(typed))
}

fn with_columns_pruned(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let rule = OptimizeProjections::new();
    let plan = without_columns_of_exists(plan)?;
    let plan = rule.rewrite(plan, state)?.data;
    // Correlated ones are left to decorrelation.
    let narrowed = plan.transform_down(|node| {
        node.map_subqueries(|subquery| match subquery {
            LogicalPlan::Subquery(subquery) => {
                let inner = with_columns_pruned(Arc::unwrap_or_clone(Arc::clone(&subquery.subquery)), state)?;
                Ok(Transformed::yes(LogicalPlan::Subquery(subquery.with_plan(Arc::new(inner)))))
            }
            other => Ok(Transformed::no(other)),
        })
    })?;
    Ok(narrowed.data)
}

/// The plan with `EXISTS` over rows without columns: their values do not matter.
fn without_columns_of_exists(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_down(|node| {
        node.map_expressions(|root| {
            root.transform_down(|expr| match expr {
                Expr::Exists(Exists { subquery: Subquery { subquery, outer_ref_columns, spans }, negated }) => {
                    let one = LogicalPlanBuilder::from(Arc::unwrap_or_clone(subquery)).project([lit(true)])?.build()?;
                    let subquery = Subquery { subquery: Arc::new(one), outer_ref_columns, spans };
                    Ok(Transformed::yes(Expr::Exists(Exists { subquery, negated })))
                }
                other => Ok(Transformed::no(other)),
            })
        })
    })?;
    Ok(rewritten.data)
}
