//! Values: their type and all of their bits.

use datafusion::arrow::array::Array;
use datafusion::common::ScalarValue;
use datafusion::error::Result;

use super::form::Form;

impl Form {
    /// A value with its type.
    pub(super) fn scalar(&mut self, value: &ScalarValue) -> Result<()> {
        self.data_type(&value.data_type());
        self.value(value)
    }

    /// A value whose type is written already.
    fn value(&mut self, value: &ScalarValue) -> Result<()> {
        match value {
            ScalarValue::Null => {}
            ScalarValue::Boolean(value) => self.bits(value.map(|value| [u8::from(value)])),
            ScalarValue::Float16(value) => self.bits(value.map(|value| value.to_bits().to_le_bytes())),
            ScalarValue::Float32(value) => self.bits(value.map(|value| value.to_bits().to_le_bytes())),
            ScalarValue::Float64(value) => self.bits(value.map(|value| value.to_bits().to_le_bytes())),
            ScalarValue::Int8(value) => self.bits(value.map(i8::to_le_bytes)),
            ScalarValue::Int16(value) => self.bits(value.map(i16::to_le_bytes)),
            ScalarValue::UInt8(value) => self.bits(value.map(u8::to_le_bytes)),
            ScalarValue::UInt16(value) => self.bits(value.map(u16::to_le_bytes)),
            ScalarValue::UInt32(value) => self.bits(value.map(u32::to_le_bytes)),
            ScalarValue::UInt64(value) => self.bits(value.map(u64::to_le_bytes)),
            ScalarValue::Decimal32(value, _, _)
            | ScalarValue::Int32(value)
            | ScalarValue::Date32(value)
            | ScalarValue::Time32Second(value)
            | ScalarValue::Time32Millisecond(value)
            | ScalarValue::IntervalYearMonth(value) => self.bits(value.map(i32::to_le_bytes)),
            ScalarValue::Decimal64(value, _, _)
            | ScalarValue::Int64(value)
            | ScalarValue::Date64(value)
            | ScalarValue::Time64Microsecond(value)
            | ScalarValue::Time64Nanosecond(value)
            | ScalarValue::TimestampSecond(value, _)
            | ScalarValue::TimestampMillisecond(value, _)
            | ScalarValue::TimestampMicrosecond(value, _)
            | ScalarValue::TimestampNanosecond(value, _)
            | ScalarValue::DurationSecond(value)
            | ScalarValue::DurationMillisecond(value)
            | ScalarValue::DurationMicrosecond(value)
            | ScalarValue::DurationNanosecond(value) => self.bits(value.map(i64::to_le_bytes)),
            ScalarValue::Decimal128(value, _, _) => self.bits(value.map(i128::to_le_bytes)),
            ScalarValue::Decimal256(value, _, _) => self.bits(value.map(|value| value.to_le_bytes())),
            ScalarValue::IntervalDayTime(value) => {
                self.bits(value.map(|value| i32_pair(value.days, value.milliseconds)));
            }
            ScalarValue::IntervalMonthDayNano(value) => {
                self.bits(value.map(|value| i32_pair(value.months, value.days)));
                self.bits(value.map(|value| value.nanoseconds.to_le_bytes()));
            }
            ScalarValue::Utf8(value) | ScalarValue::Utf8View(value) | ScalarValue::LargeUtf8(value) => {
                self.bits(value.as_ref());
            }
            ScalarValue::Binary(value)
            | ScalarValue::BinaryView(value)
            | ScalarValue::FixedSizeBinary(_, value)
            | ScalarValue::LargeBinary(value) => self.bits(value.as_ref()),
            ScalarValue::FixedSizeList(list) => self.item(list.as_ref(), |list| list.value(0))?,
            ScalarValue::List(list) => self.item(list.as_ref(), |list| list.value(0))?,
            ScalarValue::LargeList(list) => self.item(list.as_ref(), |list| list.value(0))?,
            ScalarValue::ListView(list) => self.item(list.as_ref(), |list| list.value(0))?,
            ScalarValue::LargeListView(list) => self.item(list.as_ref(), |list| list.value(0))?,
            ScalarValue::Map(map) => self.item(map.as_ref(), |map| std::sync::Arc::new(map.value(0)))?,
            ScalarValue::Struct(record) => {
                self.out.flag(record.is_null(0));
                for column in record.columns() {
                    self.items(column.as_ref())?;
                }
            }
            ScalarValue::Union(value, _, _) => {
                self.out.flag(value.is_some());
                if let Some((id, value)) = value {
                    self.out.signed(i64::from(*id));
                    self.scalar(value)?;
                }
            }
            ScalarValue::Dictionary(_, value) | ScalarValue::RunEndEncoded(_, _, value) => self.scalar(value)?,
        }
        Ok(())
    }

    fn bits(&mut self, bits: Option<impl AsRef<[u8]>>) {
        self.out.flag(bits.is_some());
        if let Some(bits) = bits {
            self.out.bytes(bits.as_ref());
        }
    }

    /// The only list of an array of lists.
    fn item<A: Array>(
        &mut self,
        lists: &A,
        value: impl FnOnce(&A) -> datafusion::arrow::array::ArrayRef,
    ) -> Result<()> {
        self.out.flag(lists.is_null(0));
        if lists.is_null(0) { Ok(()) } else { self.items(value(lists).as_ref()) }
    }

    /// Every value of an array.
    fn items(&mut self, array: &dyn Array) -> Result<()> {
        self.out.count(array.len());
        for index in 0..array.len() {
            self.scalar(&ScalarValue::try_from_array(array, index)?)?;
        }
        Ok(())
    }
}

fn i32_pair(one: i32, other: i32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&one.to_le_bytes());
    bytes[4..].copy_from_slice(&other.to_le_bytes());
    bytes
}
