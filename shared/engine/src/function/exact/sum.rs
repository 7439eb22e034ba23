//! `sum` that fails if the total does not fit its type. The engine's own wraps around.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowNumericType, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, FieldRef, Int64Type, TimeUnit,
    UInt64Type,
};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use super::overflow;

/// `sum(x)`, in place of the engine's.
pub fn exact_sum() -> Arc<AggregateUDF> {
    static FUNCTION: LazyLock<Arc<AggregateUDF>> =
        LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(ExactSum { engine: sum_udaf() })));
    Arc::clone(&FUNCTION)
}

/// The engine's function with other accumulators.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    engine: Arc<AggregateUDF>,
}

/// The native type of totals during summation.
type Wide<T> = <<T as Summed>::Wide as ArrowPrimitiveType>::Native;

/// Numeric types whose totals are checked for overflow.
trait Summed: ArrowNumericType + fmt::Debug + Send + Sync {
    /// The type of totals during summation. For integers it can hold any total, so that overflow does not depend on the
    /// order of the values.
    type Wide: ArrowNumericType + fmt::Debug + Send + Sync;

    /// That type for totals of `data_type`.
    fn wide_type(data_type: &DataType) -> DataType;

    fn widened(value: Self::Native) -> Wide<Self>;

    fn widened_all(values: &ArrayRef) -> ArrayRef;

    /// The total converted to its type; `None` if it does not fit.
    fn narrowed(total: Wide<Self>, data_type: &DataType) -> Option<Self::Native>;

    fn narrowed_all(totals: ArrayRef, data_type: &DataType) -> Option<ArrayRef>;
}

/// The digits of a total of integers.
const WIDE_DIGITS: u8 = 38;

macro_rules! whole_numbers {
    ($($number:ident: $native:ty),*) => {
        $(impl Summed for $number {
            type Wide = Decimal128Type;

            fn wide_type(_data_type: &DataType) -> DataType {
                DataType::Decimal128(WIDE_DIGITS, 0)
            }

            fn widened(value: $native) -> i128 {
                i128::from(value)
            }

            fn widened_all(values: &ArrayRef) -> ArrayRef {
                let wide: PrimitiveArray<Decimal128Type> = values.as_primitive::<$number>().unary(i128::from);
                Arc::new(wide.with_data_type(DataType::Decimal128(WIDE_DIGITS, 0)))
            }

            fn narrowed(total: i128, _data_type: &DataType) -> Option<$native> {
                <$native>::try_from(total).ok()
            }

            fn narrowed_all(totals: ArrayRef, _data_type: &DataType) -> Option<ArrayRef> {
                let totals = totals.as_primitive::<Decimal128Type>();
                let narrow = totals.try_unary::<_, $number, _>(|total| <$native>::try_from(total));
                narrow.ok().map(|totals| Arc::new(totals) as ArrayRef)
            }
        })*
    };
}

macro_rules! native_width {
    ($($number:ident: $pattern:pat => $fits:expr),* $(,)?) => {
        $(impl Summed for $number {
            type Wide = Self;

            fn wide_type(data_type: &DataType) -> DataType {
                data_type.clone()
            }

            fn widened(value: Self::Native) -> Self::Native {
                value
            }

            fn widened_all(values: &ArrayRef) -> ArrayRef {
                Arc::clone(values)
            }

            fn narrowed(total: Self::Native, data_type: &DataType) -> Option<Self::Native> {
                let fits: bool = match data_type {
                    $pattern => $fits(total),
                    _ => true,
                };
                fits.then_some(total)
            }

            fn narrowed_all(totals: ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
                let mut values = totals.as_primitive::<Self>().iter().flatten();
                let fit = values.all(|total| Self::narrowed(total, data_type).is_some());
                fit.then_some(totals)
            }
        })*
    };
}

whole_numbers!(Int64Type: i64, UInt64Type: u64);
native_width!(
    DurationSecondType: DataType::Duration(_) => |_| true,
    DurationMillisecondType: DataType::Duration(_) => |_| true,
    DurationMicrosecondType: DataType::Duration(_) => |_| true,
    DurationNanosecondType: DataType::Duration(_) => |_| true,
    Decimal32Type: DataType::Decimal32(digits, _) => |total| Self::is_valid_decimal_precision(total, *digits),
    Decimal64Type: DataType::Decimal64(digits, _) => |total| Self::is_valid_decimal_precision(total, *digits),
    Decimal128Type: DataType::Decimal128(digits, _) => |total| Self::is_valid_decimal_precision(total, *digits),
    Decimal256Type: DataType::Decimal256(digits, _) => |total| Self::is_valid_decimal_precision(total, *digits),
);

/// `$summed!(type of the total)` for totals that can overflow, else `$engine`.
macro_rules! for_total {
    ($data_type:expr, $summed:ident, $engine:expr) => {
        match $data_type {
            DataType::Int64 => $summed!(Int64Type),
            DataType::UInt64 => $summed!(UInt64Type),
            DataType::Decimal32(..) => $summed!(Decimal32Type),
            DataType::Decimal64(..) => $summed!(Decimal64Type),
            DataType::Decimal128(..) => $summed!(Decimal128Type),
            DataType::Decimal256(..) => $summed!(Decimal256Type),
            DataType::Duration(TimeUnit::Second) => $summed!(DurationSecondType),
            DataType::Duration(TimeUnit::Millisecond) => $summed!(DurationMillisecondType),
            DataType::Duration(TimeUnit::Microsecond) => $summed!(DurationMicrosecondType),
            DataType::Duration(TimeUnit::Nanosecond) => $summed!(DurationNanosecondType),
            _ => $engine,
        }
    };
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.engine.return_type(arg_types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let wide = match args.return_field.data_type() {
            DataType::Int64 => Int64Type::wide_type(&DataType::Int64),
            DataType::UInt64 => UInt64Type::wide_type(&DataType::UInt64),
            _ => return self.engine.state_fields(args),
        };
        if args.is_distinct {
            return self.engine.state_fields(args);
        }
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "sum"), wide, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let total = args.return_field.data_type().clone();
        macro_rules! accumulator {
            ($number:ty) => {
                match args.is_distinct {
                    true => Ok(Box::new(Distinct::<$number>::new(self.engine.accumulator(args)?, total))),
                    false => Ok(Box::new(Total::<$number>::new(total))),
                }
            };
        }
        for_total!(total, accumulator, self.engine.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let total = args.return_field.data_type().clone();
        macro_rules! accumulator {
            ($number:ty) => {
                match args.is_distinct {
                    true => {
                        Ok(Box::new(Distinct::<$number>::new(self.engine.create_sliding_accumulator(args)?, total)))
                    }
                    false => Ok(Box::new(Total::<$number>::new(total))),
                }
            };
        }
        for_total!(total, accumulator, self.engine.create_sliding_accumulator(args))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let total = args.return_field.data_type().clone();
        macro_rules! accumulator {
            ($number:ty) => {
                Ok(Box::new(Totals::<$number>::new(total)))
            };
        }
        for_total!(total, accumulator, self.engine.create_groups_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.engine.value_from_stats(statistics)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.engine.inner().set_monotonicity(data_type)
    }
}

fn too_large(data_type: &DataType) -> datafusion::error::DataFusionError {
    overflow(&format!("a sum does not fit into {data_type}"))
}

/// The total of all values, also for sliding window frames.
#[derive(Debug)]
struct Total<T: Summed> {
    total: Wide<T>,
    values: u64,
    data_type: DataType,
}

impl<T: Summed> Total<T> {
    fn new(data_type: DataType) -> Self {
        Self { total: Wide::<T>::ZERO, values: 0, data_type }
    }

    fn add(&mut self, values: impl Iterator<Item = Wide<T>>, count: usize) -> Result<()> {
        let total = { values }.try_fold(self.total, |total, value| total.add_checked(value));
        self.total = total.map_err(|_| too_large(&self.data_type))?;
        self.values += count as u64;
        Ok(())
    }

    fn add_values(&mut self, values: &PrimitiveArray<T>) -> Result<()> {
        match values.null_count() {
            0 => self.add(values.values().iter().map(|value| T::widened(*value)), values.len()),
            nulls => self.add(values.iter().flatten().map(T::widened), values.len() - nulls),
        }
    }
}

impl<T: Summed> Accumulator for Total<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add_values(values[0].as_primitive::<T>())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let totals = states[0].as_primitive::<T::Wide>();
        self.add(totals.iter().flatten(), totals.len() - totals.null_count())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<T>().iter().flatten() {
            self.total = self.total.sub_checked(T::widened(value)).map_err(|_| too_large(&self.data_type))?;
            self.values = self.values.saturating_sub(1);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = (self.values > 0).then_some(self.total);
        Ok(vec![ScalarValue::new_primitive::<T::Wide>(total, &T::wide_type(&self.data_type))?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let total = match self.values {
            0 => None,
            _ => Some(T::narrowed(self.total, &self.data_type).ok_or_else(|| too_large(&self.data_type))?),
        };
        ScalarValue::new_primitive::<T>(total, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The total of the distinct values, which the engine's accumulator collects.
#[derive(Debug)]
struct Distinct<T: Summed> {
    collected: Box<dyn Accumulator>,
    data_type: DataType,
    number: PhantomData<T>,
}

impl<T: Summed> Distinct<T> {
    fn new(collected: Box<dyn Accumulator>, data_type: DataType) -> Self {
        Self { collected, data_type, number: PhantomData }
    }
}

impl<T: Summed> Accumulator for Distinct<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.collected.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.collected.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.collected.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.collected.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.collected.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut total = Total::<T>::new(self.data_type.clone());
        match self.collected.state()?.as_slice() {
            [ScalarValue::List(values)] => total.add_values(values.values().as_primitive::<T>())?,
            _ => return internal_err!("the different values of a sum are not a list"),
        }
        total.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.collected.size()
    }
}

/// The totals of groups. Addition cannot return an error, so it records an overflow.
struct Totals<T: Summed> {
    added_up: Box<dyn GroupsAccumulator>,
    overflowed: Arc<AtomicBool>,
    data_type: DataType,
    number: PhantomData<T>,
}

impl<T: Summed> Totals<T> {
    fn new(data_type: DataType) -> Self {
        let overflowed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&overflowed);
        let add = move |total: &mut Wide<T>, value: Wide<T>| match total.add_checked(value) {
            Ok(sum) => *total = sum,
            Err(_) => note.store(true, Ordering::Relaxed),
        };
        let added_up = Box::new(PrimitiveGroupsAccumulator::<T::Wide, _>::new(&T::wide_type(&data_type), add));
        Self { added_up, overflowed, data_type, number: PhantomData }
    }

    fn check(&self) -> Result<()> {
        if self.overflowed.load(Ordering::Relaxed) { Err(too_large(&self.data_type)) } else { Ok(()) }
    }
}

impl<T: Summed> GroupsAccumulator for Totals<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.added_up.update_batch(&[T::widened_all(&values[0])], group_indices, filter, groups)?;
        self.check()
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.added_up.merge_batch(values, group_indices, groups)?;
        self.check()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let totals = self.added_up.evaluate(emit_to)?;
        T::narrowed_all(totals, &self.data_type).ok_or_else(|| too_large(&self.data_type))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.added_up.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.added_up.convert_to_state(&[T::widened_all(&values[0])], filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.added_up.size()
    }
}
