//! Which way of bringing a table up to date fits a stage's query.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Volatility, lit};
use windlass_project::strategy::Strategy;

use super::blocker::{Blocker, TraceError, unless_blocked};
use super::bounds::Bounds;
use super::columns::column_at;
use super::inputs::ChangedInputs;
use super::restrict::{Keys, restrict};
use super::row_wise::is_row_wise;
use super::trace::Tracer;

/// What the strategy for a stage is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct StrategyRequest<'s> {
    /// The optimized plan of the stage's query.
    pub plan: &'s LogicalPlan,
    /// The columns that identify a row, or the partition that is replaced as a whole.
    pub key: &'s [String],
    /// The table's partition columns.
    pub partition_by: &'s [String],
    /// Whether rows may only be added to the table.
    pub append_only: bool,
    /// Whether changes that are in the table's rows come once more: what they touched is computed from the inputs.
    pub again: bool,
    /// Whether other rows of the inputs decide if a row goes into the table, so that the changed ones alone do not tell.
    pub among_rows: bool,
}

/// How a table is brought up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// The columns of the key by which rows are found that have to be computed again; the whole key, or as much of it as
    /// changes can be followed to. For append and row-wise, empty.
    pub replace_by: Vec<String>,
}

/// Chooses the strategy.
///
/// # Errors
/// [`TraceError::Blocked`] with what stands against all but computing everything again.
pub fn choose(request: StrategyRequest<'_>, changes: &ChangedInputs) -> Result<Choice, TraceError> {
    let plan = request.plan;
    let row_wise = is_row_wise(plan);
    let by_changes_alone = row_wise && !request.again && !request.among_rows;
    let choice = |strategy, replace_by: &[String]| Ok(Choice { strategy, replace_by: replace_by.to_vec() });
    if by_changes_alone && changes.insert_only() {
        return choice(Strategy::Append, &[]);
    }
    if request.append_only {
        let reason = match (row_wise, request.again, request.among_rows) {
            (true, true, _) => "rows that are already applied would be added again",
            (true, false, true) => "an existing row may have to go to quarantine, and rows can only be added",
            (true, false, false) => "its inputs have updated or deleted rows, and rows can only be added",
            (false, ..) => "an existing row may change, and rows can only be added",
        };
        return Err(TraceError::Blocked(Blocker::new("`mode: append`", reason)));
    }
    if request.key.is_empty() {
        return Err(TraceError::Blocked(Blocker::new("the table", "it has no `key` by which rows can be replaced")));
    }
    let whole_partitions = request.key.iter().all(|column| request.partition_by.contains(column));
    if by_changes_alone && !whole_partitions {
        return choice(Strategy::RowWise, &[]);
    }
    let tracer = Tracer::new(changes);
    let mut replace_by = Vec::new();
    let mut first = None;
    for column in request.key {
        let index = plan.schema().index_of_column_by_name(None, column);
        let Some(index) = index else { continue };
        match tracer.changed(plan, &[column_at(plan.schema(), index)]) {
            Ok(_) => replace_by.push(column.clone()),
            Err(TraceError::Blocked(blocker)) => drop(first.get_or_insert(blocker)),
            Err(error) => return Err(error),
        }
    }
    if whole_partitions && replace_by.len() == request.key.len() && !request.among_rows {
        return choice(Strategy::PartitionReplace, &replace_by);
    }
    match first {
        Some(blocker) if replace_by.is_empty() => Err(TraceError::Blocked(blocker)),
        _ => {
            // Columns that can be followed one by one can be followed together, but for joins of both sides.
            let replace_by = together(plan, &tracer, replace_by)?;
            choice(Strategy::AffectedKeys, &replace_by)
        }
    }
}

/// As many of `columns`, from the first, as can be followed at the same time.
fn together(plan: &LogicalPlan, tracer: &Tracer<'_>, columns: Vec<String>) -> Result<Vec<String>, TraceError> {
    for count in (1..=columns.len()).rev() {
        let exprs = key_exprs(plan, &columns[..count]);
        if unless_blocked(tracer.changed(plan, &exprs))?.is_some() {
            return Ok(columns[..count].to_vec());
        }
    }
    Ok(columns.into_iter().take(1).collect())
}

/// The columns of a plan by their names.
pub(super) fn key_exprs(plan: &LogicalPlan, columns: &[String]) -> Vec<Expr> {
    let schema = plan.schema();
    let place = |column: &String| schema.index_of_column_by_name(None, column);
    columns.iter().filter_map(place).map(|index| column_at(schema, index)).collect()
}

/// The keys of all rows that can have changed, distinct, in columns named as those of the table, and perhaps with nulls;
/// `None` if nothing can have changed.
///
/// # Errors
/// As [`Tracer::changed`].
pub fn affected_keys(
    plan: &LogicalPlan,
    columns: &[String],
    changes: &ChangedInputs,
) -> Result<Option<LogicalPlan>, TraceError> {
    let exprs = key_exprs(plan, columns);
    let Some(keys) = Tracer::new(changes).changed(plan, &exprs)? else { return Ok(None) };
    let named = columns.iter().enumerate().map(|(index, name)| super::columns::key_column(index).alias(name));
    Ok(Some(LogicalPlanBuilder::from(keys).project(named)?.distinct()?.build()?))
}

/// The rows of `plan` whose `columns` are in `keys`, a plan with columns of those names.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn rows_of_keys(plan: &LogicalPlan, columns: &[String], keys: &LogicalPlan) -> Result<LogicalPlan> {
    let own: Vec<Expr> = key_exprs(keys, columns);
    let keys = Keys {
        plan: super::columns::project_keys(keys.clone(), &own)?,
        nulls: NullEquality::NullEqualsNothing,
        bounds: own.iter().map(|column| Bounds::of(keys, column)).collect(),
    };
    let on: Vec<(Expr, usize)> = key_exprs(plan, columns).into_iter().zip(0..).collect();
    let nothing = ChangedInputs::default();
    restrict(plan, &on, &keys, &Tracer::new(&nothing))
}

/// The rows of `plan` whose `columns` are in those of `keys` in which one is null. No table has such a row: they are to be
/// found and refused.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn rows_of_null_keys(plan: &LogicalPlan, columns: &[String], keys: &LogicalPlan) -> Result<LogicalPlan> {
    let own: Vec<Expr> = key_exprs(keys, columns);
    let has_null = own.iter().cloned().map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
    let with_null = LogicalPlanBuilder::from(keys.clone()).filter(has_null)?.build()?;
    let keys = Keys::new(super::columns::project_keys(with_null, &own)?, NullEquality::NullEqualsNull);
    let on: Vec<(Expr, usize)> = key_exprs(plan, columns).into_iter().zip(0..).collect();
    let nothing = ChangedInputs::default();
    restrict(plan, &on, &keys, &Tracer::new(&nothing))
}

/// A function of the plan that may give another result when it is called again with the same arguments.
///
/// # Errors
/// The engine's, if the plan cannot be walked.
pub fn first_volatile(plan: &LogicalPlan) -> Result<Option<Blocker>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = volatile_function(expr)?;
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found.map(|function| Blocker::new(function, "it gives a different result in every run".to_owned())))
}

/// A function of the expression that may give another result when it is called again with the same arguments, in words.
///
/// # Errors
/// The engine's, if the expression cannot be walked.
pub fn volatile_function(expr: &Expr) -> Result<Option<String>> {
    let mut found = None;
    expr.apply(|expr| {
        let (volatility, name) = match expr {
            Expr::ScalarFunction(call) => (call.func.signature().volatility, call.func.name()),
            Expr::HigherOrderFunction(call) => (call.func.signature().volatility, call.func.name()),
            Expr::AggregateFunction(call) => (call.func.signature().volatility, call.func.name()),
            Expr::WindowFunction(call) => (call.fun.signature().volatility, call.fun.name()),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        if volatility == Volatility::Immutable {
            return Ok(TreeNodeRecursion::Continue);
        }
        found = Some(format!("the function {name}()"));
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(found)
}
