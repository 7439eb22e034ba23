//! Between which values keys lie, so that files and row groups without any of them need not be read.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};

/// Values of one column, none of which is below the first or above the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    least: ScalarValue,
    greatest: ScalarValue,
}

impl Bounds {
    /// The bounds of a column of `plan`, if it is a column of a table that knows them. Floats have none: writers of
    /// tables differ over NaN.
    pub(super) fn of(plan: &LogicalPlan, column: &Expr) -> Option<Self> {
        let Expr::Column(column) = column else { return None };
        let index = plan.schema().maybe_index_of_column(column)?;
        match plan {
            LogicalPlan::Projection(projection) => {
                Self::of(&projection.input, &super::columns::unnamed(&projection.expr[index]))
            }
            LogicalPlan::TableScan(scan) => {
                let column = scan.projection.as_ref().map_or(Some(&index), |columns| columns.get(index))?;
                let statistics = source_as_provider(&scan.source).ok()?.statistics()?;
                let column = statistics.column_statistics.get(*column)?;
                match (&column.min_value, &column.max_value) {
                    (
                        Precision::Exact(least) | Precision::Inexact(least),
                        Precision::Exact(greatest) | Precision::Inexact(greatest),
                    ) => Self::between(least, greatest),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn between(least: &ScalarValue, greatest: &ScalarValue) -> Option<Self> {
        let known = !least.is_null() && !greatest.is_null() && !least.data_type().is_floating();
        known.then(|| Self { least: least.clone(), greatest: greatest.clone() })
    }

    /// Whether about half of a table that lies between `all` lies within these bounds, or more: then they spare nothing.
    pub(super) fn are_wide(&self, all: &Self) -> bool {
        let places = [&all.least, &all.greatest, &self.least, &self.greatest];
        let places: Option<Vec<f64>> = match &all.least {
            ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_) => {
                let texts: Vec<&[u8]> =
                    places.iter().filter_map(|value| value.try_as_str().flatten().map(str::as_bytes)).collect();
                let shared = texts.windows(2).map(|pair| in_common(pair[0], pair[1])).min();
                shared.filter(|_| texts.len() == places.len()).map(|shared| {
                    let place = |text: &&[u8]| {
                        let head = text[shared..].iter().copied().chain(std::iter::repeat(0)).take(6);
                        head.fold(0.0, |place, byte| place * 256.0 + f64::from(byte))
                    };
                    texts.iter().map(place).collect()
                })
            }
            _ => places.into_iter().map(place_of_number).collect(),
        };
        let Some([first, last, from, to]) = places.and_then(|places| <[f64; 4]>::try_from(places).ok()) else {
            return false;
        };
        to - from >= (last - first) / 2.0
    }

    /// That `expr`, of a plan with `schema`, lies within the bounds; `None` if it is of another type than they are.
    pub(super) fn hold(&self, expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
        let data_type = expr.get_type(schema)?;
        if data_type != self.least.data_type() || data_type != self.greatest.data_type() {
            return Ok(None);
        }
        let (least, greatest) = (lit(self.least.clone()), lit(self.greatest.clone()));
        Ok(Some(expr.clone().gt_eq(least).and(expr.clone().lt_eq(greatest))))
    }
}

fn place_of_number(value: &ScalarValue) -> Option<f64> {
    match value.cast_to(&DataType::Int64).and_then(|value| value.cast_to(&DataType::Float64)) {
        Ok(ScalarValue::Float64(place)) => place,
        _ => None,
    }
}

/// The number of bytes with which both texts begin.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(least: &str, greatest: &str) -> Bounds {
        Bounds { least: ScalarValue::from(least), greatest: ScalarValue::from(greatest) }
    }

    fn numbers(least: i64, greatest: i64) -> Bounds {
        Bounds { least: ScalarValue::from(least), greatest: ScalarValue::from(greatest) }
    }

    fn days(least: i32, greatest: i32) -> Bounds {
        Bounds { least: ScalarValue::Date32(Some(least)), greatest: ScalarValue::Date32(Some(greatest)) }
    }

    #[test]
    fn bounds_of_about_half_the_table_or_more_are_wide() {
        let all = numbers(-100, 100);
        assert!(numbers(-90, 90).are_wide(&all) && numbers(0, 100).are_wide(&all));
        assert!(!numbers(0, 20).are_wide(&all));
        assert!(days(10, 20).are_wide(&days(10, 25)) && !days(10, 11).are_wide(&days(10, 25)));
        assert!(texts("id-0a", "id-f0").are_wide(&texts("id-00", "id-ff")));
        assert!(!texts("id-0a", "id-0b").are_wide(&texts("id-00", "id-ff")));
        assert!(!texts("shop/b/1", "shop/b/9").are_wide(&texts("shop/a/1", "shop/z/9")));
    }

    #[test]
    fn what_cannot_be_compared_is_not_wide() {
        assert!(!numbers(0, 100).are_wide(&texts("a", "b")));
        let flag = |least: bool, greatest: bool| Bounds { least: least.into(), greatest: greatest.into() };
        assert!(!flag(true, true).are_wide(&flag(false, true)));
    }
}
