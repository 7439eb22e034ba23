//! Types and fields.

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit, UnionMode};

use super::form::Form;
use super::writer::Writer;

/// A hash of a type, in 32 hexadecimal digits.
pub(super) fn type_digest(data_type: &DataType) -> String {
    let mut writer = Writer::default();
    write_type(&mut writer, data_type);
    writer.finish()
}

impl Form {
    pub(super) fn data_type(&mut self, data_type: &DataType) {
        write_type(&mut self.out, data_type);
    }
}

/// A field inside a type.
fn write_field(out: &mut Writer, field: &Field) {
    out.text(field.name());
    write_type(out, field.data_type());
    out.flag(field.is_nullable());
}

fn write_type(out: &mut Writer, data_type: &DataType) {
    out.text(name_of(data_type));
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Date64
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => {}
        DataType::Timestamp(unit, zone) => {
            write_unit(out, *unit);
            out.flag(zone.is_some());
            out.text(zone.as_deref().unwrap_or_default());
        }
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Duration(unit) => write_unit(out, *unit),
        DataType::Interval(unit) => out.number(match unit {
            IntervalUnit::YearMonth => 0,
            IntervalUnit::DayTime => 1,
            IntervalUnit::MonthDayNano => 2,
        }),
        DataType::FixedSizeBinary(size) => out.signed(i64::from(*size)),
        DataType::List(item) | DataType::ListView(item) | DataType::LargeList(item) | DataType::LargeListView(item) => {
            write_field(out, item)
        }
        DataType::FixedSizeList(item, size) => {
            write_field(out, item);
            out.signed(i64::from(*size));
        }
        DataType::Struct(fields) => {
            out.count(fields.len());
            fields.iter().for_each(|field| write_field(out, field));
        }
        DataType::Union(fields, mode) => {
            out.count(fields.len());
            for (id, field) in fields.iter() {
                out.signed(i64::from(id));
                write_field(out, field);
            }
            out.flag(match mode {
                UnionMode::Sparse => false,
                UnionMode::Dense => true,
            });
        }
        DataType::Dictionary(keys, values) => {
            write_type(out, keys);
            write_type(out, values);
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            out.number(u64::from(*precision));
            out.signed(i64::from(*scale));
        }
        DataType::Map(entries, sorted) => {
            write_field(out, entries);
            out.flag(*sorted);
        }
        DataType::RunEndEncoded(ends, values) => {
            write_field(out, ends);
            write_field(out, values);
        }
    }
}

fn name_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Timestamp(_, _) => "timestamp",
        DataType::Date32 => "date32",
        DataType::Date64 => "date64",
        DataType::Time32(_) => "time32",
        DataType::Time64(_) => "time64",
        DataType::Duration(_) => "duration",
        DataType::Interval(_) => "interval",
        DataType::Binary => "binary",
        DataType::FixedSizeBinary(_) => "fixed size binary",
        DataType::LargeBinary => "large binary",
        DataType::BinaryView => "binary view",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large utf8",
        DataType::Utf8View => "utf8 view",
        DataType::List(_) => "list",
        DataType::ListView(_) => "list view",
        DataType::FixedSizeList(_, _) => "fixed size list",
        DataType::LargeList(_) => "large list",
        DataType::LargeListView(_) => "large list view",
        DataType::Struct(_) => "struct",
        DataType::Union(_, _) => "union",
        DataType::Dictionary(_, _) => "dictionary",
        DataType::Decimal32(_, _) => "decimal32",
        DataType::Decimal64(_, _) => "decimal64",
        DataType::Decimal128(_, _) => "decimal128",
        DataType::Decimal256(_, _) => "decimal256",
        DataType::Map(_, _) => "map",
        DataType::RunEndEncoded(_, _) => "run end encoded",
    }
}

fn write_unit(out: &mut Writer, unit: TimeUnit) {
    out.number(match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    });
}
