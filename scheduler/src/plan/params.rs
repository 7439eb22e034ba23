//! Parameters as the engine takes them.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use windlass_project::spec::param::ParamValue;

/// The parameters as the engine takes them: `$name` by name.
pub fn engine_params(params: &BTreeMap<String, ParamValue>) -> ParamValues {
    let map: HashMap<String, ScalarValue> =
        params.iter().map(|(name, value)| (name.clone(), engine_value(value))).collect();
    map.into()
}

fn engine_value(value: &ParamValue) -> ScalarValue {
    match value {
        ParamValue::String(text) => ScalarValue::Utf8(Some(text.clone())),
        ParamValue::Long(number) => ScalarValue::Int64(Some(*number)),
        ParamValue::Integer(number) => ScalarValue::Int32(Some(*number)),
        ParamValue::Short(number) => ScalarValue::Int16(Some(*number)),
        ParamValue::Byte(number) => ScalarValue::Int8(Some(*number)),
        ParamValue::Float(number) => ScalarValue::Float32(Some(*number)),
        ParamValue::Double(number) => ScalarValue::Float64(Some(*number)),
        ParamValue::Boolean(truth) => ScalarValue::Boolean(Some(*truth)),
        ParamValue::Date(date) => ScalarValue::Date32(Some(days_since_epoch(*date))),
        ParamValue::Timestamp(moment) => {
            ScalarValue::TimestampMicrosecond(Some(moment.timestamp_micros()), Some("UTC".into()))
        }
        ParamValue::TimestampNtz(moment) => {
            ScalarValue::TimestampMicrosecond(Some(moment.and_utc().timestamp_micros()), None)
        }
        ParamValue::Decimal { unscaled, precision, scale } => {
            // A scale is at most 38, by the type's definition.
            ScalarValue::Decimal128(Some(*unscaled), *precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
    }
}

fn days_since_epoch(date: NaiveDate) -> i32 {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    // Every date that chrono can hold is within the days that 32 bits count.
    i32::try_from(days).unwrap_or_default()
}
