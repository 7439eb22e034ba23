//! `stable_id(part, …)`: a 128-bit id that only depends on the values of the parts.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, StringArray, StringBuilder,
};
use datafusion::arrow::compute::{can_cast_types, cast};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, internal_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 32;

/// The SQL function `stable_id(part, …)`: 32 hexadecimal digits, the same for the same parts on every machine and in
/// every release.
///
/// Parts may have any type that casts to text and are hashed as text, so `1` and `'1'` are the same part. Null is
/// different from `''`, and parts are kept separate: `('a', 'bc')` and `('ab', 'c')` differ. The id is the first 128
/// bits of the BLAKE3 hash of the parts, each written as the byte 0 for null, or else as the byte 1, its length in
/// bytes (8 bytes, little-endian) and its bytes in UTF-8. Binary parts are hashed as their own bytes.
pub fn stable_id() -> ScalarUDF {
    ScalarUDF::new_from_impl(StableId { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StableId {
    signature: Signature,
}

impl ScalarUDFImpl for StableId {
    fn name(&self) -> &str {
        "stable_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        if arg_types.is_empty() {
            return plan_err!("stable_id needs at least one part");
        }
        for data_type in arg_types {
            if !is_binary(data_type) && !can_cast_types(data_type, &DataType::Utf8) {
                return plan_err!("stable_id cannot write a value of type {data_type} as text");
            }
        }
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let parts = args.args.iter().map(Part::new).collect::<Result<Vec<_>>>()?;
        let mut ids = StringBuilder::with_capacity(rows, rows * ID_DIGITS);
        let mut bytes = Vec::new();
        for row in 0..rows {
            bytes.clear();
            for part in &parts {
                part.write(row, &mut bytes);
            }
            let hash = blake3::hash(&bytes).to_hex();
            let id = hash.get(..ID_DIGITS).ok_or_else(|| internal_datafusion_err!("a hash is too short"))?;
            ids.append_value(id);
        }
        let ids = ids.finish();
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&ids, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(ids)))
    }
}

/// The bytes of one argument, one row each or the same for every row.
struct Part {
    values: Values,
    same_for_all: bool,
}

enum Values {
    Text(StringArray),
    Bytes(BinaryArray),
    FixedBytes(FixedSizeBinaryArray),
}

impl Part {
    fn new(arg: &ColumnarValue) -> Result<Self> {
        let (array, same_for_all): (ArrayRef, bool) = match arg {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let values = match array.data_type() {
            DataType::FixedSizeBinary(_) => Values::FixedBytes(array.as_fixed_size_binary().clone()),
            data_type if is_binary(data_type) => {
                Values::Bytes(cast(&array, &DataType::Binary)?.as_binary::<i32>().clone())
            }
            _ => Values::Text(cast(&array, &DataType::Utf8)?.as_string::<i32>().clone()),
        };
        Ok(Self { values, same_for_all })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let row = if self.same_for_all { 0 } else { row };
        let value = match &self.values {
            Values::Text(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
            Values::Bytes(array) => array.is_valid(row).then(|| array.value(row)),
            Values::FixedBytes(array) => array.is_valid(row).then(|| array.value(row)),
        };
        match value {
            None => out.push(0),
            Some(bytes) => {
                out.push(1);
                out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}
