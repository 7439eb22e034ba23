//! Makes arithmetic overflow an error.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::rewritten;
use crate::function::exact::{ArithmeticOp, checked, negated};

/// Replaces operators by functions that check for overflow.
#[derive(Debug)]
pub(super) struct ExactArithmetic;

impl AnalyzerRule for ExactArithmetic {
    fn name(&self) -> &str {
        "exact_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(exact_node)?.data)
    }
}

fn exact_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    // The filters of a scan are compared with the values and the statistics of files.
    if matches!(node, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(node));
    }
    rewritten(node, exact_expr)
}

fn exact_expr(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    let exact = match &expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => ArithmeticOp::of(*op).and_then(|op| {
            let (left_type, right_type) = (left.get_type(columns).ok()?, right.get_type(columns).ok()?);
            checked(op, (&left_type, left.as_ref().clone()), (&right_type, right.as_ref().clone()))
        }),
        Expr::Negative(value) => {
            value.get_type(columns).ok().and_then(|data_type| negated(&data_type, value.as_ref().clone()))
        }
        _ => None,
    };
    Ok(exact.map_or_else(|| Transformed::no(expr), Transformed::yes))
}
