//! Builds columns from values written as text or as JSON, converted exactly or not at all.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, NullBufferBuilder, StringBuilder, StructArray,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use windlass_project::literal_rows::number::{double, float, scaled};
use windlass_project::literal_rows::timestamp::{ParsedTimestamp, date};

use super::json::{self, VisitError};

/// Parses `text` as a value of type `data_type`, by the rule for text files; `None` if it is not one.
pub(in crate::session) fn value_of_text(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let mut column = Column::new(data_type).ok()?;
    column.push_text(text)?;
    ScalarValue::try_from_array(&column.finish().ok()?, 0).ok()
}

/// A column under construction.
#[derive(Debug)]
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Byte(Int8Builder),
    Short(Int16Builder),
    Integer(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampNtz(TimestampMicrosecondBuilder),
    TimestampNtzNanos(TimestampNanosecondBuilder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    List(List),
    Struct(Struct),
}

/// Why a value cannot be added to a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not of the column's type.
    Value {
        /// The path below the column: `.field`, or empty.
        place: String,
        /// The type there.
        expected: String,
        /// The value, as it is written.
        found: String,
    },
    /// It is an object with a key that the column does not have.
    Key(String),
    /// It is an object with a duplicate key.
    Repeated(String),
}

impl Refused {
    fn below(self, name: &str) -> Self {
        match self {
            Self::Value { place, expected, found } => Self::Value { place: format!(".{name}{place}"), expected, found },
            Self::Key(key) => Self::Key(format!("{name}.{key}")),
            Self::Repeated(key) => Self::Repeated(format!("{name}.{key}")),
        }
    }
}

impl Column {
    /// An empty column of a type that text files support.
    pub(super) fn new(data_type: &DataType) -> Result<Self, ArrowError> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Byte(Int8Builder::new()),
            DataType::Int16 => Self::Short(Int16Builder::new()),
            DataType::Int32 => Self::Integer(Int32Builder::new()),
            DataType::Int64 => Self::Long(Int64Builder::new()),
            DataType::Float32 => Self::Float(Float32Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_precision_and_scale(*precision, *scale)?;
                Self::Decimal(builder, *precision, *scale)
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(Arc::clone(zone)))
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::TimestampNtz(TimestampMicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                Self::TimestampNtzNanos(TimestampNanosecondBuilder::new())
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::List(item) => Self::List(List::new(item)?),
            DataType::Struct(fields) => Self::Struct(Struct::new(fields)?),
            other => return Err(ArrowError::NotYetImplemented(format!("a text has no values of type {other}"))),
        })
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Byte(builder) => builder.append_null(),
            Self::Short(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Long(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal(builder, ..) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) | Self::TimestampNtz(builder) => builder.append_null(),
            Self::TimestampNtzNanos(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
            Self::List(list) => list.push_null(),
            Self::Struct(fields) => fields.push_null(),
        }
    }

    /// Parses and adds `text`; `None` if it is not a value of this type.
    pub(super) fn push_text(&mut self, text: &str) -> Option<()> {
        match self {
            Self::Boolean(builder) => builder.append_value(boolean(text)?),
            Self::Byte(builder) => builder.append_value(scaled(text, 0)?.try_into().ok()?),
            Self::Short(builder) => builder.append_value(scaled(text, 0)?.try_into().ok()?),
            Self::Integer(builder) => builder.append_value(scaled(text, 0)?.try_into().ok()?),
            Self::Long(builder) => builder.append_value(scaled(text, 0)?.try_into().ok()?),
            Self::Float(builder) => builder.append_value(float(text)?),
            Self::Double(builder) => builder.append_value(double(text)?),
            Self::Decimal(builder, precision, scale) => {
                let value = scaled(text, u32::try_from(*scale).ok()?)?;
                if value.unsigned_abs() >= 10u128.pow(u32::from(*precision)) {
                    return None;
                }
                builder.append_value(value);
            }
            Self::Date(builder) => builder.append_value(date(text)?),
            Self::Timestamp(builder) => builder.append_value(ParsedTimestamp::parse_or_midnight(text)?.utc_micros()?),
            Self::TimestampNtz(builder) => {
                builder.append_value(ParsedTimestamp::parse_or_midnight(text)?.local_micros()?)
            }
            Self::TimestampNtzNanos(builder) => {
                builder.append_value(ParsedTimestamp::parse_or_midnight(text)?.local_nanos()?)
            }
            Self::Text(builder) => builder.append_value(text),
            Self::Binary(builder) => builder.append_value(text),
            Self::List(_) | Self::Struct(_) => return None,
        }
        Some(())
    }

    /// Adds a JSON value. Numbers and booleans are added to a text column as written.
    pub(super) fn push_json(&mut self, value: &str) -> Result<(), Refused> {
        let misfit = |column: &Self| Refused::Value {
            place: String::new(),
            expected: column.type_name(),
            found: value.to_owned(),
        };
        let pushed = match (value.as_bytes().first(), &mut *self) {
            (Some(b'n'), _) => {
                self.push_null();
                return Ok(());
            }
            (Some(b'['), Self::List(list)) => return list.push_json(value),
            (Some(b'{'), Self::Struct(fields)) => return fields.push_json(value),
            (Some(b'"'), column) => json::text(value).ok().and_then(|text| column.push_text(&text)),
            (Some(b't' | b'f'), Self::Boolean(_) | Self::Text(_)) => self.push_text(value),
            (Some(b'-' | b'0'..=b'9'), column) => match column {
                Self::Boolean(_) | Self::Date(_) | Self::Binary(_) => None,
                column => column.push_text(value),
            },
            _ => None,
        };
        pushed.ok_or_else(|| misfit(self))
    }

    /// The type's name in a project file, if it has one.
    pub(super) fn type_name(&self) -> String {
        let name = match self {
            Self::Boolean(_) => "boolean",
            Self::Byte(_) => "byte",
            Self::Short(_) => "short",
            Self::Integer(_) => "integer",
            Self::Long(_) => "long",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::Decimal(_, precision, scale) => return format!("decimal({precision},{scale})"),
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampNtz(_) => "timestamp_ntz",
            Self::TimestampNtzNanos(_) => "a time without a zone",
            Self::Text(_) => "string",
            Self::Binary(_) => "binary",
            Self::List(_) => "a list",
            Self::Struct(_) => "a structure",
        };
        name.to_owned()
    }

    /// Takes the values so far; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Byte(builder) => Arc::new(builder.finish()),
            Self::Short(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Long(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, ..) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) | Self::TimestampNtz(builder) => Arc::new(builder.finish()),
            Self::TimestampNtzNanos(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::List(list) => list.finish()?,
            Self::Struct(fields) => fields.finish()?,
        })
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A column of lists.
#[derive(Debug)]
pub(super) struct List {
    item: FieldRef,
    items: Box<Column>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl List {
    fn new(item: &FieldRef) -> Result<Self, ArrowError> {
        let items = Box::new(Column::new(item.data_type())?);
        Ok(Self { item: Arc::clone(item), items, offsets: vec![0], nulls: NullBufferBuilder::new(0) })
    }

    fn push_null(&mut self) {
        self.offsets.extend(self.offsets.last().copied());
        self.nulls.append_null();
    }

    fn push_json(&mut self, value: &str) -> Result<(), Refused> {
        let mut count = 0;
        let read = json::items(value, |item| {
            count += 1;
            self.items.push_json(item)
        });
        refused_part(read, value, "a list")?;
        let end = self.offsets.last().copied().unwrap_or_default().checked_add(count);
        let too_many = || Refused::Value {
            place: String::new(),
            expected: "a list".to_owned(),
            found: "too many items".to_owned(),
        };
        self.offsets.push(end.ok_or_else(too_many)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.item), offsets, self.items.finish()?, self.nulls.finish())?))
    }
}

/// A column of structures with named fields.
#[derive(Debug)]
pub(super) struct Struct {
    fields: Fields,
    columns: Vec<Column>,
    /// For each field, the number of the last value that has it.
    seen: Vec<usize>,
    rows: usize,
    nulls: NullBufferBuilder,
}

impl Struct {
    fn new(fields: &Fields) -> Result<Self, ArrowError> {
        Ok(Self {
            fields: fields.clone(),
            columns: fields.iter().map(|field| Column::new(field.data_type())).collect::<Result<_, _>>()?,
            seen: vec![0; fields.len()],
            rows: 0,
            nulls: NullBufferBuilder::new(0),
        })
    }

    fn push_null(&mut self) {
        self.columns.iter_mut().for_each(Column::push_null);
        self.nulls.append_null();
    }

    fn push_json(&mut self, value: &str) -> Result<(), Refused> {
        self.rows += 1;
        let read = json::entries(value, |key, part| {
            let Some(place) = self.fields.iter().position(|field| field.name() == key) else {
                return Err(Refused::Key(key.to_owned()));
            };
            if self.seen[place] == self.rows {
                return Err(Refused::Repeated(key.to_owned()));
            }
            self.seen[place] = self.rows;
            self.columns[place].push_json(part).map_err(|refused| refused.below(key))
        });
        refused_part(read, value, "a structure")?;
        for (column, seen) in self.columns.iter_mut().zip(&self.seen) {
            if *seen != self.rows {
                column.push_null();
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let rows = self.nulls.len();
        let nulls = self.nulls.finish();
        if self.fields.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(rows, nulls)));
        }
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        Ok(Arc::new(StructArray::try_new(self.fields.clone(), columns, nulls)?))
    }
}

fn refused_part(read: Result<(), VisitError<Refused>>, value: &str, expected: &str) -> Result<(), Refused> {
    read.map_err(|stopped| match stopped {
        VisitError::Refused(refused) => refused,
        VisitError::Json(_) => {
            Refused::Value { place: String::new(), expected: expected.to_owned(), found: value.to_owned() }
        }
    })
}
