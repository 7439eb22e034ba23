//! A stage's contract on the columns that its query makes, and on the table that is there.

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::prelude::SessionContext;
use windlass_base::error::{Coded, ErrorCode};
use windlass_delta::table::contract_columns;
use windlass_delta::write::WriteError;
use windlass_engine::session::contract_data_type;
use windlass_project::contract::{Column, Contract, ProjectedColumn, Violation};
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::{Problem, Problems};

use super::checks::optimized;
use super::error::PlanError;
use super::input::Inputs;
use super::problem::BAD_QUERY;
use super::stage_error::StageError;

/// The code of a query whose columns do not keep to the contract.
const QUERY_BREAKS: ErrorCode = ErrorCode("WL1001");
/// The code of a source whose columns do not keep to its contract.
const SOURCE_BREAKS: ErrorCode = ErrorCode("WL1006");
/// The code of a table that must not become what the contract says now.
const TABLE_BREAKS: ErrorCode = ErrorCode("WL1002");

/// The plan of a stage's query with the columns that its contract asks for: others left out, wider types cast to.
///
/// # Errors
/// [`StageError::Problems`] with every column that does not keep to the contract.
pub(super) fn keep(context: &SessionContext, stage: &Stage, plan: LogicalPlan) -> Result<LogicalPlan, StageError> {
    let Some(contract) = stage.contract.as_ref().map(|contract| contract.value.as_ref()) else { return Ok(plan) };
    // Only the optimizer settles the types of unions and literals.
    let settled = optimized(context, stage, &plan)?;
    let columns = columns(stage, settled.schema().as_arrow())?;
    let fit = match contract.project(&columns) {
        Ok(fit) => fit,
        Err(violations) => {
            let help = "change the query, or write the next `version` of the contract and let the stage name it";
            StageError::check(broken(stage, contract, &violations, QUERY_BREAKS, help))?;
            return Ok(plan);
        }
    };
    if fit.changes_nothing(&columns) {
        return Ok(plan);
    }
    let expressions: Vec<Expr> = fit.columns.iter().filter_map(|kept| expression(&plan, kept)).collect();
    let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
    Ok(LogicalPlanBuilder::from(plan).project(expressions).and_then(LogicalPlanBuilder::build).map_err(engine)?)
}

/// A column of the plan in the type that is asked for.
fn expression(plan: &LogicalPlan, kept: &ProjectedColumn) -> Option<Expr> {
    let index = plan.schema().index_of_column_by_name(None, &kept.name)?;
    let column = Expr::Column(PlanColumn::from(plan.schema().qualified_field(index)));
    Some(match &kept.cast {
        Some(wider) => cast(column, contract_data_type(wider)).alias(&kept.name),
        None => column,
    })
}

/// Refuses a table with the columns `table` that must not become one with the columns `new`.
///
/// # Errors
/// [`StageError::Problems`] with every column that stands against it.
pub(super) fn check_table(stage: &Stage, table: &Schema, new: &Schema) -> Result<(), StageError> {
    let Some(contract) = stage.contract.as_ref().map(|contract| contract.value.as_ref()) else { return Ok(()) };
    let violations = contract.check_evolution(&columns(stage, table)?, &columns(stage, new)?);
    let help = format!(
        "`windlass run --full-refresh {}` rebuilds the table as the contract says; tell its readers before",
        stage.name
    );
    StageError::check(broken(stage, contract, &violations, TABLE_BREAKS, &help))
}

/// Refuses sources that do not hold what their contracts say.
///
/// # Errors
/// [`PlanError::Sql`] with every column of every source that does not conform to its contract.
pub(super) fn check_sources(graph: &PipelineGraph, inputs: &Inputs) -> Result<(), PlanError> {
    let mut problems = Vec::new();
    for (name, source) in &graph.sources {
        let (Some(contract), Some(input)) = (&source.contract, inputs.pinned_input(name)) else { continue };
        let label = contract.value.label();
        let violations = match contract_columns(&input.provider.schema()) {
            Ok(columns) => {
                contract.value.project(&columns).err().unwrap_or_default().iter().map(ToString::to_string).collect()
            }
            Err(error) => vec![error.to_string()],
        };
        problems.extend(violations.into_iter().map(|violation| {
            let message = format!("the source `{name}` breaks its contract `{label}`: {violation}");
            let problem = Problem::new(SOURCE_BREAKS, message).label(&contract.span, "this contract");
            problem.help("read another version of the source, or write the next `version` of the contract")
        }));
    }
    Ok(Problems::check(problems, &graph.files)?)
}

fn columns(stage: &Stage, schema: &Schema) -> Result<Vec<Column>, StageError> {
    contract_columns(schema).map_err(|error: WriteError| {
        let mut problem = Problem::new(BAD_QUERY, error.to_string()).at(&stage.span);
        problem.help = error.help();
        problem.into()
    })
}

/// A problem a violation, each at the stage and at the place that names the contract.
fn broken(stage: &Stage, contract: &Contract, violations: &[Violation], code: ErrorCode, help: &str) -> Vec<Problem> {
    let problem = |violation: &Violation| {
        let message = format!("`{}` breaks its contract `{}`: {violation}", stage.name, contract.label());
        let problem = Problem::new(code, message);
        match &stage.contract {
            Some(named) => problem.label(&named.span, "this contract").help(help),
            None => problem.help(help),
        }
    };
    violations.iter().map(problem).collect()
}
