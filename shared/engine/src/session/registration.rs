//! The columns of a registered table as recorded in the run's evidence.

use datafusion::arrow::datatypes::{FieldRef, Schema};
use windlass_evidence::artifact::ColumnRecord;

/// The columns of `schema`.
pub(super) fn columns(schema: &Schema) -> Vec<ColumnRecord> {
    let record = |field: &FieldRef| ColumnRecord {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(record).collect()
}
