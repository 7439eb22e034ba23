//! Values of parameters as the engine takes them.

use datafusion::arrow::datatypes::Date32Type;
use datafusion::common::ScalarValue;
use windlass_shared::spec::ParamValue;

/// The value that a `$name` in SQL stands for.
pub(super) fn scalar(value: &ParamValue) -> ScalarValue {
    match value {
        ParamValue::String(value) => ScalarValue::Utf8(Some(value.clone())),
        ParamValue::Long(value) => ScalarValue::Int64(Some(*value)),
        ParamValue::Integer(value) => ScalarValue::Int32(Some(*value)),
        ParamValue::Short(value) => ScalarValue::Int16(Some(*value)),
        ParamValue::Byte(value) => ScalarValue::Int8(Some(*value)),
        ParamValue::Float(value) => ScalarValue::Float32(Some(*value)),
        ParamValue::Double(value) => ScalarValue::Float64(Some(*value)),
        ParamValue::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        ParamValue::Date(value) => ScalarValue::Date32(Some(Date32Type::from_naive_date(*value))),
        ParamValue::Timestamp(value) => {
            ScalarValue::TimestampMicrosecond(Some(value.timestamp_micros()), Some("UTC".into()))
        }
        ParamValue::TimestampNtz(value) => {
            ScalarValue::TimestampMicrosecond(Some(value.and_utc().timestamp_micros()), None)
        }
        ParamValue::Decimal { unscaled, precision, scale } => {
            ScalarValue::Decimal128(Some(*unscaled), *precision, scale.cast_signed())
        }
    }
}
