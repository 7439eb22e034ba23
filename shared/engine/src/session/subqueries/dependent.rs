//! Rewrites correlated subqueries that the engine cannot decorrelate as joins with the outer values that they depend
//! on.
//!
//! The subquery is computed for all existing combinations of outer values at once, and each outer row finds its result
//! by its values:
//!
//! ```text
//! outer ⟕ (SELECT sum(i) FROM inner WHERE i < outer.v)
//!   =  outer ⟕ (SELECT v, sum(i) FROM (SELECT DISTINCT v FROM outer) LEFT JOIN inner ON i < v GROUP BY v) USING v
//! ```

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality, Result, TableReference, plan_err};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::ident;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, FetchType, Join, Limit, LogicalPlan, LogicalPlanBuilder, Projection, SkipType,
    SortExpr, SubqueryAlias, col, lit,
};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(super) struct DependentJoins;

impl OptimizerRule for DependentJoins {
    fn name(&self) -> &str {
        "dependent_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => scalar_subqueries(plan, config),
            LogicalPlan::Join(join) => match lateral_join(join, config)? {
                Some(joined) => Ok(Transformed::yes(joined)),
                None => Ok(Transformed::no(plan)),
            },
            _ => Ok(Transformed::no(plan)),
        }
    }
}

/// The plan with its correlated scalar subqueries joined to its input, except those that the engine can decorrelate.
fn scalar_subqueries(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let Some(input) = plan.inputs().into_iter().next().cloned() else { return Ok(Transformed::no(plan)) };
    let mut joined = input.clone();
    let mut changed = false;
    let names = NamePreserver::new(&plan);
    let wanted = plan.schema().columns();
    let mut expressions = Vec::new();
    for expr in plan.expressions() {
        let name = names.save(&expr);
        let rewritten = expr.transform_down(|expr| {
            let Expr::ScalarSubquery(subquery) = &expr else { return Ok(Transformed::no(expr)) };
            let plan = subquery.subquery.as_ref();
            if subquery.outer_ref_columns.is_empty() || engine_can_decorrelate(plan, false)? {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            let alias = config.alias_generator().next("__sq_dependent");
            let Some(dependent) = Dependent::on(&input, plan, &alias)? else {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            };
            let Some(value) = plan.schema().columns().into_iter().next() else { return Ok(Transformed::no(expr)) };
            let value = Expr::Column(Column::new(Some(alias), value.name));
            joined = dependent.join(joined.clone(), JoinType::Left, None)?;
            changed = true;
            Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
        })?;
        expressions.push(name.restore(rewritten.data));
    }
    if !changed {
        return Ok(Transformed::no(plan));
    }
    let rewritten = plan.with_new_exprs(expressions, vec![joined])?;
    let rewritten = match rewritten.schema().columns() == wanted {
        true => rewritten,
        false => LogicalPlanBuilder::from(rewritten).project(wanted.into_iter().map(Expr::Column))?.build()?,
    };
    Ok(Transformed::yes(rewritten))
}

/// A lateral join rewritten as a join with the dependent side computed for all outer rows.
fn lateral_join(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::Subquery(subquery) => (subquery, None),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(alias.clone())),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let plan = subquery.subquery.as_ref();
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left)
        || !join.on.is_empty()
        || !plan.contains_outer_reference_below()?
        || engine_can_decorrelate(plan, true)?
    {
        return Ok(None);
    }
    let plan = match alias {
        Some(alias) => LogicalPlanBuilder::from(plan.clone()).alias(alias)?.build()?,
        None => plan.clone(),
    };
    let left = join.left.as_ref();
    let name = config.alias_generator().next("__sq_dependent");
    let Some(dependent) = Dependent::on_keeping_names(left, &plan, &name)? else {
        return match is_row_wise(&plan) {
            true => Ok(None),
            false => {
                plan_err!("a LATERAL query of this shape cannot be computed for each outer row; write it as a join")
            }
        };
    };
    let joined = dependent.join(left.clone(), join.join_type, join.filter.clone())?;
    let wanted = join.schema.columns().into_iter().map(Expr::Column);
    Ok(Some(LogicalPlanBuilder::from(joined).project(wanted)?.build()?))
}

/// Whether the engine's own rules can decorrelate the subquery.
fn engine_can_decorrelate(plan: &LogicalPlan, lateral: bool) -> Result<bool> {
    let mut rule = PullUpCorrelatedExpr::new().with_need_handle_count_bug(true);
    plan.clone().rewrite(&mut rule).data()?;
    let is_right = match lateral {
        true => rule.pull_up_having_expr.is_none() && is_row_wise(plan),
        false => aggregates_rows_once(plan),
    };
    Ok(rule.can_pull_up && is_right)
}

/// Whether a plan aggregates at most once, over rows that it selects.
fn aggregates_rows_once(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => is_row_wise(&aggregate.input),
        LogicalPlan::Projection(projection) => aggregates_rows_once(&projection.input),
        LogicalPlan::Filter(filter) => aggregates_rows_once(&filter.input),
        LogicalPlan::SubqueryAlias(named) => aggregates_rows_once(&named.input),
        plan => is_row_wise(plan),
    }
}

/// Whether each row of a plan is derived from single rows of its inputs or their combinations, or the plan is the same
/// for every outer row. An operator over several rows must only see those of one outer row: decorrelated, it would see
/// all.
pub(super) fn is_row_wise(plan: &LogicalPlan) -> bool {
    let is_plain = match plan {
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_) => true,
        _ => false,
    };
    let depends = plan.contains_outer_reference_below().unwrap_or(true);
    !depends || is_plain && plan.inputs().into_iter().all(is_row_wise)
}

/// A window function call, additionally partitioned by `keys`.
fn partitioned_by(call: Expr, keys: &[Column]) -> Result<Expr> {
    call.transform_up(|expr| match expr {
        Expr::WindowFunction(mut call) => {
            call.params.partition_by.extend(keys.iter().cloned().map(Expr::Column));
            Ok(Transformed::yes(Expr::WindowFunction(call)))
        }
        expr => Ok(Transformed::no(expr)),
    })
    .data()
}

trait OuterReferences {
    /// Whether a node of the plan refers to outer columns.
    fn contains_outer_reference_below(&self) -> Result<bool>;
}

impl OuterReferences for LogicalPlan {
    fn contains_outer_reference_below(&self) -> Result<bool> {
        let mut found = false;
        self.apply_with_subqueries(|node| {
            found = found || node.contains_outer_reference();
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(found)
    }
}

/// A subquery, computed for all the outer values that it depends on.
struct Dependent {
    plan: LogicalPlan,
    /// The outer columns.
    outer: Vec<Column>,
    /// The columns with their values in the plan.
    keys: Vec<Column>,
}

impl Dependent {
    /// `plan` over the rows of `input`, its columns under the name `alias`.
    fn on(input: &LogicalPlan, plan: &LogicalPlan, alias: &str) -> Result<Option<Self>> {
        let Some(mut dependent) = Self::on_keeping_names(input, plan, alias)? else { return Ok(None) };
        dependent.plan = LogicalPlanBuilder::from(dependent.plan).alias(alias)?.build()?;
        let alias = TableReference::bare(alias);
        dependent.keys.iter_mut().for_each(|key| key.relation = Some(alias.clone()));
        Ok(Some(dependent))
    }

    /// `plan` over the rows of `input`, its columns under their own names; `name` makes the value columns unique.
    /// `None` if the kind of dependency is not supported.
    fn on_keeping_names(input: &LogicalPlan, plan: &LogicalPlan, name: &str) -> Result<Option<Self>> {
        let mut outer: Vec<Column> = Vec::new();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::OuterReferenceColumn(_, column) = expr
                        && input.schema().has_column(column)
                        && !outer.contains(column)
                    {
                        outer.push(column.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        if outer.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = (0..outer.len()).map(|index| format!("{name}_{index}")).collect();
        let values = outer.iter().zip(&names).map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let values = LogicalPlanBuilder::from(input.clone()).project(values)?.distinct()?.build()?;
        let domain = Domain { values, outer: outer.clone(), names, name: name.to_owned() };
        Ok(domain.over(plan)?.map(|(plan, keys)| Self { plan, outer, keys }))
    }

    fn join(self, left: LogicalPlan, join_type: JoinType, filter: Option<Expr>) -> Result<LogicalPlan> {
        LogicalPlanBuilder::from(left)
            .join_detailed(self.plan, join_type, (self.outer, self.keys), filter, NullEquality::NullEqualsNull)?
            .build()
    }
}

/// The outer values that a subquery depends on.
struct Domain {
    /// All existing combinations of them.
    values: LogicalPlan,
    /// The outer columns.
    outer: Vec<Column>,
    /// The columns of `values`.
    names: Vec<String>,
    name: String,
}

/// A plan with additional columns for the outer values, and those columns.
type Over = Option<(LogicalPlan, Vec<Column>)>;

impl Domain {
    /// `plan` for every combination of outer values.
    fn over(&self, plan: &LogicalPlan) -> Result<Over> {
        if !plan.contains_outer_reference_below()? {
            let values = LogicalPlanBuilder::from(self.values.clone()).cross_join(plan.clone())?.build()?;
            return Ok(Some((values, self.names.iter().map(Column::new_unqualified).collect())));
        }
        if has_subqueries(plan)? {
            return Ok(None);
        }
        match plan {
            LogicalPlan::Projection(projection) => {
                let Some((input, keys)) = self.over(&projection.input)? else { return Ok(None) };
                let names = NamePreserver::new(plan);
                let mut columns = Vec::new();
                for expr in &projection.expr {
                    let name = names.save(expr);
                    columns.push(name.restore(self.with_values(expr.clone(), &keys)?));
                }
                columns.extend(self.named(&keys));
                let plan = LogicalPlanBuilder::from(input).project(columns)?.build()?;
                Ok(Some((plan, self.plain())))
            }
            LogicalPlan::Filter(filter) => {
                let Some((input, keys)) = self.over(&filter.input)? else { return Ok(None) };
                let predicate = self.with_values(filter.predicate.clone(), &keys)?;
                Ok(Some((LogicalPlanBuilder::from(input).filter(predicate)?.build()?, keys)))
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
                let Some((input, mut keys)) = self.over(input)? else { return Ok(None) };
                keys.iter_mut().for_each(|key| key.relation = Some(alias.clone()));
                Ok(Some((LogicalPlanBuilder::from(input).alias(alias.clone())?.build()?, keys)))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some((input, keys)) = self.over(input)? else { return Ok(None) };
                Ok(Some((LogicalPlanBuilder::from(input).distinct()?.build()?, keys)))
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.over(&sort.input),
            LogicalPlan::Limit(limit) => self.limited(limit),
            LogicalPlan::Aggregate(aggregate) => {
                let Some((input, keys)) = self.over(&aggregate.input)? else { return Ok(None) };
                self.aggregated(plan, (input, keys), &aggregate.group_expr, &aggregate.aggr_expr)
            }
            LogicalPlan::Window(window) => {
                let Some((input, keys)) = self.over(&window.input)? else { return Ok(None) };
                let names = NamePreserver::new(plan);
                let calls = window.window_expr.iter().map(|call| {
                    let name = names.save(call);
                    Ok(name.restore(partitioned_by(self.with_values(call.clone(), &keys)?, &keys)?))
                });
                let calls = calls.collect::<Result<Vec<_>>>()?;
                Ok(Some((LogicalPlanBuilder::from(input).window(calls)?.build()?, keys)))
            }
            LogicalPlan::Join(join) => self.joined(join),
            _ => Ok(None),
        }
    }

    /// The groups of every combination. Without GROUP BY there is one row for each, even if nothing is aggregated.
    fn aggregated(
        &self,
        plan: &LogicalPlan,
        (input, keys): (LogicalPlan, Vec<Column>),
        group: &[Expr],
        aggregates: &[Expr],
    ) -> Result<Over> {
        if group.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        let names = NamePreserver::new(plan);
        let saved = |expr: &Expr| names.save(expr);
        let mut made = Vec::new();
        let (input, by) = if group.is_empty() {
            let alias = format!("{}_values", self.name);
            let found = format!("{}_found", self.name);
            // The value columns of the rows get other names than the values themselves.
            let own: Vec<Column> =
                (0..keys.len()).map(|index| Column::new_unqualified(format!("{}_own_{index}", self.name))).collect();
            let mut columns: Vec<Expr> = Vec::new();
            for column in input.schema().columns() {
                columns.push(match keys.iter().position(|key| *key == column) {
                    Some(index) => Expr::Column(column).alias(&own[index].name),
                    None => Expr::Column(column),
                });
            }
            columns.push(lit(true).alias(&found));
            let input = LogicalPlanBuilder::from(input.clone()).project(columns)?.build()?;
            let keys = own;
            let by: Vec<Column> = self.names.iter().map(|name| Column::new(Some(alias.clone()), name)).collect();
            for expr in aggregates {
                let name = saved(expr);
                let expr = self.with_values(expr.clone(), &keys)?;
                made.push(name.restore(only_where(expr, &found)?));
            }
            let input = LogicalPlanBuilder::from(self.values.clone())
                .alias(alias)?
                .join_detailed(input, JoinType::Left, (by.clone(), keys), None, NullEquality::NullEqualsNull)?
                .build()?;
            (input, by)
        } else {
            for expr in aggregates {
                let name = saved(expr);
                made.push(name.restore(self.with_values(expr.clone(), &keys)?));
            }
            (input, keys)
        };
        let mut groups: Vec<Expr> = by.iter().cloned().map(Expr::Column).collect();
        for expr in group {
            let name = saved(expr);
            groups.push(name.restore(self.with_values(expr.clone(), &by)?));
        }
        let grouped = LogicalPlanBuilder::from(input).aggregate(groups, made)?.build()?;
        let own = plan.schema().columns().into_iter().map(Expr::Column);
        let named = self.named(&by);
        Ok(Some((LogicalPlanBuilder::from(grouped).project(own.chain(named))?.build()?, self.plain())))
    }

    /// The first rows of every combination.
    fn limited(&self, limit: &Limit) -> Result<Over> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        // The order is that of the input rows, which may have other columns.
        match limit.input.as_ref() {
            LogicalPlan::Projection(shown) => {
                let shown = Projection::try_new_with_schema(
                    shown.expr.clone(),
                    Arc::new(LogicalPlan::Limit(Limit { input: Arc::clone(&shown.input), ..limit.clone() })),
                    Arc::clone(&shown.schema),
                )?;
                return self.over(&LogicalPlan::Projection(shown));
            }
            LogicalPlan::SubqueryAlias(named) => {
                let limit = LogicalPlan::Limit(Limit { input: Arc::clone(&named.input), ..limit.clone() });
                let named = SubqueryAlias::try_new(Arc::new(limit), named.alias.clone())?;
                return self.over(&LogicalPlan::SubqueryAlias(named));
            }
            _ => {}
        }
        let (input, order): (&LogicalPlan, &[SortExpr]) = match limit.input.as_ref() {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (sort.input.as_ref(), sort.expr.as_slice()),
            other => (other, &[]),
        };
        let own: Vec<Expr> = limit.input.schema().columns().into_iter().map(Expr::Column).collect();
        let Some((input, keys)) = self.over(input)? else { return Ok(None) };
        let order = order
            .iter()
            .map(|sort| Ok(SortExpr::new(self.with_values(sort.expr.clone(), &keys)?, sort.asc, sort.nulls_first)));
        let order = order.collect::<Result<Vec<_>>>()?;
        let number = format!("{}_number", self.name);
        let numbered = row_number()
            .partition_by(keys.iter().cloned().map(Expr::Column).collect())
            .order_by(order)
            .build()?
            .alias(&number);
        let rows = |rows: usize| lit(u64::try_from(rows).unwrap_or(u64::MAX));
        let mut wanted = ident(&number).gt(rows(skip));
        if let Some(fetch) = fetch {
            wanted = wanted.and(ident(&number).lt_eq(rows(skip.saturating_add(fetch))));
        }
        let plan = LogicalPlanBuilder::from(input)
            .window(vec![numbered])?
            .filter(wanted)?
            .project(own.into_iter().chain(self.named(&keys)))?
            .build()?;
        Ok(Some((plan, self.plain())))
    }

    /// A join with a side, or a condition, that depends on outer values.
    fn joined(&self, join: &Join) -> Result<Over> {
        let left = join.left.contains_outer_reference_below()?;
        let right = join.right.contains_outer_reference_below()?;
        let (left_plan, right_plan, keys) = match (left, right, join.join_type) {
            (_, false, JoinType::Inner | JoinType::Left) => {
                let Some((left, keys)) = self.over(&join.left)? else { return Ok(None) };
                (left, join.right.as_ref().clone(), keys)
            }
            (false, true, JoinType::Inner) => {
                let Some((right, keys)) = self.over(&join.right)? else { return Ok(None) };
                (join.left.as_ref().clone(), right, keys)
            }
            _ => return Ok(None),
        };
        let filter = join.filter.clone().map(|filter| self.with_values(filter, &keys)).transpose()?;
        let mut on = Vec::new();
        for (left, right) in &join.on {
            on.push((self.with_values(left.clone(), &keys)?, self.with_values(right.clone(), &keys)?));
        }
        let joined = Join::try_new(
            Arc::new(left_plan),
            Arc::new(right_plan),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(Some((LogicalPlan::Join(joined), keys)))
    }

    /// The expression with the values' columns in place of the outer ones.
    fn with_values(&self, expr: Expr, keys: &[Column]) -> Result<Expr> {
        expr.transform_up(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match self.outer.iter().zip(keys).find(|(outer, _)| *outer == column) {
                    Some((_, key)) => Ok(Transformed::yes(Expr::Column(key.clone()))),
                    None => Ok(Transformed::no(expr)),
                }
            }
            _ => Ok(Transformed::no(expr)),
        })
        .data()
    }

    /// The values' columns under their plain names.
    fn named<'k>(&'k self, keys: &'k [Column]) -> impl Iterator<Item = Expr> + 'k {
        keys.iter().zip(&self.names).map(|(key, name)| match &key.relation {
            Some(_) => Expr::Column(key.clone()).alias(name),
            None => Expr::Column(key.clone()),
        })
    }

    fn plain(&self) -> Vec<Column> {
        self.names.iter().map(Column::new_unqualified).collect()
    }
}

/// Whether an expression of the node contains a subquery.
fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found
            || expr.exists(|expr| {
                Ok(matches!(
                    expr,
                    Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
                ))
            })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The aggregate over only those rows whose column `found` is true.
fn only_where(expr: Expr, found: &str) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::AggregateFunction(mut call) => {
            let is_found = col(Column::new_unqualified(found));
            let filter = match call.params.filter.take() {
                Some(filter) => filter.and(is_found),
                None => is_found,
            };
            call.params.filter = Some(Box::new(filter));
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        expr => Ok(Transformed::no(expr)),
    })
    .data()
}
