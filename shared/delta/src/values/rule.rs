//! Floats as the engine puts them together: by groups, by partitions of windows and by the equalities of joins; and the
//! least and the greatest of them.
//!
//! The rule stands last among the optimizer's, when `DISTINCT`, `IN` and set operations have become groups and joins. It
//! finds nothing to do in a plan that it has been through, so plans may be optimized again.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Join, LogicalPlan, Projection, Window};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::functions::{compared, of_rank, rank};
use super::has_floats;

/// Groups, partitions of windows, equalities of joins and distinct arguments over one zero and one NaN; the least and the
/// greatest float with NaN above all others.
#[derive(Debug, Default)]
pub struct ComparedFloats;

impl OptimizerRule for ComparedFloats {
    fn name(&self) -> &str {
        "compared_floats"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
            LogicalPlan::Window(window) => of_window(window),
            LogicalPlan::Join(join) => of_join(join),
            other => Ok(Transformed::no(other)),
        }
    }
}

/// `expr` over one zero and one NaN, if it is not yet and may have others. Each call says whether it changed anything.
struct Comparing<'s> {
    schema: &'s DFSchema,
    changed: bool,
}

impl<'s> Comparing<'s> {
    fn over(schema: &'s DFSchema) -> Self {
        Self { schema, changed: false }
    }

    fn one(&mut self, expr: Expr) -> Result<Expr> {
        if !has_floats(&expr.get_type(self.schema)?) {
            return Ok(expr);
        }
        let new = match expr.clone() {
            Expr::Alias(alias) => compared(*alias.expr).alias_qualified(alias.relation, alias.name),
            plain => compared(plain),
        };
        self.changed |= new != expr;
        Ok(new)
    }

    fn all(&mut self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.one(expr)).collect()
    }

    /// The expressions of a group; those of grouping sets are looked for one by one.
    fn groups(&mut self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        use datafusion::logical_expr::GroupingSet;
        exprs
            .into_iter()
            .map(|expr| {
                Ok(match expr {
                    Expr::GroupingSet(GroupingSet::Rollup(exprs)) => {
                        Expr::GroupingSet(GroupingSet::Rollup(self.all(exprs)?))
                    }
                    Expr::GroupingSet(GroupingSet::Cube(exprs)) => {
                        Expr::GroupingSet(GroupingSet::Cube(self.all(exprs)?))
                    }
                    Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
                        let sets = sets.into_iter().map(|exprs| self.all(exprs));
                        Expr::GroupingSet(GroupingSet::GroupingSets(sets.collect::<Result<_>>()?))
                    }
                    other => self.one(other)?,
                })
            })
            .collect()
    }

    /// The arguments of a total that counts equal ones once, or looks for the least or the greatest: the engine's own
    /// depends on the order of rows where there is a NaN, and misses infinities.
    fn total(&mut self, expr: Expr) -> Result<Expr> {
        match expr {
            Expr::Alias(mut alias) => {
                alias.expr = Box::new(self.total(*alias.expr)?);
                Ok(Expr::Alias(alias))
            }
            Expr::AggregateFunction(mut call) => {
                let is_extreme = call.func == min_udaf() || call.func == max_udaf();
                match call.params.args.as_slice() {
                    [value] if is_extreme && value.get_type(self.schema)?.is_floating() => {
                        call.params.args = vec![rank(value.clone())];
                        self.changed = true;
                    }
                    _ if call.params.distinct => {
                        call.params.args = self.all(std::mem::take(&mut call.params.args))?;
                    }
                    _ => {}
                }
                Ok(Expr::AggregateFunction(call))
            }
            other => Ok(other),
        }
    }

    fn partitions(&mut self, expr: Expr) -> Result<Expr> {
        match expr {
            Expr::Alias(mut alias) => {
                alias.expr = Box::new(self.partitions(*alias.expr)?);
                Ok(Expr::Alias(alias))
            }
            Expr::WindowFunction(mut call) => {
                call.params.partition_by = self.all(std::mem::take(&mut call.params.partition_by))?;
                Ok(Expr::WindowFunction(call))
            }
            other => Ok(other),
        }
    }
}

fn of_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = Arc::clone(&aggregate.input);
    let mut comparing = Comparing::over(input.schema());
    let groups = comparing.groups(aggregate.group_expr.clone())?;
    let totals = aggregate.aggr_expr.clone().into_iter().map(|expr| comparing.total(expr));
    let totals = totals.collect::<Result<Vec<_>>>()?;
    if !comparing.changed {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let new = Aggregate::try_new(Arc::clone(&input), groups, totals)?;
    as_before(LogicalPlan::Aggregate(new), &aggregate.schema)
}

fn of_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let input = Arc::clone(&window.input);
    let mut comparing = Comparing::over(input.schema());
    let functions = window.window_expr.clone().into_iter().map(|expr| comparing.partitions(expr));
    let functions = functions.collect::<Result<Vec<_>>>()?;
    if !comparing.changed {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    as_before(LogicalPlan::Window(Window::try_new(functions, Arc::clone(&input))?), &window.schema)
}

fn of_join(join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    let mut side = |expr: &Expr, schema: &DFSchema| {
        let mut comparing = Comparing::over(schema);
        let expr = comparing.one(expr.clone());
        changed |= comparing.changed;
        expr
    };
    let on =
        join.on.iter().map(|(left, right)| Ok((side(left, join.left.schema())?, side(right, join.right.schema())?)));
    let on = on.collect::<Result<Vec<_>>>()?;
    Ok(if changed {
        Transformed::yes(LogicalPlan::Join(Join { on, ..join }))
    } else {
        Transformed::no(LogicalPlan::Join(join))
    })
}

/// `plan`, whose columns are called after changed expressions, with the names that they had, and floats in place of ranks.
fn as_before(plan: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let columns = plan.schema().iter().zip(schema.iter()).map(|(new, (qualifier, field))| {
        let (column, data_type) = (Column::from(new), new.1.data_type());
        let same_name = column.relation.as_ref() == qualifier && column.name == *field.name();
        let column = Expr::Column(column);
        let value = match data_type == field.data_type() {
            true if same_name => return Ok(column),
            true => column,
            false => of_rank(column, field.data_type())?,
        };
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<Expr>>>()?;
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?)))
}
