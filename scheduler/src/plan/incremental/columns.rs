//! Expressions moved from the output of an operator to its input.

use std::collections::HashSet;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, plan_datafusion_err};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use windlass_delta::values::{identity, value_of};

/// The `index`-th column of `schema` such that rows are alike only if they are so bit by bit: a change from 0.0 to -0.0 is
/// one, since a query can tell. Under the column's name.
pub(super) fn identified(schema: &DFSchema, index: usize) -> Expr {
    let column = Column::from(schema.qualified_field(index));
    let told_apart = identity(Expr::Column(column.clone()), schema.field(index).data_type());
    called(told_apart, column)
}

/// The column of `schema` whose bits the `index`-th column of keys tells, under the column's name.
pub(super) fn restored(key: Expr, schema: &DFSchema, index: usize) -> Result<Expr> {
    Ok(called(value_of(key, schema.field(index).data_type())?, Column::from(schema.qualified_field(index))))
}

fn called(expr: Expr, name: Column) -> Expr {
    if matches!(&expr, Expr::Column(column) if *column == name) {
        return expr;
    }
    expr.alias_qualified(name.relation, name.name)
}

/// The name of the `index`-th column of a plan of keys.
pub(super) fn key_name(index: usize) -> String {
    format!("__wl_k{index}")
}

/// The `index`-th column of a plan of keys.
pub(super) fn key_column(index: usize) -> Expr {
    Expr::Column(Column::new_unqualified(key_name(index)))
}

/// The `index`-th column of `schema` as an expression.
pub(super) fn column_at(schema: &DFSchema, index: usize) -> Expr {
    Expr::Column(Column::from(schema.qualified_field(index)))
}

/// The expression without the name that it was given.
pub(super) fn unnamed(expr: &Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => unnamed(&alias.expr),
        other => other.clone(),
    }
}

/// `expr` with every column replaced by what `by` makes of its place in `schema`.
pub(super) fn replace<E: From<DataFusionError>>(
    expr: &Expr,
    schema: &DFSchema,
    mut by: impl FnMut(usize) -> Result<Expr, E>,
) -> Result<Expr, E> {
    let mut failure = None;
    let replaced = expr.clone().transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        let Some(index) = schema.maybe_index_of_column(column) else {
            return Err(plan_datafusion_err!("there is no column {column} to trace"));
        };
        match by(index) {
            Ok(other) => Ok(Transformed::yes(other)),
            Err(error) => {
                failure.get_or_insert(error);
                Ok(Transformed::no(expr))
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(replaced.map_err(E::from)?.data),
    }
}

/// `exprs` over `from`, a schema with the same columns under other names, as expressions over `to`.
pub(super) fn renamed(exprs: &[Expr], from: &DFSchema, to: &DFSchema) -> Result<Vec<Expr>> {
    exprs.iter().map(|expr| replace(expr, from, |index| Ok(column_at(to, index)))).collect()
}

/// The columns that `exprs` use, each once, in the order of `schema`.
pub(super) fn columns_of<'e>(exprs: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> Vec<Column> {
    let used: HashSet<usize> = exprs
        .into_iter()
        .flat_map(Expr::column_refs)
        .filter_map(|column| schema.maybe_index_of_column(column))
        .collect();
    let mut used: Vec<usize> = used.into_iter().collect();
    used.sort_unstable();
    used.into_iter().map(|index| Column::from(schema.qualified_field(index))).collect()
}

/// Whether `expr` uses columns of `schema` alone.
pub(super) fn is_over(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs().iter().all(|column| schema.maybe_index_of_column(column).is_some())
}

/// `plan` with the columns that `exprs` make, named as those of keys.
pub(super) fn project_keys(plan: LogicalPlan, exprs: &[Expr]) -> Result<LogicalPlan> {
    let named = exprs.iter().enumerate().map(|(index, expr)| unnamed(expr).alias(key_name(index)));
    LogicalPlanBuilder::from(plan).project(named)?.build()
}

/// A plan of keys with its columns named `columns`.
pub(super) fn name_keys(keys: LogicalPlan, columns: &[Column]) -> Result<LogicalPlan> {
    let named = columns
        .iter()
        .enumerate()
        .map(|(index, column)| key_column(index).alias_qualified(column.relation.clone(), column.name.clone()));
    LogicalPlanBuilder::from(keys).project(named)?.build()
}

/// All rows of plans of keys; `None` if there is none.
pub(super) fn union_all(plans: Vec<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let mut plans = plans.into_iter();
    let Some(first) = plans.next() else { return Ok(None) };
    let all = plans.try_fold(LogicalPlanBuilder::from(first), |all, plan| all.union(plan))?;
    all.build().map(Some)
}
