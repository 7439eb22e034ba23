//! Makes a scalar subquery with several rows an error.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, FetchType, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

use crate::function::exact::single_value;

/// Wraps subqueries that could return several rows in `single_value`. The engine joins them, and would repeat the outer
/// rows.
#[derive(Debug)]
pub(super) struct SingleRows;

impl AnalyzerRule for SingleRows {
    fn name(&self) -> &str {
        "single_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            let node = node.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if may_give_several(&subquery.subquery) => {
                        Ok(Transformed::yes(Expr::ScalarSubquery(guarded(subquery)?)))
                    }
                    other => Ok(Transformed::no(other)),
                })
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(guarded.data)
    }
}

/// Whether a plan may return more than one row, by its structure. The engine's own estimate treats a row without
/// columns as none.
fn may_give_several(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(_) => false,
        LogicalPlan::Values(values) => values.values.len() > 1,
        LogicalPlan::Aggregate(aggregate) => !aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => {
            let at_most_one = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))));
            !at_most_one && may_give_several(&limit.input)
        }
        LogicalPlan::Projection(projection) => may_give_several(&projection.input),
        LogicalPlan::Filter(filter) => may_give_several(&filter.input),
        LogicalPlan::Sort(sort) => may_give_several(&sort.input),
        LogicalPlan::SubqueryAlias(alias) => may_give_several(&alias.input),
        _ => true,
    }
}

fn guarded(subquery: Subquery) -> Result<Subquery> {
    let Subquery { subquery: plan, outer_ref_columns, spans } = subquery;
    let (qualifier, field) = plan.schema().qualified_field(0);
    let (qualifier, name) = (qualifier.cloned(), field.name().clone());
    let value = single_value().call(vec![Expr::Column(Column::from(plan.schema().qualified_field(0)))]);
    let single = LogicalPlanBuilder::from(plan.as_ref().clone()).aggregate(Vec::<Expr>::new(), vec![value])?.build()?;
    let value = Expr::Column(Column::from(single.schema().qualified_field(0)));
    let named = LogicalPlanBuilder::from(single).project(vec![value.alias_qualified(qualifier, name)])?.build()?;
    Ok(Subquery { subquery: Arc::new(named), outer_ref_columns, spans })
}
