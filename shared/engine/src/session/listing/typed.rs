//! The columns of files with typed formats: Parquet, Avro and Arrow.
//!
//! A column of a table represents every value of every file exactly, or the file is refused: types are widened, never
//! narrowed.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use object_store::ObjectMeta;
use windlass_storage::Location;

use crate::session::SessionError;

/// The files of a source with the columns that each has.
pub(super) struct TypedFiles<'a> {
    pub(super) location: &'a Location,
    pub(super) objects: &'a [ObjectMeta],
    pub(super) schemas: &'a [SchemaRef],
}

impl TypedFiles<'_> {
    fn each(&self) -> impl Iterator<Item = (&ObjectMeta, &SchemaRef)> {
        self.objects.iter().zip(self.schemas)
    }

    /// The columns of all files together. A file that lacks one has nulls there.
    ///
    /// # Errors
    /// [`SessionError::SchemaConflict`] naming the first file with a column whose type is incompatible with the
    /// previous files.
    pub(super) fn inferred_schema(&self) -> Result<SchemaRef, SessionError> {
        let mut columns: Vec<FieldRef> = Vec::new();
        for (number, (object, schema)) in self.each().enumerate() {
            let conflict = |reason| SessionError::SchemaConflict { file: object.location.to_string(), reason };
            for column in &mut columns {
                match schema.field_with_name(column.name()) {
                    Ok(own) => *column = common_column(column, own).map_err(conflict)?,
                    Err(_) => {
                        if let Some(other) = differing_in_case(schema, column.name()) {
                            return Err(conflict(format!(
                                "it has a column `{other}`, which files before it write `{}`",
                                column.name()
                            )));
                        }
                        *column = Arc::new(column.as_ref().clone().with_nullable(true));
                    }
                }
            }
            for own in schema.fields() {
                if !columns.iter().any(|column| column.name() == own.name()) {
                    let nullable = own.is_nullable() || number > 0 || own.data_type().is_null();
                    columns.push(Arc::new(own.as_ref().clone().with_nullable(nullable)));
                }
            }
        }
        let metadata = self.schemas.first().map(|schema| schema.metadata().clone()).unwrap_or_default();
        Ok(Arc::new(Schema::new_with_metadata(columns, metadata)))
    }

    /// Checks that the types in `declared` can represent the columns of the files. A file that lacks one has nulls
    /// there, if another file has it.
    ///
    /// # Errors
    /// [`SessionError::LossyType`] for a type that cannot represent a file's column, [`SessionError::OtherColumns`] for
    /// a name that differs in case in a file, and [`SessionError::NoSuchColumn`] for a column that no file has.
    pub(super) fn check(&self, declared: &Schema) -> Result<(), SessionError> {
        for column in declared.fields() {
            let mut is_there = false;
            for (object, schema) in self.each() {
                let file = || object.location.to_string();
                match (schema.field_with_name(column.name()), differing_in_case(schema, column.name())) {
                    (Ok(own), _) if can_hold(column.data_type(), own.data_type()) => is_there = true,
                    (Ok(own), _) => {
                        return Err(SessionError::LossyType {
                            file: file(),
                            column: column.name().clone(),
                            found: own.data_type().to_string(),
                            declared: column.data_type().to_string(),
                        });
                    }
                    (Err(_), Some(other)) => {
                        let reason = format!("has a column `{other}`, and none that is spelled `{}`", column.name());
                        return Err(SessionError::OtherColumns { file: file(), reason });
                    }
                    (Err(_), None) => {}
                }
            }
            if !is_there {
                let location = self.location.to_string();
                return Err(SessionError::NoSuchColumn { location, column: column.name().clone(), similar: None });
            }
        }
        Ok(())
    }

    /// Checks that every file has exactly the columns of `schema`, in that order: Arrow files are read as they are.
    ///
    /// # Errors
    /// [`SessionError::SchemaConflict`] naming the first that does not.
    pub(super) fn check_same(&self, schema: &Schema) -> Result<(), SessionError> {
        let columns = |schema: &Schema| {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
        };
        let expected = columns(schema);
        match self.each().find(|(_, own)| columns(own) != expected) {
            Some((object, own)) => {
                let list = |columns: Vec<(String, DataType)>| {
                    let shown: Vec<String> = columns.iter().map(|(name, of)| format!("{name} {of}")).collect();
                    shown.join(", ")
                };
                let reason = format!("it has the columns {}, and {} are expected", list(columns(own)), list(expected));
                Err(SessionError::SchemaConflict { file: object.location.to_string(), reason })
            }
            None => Ok(()),
        }
    }
}

/// A column of `schema` whose name equals `name` except for case.
fn differing_in_case<'s>(schema: &'s Schema, name: &str) -> Option<&'s str> {
    schema.fields().iter().map(|field| field.name().as_str()).find(|other| other.eq_ignore_ascii_case(name))
}

/// The common column of both. A structure field that one of them lacks is null there.
fn common_column(column: &FieldRef, own: &Field) -> Result<FieldRef, String> {
    let has_nulls = |field: &Field| field.is_nullable() || field.data_type().is_null();
    let nullable = has_nulls(column) || has_nulls(own);
    let as_type = |data_type: &DataType| {
        Arc::new(column.as_ref().clone().with_data_type(data_type.clone()).with_nullable(nullable))
    };
    if can_hold(column.data_type(), own.data_type()) {
        return Ok(as_type(column.data_type()));
    }
    if can_hold(own.data_type(), column.data_type()) {
        return Ok(as_type(own.data_type()));
    }
    let mut merged = column.as_ref().clone();
    match merged.try_merge(own) {
        Ok(()) => {
            let data_type = nullable_where_lacking(merged.data_type(), column.data_type(), own.data_type());
            Ok(Arc::new(merged.with_data_type(data_type)))
        }
        Err(_) => Err(format!(
            "its column `{}` is {}, and {} in files before it",
            own.name(),
            own.data_type(),
            column.data_type()
        )),
    }
}

/// The type `merged`, which has the fields of `one` and `other`, with those nullable that one of them lacks.
fn nullable_where_lacking(merged: &DataType, one: &DataType, other: &DataType) -> DataType {
    let item = |merged: &FieldRef, one: &FieldRef, other: &FieldRef| {
        let data_type = nullable_where_lacking(merged.data_type(), one.data_type(), other.data_type());
        Arc::new(merged.as_ref().clone().with_data_type(data_type))
    };
    match (merged, one, other) {
        (DataType::Struct(merged), DataType::Struct(ones), DataType::Struct(others)) => {
            let field = |merged: &FieldRef| match (ones.find(merged.name()), others.find(merged.name())) {
                (Some((_, one)), Some((_, other))) => item(merged, one, other),
                _ => Arc::new(merged.as_ref().clone().with_nullable(true)),
            };
            DataType::Struct(merged.iter().map(field).collect())
        }
        (DataType::List(merged), DataType::List(one), DataType::List(other)) => {
            DataType::List(item(merged, one, other))
        }
        (DataType::LargeList(merged), DataType::LargeList(one), DataType::LargeList(other)) => {
            DataType::LargeList(item(merged, one, other))
        }
        (merged, ..) => merged.clone(),
    }
}

/// Whether a column of type `wide` can represent every value of type `narrow` exactly.
fn can_hold(wide: &DataType, narrow: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, FixedSizeBinary, Float16,
        Float32, Float64, LargeBinary, LargeUtf8, Null, Timestamp, Utf8, Utf8View,
    };
    if wide == narrow {
        return true;
    }
    match (wide, narrow) {
        (_, Null) => true,
        (_, Dictionary(_, values)) => can_hold(wide, values),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView | FixedSizeBinary(_)) => true,
        (Float32, Float16) | (Float64, Float16 | Float32) => true,
        (Float32, _) => whole_bits(narrow).is_some_and(|(_, bits)| bits <= 24),
        (Float64, _) => whole_bits(narrow).is_some_and(|(_, bits)| bits <= 53),
        (
            Decimal128(precision, scale),
            Decimal32(of, at) | Decimal64(of, at) | Decimal128(of, at) | Decimal256(of, at),
        ) => scale >= at && i16::from(*precision) - i16::from(*scale) >= i16::from(*of) - i16::from(*at),
        (Decimal128(precision, scale), _) => whole_digits(narrow)
            .is_some_and(|digits| i16::from(*precision) - i16::from(*scale) >= digits && *scale >= 0),
        // A time without a zone is in UTC.
        (Timestamp(TimeUnit::Microsecond, Some(_)), Timestamp(unit, _))
        | (Timestamp(TimeUnit::Microsecond, None), Timestamp(unit, None)) => *unit != TimeUnit::Nanosecond,
        _ => match (whole_bits(wide), whole_bits(narrow)) {
            (Some((wide_signed, wide)), Some((narrow_signed, narrow))) => {
                (wide_signed || !narrow_signed) && wide >= narrow
            }
            _ => false,
        },
    }
}

/// Whether integers of a type are signed, and their number of value bits.
fn whole_bits(data_type: &DataType) -> Option<(bool, u8)> {
    Some(match data_type {
        DataType::Int8 => (true, 7),
        DataType::Int16 => (true, 15),
        DataType::Int32 => (true, 31),
        DataType::Int64 => (true, 63),
        DataType::UInt8 => (false, 8),
        DataType::UInt16 => (false, 16),
        DataType::UInt32 => (false, 32),
        DataType::UInt64 => (false, 64),
        _ => return None,
    })
}

/// The number of digits of the largest integer of a type.
fn whole_digits(data_type: &DataType) -> Option<i16> {
    whole_bits(data_type).map(|(_, bits)| match bits {
        0..=8 => 3,
        9..=16 => 5,
        17..=32 => 10,
        63 => 19,
        _ => 20,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_lacks_is_nullable_at_any_depth() {
        let int = |name: &str| Field::new(name, DataType::Int32, false);
        let list_of = |fields: Vec<Field>| {
            let item = Field::new("item", DataType::Struct(fields.into()), false);
            Arc::new(Field::new("x", DataType::List(Arc::new(item)), false))
        };
        let both = list_of(vec![int("a"), int("b").with_nullable(true), int("c").with_nullable(true)]);
        let (one, other) = (list_of(vec![int("a"), int("b")]), list_of(vec![int("a"), int("c")]));
        assert_eq!(common_column(&one, &other), Ok(both));
        let nulls = Arc::new(Field::new("n", DataType::Null, false));
        let whole = Arc::new(int("n"));
        for (column, own) in [(&nulls, &whole), (&whole, &nulls)] {
            assert_eq!(common_column(column, own), Ok(Arc::new(int("n").with_nullable(true))));
        }
        assert_eq!(common_column(&whole, &whole), Ok(Arc::clone(&whole)));
    }

    #[test]
    fn a_type_holds_another_if_no_value_changes() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (wide, narrow) in [
            (DataType::Int64, DataType::Int32),
            (DataType::Int64, DataType::UInt32),
            (DataType::Float64, DataType::Int32),
            (DataType::Float64, DataType::Float32),
            (DataType::Float32, DataType::UInt16),
            (DataType::Decimal128(12, 2), DataType::Int32),
            (DataType::Decimal128(12, 3), DataType::Decimal128(10, 2)),
            (DataType::Decimal128(38, 0), DataType::UInt64),
            (DataType::Utf8, DataType::LargeUtf8),
            (DataType::Utf8, DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
            (micros(Some("UTC")), micros(None)),
            (micros(Some("UTC")), DataType::Timestamp(TimeUnit::Millisecond, Some("+01:00".into()))),
            (DataType::Date32, DataType::Null),
        ] {
            assert!(can_hold(&wide, &narrow), "{wide} {narrow}");
            assert!(!can_hold(&narrow, &wide) || (wide == DataType::Utf8), "{narrow} {wide}");
        }
        for (wide, narrow) in [
            (DataType::Int32, DataType::UInt32),
            (DataType::UInt64, DataType::Int8),
            (DataType::Float64, DataType::Int64),
            (DataType::Float32, DataType::Int32),
            (DataType::Decimal128(10, 2), DataType::Decimal128(10, 3)),
            (DataType::Decimal128(10, 3), DataType::Decimal128(10, 2)),
            (DataType::Decimal128(10, 2), DataType::Int32),
            (micros(None), micros(Some("UTC"))),
            (micros(None), DataType::Timestamp(TimeUnit::Nanosecond, None)),
            (DataType::Date32, micros(None)),
            (DataType::Int64, DataType::Utf8),
            (DataType::Utf8, DataType::Binary),
        ] {
            assert!(!can_hold(&wide, &narrow), "{wide} {narrow}");
        }
    }
}
