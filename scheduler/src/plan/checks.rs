//! What a stage's query and key must keep to, whatever its rows are.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_base::engine_terms::with_sql_types;
use windlass_base::error::ErrorCode;
use windlass_base::suggest::did_you_mean;
use windlass_engine::session::limits::PlanLimit;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::Problem;
use windlass_project::spec::table::Incremental;

use super::complaint::Complaint;
use super::error::PlanError;
use super::physical::{Unplannable, physical_query};
use super::problem::{BAD_QUERY, NOT_PLANNABLE, problem};
use super::stage_error::StageError;

/// The code of a name that is kept for internal use.
const RESERVED_NAME: ErrorCode = ErrorCode("WL0658");
/// What such a name begins with.
const RESERVED: &str = "__wl_";
/// The code of a key that names no column of the result.
const NO_KEY_COLUMN: ErrorCode = ErrorCode("WL0366");
/// The code of a constraint that does not fit the columns.
const BAD_CONSTRAINT: ErrorCode = ErrorCode("WL0425");
/// The code of a key with a column whose values cannot be compared.
const NO_KEY_TYPE: ErrorCode = ErrorCode("WL0668");

/// The plan of a query once the engine has optimized it, by which it settles the types of its columns.
///
/// # Errors
/// [`StageError::Problems`] if the types do not fit.
pub(super) fn optimized(
    context: &SessionContext,
    stage: &Stage,
    plan: &LogicalPlan,
) -> Result<LogicalPlan, StageError> {
    Ok(context.state().optimize(plan).map_err(|error| problem(stage, &error))?)
}

/// That the query can be run at all, whatever it reads when it does.
///
/// # Errors
/// [`StageError::Problems`] with what stands against it.
pub(super) async fn check_runs(context: &SessionContext, stage: &Stage, plan: &LogicalPlan) -> Result<(), StageError> {
    match physical_query(&context.state(), plan).await {
        Ok(_) => Ok(()),
        // Storage that fails now need not fail when the stage runs, which tries again.
        Err(error) if is_of_storage(&error) => Ok(()),
        Err(error) => {
            let mut problem = problem(stage, &error);
            if problem.code == BAD_QUERY {
                problem.code = NOT_PLANNABLE;
                problem.message = format!("`{}` cannot be run: {}", stage.name, problem.message);
            }
            Err(problem.into())
        }
    }
}

fn is_of_storage(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => true,
        DataFusionError::External(_) => PlanLimit::find_in(error).is_none() && Unplannable::find_in(error).is_none(),
        _ => false,
    }
}

/// Whether no column or relation of a query, as it was written, has a name that plans made of it need for themselves.
pub(super) fn check_names(stage: &Stage, plan: &LogicalPlan) -> Result<(), StageError> {
    let mut found = BTreeSet::new();
    // What calls of our own functions are named by is no name that plans go by.
    let is_reserved = |name: &&str| name.to_lowercase().starts_with(RESERVED) && !name.contains('(');
    let walked = plan.apply_with_subqueries(|node| {
        let schema = node.schema();
        let relations = schema.iter().filter_map(|(relation, _)| relation.map(TableReference::table));
        found.extend(relations.filter(is_reserved).map(ToOwned::to_owned));
        // Other nodes hand on the columns of tables, read or not.
        if matches!(
            node,
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Values(_)
        ) {
            let made = schema.fields().iter().map(|field| field.name().as_str());
            found.extend(made.filter(is_reserved).map(ToOwned::to_owned));
        }
        node.apply_expressions(|expression| {
            let read = expression.column_refs().into_iter().map(|column| column.name.as_str());
            found.extend(read.filter(is_reserved).map(ToOwned::to_owned));
            Ok(TreeNodeRecursion::Continue)
        })
    });
    walked.map_err(|source| PlanError::Engine { stage: stage.name.clone(), source })?;
    let problems: Vec<Problem> = found
        .into_iter()
        .map(|name| {
            let message =
                format!("`{}` has the name `{name}`, and names with `{RESERVED}` are for internal use", stage.name);
            Problem::new(RESERVED_NAME, message).at(&stage.span).help("give the column or the relation another name")
        })
        .collect();
    StageError::check(problems)
}

/// Whether the key of a stage names columns of its table, whose values can be compared if the stage is incremental.
pub(super) fn check_key(graph: &PipelineGraph, stage: &Stage, columns: &SchemaRef) -> Result<(), StageError> {
    let is_incremental = stage.table.incremental != Incremental::Off;
    let missing = stage.table.key.iter().filter(|column| columns.index_of(column).is_err());
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    let problems: Vec<Problem> = missing
        .map(|column| {
            let message = format!("`{}` has no column `{column}` for its key", stage.name);
            let place = graph.place_of(stage, &message);
            let mut problem = Problem::new(NO_KEY_COLUMN, message).at(&place);
            problem.help = did_you_mean(column, "it has", names.clone());
            problem
        })
        .chain(
            stage
                .table
                .key
                .iter()
                .filter(|_| is_incremental)
                .filter(|column| columns.field_with_name(column).is_ok_and(|field| has_map(field.data_type())))
                .map(|column| {
                    let message = format!("`{column}` cannot be part of the key of `{}`: it holds a map", stage.name);
                    let place = graph.place_of(stage, &message);
                    let problem = Problem::new(NO_KEY_TYPE, message).at(&place);
                    problem.help("maps cannot be compared; take another column, or a text or a struct made of the map")
                }),
        )
        .collect();
    StageError::check(problems)
}

/// Whether each constraint of the stage's table is a condition over its columns.
pub(super) fn check_constraints(
    context: &SessionContext,
    graph: &PipelineGraph,
    stage: &Stage,
    columns: &SchemaRef,
) -> Result<(), StageError> {
    let mut problems = Vec::new();
    for (name, text) in &stage.table.constraints {
        let (reason, help) = match type_of(context, text, columns) {
            Ok(DataType::Boolean) => continue,
            Ok(other) => (format!("it yields {}, not a boolean", with_sql_types(&other.to_string())), None),
            Err(error) => {
                let complaint = Complaint::of(&error, Some(text));
                (complaint.message.lines().collect::<Vec<_>>().join(" "), complaint.help)
            }
        };
        let message = format!("the constraint `{name}` cannot be checked in rows of `{}`: {reason}", stage.name);
        let place = graph.place_of(stage, &message);
        let help = help.unwrap_or_else(|| "write a boolean SQL expression over the table's columns".to_owned());
        problems.push(Problem::new(BAD_CONSTRAINT, message).at(&place).help(help));
    }
    StageError::check(problems)
}

/// The type of a condition on rows of `columns`.
///
/// # Errors
/// The engine's, if it does not fit them.
pub(super) fn type_of(
    context: &SessionContext,
    condition: &str,
    columns: &SchemaRef,
) -> Result<DataType, DataFusionError> {
    let schema = DFSchema::try_from(SchemaRef::clone(columns))?;
    let state = context.state();
    let condition = state.create_physical_expr(state.create_logical_expr(condition, &schema)?, &schema)?;
    condition.data_type(schema.as_arrow())
}

/// Whether values of a column hold maps, of which nothing tells if they are equal.
fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
