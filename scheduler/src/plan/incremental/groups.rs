//! Rows of a result that are computed together.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::blocker::unless_blocked;
use super::columns::{column_at, key_column, unnamed};
use super::inputs::ChangedInputs;
use super::trace::{Tracer, partition_of};

/// Rows of the result of which all are computed again if one is: those that are alike in some columns.
#[derive(Debug, Clone)]
pub struct TouchedGroups {
    /// The columns.
    pub columns: Vec<String>,
    /// Their values, distinct, in the groups that the changes can have touched; in columns of the same names.
    pub keys: LogicalPlan,
}

/// What the windows of `plan` compute together, if that can be told by the columns of the result, and which of it the
/// changes can have touched. Windows below a join or an aggregation do not count.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn touched_groups(plan: &LogicalPlan, changes: &ChangedInputs) -> Result<Vec<TouchedGroups>> {
    let schema = plan.schema();
    let columns =
        (0..schema.fields().len()).map(|index| (column_at(schema, index), schema.field(index).name().clone()));
    let mut found = Vec::new();
    of_windows(plan, columns.collect(), &Tracer::new(changes), &mut found)?;
    Ok(found)
}

/// Whether a window of `plan` goes over all rows of something that the changes touch: then any row of the result can be
/// another one.
///
/// # Errors
/// The engine's, if the plan cannot be walked.
pub fn spans_all(plan: &LogicalPlan, changes: &ChangedInputs) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::Window(window) => {
            let is_whole = window.window_expr.iter().any(|function| partition_of(function).is_empty());
            Ok(is_whole && changes.touch(&window.input)?)
        }
        _ => Ok(false),
    })
}

/// `names` has the columns of `plan` that are columns of the result, with their names there.
fn of_windows(
    plan: &LogicalPlan,
    names: Vec<(Expr, String)>,
    tracer: &Tracer<'_>,
    found: &mut Vec<TouchedGroups>,
) -> Result<()> {
    let below = |column: &dyn Fn(usize) -> Option<Expr>| -> Vec<(Expr, String)> {
        let place = |expr: &Expr| match expr {
            Expr::Column(own) => plan.schema().maybe_index_of_column(own),
            _ => None,
        };
        names.iter().filter_map(|(expr, name)| Some((column(place(expr)?)?, name.clone()))).collect()
    };
    match plan {
        LogicalPlan::Projection(projection) => {
            let columns = below(&|index| Some(unnamed(&projection.expr[index])));
            of_windows(&projection.input, columns, tracer, found)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let columns = below(&|index| Some(column_at(alias.input.schema(), index)));
            of_windows(&alias.input, columns, tracer, found)
        }
        LogicalPlan::Filter(filter) => of_windows(&filter.input, names, tracer, found),
        LogicalPlan::Sort(sort) => of_windows(&sort.input, names, tracer, found),
        LogicalPlan::Window(window) => {
            for function in &window.window_expr {
                let partition = partition_of(function);
                let name = |expr: &Expr| names.iter().find(|(own, _)| own == expr).map(|(_, name)| name.clone());
                let columns: Option<Vec<String>> = partition.iter().map(name).collect();
                let Some(columns) = columns.filter(|columns| !columns.is_empty()) else { continue };
                if found.iter().any(|group| group.columns == columns) {
                    continue;
                }
                if let Some(Some(keys)) = unless_blocked(tracer.changed(&window.input, &partition))? {
                    let named = columns.iter().enumerate().map(|(index, name)| key_column(index).alias(name));
                    let keys = LogicalPlanBuilder::from(keys).project(named)?.distinct()?.build()?;
                    found.push(TouchedGroups { columns, keys });
                }
            }
            let inputs = window.input.schema().fields().len();
            let columns = below(&|index| (index < inputs).then(|| column_at(window.input.schema(), index)));
            of_windows(&window.input, columns, tracer, found)
        }
        _ => Ok(()),
    }
}

/// Whether the rows of the result are those of an aggregation, one a group, with none left out afterwards: then a table
/// with these rows tells how many groups there are.
pub fn has_all_groups(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => !aggregate.group_expr.is_empty(),
        LogicalPlan::Distinct(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_) => {
            plan.inputs().into_iter().all(has_all_groups)
        }
        _ => false,
    }
}
