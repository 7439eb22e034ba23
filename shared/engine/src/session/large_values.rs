//! Limits the constants of functions that expand small arguments, such as `repeat`: the optimizer computes constants
//! while it plans, in the planning process.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping,
};

use super::limits::PlanLimit;

/// The maximum size of a constant in bytes.
pub(super) const MAX_CONSTANT: u64 = 48 * 1024 * 1024;

/// An upper bound of the size of a function's result for constant arguments.
type Bound = fn(&[&ScalarValue]) -> Option<u64>;

/// The functions whose results can be larger than all of their arguments together, with a bound of the result.
const FUNCTIONS: [(&str, Bound); 11] = [
    ("repeat", |args| Some(bytes(args.first()?).saturating_mul(number(args.get(1)?)?))),
    ("lpad", |args| number(args.get(1)?)),
    ("rpad", |args| number(args.get(1)?)),
    ("replace", |args| Some(with_replacements(args.first()?, args.get(2)?))),
    ("regexp_replace", |args| Some(with_replacements(args.first()?, args.get(2)?))),
    ("array_repeat", |args| Some(bytes(args.first()?).max(1).saturating_mul(number(args.get(1)?)?))),
    ("array_resize", |args| {
        Some(args.get(2).map_or(1, |value| bytes(value).max(1)).saturating_mul(number(args.get(1)?)?))
    }),
    ("array_to_string", |args| Some(with_replacements(args.first()?, args.get(1)?))),
    ("range", series),
    ("generate_series", series),
    ("concat_ws", |args| {
        let separator = bytes(args.first()?);
        Some(args.iter().map(|value| bytes(value).saturating_add(separator)).fold(0, u64::saturating_add))
    }),
];

/// Replaces functions of the session that can expand their arguments by bounded ones.
pub(super) fn bound_constants(state: &mut SessionState) -> Result<()> {
    for (name, bound) in FUNCTIONS {
        if let Ok(function) = state.udf(name) {
            state.register_udf(Arc::new(ScalarUDF::from(Bounded { function, bound: BoundOf(bound) })))?;
        }
    }
    Ok(())
}

/// The size of the constant that `call` computes, if it is constant and one of these functions.
pub(super) fn constant_bytes(call: &ScalarFunction) -> Option<u64> {
    let function: &dyn Any = call.func.inner().as_ref();
    let bounded = function.downcast_ref::<Bounded>()?;
    match call.args.iter().map(literal).collect::<Option<Vec<_>>>() {
        Some(args) => (bounded.bound.0)(&args),
        None if call.args.iter().any(Expr::any_column_refs) => None,
        // The size of the arguments is known when they are computed; this is an upper bound.
        None => Some(MAX_CONSTANT),
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn scalar(value: &ColumnarValue) -> Option<&ScalarValue> {
    match value {
        ColumnarValue::Scalar(value) => Some(value),
        ColumnarValue::Array(_) => None,
    }
}

/// The bytes of a text or another value.
fn bytes(value: &ScalarValue) -> u64 {
    match value.try_as_str() {
        Some(text) => text.map_or(0, |text| text.len() as u64),
        None => value.size() as u64,
    }
}

/// A repeat count; negative counts are zero.
fn number(value: &ScalarValue) -> Option<u64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => Some(u64::try_from(number).unwrap_or(0)),
        _ => None,
    }
}

/// A text, or the elements of a list, with a text inserted at every position.
fn with_replacements(text: &ScalarValue, replacement: &ScalarValue) -> u64 {
    let places = bytes(text).saturating_add(1);
    bytes(text).saturating_add(places.saturating_mul(bytes(replacement)))
}

/// The size of a range of integers in bytes. Ranges of dates and times are small and not limited.
fn series(args: &[&ScalarValue]) -> Option<u64> {
    let whole = |value: &ScalarValue| match value {
        ScalarValue::Int64(number) => *number,
        _ => None,
    };
    let (start, stop) = match args {
        [stop] => (0, whole(stop)?),
        [start, stop, ..] => (whole(start)?, whole(stop)?),
        [] => return None,
    };
    let step = args.get(2).map_or(Some(1), |step| whole(step))?.unsigned_abs().max(1);
    Some((start.abs_diff(stop) / step).saturating_mul(8))
}

/// A function with a bound; functions with the same name have the same one.
#[derive(Debug, Clone, Copy)]
struct BoundOf(Bound);

impl PartialEq for BoundOf {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for BoundOf {}

impl std::hash::Hash for BoundOf {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

/// Wraps a function so that it refuses to compute constants that are too large.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    bound: BoundOf,
}

impl Bounded {
    fn check(&self, args: Option<Vec<&ScalarValue>>) -> Result<()> {
        match args.and_then(|args| (self.bound.0)(&args)) {
            Some(bytes) if bytes > MAX_CONSTANT => {
                let function = self.function.name().to_owned();
                Err(PlanLimit::Constant { function, bytes, limit: MAX_CONSTANT }.into())
            }
            _ => Ok(()),
        }
    }
}

impl ScalarUDFImpl for Bounded {
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(args.args.iter().map(scalar).collect())?;
        self.function.invoke_with_args(args)
    }

    // The optimizer defers constants that it fails to compute to execution; here the failure is reported.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.check(args.iter().map(literal).collect())?;
        self.function.simplify(args, info)
    }

    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        Some(ScalarUDF::from(Self { function: Arc::new(function), bound: self.bound }))
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.function.preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.function.evaluate_bounds(inputs)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.function.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.function.struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.placement(args)
    }
}
