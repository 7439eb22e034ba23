//! A stage's result as its table will hold it: everything that looks for rows, compares or counts them does so on these
//! values (docs/values.md).

use std::collections::BTreeSet;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use windlass_delta::stored_type;
use windlass_delta::values::{is_changed_by_storing, stored};
use windlass_project::graph::Stage;
use windlass_project::spec::table::Materialize;

/// The plan of a stage's query with the values that are stored in place of those that come out. The rows of a view are
/// stored nowhere.
///
/// # Errors
/// The engine's, if it refuses the plan.
pub(super) fn as_stored(context: &SessionContext, stage: &Stage, plan: LogicalPlan) -> Result<LogicalPlan> {
    if stage.materialize == Materialize::View {
        return Ok(plan);
    }
    let state = context.state();
    // Only the analysis settles the types of unions and literals. What is wrong with a plan is told when it is optimized.
    let Ok(settled) = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {}) else {
        return Ok(plan);
    };
    // What no table can hold is refused where the table is defined, and so are two columns of one name.
    let changes = |data_type| is_changed_by_storing(data_type) && stored_type(data_type).is_ok();
    let changes: Vec<bool> = settled.schema().fields().iter().map(|field| changes(field.data_type())).collect();
    let names: BTreeSet<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
    if !changes.contains(&true) || changes.len() != plan.schema().fields().len() || names.len() != changes.len() {
        return Ok(plan);
    }
    let columns = plan.schema().iter().zip(changes).map(|((qualifier, field), changes)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if changes { stored(column).alias(field.name()) } else { column }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
