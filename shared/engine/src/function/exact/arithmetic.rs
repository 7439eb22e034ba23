//! `+`, `-` and `*` of numbers that fail when the result does not fit its type.
//!
//! The engine's operators on integers wrap around, and those on decimals may return more digits than the type allows.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{ScalarValue, exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::overflow;

/// An operation on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
}

impl ArithmeticOp {
    const ALL: [Self; 3] = [Self::Add, Self::Subtract, Self::Multiply];

    /// The operation that an operator stands for.
    pub(crate) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract => Operator::Minus,
            Self::Multiply => Operator::Multiply,
        }
    }

    fn function_name(self) -> &'static str {
        match self {
            Self::Add => "exact_add",
            Self::Subtract => "exact_subtract",
            Self::Multiply => "exact_multiply",
        }
    }

    fn apply(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => numeric::add(left, right),
            Self::Subtract => numeric::sub(left, right),
            Self::Multiply => numeric::mul(left, right),
        }
    }

    /// The type of the result; `None` if nothing can overflow, or if the operation is not handled here.
    fn result(self, left: &DataType, right: &DataType) -> Option<DataType> {
        let operator = self.operator();
        let result = BinaryTypeCoercer::new(left, &operator, right).get_result_type().ok()?;
        let may_overflow = match &result {
            whole if whole.is_integer() => left == right && result == *left,
            // With fewer digits there is room for every result.
            DataType::Decimal128(digits, _) => *digits == 38 && is_decimal_128(left) && is_decimal_128(right),
            DataType::Decimal256(digits, _) => *digits == 76 && is_decimal_256(left) && is_decimal_256(right),
            _ => false,
        };
        may_overflow.then_some(result)
    }
}

fn is_decimal_128(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

fn is_decimal_256(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal256(..))
}

static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let signature = || Signature::any(2, Volatility::Immutable);
    let binary = ArithmeticOp::ALL.map(|op| Arc::new(ScalarUDF::new_from_impl(Checked { op, signature: signature() })));
    let negate = Negate { signature: Signature::any(1, Volatility::Immutable) };
    binary.into_iter().chain([Arc::new(ScalarUDF::new_from_impl(negate))]).collect()
});

/// The functions of this file.
pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    FUNCTIONS.clone()
}

/// `left op right` that fails when it overflows; `None` if numbers of these types are not handled here.
pub(crate) fn checked(op: ArithmeticOp, left: (&DataType, Expr), right: (&DataType, Expr)) -> Option<Expr> {
    op.result(left.0, right.0)?;
    let function = FUNCTIONS.iter().find(|function| function.name() == op.function_name())?;
    Some(function.call(vec![left.1, right.1]))
}

/// `-value` that fails when it overflows; `None` if numbers of this type are not handled here.
pub(crate) fn negated(data_type: &DataType, value: Expr) -> Option<Expr> {
    if !data_type.is_signed_integer() {
        return None;
    }
    let function = FUNCTIONS.iter().find(|function| function.name() == NEGATE)?;
    Some(function.call(vec![value]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: ArithmeticOp,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.op.function_name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Columns keep the names that the author wrote.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return internal_err!("{} has two arguments", self.name()) };
        Ok(format!("{} {} {}", left.schema_name(), self.op.operator(), right.schema_name()))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let result = match arg_types {
            [left, right] => self.op.result(left, right),
            _ => None,
        };
        match result {
            Some(result) => Ok(result),
            None => exec_err!("{} takes two numbers of one type, not {arg_types:?}", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return internal_err!("{} has two arguments", self.name()) };
        let computed = apply(left, right, |left, right| {
            let result = self.op.apply(left, right)?;
            check_digits(&result)?;
            Ok(result)
        });
        computed.map_err(|error| match is_overflow(&error) {
            true => {
                let types = (left.data_type(), right.data_type());
                let result = args.return_field.data_type();
                overflow(&format!("{} {} {} does not fit into {result}", types.0, self.op.operator(), types.1))
            }
            false => error,
        })
    }
}

/// Checks that values have no more digits than their type. They were computed without overflowing their bits.
fn check_digits(values: &ArrayRef) -> Result<(), ArrowError> {
    match values.data_type() {
        DataType::Decimal128(digits, _) => values.as_primitive::<Decimal128Type>().validate_decimal_precision(*digits),
        DataType::Decimal256(digits, _) => values.as_primitive::<Decimal256Type>().validate_decimal_precision(*digits),
        _ => Ok(()),
    }
}

fn is_overflow(error: &datafusion::error::DataFusionError) -> bool {
    use datafusion::error::DataFusionError;
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ArithmeticOverflow(_) | ArrowError::InvalidArgumentError(_))
        }
        _ => false,
    }
}

const NEGATE: &str = "exact_negate";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Negate {
    signature: Signature,
}

impl ScalarUDFImpl for Negate {
    fn name(&self) -> &str {
        NEGATE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value] = args else { return internal_err!("{NEGATE} has one argument") };
        Ok(format!("(- {})", value.schema_name()))
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [whole] if whole.is_signed_integer() => Ok(whole.clone()),
            _ => exec_err!("{NEGATE} takes one whole number, not {arg_types:?}"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NEGATE, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("{NEGATE} has one argument") };
        let data_type = value.data_type();
        let failed = |error: ArrowError| match error {
            ArrowError::ArithmeticOverflow(_) => overflow(&format!("- {data_type} does not fit into {data_type}")),
            other => other.into(),
        };
        match value {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(numeric::neg(values).map_err(failed)?)),
            ColumnarValue::Scalar(value) => {
                let one = numeric::neg(&value.to_array()?).map_err(failed)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
            }
        }
    }
}
