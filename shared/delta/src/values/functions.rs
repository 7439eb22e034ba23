//! The functions that plans of Windlass hold where the rule takes effect. They are not SQL for users: sessions register them so
//! that executors find them by name.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{ScalarValue, internal_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::arrays::{as_bits, has_floats, normalised, ranked, ranks, stored_array, type_of_bits};
use crate::schema::stored_type;

/// What a function does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Does {
    /// The value that a Delta table holds for it.
    Store,
    /// The value with one zero and one NaN, in its own type.
    Compare,
    /// The value with the bits of its floats as whole numbers.
    Identify,
    /// The value that the first argument identifies; the second is of its type.
    Restore,
    /// A whole number in the order of floats as they are compared.
    Rank,
    /// The float of the first argument's rank; the second is of its type.
    Unrank,
}

impl Does {
    const ALL: [Self; 6] = [Self::Store, Self::Compare, Self::Identify, Self::Restore, Self::Rank, Self::Unrank];

    fn name(self) -> &'static str {
        match self {
            Self::Store => "__wl_stored",
            Self::Compare => "__wl_compared",
            Self::Identify => "__wl_identity",
            Self::Restore => "__wl_value",
            Self::Rank => "__wl_rank",
            Self::Unrank => "__wl_ranked",
        }
    }

    fn function(self) -> Arc<ScalarUDF> {
        let arguments = if matches!(self, Self::Restore | Self::Unrank) { 2 } else { 1 };
        let signature = Signature::any(arguments, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(ValueFunction { does: self, signature }))
    }

    fn call(self, args: Vec<Expr>) -> Expr {
        Expr::ScalarFunction(ScalarFunction::new_udf(self.function(), args))
    }
}

/// The functions that every session has to know.
pub fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    Does::ALL.into_iter().map(Does::function)
}

/// Whether a Delta table may hold another value than the one of this type that is written to it. Types that are only
/// called another name there do not count.
pub fn is_changed_by_storing(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Date64 => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_changed_by_storing(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_changed_by_storing(field.data_type())),
        DataType::Dictionary(_, value) => is_changed_by_storing(value),
        DataType::RunEndEncoded(_, values) => is_changed_by_storing(values.data_type()),
        other => has_floats(other),
    }
}

/// The value that a Delta table holds for `expr`, in the table's type.
pub fn stored(expr: Expr) -> Expr {
    Does::Store.call(vec![expr])
}

/// The expression of whose value `expr` is the stored form: the argument of [`stored`].
pub fn stored_from(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if is_call(expr, Does::Store) => call.args.first(),
        _ => None,
    }
}

/// `expr` as values are compared: with one zero and one NaN.
pub fn compared(expr: Expr) -> Expr {
    if is_call(&expr, Does::Compare) || is_call(&expr, Does::Store) { expr } else { Does::Compare.call(vec![expr]) }
}

/// `expr`, a value of `data_type`, such that values are equal only if all their bits are.
pub fn identity(expr: Expr, data_type: &DataType) -> Expr {
    if has_floats(data_type) { Does::Identify.call(vec![expr]) } else { expr }
}

/// The value of `data_type` whose [`identity`] is `expr`.
///
/// # Errors
/// The engine's, if it has no null of the type.
pub fn value_of(expr: Expr, data_type: &DataType) -> Result<Expr> {
    if !has_floats(data_type) {
        return Ok(expr);
    }
    Ok(Does::Restore.call(vec![expr, lit(ScalarValue::try_from(data_type)?)]))
}

/// A whole number for each value of `expr`, which are floats, in the order of floats: NaN above all others.
pub(super) fn rank(expr: Expr) -> Expr {
    Does::Rank.call(vec![expr])
}

/// The float of `data_type` whose [`rank`] is `expr`.
///
/// # Errors
/// The engine's, if it has no null of the type.
pub(super) fn of_rank(expr: Expr, data_type: &DataType) -> Result<Expr> {
    Ok(Does::Unrank.call(vec![expr, lit(ScalarValue::try_from(data_type)?)]))
}

fn is_call(expr: &Expr, of: Does) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == of.name())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueFunction {
    does: Does,
    signature: Signature,
}

impl ScalarUDFImpl for ValueFunction {
    fn name(&self) -> &str {
        self.does.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (self.does, arg_types) {
            (Does::Store, [value]) => stored_type(value).map_err(|error| DataFusionError::External(Box::new(error))),
            (Does::Compare, [value]) => Ok(value.clone()),
            (Does::Identify, [value]) => Ok(type_of_bits(value)),
            (Does::Rank, [value]) if value.is_floating() => Ok(type_of_bits(value)),
            (Does::Restore | Does::Unrank, [bits, value]) if *bits == type_of_bits(value) => Ok(value.clone()),
            _ => plan_err!("{} cannot be called with {arg_types:?}", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.first().is_none_or(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type();
        let change = |array: &ArrayRef| match self.does {
            Does::Store => Ok(stored_array(array, data_type)?),
            Does::Compare => Ok(normalised(array)?),
            Does::Identify | Does::Restore => Ok(as_bits(array, data_type)?),
            Does::Rank => Ok(ranks(array)?),
            Does::Unrank => Ok::<_, DataFusionError>(ranked(array, data_type)?),
        };
        match args.args.first() {
            Some(ColumnarValue::Array(array)) => Ok(ColumnarValue::Array(change(array)?)),
            Some(ColumnarValue::Scalar(value)) => {
                let changed = change(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&changed, 0)?))
            }
            None => internal_err!("{} was called without a value", self.name()),
        }
    }

    /// What was told apart only to be put together again.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let (Does::Restore, [Expr::ScalarFunction(call), _]) = (self.does, args.as_slice())
            && call.func.name() == Does::Identify.name()
            && let [value] = call.args.as_slice()
        {
            return Ok(ExprSimplifyResult::Simplified(value.clone()));
        }
        Ok(ExprSimplifyResult::Original(args))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        AsArray, Date32Array, Date64Array, Float64Array, TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    use datafusion::arrow::datatypes::{Fields, Float64Type};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn called(does: Does, array: ArrayRef) -> ArrayRef {
        let function = does.function();
        let field = Arc::new(Field::new("value", array.data_type().clone(), true));
        let data_type = function.return_type(&[array.data_type().clone()]).unwrap();
        let args = ScalarFunctionArgs {
            number_rows: array.len(),
            args: vec![ColumnarValue::Array(array)],
            arg_fields: vec![field],
            return_field: Arc::new(Field::new("result", data_type, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        function.invoke_with_args(args).unwrap().to_array(1).unwrap()
    }

    #[test]
    fn times_are_stored_in_microseconds_and_days() {
        let nanos = TimestampNanosecondArray::from(vec![Some(1_999), Some(-1_999), None]).with_timezone("+02:00");
        let micros = TimestampMicrosecondArray::from(vec![Some(1), Some(-2), None]).with_timezone("UTC");
        assert_eq!(called(Does::Store, Arc::new(nanos)).as_ref(), &micros);
        let millis = Date64Array::from(vec![86_400_001, 0, -1]);
        assert_eq!(called(Does::Store, Arc::new(millis)).as_ref(), &Date32Array::from(vec![1, 0, -1]));
    }

    #[test]
    fn a_stored_float_is_one_of_its_equals() {
        let odd: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, -f64::NAN]));
        for does in [Does::Store, Does::Compare] {
            let even = called(does, Arc::clone(&odd));
            let even: Vec<u64> = even.as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
            assert_eq!(even, [0.0_f64.to_bits(), f64::NAN.to_bits()]);
        }
        let told_apart = called(Does::Identify, odd);
        assert_eq!(told_apart.data_type(), &DataType::Int64);
    }

    #[test]
    fn only_what_may_change_is_changed() {
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let inside = |data_type: &DataType| {
            let fields: Fields = vec![Field::new("inside", data_type.clone(), true)].into();
            DataType::List(Arc::new(Field::new("item", DataType::Struct(fields), true)))
        };
        for changed in [&nanos, &DataType::Date64, &DataType::Float32] {
            assert!(is_changed_by_storing(changed) && is_changed_by_storing(&inside(changed)), "{changed}");
        }
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for same in [&micros, &DataType::UInt32, &DataType::Utf8View, &DataType::Decimal128(10, 2)] {
            assert!(!is_changed_by_storing(same) && !is_changed_by_storing(&inside(same)), "{same}");
        }
    }
}
