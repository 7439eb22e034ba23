//! Compares decimal literals with decimals exactly.
//!
//! For the engine, a number with a point in SQL is a float, which it converts to a decimal with many digits for a
//! comparison: 99999.99 becomes 99999.990000000005, which equals no amount. Here it becomes the decimal as written. For
//! a column of floats, both sides are compared as floats.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Join, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use super::rewritten;

/// Treats numbers that are compared with decimals as written, and compares decimals with floats as floats.
#[derive(Debug)]
pub(super) struct ExactDecimals;

impl AnalyzerRule for ExactDecimals {
    fn name(&self) -> &str {
        "exact_decimals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(exact_node)?.data)
    }
}

fn exact_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    of_join(node)?.transform_data(|node| rewritten(node, exact_expr))
}

fn exact_expr(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    let exact = match &expr {
        Expr::Cast(cast) => written(cast).map(lit),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            as_floats((left, columns), (right, columns))
                .map(|(left, right)| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        _ => None,
    };
    Ok(exact.map_or_else(|| Transformed::no(expr), Transformed::yes))
}

fn of_join(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
    let mut changed = false;
    let pairs = join.on.iter().map(|(left, right)| {
        let pair = as_floats((left, join.left.schema()), (right, join.right.schema()));
        changed |= pair.is_some();
        pair.unwrap_or_else(|| (left.clone(), right.clone()))
    });
    let on = pairs.collect();
    let join = LogicalPlan::Join(Join { on, ..join });
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}

/// The decimal written in SQL, if the expression is a float cast to a decimal.
fn written(cast: &Cast) -> Option<ScalarValue> {
    let DataType::Decimal128(precision, scale) = *cast.field.data_type() else { return None };
    let (negative, value) = match cast.expr.as_ref() {
        Expr::Negative(value) => (true, value.as_ref()),
        value => (false, value),
    };
    let Expr::Literal(ScalarValue::Float64(Some(value)), _) = value else { return None };
    let digits = decimal_of(&value.to_string(), precision, scale)?;
    Some(ScalarValue::Decimal128(Some(if negative { -digits } else { digits }), precision, scale))
}

/// `text` as digits of a decimal type, if they suffice.
fn decimal_of(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = scale.checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(zeros));
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(precision) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if negative { -value } else { value })
}

/// A value and its input columns.
type Side<'s> = (&'s Expr, &'s DFSchema);

/// Both sides of a comparison as floats, if one is a float that the engine casts to a decimal.
fn as_floats(left: Side<'_>, right: Side<'_>) -> Option<(Expr, Expr)> {
    match (float_of(left), float_of(right)) {
        (Some(left), None) => Some((left, to_float(right)?)),
        (None, Some(right)) => Some((to_float(left)?, right)),
        _ => None,
    }
}

/// The float below a cast to a decimal.
fn float_of((expr, columns): Side<'_>) -> Option<Expr> {
    let Expr::Cast(cast) = expr else { return None };
    let is_float = cast.expr.get_type(columns).is_ok_and(|data_type| data_type.is_floating());
    (is_decimal(cast.field.data_type()) && is_float).then(|| double(cast.expr.as_ref().clone()))
}

/// A decimal as a float, without the digits that were added for the comparison.
fn to_float((expr, columns): Side<'_>) -> Option<Expr> {
    if !is_decimal(&expr.get_type(columns).ok()?) {
        return None;
    }
    let inner = match expr {
        Expr::Cast(cast) if cast.expr.get_type(columns).is_ok_and(|data_type| is_decimal(&data_type)) => &cast.expr,
        expr => expr,
    };
    Some(double(inner.clone()))
}

fn double(expr: Expr) -> Expr {
    datafusion::logical_expr::cast(expr, DataType::Float64)
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

#[cfg(test)]
mod tests {
    use super::decimal_of;

    #[test]
    fn a_number_is_the_decimal_that_is_written() {
        assert_eq!(decimal_of("99999.99", 30, 15), Some(99_999_990_000_000_000_000));
        assert_eq!(decimal_of("-0.5", 10, 2), Some(-50));
        assert_eq!(decimal_of("70.1", 10, 2), Some(7_010));
        assert_eq!(decimal_of("12", 4, 2), Some(1_200));
        assert_eq!(decimal_of("0", 4, 2), Some(0));
        // More digits than the type has.
        assert_eq!(decimal_of("1.234", 10, 2), None);
        assert_eq!(decimal_of("123.5", 4, 2), None);
        assert_eq!(decimal_of("inf", 10, 2), None);
        assert_eq!(decimal_of("NaN", 10, 2), None);
    }
}
