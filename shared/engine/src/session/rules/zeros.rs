//! Treats zeros of either sign as equal in lists.
//!
//! The engine compares a few floats one by one, with -0.0 equal to 0.0, but looks up many in a set, or in a table of
//! the values of a `CASE`, where they differ; they also differ for `NULLIF`.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Case, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use windlass_delta::values::compared;

use super::rewritten;

/// Normalizes zeros in `IN (…)`, `CASE … WHEN` and `NULLIF`, if one of the listed values may be zero.
#[derive(Debug)]
pub(super) struct OneZero;

impl AnalyzerRule for OneZero {
    fn name(&self) -> &str {
        "one_zero"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(|node| rewritten(node, |expr, columns| Ok(of_expr(expr, columns))))?.data)
    }
}

fn of_expr(expr: Expr, columns: &DFSchema) -> Transformed<Expr> {
    let is_float = |expr: &Expr| expr.get_type(columns).is_ok_and(|data_type| data_type.is_floating());
    match expr {
        Expr::InList(InList { expr, list, negated }) if is_float(&expr) && list.iter().any(may_be_zero) => {
            let list = list.into_iter().map(compared).collect();
            Transformed::yes(Expr::InList(InList { expr: Box::new(compared(*expr)), list, negated }))
        }
        Expr::Case(Case { expr: Some(value), when_then_expr, else_expr })
            if is_float(&value) && when_then_expr.iter().any(|(when, _)| may_be_zero(when)) =>
        {
            let arms = when_then_expr.into_iter().map(|(when, then)| (Box::new(compared(*when)), then));
            let (value, when_then_expr) = (Some(Box::new(compared(*value))), arms.collect());
            Transformed::yes(Expr::Case(Case { expr: value, when_then_expr, else_expr }))
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => null_if(call, columns),
        expr => Transformed::no(expr),
    }
}

/// `NULLIF` as the equivalent comparison, unless evaluating its value twice could give different results.
fn null_if(call: ScalarFunction, columns: &DFSchema) -> Transformed<Expr> {
    let [value, other] = call.args.as_slice() else { return Transformed::no(Expr::ScalarFunction(call)) };
    let null =
        value.get_type(columns).ok().filter(DataType::is_floating).and_then(|of| ScalarValue::try_from(&of).ok());
    match null {
        Some(null) if may_be_zero(other) && !value.is_volatile() => {
            let same = compared(value.clone()).eq(compared(other.clone()));
            let arms = vec![(Box::new(same), Box::new(Expr::Literal(null, None)))];
            Transformed::yes(Expr::Case(Case::new(None, arms, Some(Box::new(value.clone())))))
        }
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// Whether a listed value may be zero.
fn may_be_zero(listed: &Expr) -> bool {
    match listed {
        Expr::Literal(ScalarValue::Float64(value), _) => value.is_some_and(|value| value == 0.0),
        Expr::Literal(ScalarValue::Float32(value), _) => value.is_some_and(|value| value == 0.0),
        Expr::Literal(ScalarValue::Float16(value), _) => value.is_some_and(|value| value.to_f32() == 0.0),
        _ => true,
    }
}
