//! The table that a stage wants, from the columns of its query.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use windlass_base::error::Coded;
use windlass_delta::table::TableDefinition;
use windlass_project::graph::Stage;
use windlass_project::spec::Problem;

use super::problem::BAD_QUERY;
use super::request::{PlanRequest, table_location};
use super::stage_error::StageError;

/// The table that a stage wants, and the columns that its readers will find there.
pub(super) fn definition(
    request: &PlanRequest,
    stage: &Stage,
    schema: &Schema,
) -> Result<(TableDefinition, SchemaRef), StageError> {
    let settings = &stage.table;
    let table = TableDefinition {
        location: table_location(request, stage)?,
        schema: as_nullable(schema),
        partition_by: settings.partition_by.clone(),
        properties: settings.properties.clone(),
        not_null: settings.not_null.clone(),
        constraints: settings.constraints.clone(),
        comment: stage.description.clone(),
    };
    match table.table_schema() {
        Ok(schema) => Ok((table, schema)),
        Err(error) => {
            let message = error.to_string();
            let place = request.graph.place_of(stage, &message);
            let mut problem = Problem::new(BAD_QUERY, message).at(&place);
            problem.help = error.help();
            Err(problem.into())
        }
    }
}

/// Columns that may all hold null: what the planner happens to know about nulls is no promise of the author's.
pub(super) fn as_nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}
