//! Hoists scalar subqueries out of aggregates, window functions and sort keys, where the engine cannot plan them, into
//! a projection below, where it can.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::ident;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::OptimizerConfig;

/// The plan with such scalar subqueries moved to a projection below.
pub(super) fn hoist_scalar_subqueries(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    if !matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_))
        || !has_scalar_subquery(&plan)?
    {
        return Ok(Transformed::no(plan));
    }
    let wanted = plan.schema().columns();
    let names = NamePreserver::new(&plan);
    let mut found: Vec<(Expr, String)> = Vec::new();
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let moved = expr.transform_down(|expr| match expr {
            Expr::ScalarSubquery(_) => {
                let known = found.iter().find(|(subquery, _)| *subquery == expr).map(|(_, name)| name.clone());
                let name = known.unwrap_or_else(|| {
                    let name = config.alias_generator().next("__sq_value");
                    found.push((expr, name.clone()));
                    name
                });
                Ok(Transformed::new(ident(name), true, TreeNodeRecursion::Jump))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(moved.update_data(|expr| name.restore(expr)))
    })?;
    let plan = plan.data;
    let Some(input) = plan.inputs().into_iter().next().cloned() else { return Ok(Transformed::no(plan)) };
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let values = found.into_iter().map(|(subquery, name)| subquery.alias(name));
    let below = LogicalPlanBuilder::from(input.clone()).project(columns.chain(values).collect::<Vec<_>>())?.build()?;
    let above = plan.with_new_exprs(plan.expressions(), vec![below])?;
    let above = match above.schema().columns() == wanted {
        true => above,
        false => LogicalPlanBuilder::from(above).project(wanted.into_iter().map(Expr::Column))?.build()?,
    };
    Ok(Transformed::yes(above))
}

fn has_scalar_subquery(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found || expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
