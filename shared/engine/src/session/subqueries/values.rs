//! `EXISTS (…)` and `x IN (…)` as values: as scalar subqueries that count.
//!
//! ```text
//! EXISTS (q)  =  (SELECT count(*) > 0 FROM q)
//! x IN (q)    =  CASE WHEN (SELECT count(*) FROM q WHERE c = x) > 0 THEN true
//!                     WHEN (SELECT count(*) FROM q) = 0 THEN false
//!                     WHEN x IS NULL OR (SELECT count(*) FROM q WHERE c IS NULL) > 0 THEN NULL
//!                     ELSE false END
//! ```
//!
//! A subquery that is a whole filter is kept: the engine turns it into a semi join. It does so correctly if the
//! subquery is uncorrelated, or only selects rows; but not for a correlated `NOT IN`, for which it checks the nulls of
//! all rows.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, Spans};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::ident;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery, lit, not, when};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::dependent::is_row_wise;
use super::hoist::hoist_scalar_subqueries;

/// The name of a count.
const COUNT: &str = "__sq_count";

#[derive(Debug)]
pub(super) struct SubqueryValues;

impl OptimizerRule for SubqueryValues {
    fn name(&self) -> &str {
        "subquery_values"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let counted = if has_values(&plan)? { counting(plan)? } else { Transformed::no(plan) };
        // Both steps at once, because the engine checks after every rule that subqueries are in valid positions.
        counted.transform_data(|plan| hoist_scalar_subqueries(plan, config))
    }
}

/// The node with counts in place of `EXISTS` and `IN` as values.
fn counting(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    match plan {
        LogicalPlan::Filter(mut filter) => {
            let mut changed = false;
            let mut kept = Vec::new();
            for part in split_conjunction_owned(filter.predicate) {
                let part = if is_predicate(&part) {
                    part
                } else {
                    let rewritten = with_counts(part, &schema, false)?;
                    changed |= rewritten.transformed;
                    rewritten.data
                };
                kept.push(part);
            }
            filter.predicate = conjunction(kept).unwrap_or_else(|| lit(true));
            let filter = LogicalPlan::Filter(filter);
            Ok(if changed { Transformed::yes(filter) } else { Transformed::no(filter) })
        }
        // Their rows depend on pairs of rows, which no column of either side represents.
        LogicalPlan::Join(_) | LogicalPlan::TableScan(_) => Ok(Transformed::no(plan)),
        plan => {
            let names = NamePreserver::new(&plan);
            let rewritten = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(with_counts(expr, &schema, true)?.update_data(|expr| name.restore(expr)))
            })?;
            if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
        }
    }
}

fn has_values(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found || expr.exists(|expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))))?;
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether the engine turns this part of a filter into the correct semi or anti join.
fn is_predicate(expr: &Expr) -> bool {
    match expr {
        Expr::Exists(exists) => is_plain(&exists.subquery),
        Expr::InSubquery(member) => is_plain(&member.subquery) && !(member.negated && is_correlated(&member.subquery)),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::Exists(exists) => is_plain(&exists.subquery),
            Expr::InSubquery(member) => is_plain(&member.subquery) && !is_correlated(&member.subquery),
            _ => false,
        },
        _ => false,
    }
}

fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

/// Whether the subquery is the same for every outer row, or only selects rows for each.
fn is_plain(subquery: &Subquery) -> bool {
    !is_correlated(subquery) || is_row_wise(&subquery.subquery)
}

/// The expression with counts in place of `IN`, and of `EXISTS` if requested.
fn with_counts(expr: Expr, schema: &DFSchema, exists_too: bool) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::Exists(exists) if exists_too || !is_plain(&exists.subquery) => Ok(Transformed::yes(existence(exists)?)),
        Expr::InSubquery(member) => match membership(&member, schema)? {
            Some(value) => Ok(Transformed::yes(value)),
            None => Ok(Transformed::no(Expr::InSubquery(member))),
        },
        expr => Ok(Transformed::no(expr)),
    })
}

fn existence(exists: Exists) -> Result<Expr> {
    let Exists { subquery, negated } = exists;
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let found = counted(plan, subquery.outer_ref_columns, subquery.spans)?.gt(lit(0_i64));
    Ok(if negated { not(found) } else { found })
}

/// `None` if the left side cannot be evaluated inside the subquery.
fn membership(member: &InSubquery, schema: &DFSchema) -> Result<Option<Expr>> {
    let Some(column) = member.subquery.subquery.schema().columns().into_iter().next() else { return Ok(None) };
    let (value, set) = (member.expr.as_ref(), &member.subquery);
    if value.is_volatile() || value.contains_outer() || value.exists(|expr| Ok(is_subquery(expr)))? {
        return Ok(None);
    }
    let column = Expr::Column(column);
    let set_plan = || LogicalPlanBuilder::from(set.subquery.as_ref().clone());
    let may_be_null = value.nullable(schema)? || column.nullable(set.subquery.schema())?;

    let mut outer = set.outer_ref_columns.clone();
    let within = value.clone().transform_up(|expr| match expr {
        Expr::Column(column) => {
            let (_, field) = schema.qualified_field_from_column(&column)?;
            let reference = Expr::OuterReferenceColumn(Arc::clone(field), column);
            if !outer.contains(&reference) {
                outer.push(reference.clone());
            }
            Ok(Transformed::yes(reference))
        }
        expr => Ok(Transformed::no(expr)),
    })?;
    let equal = set_plan().filter(column.clone().eq(within.data))?.build()?;
    let found = counted(equal, outer, set.spans.clone())?.gt(lit(0_i64));
    let is_member = if may_be_null {
        let all = counted(set_plan().build()?, set.outer_ref_columns.clone(), set.spans.clone())?;
        let nulls = set_plan().filter(column.is_null())?.build()?;
        let nulls = counted(nulls, set.outer_ref_columns.clone(), set.spans.clone())?;
        when(found, lit(true))
            .when(all.eq(lit(0_i64)), lit(false))
            .when(value.clone().is_null().or(nulls.gt(lit(0_i64))), lit(ScalarValue::Boolean(None)))
            .otherwise(lit(false))?
    } else {
        found
    };
    Ok(Some(if member.negated { not(is_member) } else { is_member }))
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_))
}

/// The number of rows of `plan`, as a scalar subquery.
fn counted(plan: LogicalPlan, outer_ref_columns: Vec<Expr>, spans: Spans) -> Result<Expr> {
    let counted = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64)).alias(COUNT)])?
        .project(vec![ident(COUNT)])?
        .build()?;
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(counted), outer_ref_columns, spans }))
}
