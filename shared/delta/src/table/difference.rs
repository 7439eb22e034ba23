//! How a table and its definition differ.

use datafusion::arrow::datatypes::Schema;

use super::{ExistingTable, TableDefinition};
use crate::error::Difference;
use crate::schema::type_name;

/// Every difference between the wanted columns, partitioning and constraints and those that the log has. The order of
/// columns does not matter, nor do properties and constraints that the table has besides.
pub(super) fn differences(wanted: &Schema, definition: &TableDefinition, existing: &ExistingTable) -> Vec<Difference> {
    let mut differences = Vec::new();
    for field in wanted.fields() {
        let column = field.name().clone();
        let Ok(field_in_table) = existing.schema.field_with_name(field.name()) else {
            differences.push(Difference::NewColumn(column));
            continue;
        };
        if field_in_table.data_type() != field.data_type() {
            let (wanted, found) = (type_name(field.data_type()), type_name(field_in_table.data_type()));
            differences.push(Difference::ColumnType { column, wanted, found });
        } else if field_in_table.is_nullable() != field.is_nullable() {
            differences.push(Difference::Nullability { column, wanted_not_null: !field.is_nullable() });
        }
    }
    let missing = existing.schema.fields().iter().filter(|field| wanted.field_with_name(field.name()).is_err());
    differences.extend(missing.map(|field| Difference::MissingColumn(field.name().clone())));
    if definition.partition_by != existing.partition_by {
        let (wanted, found) = (definition.partition_by.clone(), existing.partition_by.clone());
        differences.push(Difference::PartitionColumns { wanted, found });
    }
    for (name, condition) in &definition.constraints {
        let current = existing.constraints.get(name);
        if current != Some(condition) {
            let (wanted, found) = (condition.clone(), current.cloned());
            differences.push(Difference::Constraint { name: name.clone(), wanted, found });
        }
    }
    differences
}
