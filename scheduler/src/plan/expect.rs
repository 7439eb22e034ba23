//! What a stage expects of its rows, against the columns that they will have.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::prelude::SessionContext;
use windlass_base::engine_terms::with_sql_types;
use windlass_base::error::ErrorCode;
use windlass_base::suggest::did_you_mean;
use windlass_project::expect::{Expectation, Rule};
use windlass_project::graph::Stage;
use windlass_project::spec::Problem;

use super::checks::type_of;
use super::complaint::Complaint;
use super::error::PlanError;
use super::stage_error::StageError;

/// The code of an expectation that does not fit the columns of its stage, or of the node that it refers to.
const DOES_NOT_FIT: ErrorCode = ErrorCode("WL1031");

/// Refuses expectations that cannot be looked at in rows of these columns. `context` knows what the stage reads.
///
/// # Errors
/// [`StageError::Problems`] with everything that does not fit.
pub(super) async fn check(context: &SessionContext, stage: &Stage, columns: &SchemaRef) -> Result<(), StageError> {
    let mut problems = Vec::new();
    for expectation in &stage.expectations {
        let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
        let mut missing = false;
        for column in expectation.rule.columns() {
            if !names.contains(&column) {
                missing = true;
                problems.push(unknown(expectation, stage.name.as_str(), column, &names));
            }
        }
        if let Rule::References { to, key, .. } = &expectation.rule {
            let schema = context.table(to.as_str()).await.map(|table| table.schema().as_arrow().clone());
            let schema = schema.map_err(|source| PlanError::Engine { stage: stage.name.clone(), source })?;
            let there: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let unknown_keys = key.iter().filter(|column| !there.contains(&column.as_str()));
            problems.extend(unknown_keys.map(|column| unknown(expectation, to.as_str(), column, &there)));
        }
        let Some(condition) = expectation.rule.condition().filter(|_| !missing) else { continue };
        let reason = match type_of(context, &condition, columns) {
            Ok(DataType::Boolean) => continue,
            Ok(other) => format!("it yields {}, not a boolean", with_sql_types(&other.to_string())),
            Err(error) => Complaint::of(&error, None).message.lines().collect::<Vec<_>>().join(" "),
        };
        let message = format!("`{}` cannot be checked in rows of `{}`: {reason}", expectation.name, stage.name);
        let problem = Problem::new(DOES_NOT_FIT, message).at(&expectation.span);
        problems.push(problem.help("write values of the column's type, or a condition over the stage's columns"));
    }
    StageError::check(problems)
}

fn unknown(expectation: &Expectation, node: &str, column: &str, names: &[&str]) -> Problem {
    let message = format!("`{}` names `{column}`, which `{node}` does not have", expectation.name);
    let mut problem = Problem::new(DOES_NOT_FIT, message).at(&expectation.span);
    problem.help = did_you_mean(column, "it has", names.iter().copied());
    problem
}
