//! The values that some expressions have in every row of a plan that the changes can have touched.

use std::cell::Cell;

use datafusion::common::{Column, DFSchema, DataFusionError, NullEquality, Result, TableReference};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Union, Unnest, Window, col, lit,
};
use windlass_engine::function::exact::sum_of;

use super::blocker::{TraceError, blocked, unless_blocked};
use super::columns::{
    column_at, columns_of, identified, is_over, key_column, key_name, name_keys, project_keys, renamed, replace,
    restored, union_all, unnamed,
};
use super::inputs::{ChangedInputs, SIGN};
use super::restrict::{Keys, restrict};

/// What tracing an expression through a plan gives: a plan of keys, or nothing if no row can have changed.
pub(super) type Traced = Result<Option<LogicalPlan>, TraceError>;

/// Follows changes through plans.
///
/// With `old` and `new` the rows of a plan before and after the changes, as multisets, [`Tracer::changed`] gives a plan
/// of keys that holds the values of the expressions in every row of `old` without `new` and of `new` without `old`. Only
/// the inputs' change feeds and their new state are read: a row that is in both is found in the new state, any other
/// in the feeds.
pub struct Tracer<'c> {
    pub(super) changes: &'c ChangedInputs,
    names: Cell<usize>,
}

impl<'c> Tracer<'c> {
    /// A tracer of `changes`.
    pub fn new(changes: &'c ChangedInputs) -> Self {
        Self { changes, names: Cell::new(0) }
    }

    /// A name for a relation that no query has.
    pub(super) fn fresh(&self) -> TableReference {
        self.names.set(self.names.get() + 1);
        TableReference::bare(format!("__wl_{}", self.names.get()))
    }

    /// The values of `exprs`, which are over the columns of `plan`, in every row that can have changed; at least those,
    /// perhaps more, and some more than once. The columns are those of keys. `None` if nothing can have changed.
    ///
    /// # Errors
    /// [`TraceError::Blocked`] with the operator through which the expressions cannot be followed.
    pub fn changed(&self, plan: &LogicalPlan, exprs: &[Expr]) -> Traced {
        if !self.changes.touch(plan)? {
            return Ok(None);
        }
        match plan {
            LogicalPlan::TableScan(scan) if scan.fetch.is_some() => no_limit(),
            LogicalPlan::TableScan(scan) => match self.changes.net(scan)? {
                Some(rows) => Ok(Some(project_keys(rows, exprs)?)),
                None => Ok(None),
            },
            LogicalPlan::Projection(projection) => self.projection(projection, exprs),
            LogicalPlan::Filter(filter) => self.filter(filter, exprs),
            LogicalPlan::SubqueryAlias(alias) => {
                self.changed(&alias.input, &renamed(exprs, &alias.schema, alias.input.schema())?)
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_some() => no_limit(),
            LogicalPlan::Sort(sort) => self.changed(&sort.input, exprs),
            LogicalPlan::Repartition(repartition) => self.changed(&repartition.input, exprs),
            LogicalPlan::Distinct(Distinct::All(input)) => self.changed(input, exprs),
            LogicalPlan::Union(union) => self.union(union, exprs),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, exprs),
            LogicalPlan::Window(window) => self.window(window, exprs),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, exprs),
            LogicalPlan::Join(join) => self.join(join, exprs),
            LogicalPlan::Limit(_) => no_limit(),
            LogicalPlan::Distinct(Distinct::On(_)) => blocked("DISTINCT ON", "which row it keeps depends on all rows"),
            LogicalPlan::RecursiveQuery(_) => blocked("a recursive query", "every step can depend on every row"),
            other => blocked(other.display().to_string(), "changes cannot be followed through it"),
        }
    }

    /// The rows of `plan` that can have changed, with the columns that `exprs` use.
    pub(super) fn rows<'e>(&self, plan: &LogicalPlan, exprs: impl IntoIterator<Item = &'e Expr>) -> Traced {
        let columns = columns_of(exprs, plan.schema());
        self.rows_of(plan, &columns)
    }

    fn rows_of(&self, plan: &LogicalPlan, columns: &[Column]) -> Traced {
        let exprs: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
        match self.changed(plan, &exprs)? {
            Some(keys) => Ok(Some(name_keys(keys, columns)?)),
            None => Ok(None),
        }
    }

    fn projection(&self, projection: &Projection, exprs: &[Expr]) -> Traced {
        let inner: Vec<Expr> = exprs
            .iter()
            .map(|expr| {
                replace(expr, &projection.schema, |index| Ok::<_, TraceError>(unnamed(&projection.expr[index])))
            })
            .collect::<Result<_, _>>()?;
        self.changed(&projection.input, &inner)
    }

    /// A row of the filtered rows can have changed only if it passes, before or after. Where the condition cannot be
    /// followed, all rows count.
    fn filter(&self, filter: &Filter, exprs: &[Expr]) -> Traced {
        let mut with_condition = exprs.to_vec();
        with_condition.push(filter.predicate.clone());
        match unless_blocked(self.changed(&filter.input, &with_condition))? {
            Some(Some(keys)) => {
                let keys = LogicalPlanBuilder::from(keys).filter(key_column(exprs.len()))?.build()?;
                let kept: Vec<Expr> = (0..exprs.len()).map(key_column).collect();
                Ok(Some(project_keys(keys, &kept)?))
            }
            Some(None) => Ok(None),
            None => self.changed(&filter.input, exprs),
        }
    }

    fn union(&self, union: &Union, exprs: &[Expr]) -> Traced {
        let mut parts = Vec::new();
        for input in &union.inputs {
            parts.extend(self.changed(input, &renamed(exprs, &union.schema, input.schema())?)?);
        }
        Ok(union_all(parts)?)
    }

    /// A group's row can have changed only if a row of the group has.
    fn aggregate(&self, aggregate: &Aggregate, exprs: &[Expr]) -> Traced {
        if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
            return self.grouping_sets(aggregate, sets, exprs);
        }
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return blocked("GROUPING SETS, CUBE or ROLLUP", "they are used beside other columns");
        }
        let plan = LogicalPlan::Aggregate(aggregate.clone());
        let groups: Vec<Expr> = aggregate.group_expr.iter().map(unnamed).collect();
        if groups.is_empty() {
            // Its one row is always there; what matters is whether it is another one.
            return Ok(Some(project_keys(self.differing(&plan, &[], None)?, exprs)?));
        }
        let of_group = |index: usize| groups.get(index).cloned();
        let inner: Option<Vec<Expr>> = exprs
            .iter()
            .map(|expr| instead_of_all(expr, &aggregate.schema, of_group))
            .collect::<Result<_, DataFusionError>>()?;
        if let Some(inner) = inner {
            return self.changed(&aggregate.input, &inner);
        }
        let Some(changed) = self.changed(&aggregate.input, &groups)? else { return Ok(None) };
        let keys = Keys::new(changed, NullEquality::NullEqualsNull);
        let on: Vec<Expr> = (0..groups.len()).map(|index| column_at(&aggregate.schema, index)).collect();
        Ok(Some(project_keys(self.differing(&plan, &on, Some(&keys))?, exprs)?))
    }

    /// The rows of `plan`, restricted to those whose `on` are among `keys`, of which there are more or fewer copies than
    /// before the changes: both those that are there now and those that were.
    pub(super) fn differing(
        &self,
        plan: &LogicalPlan,
        on: &[Expr],
        keys: Option<&Keys>,
    ) -> Result<LogicalPlan, DataFusionError> {
        let on: Vec<(Expr, usize)> = on.iter().cloned().zip(0..).collect();
        let restricted = |plan: LogicalPlan| match keys {
            Some(keys) => restrict(&plan, &on, keys, self),
            None => Ok(plan),
        };
        let (now, before) = (restricted(plan.clone())?, restricted(self.changes.former(plan)?)?);
        let schema = plan.schema();
        let columns = 0..schema.fields().len();
        let signed = |rows: LogicalPlan, sign: i64| {
            let keys = columns.clone().map(|index| unnamed(&identified(schema, index)).alias(key_name(index)));
            LogicalPlanBuilder::from(rows).project(keys.chain([lit(sign).alias(SIGN)]))?.build()
        };
        let values = columns.clone().map(|index| restored(key_column(index), schema, index));
        let values: Vec<Expr> = values.collect::<Result<_>>()?;
        LogicalPlanBuilder::from(signed(now, 1)?)
            .union(signed(before, -1)?)?
            .aggregate(columns.clone().map(key_column), [sum_of(col(SIGN)).alias("__wl_sum")])?
            .filter(col("__wl_sum").not_eq(lit(0_i64)))?
            .project(values)?
            .build()
    }

    /// Every row of a partition can have changed if one has.
    fn window(&self, window: &Window, exprs: &[Expr]) -> Traced {
        let input = &window.input;
        let columns = input.schema().fields().len();
        let of_input = |index: usize| (index < columns).then(|| column_at(&window.schema, index));
        let with_values = exprs
            .iter()
            .map(|expr| Ok(instead_of_all(expr, &window.schema, of_input)?.is_none()))
            .collect::<Result<Vec<bool>, DataFusionError>>()?
            .contains(&true);
        let mut parts = if with_values { Vec::new() } else { Vec::from_iter(self.changed(input, exprs)?) };
        for function in &window.window_expr {
            let partition = partition_of(function);
            if partition.is_empty() {
                // Any row can be another one: they are all computed, as they were and as they are.
                let rows = self.differing(&LogicalPlan::Window(window.clone()), &[], None)?;
                parts.push(project_keys(rows, exprs)?);
                continue;
            }
            if with_values {
                if let Some(partitions) = self.changed(input, &partition)? {
                    let keys = Keys::new(partitions, NullEquality::NullEqualsNull);
                    let rows = self.differing(&LogicalPlan::Window(window.clone()), &partition, Some(&keys))?;
                    parts.push(project_keys(rows, exprs)?);
                }
                continue;
            }
            // All rows of a partition have the values that the changed one has.
            if exprs.iter().all(|expr| partition.contains(expr)) {
                continue;
            }
            if let Some(partitions) = self.changed(input, &partition)? {
                let keys = Keys::new(partitions, NullEquality::NullEqualsNull);
                let on: Vec<(Expr, usize)> = partition.into_iter().zip(0..).collect();
                parts.push(project_keys(restrict(input, &on, &keys, self)?, exprs)?);
            }
        }
        Ok(union_all(parts)?)
    }

    fn unnest(&self, unnest: &Unnest, exprs: &[Expr]) -> Traced {
        let input = unnest.input.schema();
        let is_unnested = |index: usize| {
            let from = unnest.dependency_indices.get(index).copied().unwrap_or(usize::MAX);
            let lists = unnest.list_type_columns.iter().map(|(index, _)| *index);
            lists.chain(unnest.struct_type_columns.iter().copied()).any(|column| column == from)
        };
        let outer: Result<Vec<Expr>, Option<TraceError>> = exprs
            .iter()
            .map(|expr| {
                replace(expr, &unnest.schema, |index| match is_unnested(index) {
                    true => Err(Unnested(None)),
                    false => Ok(column_at(input, unnest.dependency_indices[index])),
                })
                .map_err(|Unnested(error)| error.map(TraceError::Engine))
            })
            .collect();
        match outer {
            Ok(outer) => return self.changed(&unnest.input, &outer),
            Err(Some(error)) => return Err(error),
            Err(None) => {}
        }
        let mut used: Vec<Expr> = unnest.exec_columns.iter().cloned().map(Expr::Column).collect();
        for expr in exprs {
            for column in expr.column_refs() {
                if let Some(index) = unnest.schema.maybe_index_of_column(column) {
                    used.push(column_at(input, unnest.dependency_indices[index]));
                }
            }
        }
        let Some(rows) = self.rows(&unnest.input, &used)? else { return Ok(None) };
        let unnested = Unnest::try_new(rows.into(), unnest.exec_columns.clone(), unnest.options.clone())?;
        Ok(Some(project_keys(LogicalPlan::Unnest(unnested), exprs)?))
    }

    /// Those of `exprs`, by their places, that can be followed through `plan` alone.
    pub(super) fn traceable(&self, plan: &LogicalPlan, exprs: &[Expr]) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for (index, expr) in exprs.iter().enumerate() {
            if is_over(expr, plan.schema()) && unless_blocked(self.changed(plan, std::slice::from_ref(expr)))?.is_some()
            {
                found.push(index);
            }
        }
        Ok(found)
    }
}

/// `expr` with each of its columns replaced by what `by` gives for its place; `None` if it gives nothing for one.
pub(super) fn instead_of_all(
    expr: &Expr,
    schema: &DFSchema,
    by: impl Fn(usize) -> Option<Expr>,
) -> Result<Option<Expr>, DataFusionError> {
    let mut missing = false;
    let replaced = replace(expr, schema, |index| {
        Ok::<_, DataFusionError>(by(index).unwrap_or_else(|| {
            missing = true;
            column_at(schema, index)
        }))
    })?;
    Ok((!missing).then_some(replaced))
}

/// An expression over what is unnested, or the engine's error.
struct Unnested(Option<DataFusionError>);

impl From<DataFusionError> for Unnested {
    fn from(error: DataFusionError) -> Self {
        Self(Some(error))
    }
}

fn no_limit<T>() -> Result<T, TraceError> {
    blocked("LIMIT", "which rows it keeps depends on all rows")
}

/// What the rows that a window function looks at have in common.
pub(super) fn partition_of(function: &Expr) -> Vec<Expr> {
    match unnamed(function) {
        Expr::WindowFunction(function) => {
            let WindowFunction { params, .. } = *function;
            params.partition_by
        }
        _ => Vec::new(),
    }
}
