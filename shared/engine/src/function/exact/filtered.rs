//! An aggregate function over a window with a filter.
//!
//! On the way to an executor a window loses its `FILTER`. So the call is wrapped in a function that takes the condition
//! as its last argument.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};

/// An aggregate function whose last argument is the filter condition.
#[derive(Debug)]
pub(crate) struct Filtered {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Filtered {
    /// Wraps `inner` in a function with one more argument.
    pub(crate) fn of(inner: Arc<AggregateUDF>) -> AggregateUDF {
        // The argument types were already coerced for the inner function.
        let signature = Signature::variadic_any(Volatility::Immutable);
        AggregateUDF::new_from_impl(Self { inner, signature })
    }

    /// The function that is called.
    pub(crate) fn inner(&self) -> &Arc<AggregateUDF> {
        &self.inner
    }
}

impl PartialEq for Filtered {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Filtered {}

impl Hash for Filtered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// All arguments except the condition.
fn arguments<T>(all: &[T]) -> Result<&[T]> {
    match all.split_last() {
        Some((_, arguments)) => Ok(arguments),
        None => internal_err!("a filtered function is called without its condition"),
    }
}

fn inner_args<'a>(args: &AccumulatorArgs<'a>) -> Result<AccumulatorArgs<'a>> {
    Ok(AccumulatorArgs {
        return_field: Arc::clone(&args.return_field),
        schema: args.schema,
        ignore_nulls: args.ignore_nulls,
        order_bys: args.order_bys,
        is_reversed: args.is_reversed,
        name: args.name,
        is_distinct: args.is_distinct,
        exprs: arguments(args.exprs)?,
        expr_fields: arguments(args.expr_fields)?,
    })
}

impl AggregateUDFImpl for Filtered {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Columns keep the names that the author wrote.
    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(&as_written(params))
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(&as_written(params))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments(arg_types)?)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arguments(arg_fields)?)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OfSomeRows(self.inner.accumulator(inner_args(&args)?)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OfSomeRows(self.inner.create_sliding_accumulator(inner_args(&args)?)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(StateFieldsArgs { input_fields: arguments(args.input_fields)?, ..args })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Identical => ReversedUDAF::Identical,
            ReversedUDAF::NotSupported => ReversedUDAF::NotSupported,
            ReversedUDAF::Reversed(inner) => ReversedUDAF::Reversed(Arc::new(Self::of(inner))),
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }
}

fn as_written(params: &WindowFunctionParams) -> WindowFunctionParams {
    let mut params = params.clone();
    params.filter = params.args.pop().map(Box::new);
    params
}

/// An accumulator that receives only the rows whose last value is true.
#[derive(Debug)]
struct OfSomeRows(Box<dyn Accumulator>);

fn some_rows(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let Some((condition, values)) = values.split_last() else {
        return internal_err!("a filtered function is called without its condition");
    };
    // A null condition counts as false.
    values.iter().map(|values| Ok(filter(values, condition.as_boolean())?)).collect()
}

impl Accumulator for OfSomeRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&some_rows(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&some_rows(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}
