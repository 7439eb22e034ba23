//! Plans that make each of their rows of one row of an input: for them, the rows that changed become the rows that
//! change.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, col, lit};

use super::inputs::{ChangedInputs, SIGN};

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
pub enum Side {
    /// Those that are there now and were not before.
    New,
    /// Those that were there before and are not now.
    Old,
    /// All that were inserted, with as many copies; for changes that only insert.
    Inserted,
}

/// What the changed rows on one side become in the row-wise plan `plan`.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn changed_rows(plan: &LogicalPlan, changes: &ChangedInputs, side: Side) -> Result<LogicalPlan> {
    let replaced = plan.clone().transform_down(|node| {
        let rows = match &node {
            LogicalPlan::TableScan(scan) => match side {
                Side::Inserted => changes.inserted(scan)?,
                Side::New | Side::Old => changes.net(scan)?.map(|net| of_sign(net, scan, side)).transpose()?,
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

fn of_sign(net: LogicalPlan, scan: &datafusion::logical_expr::TableScan, side: Side) -> Result<LogicalPlan> {
    let wanted = if side == Side::Old { col(SIGN).lt(lit(0_i64)) } else { col(SIGN).gt(lit(0_i64)) };
    let columns = scan.projected_schema.columns().into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(net).filter(wanted)?.project(columns)?.build()
}

fn nothing(node: &LogicalPlan) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: node.schema().clone() })
}
