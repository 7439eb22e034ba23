//! Values in arrays of any depth: floats with one zero and one NaN for all, or as their bits; times without what a table
//! does not keep.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, make_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Date64Type, Field, FieldRef, Float16Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampNanosecondType,
};
use datafusion::arrow::error::ArrowError;

/// The bits of the one NaN: quiet, positive, without a payload. It is what Java, Rust and Python write.
const NAN_16: u16 = 0x7e00;
const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// Whether values of the type are floats or hold some.
pub fn has_floats(data_type: &DataType) -> bool {
    data_type.is_floating() || inner(data_type).into_iter().any(has_floats)
}

/// The types inside a type, in the order of the data of its arrays.
fn inner(data_type: &DataType) -> Vec<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Dictionary(_, value) => vec![value],
        DataType::RunEndEncoded(ends, values) => vec![ends.data_type(), values.data_type()],
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type()).collect(),
        _ => Vec::new(),
    }
}

/// `array` with 0.0 in place of -0.0 and one NaN in place of all, however deep. An array without such values comes back
/// as it is.
///
/// # Errors
/// Arrow's, if it takes the parts of an array for inconsistent.
pub fn normalised(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_floats(array.data_type()) {
        return Ok(Arc::clone(array));
    }
    Ok(replaced(array, &normal_floats)?.unwrap_or_else(|| Arc::clone(array)))
}

/// `array` as a Delta table holds it, in the table's type: times cut off to microseconds and days, and floats
/// [`normalised`].
///
/// # Errors
/// Arrow's, for a value that the type does not hold.
pub(crate) fn stored_array(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return normalised(array);
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match replaced(array, &whole_times)? {
        Some(array) => normalised(&cast_with_options(&array, data_type, &options)?),
        None => normalised(&cast_with_options(array, data_type, &options)?),
    }
}

/// The floats of an array without negative zeros and odd NaNs; `None` if there are none, or no floats.
fn normal_floats(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::Float64 => replaced_values::<Float64Type>(
            array,
            |value| value.to_bits() == 1 << 63 || (value.is_nan() && value.to_bits() != NAN_64),
            |value| if value.is_nan() { f64::from_bits(NAN_64) } else { value + 0.0 },
        ),
        DataType::Float32 => replaced_values::<Float32Type>(
            array,
            |value| value.to_bits() == 1 << 31 || (value.is_nan() && value.to_bits() != NAN_32),
            |value| if value.is_nan() { f32::from_bits(NAN_32) } else { value + 0.0 },
        ),
        DataType::Float16 => replaced_values::<Float16Type>(
            array,
            |value| value.to_bits() == 1 << 15 || (value.is_nan() && value.to_bits() != NAN_16),
            |value| {
                let bits = match (value.is_nan(), value.to_bits()) {
                    (true, _) => NAN_16,
                    (false, 0x8000) => 0,
                    (false, bits) => bits,
                };
                <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits)
            },
        ),
        _ => None,
    }
}

/// Times that become whole microseconds or days without rounding; `None` if they are already, or are no times. The
/// engine's cast would round those before 1970 up.
fn whole_times(array: &ArrayRef) -> Option<ArrayRef> {
    let odd = |step: i64| move |value: i64| value < 0 && value % step != 0;
    let whole = |step: i64| move |value: i64| value.saturating_sub(value.rem_euclid(step));
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            replaced_values::<TimestampNanosecondType>(array, odd(1_000), whole(1_000))
        }
        DataType::Date64 => replaced_values::<Date64Type>(array, odd(86_400_000), whole(86_400_000)),
        _ => None,
    }
}

/// The array with what `leaf` makes of it or of the arrays inside of it; `None` if that changes nothing.
fn replaced(array: &ArrayRef, leaf: &dyn Fn(&ArrayRef) -> Option<ArrayRef>) -> Result<Option<ArrayRef>, ArrowError> {
    if inner(array.data_type()).is_empty() {
        return Ok(leaf(array));
    }
    let data = array.to_data();
    let mut found = false;
    let mut children = Vec::with_capacity(data.child_data().len());
    for child in data.child_data() {
        match replaced(&make_array(child.clone()), leaf)? {
            Some(other) => {
                found = true;
                children.push(other.to_data());
            }
            None => children.push(child.clone()),
        }
    }
    if !found {
        return Ok(None);
    }
    Ok(Some(make_array(data.into_builder().child_data(children).build()?)))
}

fn replaced_values<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    is_odd: impl Fn(T::Native) -> bool,
    even: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    // A scan that finds nothing is by far the most frequent case, and needs no memory.
    values.values().iter().any(|value| is_odd(*value)).then(|| {
        let replaced: PrimitiveArray<T> = values.unary(even);
        let replaced: ArrayRef = Arc::new(replaced.with_data_type(array.data_type().clone()));
        replaced
    })
}

/// The type with whole numbers of the same size in place of floats.
pub(super) fn type_of_bits(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let data_type = type_of_bits(field.data_type());
        Arc::new(Field::clone(field).with_data_type(data_type))
    };
    match data_type {
        DataType::Float16 => DataType::Int16,
        DataType::Float32 => DataType::Int32,
        DataType::Float64 => DataType::Int64,
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::ListView(item) => DataType::ListView(field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Dictionary(key, value) => DataType::Dictionary(key.clone(), Box::new(type_of_bits(value))),
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(Arc::clone(ends), field(values)),
        other => other.clone(),
    }
}

/// The same bits as another type: `data_type` is that of the array with floats in place of whole numbers of the same
/// size, or the other way round.
///
/// # Errors
/// Arrow's, if the types are not such.
pub(super) fn as_bits(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    Ok(make_array(data_as(array.to_data(), data_type)?))
}

fn data_as(data: ArrayData, data_type: &DataType) -> Result<ArrayData, ArrowError> {
    let types = inner(data_type);
    let children = data.child_data().iter().cloned().zip(types).map(|(child, data_type)| data_as(child, data_type));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    data.into_builder().data_type(data_type.clone()).child_data(children).build()
}

/// Whole numbers in the order of the floats of `array`, once those are [`normalised`]: NaN above all others. Infinities
/// have their places too, which the least and the greatest number do not leave them in the engine's own totals.
///
/// # Errors
/// Arrow's, if `array` holds no floats.
pub(super) fn ranks(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    turned(&as_bits(&normalised(array)?, &type_of_bits(array.data_type()))?)
}

/// The floats of `data_type` that have these [`ranks`].
///
/// # Errors
/// Arrow's, if they are no ranks of such floats.
pub(super) fn ranked(ranks: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    as_bits(&turned(ranks)?, data_type)
}

/// The bits of floats in the order of whole numbers, or back: those of negative ones count the other way round.
fn turned(bits: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    fn all<T: ArrowPrimitiveType>(bits: &ArrayRef, turn: impl Fn(T::Native) -> T::Native) -> ArrayRef {
        let turned: PrimitiveArray<T> = bits.as_primitive::<T>().unary(turn);
        Arc::new(turned)
    }
    Ok(match bits.data_type() {
        DataType::Int16 => all::<Int16Type>(bits, |bits| bits ^ ((bits >> 15) & i16::MAX)),
        DataType::Int32 => all::<Int32Type>(bits, |bits| bits ^ ((bits >> 31) & i32::MAX)),
        DataType::Int64 => all::<Int64Type>(bits, |bits| bits ^ ((bits >> 63) & i64::MAX)),
        other => return Err(ArrowError::InvalidArgumentError(format!("{other} is no rank of a float"))),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array, ListArray, StringArray, StructArray,
    };
    use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};

    use super::*;

    const ODD_NAN: u64 = 0xfff8_0000_0000_0001;

    fn floats(values: Vec<Option<f64>>) -> ArrayRef {
        Arc::new(Float64Array::from(values))
    }

    fn bits(array: &ArrayRef) -> Vec<Option<u64>> {
        array.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
    }

    fn list_of(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let lengths = OffsetBuffer::from_lengths(lengths.iter().copied());
        Arc::new(ListArray::new(item, lengths, values, None))
    }

    #[test]
    fn there_is_one_zero_and_one_nan() {
        let odd = floats(vec![Some(-0.0), Some(f64::from_bits(ODD_NAN)), Some(-f64::NAN), None, Some(-1.5)]);
        let even = [Some(0), Some(NAN_64), Some(NAN_64), None, Some((-1.5_f64).to_bits())];
        assert_eq!(bits(&normalised(&odd).unwrap()), even);
        let single: ArrayRef = Arc::new(Float32Array::from(vec![-0.0, -f32::NAN, f32::MIN_POSITIVE]));
        let single: Vec<u32> =
            normalised(&single).unwrap().as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
        assert_eq!(single, [0, NAN_32, f32::MIN_POSITIVE.to_bits()]);
        let half: Vec<u16> = vec![1 << 15, 0xfe01, 0x3c00];
        let half = half.into_iter().map(<Float16Type as ArrowPrimitiveType>::Native::from_bits);
        let half: ArrayRef = Arc::new(half.collect::<PrimitiveArray<Float16Type>>());
        let half = normalised(&half).unwrap();
        let half: Vec<u16> = half.as_primitive::<Float16Type>().values().iter().map(|value| value.to_bits()).collect();
        assert_eq!(half, [0, NAN_16, 0x3c00]);
    }

    #[test]
    fn what_is_even_is_not_copied() {
        let even = floats(vec![Some(0.0), Some(f64::NAN), Some(f64::INFINITY), None]);
        assert!(Arc::ptr_eq(&even, &normalised(&even).unwrap()));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN]));
        assert!(Arc::ptr_eq(&numbers, &normalised(&numbers).unwrap()));
        let nested = list_of(even, &[3, 1]);
        assert!(Arc::ptr_eq(&nested, &normalised(&nested).unwrap()));
    }

    #[test]
    fn floats_are_found_at_any_depth_and_in_slices() {
        let list = list_of(floats(vec![Some(-0.0), Some(1.0), None, Some(f64::from_bits(ODD_NAN))]), &[1, 1, 2]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let fields = vec![
            Field::new("list", list.data_type().clone(), true),
            Field::new("text", texts.data_type().clone(), true),
        ];
        let nulls = NullBuffer::from(vec![true, false, true]);
        let nested: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![list, texts], Some(nulls)));
        let last = normalised(&nested.slice(2, 1)).unwrap();
        let values = last.as_struct().column(0).as_list::<i32>().value(0);
        assert_eq!(bits(&values), [None, Some(NAN_64)]);
        let all = normalised(&nested).unwrap();
        assert!(all.is_null(1));
        assert_eq!(bits(&all.as_struct().column(0).as_list::<i32>().value(0)), [Some(0)]);

        let values = floats(vec![Some(-0.0), Some(2.0)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::new(Int8Array::from(vec![1, 0, 0]), values));
        let dictionary = normalised(&dictionary).unwrap();
        assert_eq!(bits(dictionary.as_any_dictionary().values()), [Some(0), Some(2.0_f64.to_bits())]);
    }

    #[test]
    fn bits_tell_apart_what_is_equal_and_come_back() {
        let odd = floats(vec![Some(-0.0), Some(0.0), Some(f64::NAN), Some(f64::from_bits(ODD_NAN)), None]);
        let nested = list_of(Arc::clone(&odd), &[2, 0, 3]);
        for array in [odd, nested.slice(1, 2), nested] {
            let as_numbers = type_of_bits(array.data_type());
            assert!(!has_floats(&as_numbers));
            let numbers = as_bits(&array, &as_numbers).unwrap();
            assert_eq!(numbers.data_type(), &as_numbers);
            let back = as_bits(&numbers, array.data_type()).unwrap();
            let same = as_bits(&back, &as_numbers).unwrap();
            assert_eq!((back.data_type(), &numbers), (array.data_type(), &same));
        }
    }

    #[test]
    fn ranks_have_the_order_of_floats_with_nan_above_all() {
        let ordered = [f64::NEG_INFINITY, f64::MIN, -1.5, 0.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN];
        let ranked_ = ranks(&floats(ordered.map(Some).to_vec())).unwrap();
        let numbers = ranked_.as_primitive::<Int64Type>().values();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        let back = ranked(&ranked_, &DataType::Float64).unwrap();
        assert_eq!(bits(&back), ordered.map(|value| Some(value.to_bits())));
        let equals = ranks(&floats(vec![Some(-0.0), Some(0.0), Some(-f64::NAN), Some(f64::NAN), None])).unwrap();
        let equals: Vec<Option<i64>> = equals.as_primitive::<Int64Type>().iter().collect();
        assert!(equals[0] == equals[1] && equals[2] == equals[3] && equals[4].is_none());
        let single: ArrayRef = Arc::new(Float32Array::from(vec![-f32::INFINITY, -1.0, 1.0, f32::NAN]));
        let single = ranks(&single).unwrap();
        assert!(single.as_primitive::<Int32Type>().values().windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ranks(&(Arc::new(StringArray::from(vec!["a"])) as ArrayRef)).is_err());
    }
}
