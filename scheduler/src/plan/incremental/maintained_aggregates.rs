//! Counts and sums of groups, maintained from what the table holds: only what changed is counted and summed.
//!
//! ```text
//! inserted rows ─ the query ─→ counts and sums of each group ──┐
//! deleted rows ── the query ─→ the same, subtracted ───────────┴ added up ─→ change of each touched group ┐
//! rows of these groups in the table ──────────────────────────────────────────────────────────── added up ┴─→ their new rows
//! ```
//!
//! It is exact for whole and decimal numbers, of which sums can be taken apart. Whether a sum that comes to zero is one
//! of no values at all, and so null, the table does not tell: [`MaintainedAggregates::doubtful`] finds such groups, and then
//! the rows have to be computed from the inputs after all.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use windlass_delta::values::has_floats;

use windlass_engine::function::exact::exact_sum;

use super::columns::{column_at, unnamed};
use super::inputs::ChangedInputs;
use super::row_wise::{RowChange, changed_rows, is_row_wise};

/// What a column of the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The expression of the group with this place.
    Group(usize),
    /// The same in all rows.
    Constant,
    /// How many rows the group has.
    Rows,
    /// A number of values.
    Count,
    /// A sum of values.
    Sum {
        /// Whether it may be null though the group has rows.
        nullable: bool,
    },
}

impl Kind {
    fn is_aggregate(self) -> bool {
        matches!(self, Self::Rows | Self::Count | Self::Sum { .. })
    }
}

/// A query of which every row is a group of rows of row-wise inputs, with their number and perhaps more counts and sums.
#[derive(Debug, Clone)]
pub struct MaintainedAggregates<'p> {
    plan: &'p LogicalPlan,
    columns: Vec<(String, DataType, Kind)>,
}

impl<'p> MaintainedAggregates<'p> {
    /// Looks at `plan`, the query of a table with the columns of `table` and the key `key`; `None` if its rows cannot be
    /// maintained.
    pub fn find(plan: &'p LogicalPlan, table: &Schema, key: &[String]) -> Option<Self> {
        let columns = plan.schema().fields().iter().enumerate().map(|(index, field)| {
            let as_kept = table.field_with_name(field.name()).ok()?.data_type() == field.data_type();
            let kind = kind(plan, index).filter(|_| as_kept)?;
            Some((field.name().clone(), field.data_type().clone(), kind))
        });
        let columns: Vec<(String, DataType, Kind)> = columns.collect::<Option<_>>()?;
        let groups = aggregate(plan)?.group_expr.len();
        let has = |wanted: Kind| columns.iter().any(|(_, _, kind)| *kind == wanted);
        let is_complete = columns.len() == table.fields().len() && has(Kind::Rows);
        let tells_groups = groups > 0 && (0..groups).all(|index| has(Kind::Group(index)));
        let is_key = |name: &String| columns.iter().any(|(column, _, kind)| column == name && !kind.is_aggregate());
        (is_complete && tells_groups && key.iter().all(is_key)).then_some(Self { plan, columns })
    }

    /// By how much the counts and sums of each touched group have changed, in the columns of the result.
    ///
    /// # Errors
    /// The engine's, if it refuses a plan.
    pub fn change(&self, changes: &ChangedInputs) -> Result<LogicalPlan> {
        let inserted = changed_rows(self.plan, changes, RowChange::Added)?;
        let deleted = changed_rows(self.plan, changes, RowChange::Removed)?;
        let deleted = self.project(deleted, |column, kind| match kind.is_aggregate() {
            true => Expr::Negative(Box::new(column)),
            false => column,
        })?;
        self.added_up(self.project(inserted, |column, _| column)?, deleted)
    }

    /// The new rows of the groups whose `change` is given; `existing` has at least their rows in the table.
    ///
    /// # Errors
    /// The engine's, if it refuses a plan.
    pub fn apply(&self, change: &LogicalPlan, existing: &LogicalPlan) -> Result<LogicalPlan> {
        let existing = self.project(existing.clone(), |column, _| column)?;
        let rows = self.added_up(existing, self.project(change.clone(), |column, _| column)?)?;
        let is_left = self.of(|kind| kind == Kind::Rows).map(|rows| rows.not_eq(lit(0_i64))).reduce(Expr::and);
        LogicalPlanBuilder::from(rows).filter(is_left.unwrap_or_else(|| lit(true)))?.build()
    }

    /// One of the `applied` rows, if there is one, whose table did not tell enough.
    ///
    /// # Errors
    /// The engine's, if it refuses a plan.
    pub fn doubtful(&self, applied: &LogicalPlan) -> Result<LogicalPlan> {
        let negative = self.of(|kind| kind == Kind::Rows).map(|rows| rows.lt(lit(0_i64)));
        let perhaps_null = self.of(|kind| kind == Kind::Sum { nullable: true }).map(|sum| sum.eq(lit(0_i64)));
        let doubt = negative.chain(perhaps_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
        LogicalPlanBuilder::from(applied.clone()).filter(doubt)?.limit(0, Some(1))?.build()
    }

    /// The columns of these kinds.
    fn of(&self, wanted: impl Fn(Kind) -> bool) -> impl Iterator<Item = Expr> {
        self.columns.iter().filter(move |(_, _, kind)| wanted(*kind)).map(|(name, ..)| named(name))
    }

    /// The columns of the result out of those of `plan`, by their names alone.
    fn project(&self, plan: LogicalPlan, by: impl Fn(Expr, Kind) -> Expr) -> Result<LogicalPlan> {
        let schema = plan.schema();
        let columns = self.columns.iter().map(|(name, _, kind)| {
            let column = match schema.index_of_column_by_name(None, name) {
                Some(index) => column_at(schema, index),
                None => named(name),
            };
            by(column, *kind).alias(name)
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    fn added_up(&self, one: LogicalPlan, other: LogicalPlan) -> Result<LogicalPlan> {
        let totals = self.columns.iter().filter(|(_, _, kind)| kind.is_aggregate());
        let sums: Vec<Expr> = totals.map(|(name, ..)| exact_sum().call(vec![named(name)]).alias(name)).collect();
        let summed = LogicalPlanBuilder::from(one)
            .union(other)?
            .aggregate(self.of(|kind| !kind.is_aggregate()), sums)?
            .build()?;
        // The sum of decimal sums has more digits.
        let columns = self.columns.iter().map(|(name, data_type, kind)| match kind.is_aggregate() {
            true => cast(named(name), data_type.clone()).alias(name),
            false => named(name),
        });
        LogicalPlanBuilder::from(summed).project(columns)?.build()
    }
}

fn named(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The aggregation that `plan` is but for the names and the order of its columns, if changes of its rows can be added to it.
fn aggregate(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => aggregate(plan.inputs().first()?),
        LogicalPlan::Aggregate(aggregate) => {
            let has_sets = aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
            (!has_sets && is_row_wise(&aggregate.input) && !has_subqueries(&aggregate.input)).then_some(aggregate)
        }
        _ => None,
    }
}

fn has_subqueries(plan: &LogicalPlan) -> bool {
    let is_subquery = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)));
    plan.exists(|node| Ok(node.expressions().iter().any(|expr| expr.exists(is_subquery).unwrap_or(true))))
        .unwrap_or(true)
}

/// What the `index`-th column of `plan` is.
fn kind(plan: &LogicalPlan, index: usize) -> Option<Kind> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => kind(&alias.input, index),
        LogicalPlan::Projection(projection) => match unnamed(projection.expr.get(index)?) {
            Expr::Column(column) => kind(&projection.input, projection.input.schema().maybe_index_of_column(&column)?),
            Expr::Literal(..) => Some(Kind::Constant),
            _ => None,
        },
        LogicalPlan::Aggregate(aggregate) if index < aggregate.group_expr.len() => {
            // Equal floating-point numbers need not be one group.
            let is_exact = !has_floats(aggregate.schema.field(index).data_type());
            is_exact.then_some(Kind::Group(index))
        }
        LogicalPlan::Aggregate(aggregate) => {
            kind_of_total(aggregate, aggregate.aggr_expr.get(index - aggregate.group_expr.len())?)
        }
        _ => None,
    }
}

fn kind_of_total(aggregate: &Aggregate, expr: &Expr) -> Option<Kind> {
    let Expr::AggregateFunction(call) = unnamed(expr) else { return None };
    let AggregateFunctionParams { args, distinct: false, filter, order_by, .. } = &call.params else { return None };
    if !order_by.is_empty() {
        return None;
    }
    if call.func == count_udaf() {
        let counts_rows = args.iter().all(|arg| matches!(arg, Expr::Literal(value, _) if !value.is_null()));
        return Some(if counts_rows && filter.is_none() { Kind::Rows } else { Kind::Count });
    }
    let [value] = args.as_slice() else { return None };
    let schema = aggregate.input.schema();
    let is_exact = matches!(expr.get_type(schema.as_ref()).ok()?, DataType::Int64 | DataType::Decimal128(..));
    let nullable = filter.is_some() || value.nullable(schema.as_ref()).ok()?;
    (call.func == exact_sum() && is_exact).then_some(Kind::Sum { nullable })
}
