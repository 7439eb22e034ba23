//! Plans that make each of their rows of one row of an input: for them, the rows that changed become the rows that
//! change.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::functions_nested::expr_fn::gen_series;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, col, lit};

use super::inputs::{COPIES, ChangedInputs, SIGN};

/// Whether every row of the result is made of one row of an input: projections, filters, unnest and UNION ALL.
pub fn is_row_wise(plan: &LogicalPlan) -> bool {
    let works_by_row = |node: &LogicalPlan| match node {
        LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_) => true,
        _ => false,
    };
    !plan.exists(|node| Ok(!works_by_row(node))).unwrap_or(true)
}

/// Which rows that changed are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// Those that are there now and were not before.
    New,
    /// Those that were there before and are not now.
    Old,
    /// All that were inserted, with as many copies; for changes that only insert.
    Inserted,
    /// Those that there are more of than before, as many times as there are more.
    Added,
    /// Those that there are fewer of than before, as many times as there are fewer.
    Removed,
}

/// What the changed rows on one side become in the row-wise plan `plan`.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn changed_rows(plan: &LogicalPlan, changes: &ChangedInputs, side: RowChange) -> Result<LogicalPlan> {
    let replaced = plan.clone().transform_down(|node| {
        let rows = match &node {
            LogicalPlan::TableScan(scan) => match side {
                RowChange::Inserted => changes.inserted(scan)?,
                _ => changes.net(scan)?.map(|net| of_sign(net, scan, side)).transpose()?,
            },
            // Rows that the query itself spells out never change.
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => None,
            _ => return Ok(Transformed::no(node)),
        };
        let rows = rows.unwrap_or_else(|| nothing(&node));
        Ok(Transformed::new(rows, true, TreeNodeRecursion::Jump))
    })?;
    Ok(replaced.data)
}

fn of_sign(net: LogicalPlan, scan: &datafusion::logical_expr::TableScan, side: RowChange) -> Result<LogicalPlan> {
    let is_deleted = matches!(side, RowChange::Old | RowChange::Removed);
    let copies = if is_deleted { lit(0_i64) - col(SIGN) } else { col(SIGN) };
    let columns = || scan.projected_schema.columns().into_iter().map(Expr::Column);
    let rows = LogicalPlanBuilder::from(net).filter(copies.clone().gt(lit(0_i64)))?;
    if matches!(side, RowChange::New | RowChange::Old) {
        return rows.project(columns())?.build();
    }
    rows.project(columns().chain([gen_series(lit(1_i64), copies, lit(1_i64)).alias(COPIES)]))?
        .unnest_column(Column::new_unqualified(COPIES))?
        .project(columns())?
        .build()
}

fn nothing(node: &LogicalPlan) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: node.schema().clone() })
}
