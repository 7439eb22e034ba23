//! The position of a row on a Z-order curve, by which rows are sorted so that those that are close in several columns
//! lie in the same files.
//!
//! ```text
//! lo, hi, column ──→ a bucket of 32 bits per row     (bucket)
//! buckets of all columns ──→ their bits in turns, the most significant ones first
//! ```

mod bucket;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::BinaryArray;
use datafusion::arrow::buffer::{Buffer, OffsetBuffer};
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use self::bucket::{buckets, has_buckets, value_type};

const NAME: &str = "windlass_zorder";
/// The maximum number of columns, which makes keys of 64 bytes.
const MAX_COLUMNS: usize = 16;
/// Bytes of a column in a key.
const COLUMN_BYTES: usize = 4;

/// `windlass_zorder(lo, hi, column, …)`: bytes whose order is the Z-order curve over the columns.
///
/// The literals `lo` and `hi` are the least and the greatest value of the column. Each column counts the same, whatever
/// its type: between its two bounds it is divided into 2^32 buckets. Values beyond a bound are in the bucket of the
/// bound, and nulls are in the first one. If a bound is null, the buckets divide all values of the type.
///
/// The key never descends when a column ascends and the others stay the same, and it is the same on every machine.
pub(super) fn zorder() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Zorder { signature }))
    });
    Arc::clone(&FUNCTION)
}

/// The key of rows on the Z-order curve over `columns`, each with its least and its greatest value where they are known.
///
/// A plan with the key is refused if there are no columns or more than 16, or if values of a column have no order.
pub fn zorder_key(columns: &[(Expr, Option<ScalarValue>, Option<ScalarValue>)]) -> Expr {
    let bound = |value: &Option<ScalarValue>| lit(value.clone().unwrap_or(ScalarValue::Null));
    zorder().call(columns.iter().flat_map(|(column, lo, hi)| [bound(lo), bound(hi), column.clone()]).collect())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Zorder {
    signature: Signature,
}

/// The arguments by column: the bounds and the values.
fn by_column<T>(args: &[T]) -> Result<&[[T; 3]]> {
    match args.as_chunks::<3>() {
        (columns, []) if (1..=MAX_COLUMNS).contains(&columns.len()) => Ok(columns),
        _ => plan_err!(
            "{NAME} takes the least value, the greatest value and the column, for 1 to {MAX_COLUMNS} columns; \
             it was called with {} arguments",
            args.len()
        ),
    }
}

impl ScalarUDFImpl for Zorder {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        for [lo, hi, values] in by_column(arg_types)? {
            if !has_buckets(values) {
                return plan_err!("{NAME} cannot order values of type {values}; remove the column");
            }
            if let Some(bound) = [lo, hi].into_iter().find(|bound| !can_cast_types(bound, value_type(values))) {
                return plan_err!("{NAME} cannot compare a bound of type {bound} with values of type {values}");
            }
        }
        Ok(DataType::Binary)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        if by_column(args.scalar_arguments)?.iter().any(|[lo, hi, _]| lo.is_none() || hi.is_none()) {
            return plan_err!("{NAME} takes literals as the least and the greatest value of a column");
        }
        Ok(Arc::new(Field::new(NAME, data_type, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = by_column(&args.args)?;
        let is_constant = columns.iter().all(|[_, _, values]| matches!(values, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let mut of_columns = Vec::with_capacity(columns.len());
        for [lo, hi, values] in columns {
            let (ColumnarValue::Scalar(lo), ColumnarValue::Scalar(hi)) = (lo, hi) else {
                return exec_err!("{NAME} takes literals as the least and the greatest value of a column");
            };
            of_columns.push(match values {
                ColumnarValue::Array(values) => buckets(values, lo, hi)?,
                ColumnarValue::Scalar(value) => buckets(&value.to_array()?, lo, hi)?.repeat(rows),
            });
        }
        let keys = keys(&of_columns, rows)?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(keys)))
    }
}

/// The keys of all rows, all of the same length.
fn keys(columns: &[Vec<u32>], rows: usize) -> Result<BinaryArray> {
    let width = columns.len() * COLUMN_BYTES;
    // The offsets of the array are of this type.
    if rows.checked_mul(width).is_none_or(|bytes| i32::try_from(bytes).is_err()) {
        return exec_err!("{NAME} cannot compute {rows} keys of {width} bytes in one batch; use smaller batches");
    }
    let keys = interleaved(columns, rows);
    Ok(BinaryArray::try_new(OffsetBuffer::from_repeated_length(width, rows), Buffer::from_vec(keys), None)?)
}

/// The bits of the columns' buckets in turns, row by row: first the most significant bit of each column.
fn interleaved(columns: &[Vec<u32>], rows: usize) -> Vec<u8> {
    let width = columns.len() * COLUMN_BYTES;
    let mut keys = vec![0; rows * width];
    for (place, column) in columns.iter().enumerate() {
        for (key, bucket) in keys.chunks_exact_mut(width).zip(column) {
            let mut rest = *bucket;
            while rest != 0 {
                let level = rest.leading_zeros();
                rest ^= 1 << (u32::BITS - 1 - level);
                let bit = level as usize * columns.len() + place;
                if let Some(byte) = key.get_mut(bit / 8) {
                    *byte |= 0x80 >> (bit % 8);
                }
            }
        }
    }
    keys
}
