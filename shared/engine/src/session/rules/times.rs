//! Compares times in microseconds, the precision of tables.
//!
//! The engine compares a date with a time, and times with different units, in nanoseconds, whose range is 1677 to 2262:
//! a comparison with 9999-12-31, which means "forever" in many tables, would fail in the middle of a run. Finer digits
//! than microseconds are truncated, as in stored values. Adding an interval of hours to a date is refused, because the
//! engine ignores the hours.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

use super::rewritten;

const NANOSECONDS_A_DAY: i64 = 86_400_000_000_000;
const MILLISECONDS_A_DAY: i32 = 86_400_000;

/// Compares in microseconds if one of the values is not finer.
#[derive(Debug)]
pub(super) struct ComparedTimes;

impl AnalyzerRule for ComparedTimes {
    fn name(&self) -> &str {
        "compared_times"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = |node| of_join(node)?.transform_data(|node| rewritten(node, of_comparison));
        Ok(plan.transform_up_with_subqueries(compared)?.data)
    }
}

fn of_comparison(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    refuse_lost_hours(&expr, columns)?;
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            match coarsened(&[(&left, columns), (&right, columns)]).as_deref() {
                Some([left, right]) => {
                    Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(left.clone().into(), op, right.clone().into())))
                }
                _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            }
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            match coarsened(&[(&expr, columns), (&low, columns), (&high, columns)]).as_deref() {
                Some([expr, low, high]) => Transformed::yes(Expr::Between(Between {
                    expr: expr.clone().into(),
                    negated,
                    low: low.clone().into(),
                    high: high.clone().into(),
                })),
                _ => Transformed::no(Expr::Between(Between { expr, negated, low, high })),
            }
        }
        Expr::InList(InList { expr, list, negated }) => {
            let values: Vec<Side<'_>> =
                std::iter::once(expr.as_ref()).chain(&list).map(|value| (value, columns)).collect();
            match coarsened(&values).and_then(|values| {
                let mut values = values.into_iter();
                Some((values.next()?, values.collect()))
            }) {
                Some((value, list)) => Transformed::yes(Expr::InList(InList { expr: Box::new(value), list, negated })),
                None => Transformed::no(Expr::InList(InList { expr, list, negated })),
            }
        }
        expr => Transformed::no(expr),
    })
}

/// The engine ignores parts of less than a day when it adds an interval to a date.
fn refuse_lost_hours(expr: &Expr, columns: &DFSchema) -> Result<()> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) = expr else {
        return Ok(());
    };
    let is_date = |side: &Expr| side.get_type(columns).is_ok_and(|data_type| data_type == DataType::Date32);
    let loses = |date: &Expr, interval: &Expr| is_date(date) && has_part_of_a_day(interval);
    match loses(left, right) || loses(right, left) {
        true => plan_err!(
            "`{expr}` would lose the hours of the interval, for a date has none; cast the date to TIMESTAMP(6), or add whole days"
        ),
        false => Ok(()),
    }
}

fn has_part_of_a_day(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            interval.nanoseconds % NANOSECONDS_A_DAY != 0
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            interval.milliseconds % MILLISECONDS_A_DAY != 0
        }
        _ => false,
    }
}

fn of_join(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
    let mut changed = false;
    let pairs = join.on.iter().map(|(left, right)| {
        let pair = coarsened(&[(left, join.left.schema()), (right, join.right.schema())]);
        match pair.as_deref() {
            Some([left, right]) => {
                changed = true;
                (left.clone(), right.clone())
            }
            _ => (left.clone(), right.clone()),
        }
    });
    let on = pairs.collect();
    let join = LogicalPlan::Join(Join { on, ..join });
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// A value and its input columns.
type Side<'s> = (&'s Expr, &'s DFSchema);

/// Converts times in nanoseconds to microseconds, if one of them was cast to nanoseconds only for the comparison.
fn coarsened(values: &[Side<'_>]) -> Option<Vec<Expr>> {
    let mut was_coarse = false;
    let mut coarse = Vec::with_capacity(values.len());
    for (expr, columns) in values {
        let Ok(DataType::Timestamp(TimeUnit::Nanosecond, zone)) = expr.get_type(*columns) else { return None };
        let unit = DataType::Timestamp(TimeUnit::Microsecond, zone);
        let below = match expr {
            Expr::Cast(given) => Some(given.expr.as_ref()),
            _ => None,
        };
        let below = below.filter(|below| below.get_type(*columns).is_ok_and(|data_type| is_coarse(&data_type, below)));
        was_coarse |= below.is_some();
        coarse.push(cast(below.unwrap_or(expr).clone(), unit));
    }
    was_coarse.then_some(coarse)
}

/// Whether a value of this type is not finer than a microsecond, or is the text of a time.
fn is_coarse(data_type: &DataType, value: &Expr) -> bool {
    match data_type {
        DataType::Date32 | DataType::Date64 => true,
        DataType::Timestamp(unit, _) => *unit != TimeUnit::Nanosecond,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            matches!(
                value,
                Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_), _)
            )
        }
        _ => false,
    }
}
