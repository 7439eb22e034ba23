//! Values of any type with an order as numbers of 32 bits in that order.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;

/// The bucket of nulls, and of all values up to the lower bound.
const FIRST: u32 = 0;
/// The bucket of all values from the upper bound on.
const LAST: u32 = u32::MAX;

/// Whether values of this type can be divided into buckets.
pub(super) fn has_buckets(data_type: &DataType) -> bool {
    form(data_type).is_some()
}

/// The type of the values themselves, which a dictionary only lists.
pub(super) fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => value_type(values),
        other => other,
    }
}

/// The bucket of each value, between the least value `lo` and the greatest value `hi`.
///
/// A bound that is null, or that is no value of the type, is unknown; both bounds are if they are the wrong way round.
pub(super) fn buckets(values: &ArrayRef, lo: &ScalarValue, hi: &ScalarValue) -> Result<Vec<u32>> {
    let data_type = value_type(values.data_type());
    let Some(form) = form(data_type) else { return exec_err!("values of type {data_type} have no order") };
    let bounds = bound(lo, data_type, &form).zip(bound(hi, data_type, &form));
    let values = cast(&cast(values, data_type)?, &form)?;
    Ok(match form {
        DataType::Int64 => {
            let bounds = bounds.as_ref().and_then(|(lo, hi)| Some((of_whole(lo)?, of_whole(hi)?)));
            let scale = Scale::new(bounds, all_of(data_type));
            let values = values.as_primitive::<Int64Type>().iter();
            values.map(|value| value.map_or(FIRST, |value| scale.bucket(i128::from(value)))).collect()
        }
        DataType::Decimal128(..) => {
            let bounds = bounds.as_ref().and_then(|(lo, hi)| Some((of_whole(lo)?, of_whole(hi)?)));
            let scale = Scale::new(bounds, all_of(data_type));
            let values = values.as_primitive::<Decimal128Type>().iter();
            values.map(|value| value.map_or(FIRST, |value| scale.bucket(value))).collect()
        }
        DataType::Float64 => {
            let scale = FloatScale::new(bounds.as_ref().and_then(|(lo, hi)| Some((of_float(lo)?, of_float(hi)?))));
            let values = values.as_primitive::<Float64Type>().iter();
            values.map(|value| value.map_or(FIRST, |value| scale.bucket(value))).collect()
        }
        _ => {
            let scale = BytesScale::new(bounds.as_ref().and_then(|(lo, hi)| Some((of_bytes(lo)?, of_bytes(hi)?))));
            let values = values.as_binary_view().iter();
            values.map(|value| value.map_or(FIRST, |value| scale.bucket(value))).collect()
        }
    })
}

/// The type as which values of a type are divided, in the same order; `None` if they have no order.
fn form(data_type: &DataType) -> Option<DataType> {
    Some(match value_type(data_type) {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_) => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale) => DataType::Decimal128(*digits, *scale),
        // Rounding keeps the order, and the 32 bits of a bucket could not tell apart more.
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Decimal256(..) => DataType::Float64,
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::BinaryView,
        _ => return None,
    })
}

/// The least and the greatest value of a type whose form is a number without fraction, as such.
fn all_of(data_type: &DataType) -> (i128, i128) {
    match data_type {
        DataType::Boolean => (0, 1),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => (i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        DataType::Decimal32(digits, _) | DataType::Decimal64(digits, _) | DataType::Decimal128(digits, _) => {
            let greatest = 10_i128.checked_pow(u32::from(*digits)).map_or(i128::MAX, |above| above - 1);
            (-greatest, greatest)
        }
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// A bound in the form of the values. It is of their type first, for its unit or its scale.
fn bound(value: &ScalarValue, data_type: &DataType, form: &DataType) -> Option<ScalarValue> {
    let bound = value.cast_to(data_type).and_then(|value| value.cast_to(form)).ok()?;
    (!bound.is_null()).then_some(bound)
}

fn of_whole(bound: &ScalarValue) -> Option<i128> {
    match bound {
        ScalarValue::Int64(value) => value.map(i128::from),
        ScalarValue::Decimal128(value, ..) => *value,
        _ => None,
    }
}

fn of_float(bound: &ScalarValue) -> Option<f64> {
    match bound {
        ScalarValue::Float64(value) => *value,
        _ => None,
    }
}

fn of_bytes(bound: &ScalarValue) -> Option<&[u8]> {
    match bound {
        ScalarValue::BinaryView(value) => value.as_deref(),
        _ => None,
    }
}

/// Divides the whole numbers between two bounds evenly.
struct Scale {
    lo: i128,
    hi: i128,
    /// How many bits are dropped from distances, so that they have 32 bits.
    shift: u32,
    /// The distance of the bounds without those bits.
    range: u64,
}

impl Scale {
    /// Between the bounds, or else between those of `all`.
    fn new(bounds: Option<(i128, i128)>, all: (i128, i128)) -> Self {
        let (lo, hi) = bounds.filter(|(lo, hi)| lo <= hi).unwrap_or(all);
        let range = hi.abs_diff(lo);
        let shift = (u128::BITS - range.leading_zeros()).saturating_sub(u32::BITS);
        Self { lo, hi, shift, range: low_bits(range >> shift) }
    }

    fn bucket(&self, value: i128) -> u32 {
        if value <= self.lo {
            return FIRST;
        }
        if value >= self.hi {
            return LAST;
        }
        // Between the bounds there is something only if they differ, and both factors have 32 bits.
        let distance = low_bits(value.abs_diff(self.lo) >> self.shift);
        let bucket = (distance * u64::from(LAST)).checked_div(self.range);
        bucket.and_then(|bucket| u32::try_from(bucket).ok()).unwrap_or(LAST)
    }
}

/// A number of at most 32 bits, in a type with room for products.
fn low_bits(number: u128) -> u64 {
    u64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Divides floats. NaN is above all others, and both zeros are equal.
enum FloatScale {
    /// Evenly between two finite bounds.
    Even { lo: f64, hi: f64 },
    /// Evenly by rank: so that there is no value too large or too small.
    Ranked(Scale),
}

impl FloatScale {
    fn new(bounds: Option<(f64, f64)>) -> Self {
        let all = (rank(f64::NEG_INFINITY), rank(f64::INFINITY));
        match bounds {
            Some((lo, hi)) if lo.is_finite() && hi.is_finite() && lo <= hi => Self::Even { lo, hi },
            Some((lo, hi)) if lo <= hi => Self::Ranked(Scale::new(Some((rank(lo), rank(hi))), all)),
            _ => Self::Ranked(Scale::new(None, all)),
        }
    }

    fn bucket(&self, value: f64) -> u32 {
        if value.is_nan() {
            return LAST;
        }
        match self {
            Self::Even { lo, .. } if value <= *lo => FIRST,
            Self::Even { hi, .. } if value >= *hi => LAST,
            Self::Even { lo, hi } => {
                // Of the halves, because the distance of the bounds may be infinite. Casts to whole numbers saturate.
                let share = (value / 2.0 - lo / 2.0) / (hi / 2.0 - lo / 2.0);
                (share * f64::from(LAST)) as u32
            }
            Self::Ranked(scale) => scale.bucket(rank(value)),
        }
    }
}

/// A whole number in the order of floats.
fn rank(value: f64) -> i128 {
    // Adding zero makes the negative zero positive.
    let bits = (value + 0.0).to_bits();
    let magnitude = i128::from(bits & (u64::MAX >> 1));
    if bits >> 63 == 1 { -magnitude } else { magnitude }
}

/// Divides texts and bytes by those that follow what the bounds begin with in common.
struct BytesScale<'b> {
    bounds: Option<(&'b [u8], &'b [u8])>,
    prefix: usize,
    scale: Scale,
}

impl<'b> BytesScale<'b> {
    fn new(bounds: Option<(&'b [u8], &'b [u8])>) -> Self {
        let bounds = bounds.filter(|(lo, hi)| lo <= hi);
        let prefix = bounds.map_or(0, |(lo, hi)| lo.iter().zip(hi).take_while(|(lo, hi)| lo == hi).count());
        let heads = bounds.map(|(lo, hi)| (head(lo, prefix), head(hi, prefix)));
        Self { bounds, prefix, scale: Scale::new(heads, (0, u64::MAX.into())) }
    }

    fn bucket(&self, value: &[u8]) -> u32 {
        match self.bounds {
            Some((lo, _)) if value <= lo => FIRST,
            Some((_, hi)) if value >= hi => LAST,
            // What is between the bounds begins like both.
            _ => self.scale.bucket(head(value, self.prefix)),
        }
    }
}

/// The eight bytes after the first `skipped` ones, as a number. They are more than a bucket can tell apart, since bounds
/// are often close to each other.
fn head(value: &[u8], skipped: usize) -> i128 {
    let mut head = [0; size_of::<u64>()];
    for (to, from) in head.iter_mut().zip(value.get(skipped..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_be_bytes(head).into()
}
