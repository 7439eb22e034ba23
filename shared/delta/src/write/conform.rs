//! The rows of a plan as the table's columns: by name, in the table's order and types, with the values that are stored.

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::{WriteError, WriteSpec};
use crate::error::Difference;
use crate::schema::{delta_type, type_name};
use crate::values::stored_array;

/// Turns batches of one schema into batches of the table's, with every column nullable and every value as it is
/// [stored](crate::values): whatever way values come to a table, this is the last step.
#[derive(Debug, Clone)]
pub(crate) struct Conform {
    table: String,
    schema: SchemaRef,
    /// For each column of the table, its place in the input.
    places: Vec<usize>,
}

impl Conform {
    /// Matches the columns of `input` with those of the table.
    ///
    /// # Errors
    /// [`WriteError::InputDiffers`] unless both have the same columns and every input type is stored as the table's.
    pub(super) fn new(input: &Schema, spec: &WriteSpec) -> Result<Self, WriteError> {
        Self::prefixed(input, "", spec)
    }

    /// Matches the columns of `input` whose names begin with `prefix` with those of the table: `new.a` with `a`.
    ///
    /// # Errors
    /// [`WriteError::InputDiffers`] unless both have the same columns and every input type is stored as the table's.
    pub(crate) fn prefixed(input: &Schema, prefix: &str, spec: &WriteSpec) -> Result<Self, WriteError> {
        let mut differences = Vec::new();
        let mut places = Vec::with_capacity(spec.schema.fields().len());
        for field in spec.schema.fields() {
            let Ok(place) = input.index_of(&format!("{prefix}{}", field.name())) else {
                differences.push(Difference::MissingColumn(field.name().clone()));
                continue;
            };
            let stored = delta_type(field.name(), input.field(place).data_type())?;
            if stored != *field.data_type() {
                differences.push(Difference::ColumnType {
                    column: field.name().clone(),
                    wanted: type_name(&stored),
                    found: type_name(field.data_type()),
                });
            }
            places.push(place);
        }
        let names = input.fields().iter().filter_map(|field| field.name().strip_prefix(prefix));
        let unknown = names.filter(|name| spec.schema.index_of(name).is_err());
        differences.extend(unknown.map(|name| Difference::NewColumn(name.to_owned())));
        if differences.is_empty() {
            Ok(Self { table: spec.table.clone(), schema: spec.nullable_schema(), places })
        } else {
            Err(WriteError::InputDiffers { table: spec.table.clone(), differences })
        }
    }

    /// `batch` as the table's columns.
    ///
    /// # Errors
    /// [`WriteError::CastValue`] if a value does not fit the table's type.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, WriteError> {
        let columns = self
            .places
            .iter()
            .zip(self.schema.fields())
            .map(|(&place, field)| self.column(batch.column(place), field.name(), field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| WriteError::Encode { what: "a batch of rows".to_owned(), reason: error.to_string() })
    }

    fn column(&self, array: &ArrayRef, column: &str, data_type: &DataType) -> Result<ArrayRef, WriteError> {
        stored_array(array, data_type).map_err(|error| WriteError::CastValue {
            table: self.table.clone(),
            column: column.to_owned(),
            data_type: type_name(data_type),
            reason: error.to_string(),
        })
    }
}
