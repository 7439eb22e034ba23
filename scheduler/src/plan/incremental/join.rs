//! Changes followed through joins.
//!
//! With L and R the sides of a join: a row of the result that is in only one of the old and the new result comes of a
//! row of L that changed, or of a row of R that changed and a row of L that is there now or changed as well.

use datafusion::common::{Column, NullEquality, Result, ScalarValue};
use datafusion::logical_expr::{Expr, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

use super::blocker::{TraceError, blocked, unless_blocked};
use super::columns::{columns_of, is_over, project_keys, union_all};
use super::restrict::{Keys, restrict};
use super::trace::{Traced, Tracer};

/// One side of a join, seen from the expressions that are traced.
struct Side<'j> {
    plan: &'j LogicalPlan,
    /// Its part of each equality.
    on: Vec<Expr>,
    /// Whether rows of the other side without a partner come out with nulls for this one.
    nulled: bool,
}

impl Tracer<'_> {
    pub(super) fn join(&self, join: &Join, exprs: &[Expr]) -> Traced {
        if join.null_aware {
            return blocked("NOT IN", "a null on its right side decides on all rows");
        }
        let (left, right) = sides(join);
        let over = |side: &Side<'_>| exprs.iter().all(|expr| is_over(expr, side.plan.schema()));
        match join.join_type {
            JoinType::LeftMark if !over(&left) => self.marked(join, &left, &right, exprs),
            JoinType::RightMark if !over(&right) => self.marked(join, &right, &left, exprs),
            // Expressions that use no column are over either side: what counts is the one whose rows come out.
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                self.one_side(join, &right, &left, exprs)
            }
            _ if over(&left) => self.one_side(join, &left, &right, exprs),
            _ if over(&right) => self.one_side(join, &right, &left, exprs),
            _ => self.both_sides(join, &left, &right, exprs),
        }
    }

    /// The expressions are over `own` alone: its changed rows, and those that a changed row of `other` meets.
    fn one_side(&self, join: &Join, own: &Side<'_>, other: &Side<'_>, exprs: &[Expr]) -> Traced {
        let mut parts = Vec::from_iter(self.changed(own.plan, exprs)?);
        if self.changes.touch(other.plan)? {
            parts.extend(self.met(join, own, other)?.map(|met| project_keys(met, exprs)).transpose()?);
        }
        if own.nulled {
            parts.push(nulls(exprs, own)?);
        }
        Ok(union_all(parts)?)
    }

    /// The expressions use whether rows of `own` have a partner in `other`.
    fn marked(&self, join: &Join, own: &Side<'_>, other: &Side<'_>, exprs: &[Expr]) -> Traced {
        let equalities = self.traceable(other.plan, &other.on)?;
        let part = |on: &[Expr]| equalities.iter().map(|index| on[*index].clone()).collect::<Vec<Expr>>();
        let on = part(&own.on);
        if on.is_empty() {
            return no_way(join);
        }
        let mut keys = Vec::from_iter(self.changed(own.plan, &on)?);
        keys.extend(self.changed(other.plan, &part(&other.on))?);
        let Some(keys) = union_all(keys)? else { return Ok(None) };
        let keys = Keys::new(keys, NullEquality::NullEqualsNull);
        let rows = self.differing(&LogicalPlan::Join(join.clone()), &on, Some(&keys))?;
        Ok(Some(project_keys(rows, exprs)?))
    }

    /// The rows of `own` as it is now that a changed row of `other` meets, and perhaps more.
    fn met(&self, join: &Join, own: &Side<'_>, other: &Side<'_>) -> Result<Option<LogicalPlan>, TraceError> {
        let equalities = self.traceable(other.plan, &other.on)?;
        if !equalities.is_empty() {
            let theirs: Vec<Expr> = equalities.iter().map(|index| other.on[*index].clone()).collect();
            let Some(keys) = self.changed(other.plan, &theirs)? else { return Ok(None) };
            let on: Vec<(Expr, usize)> = equalities.iter().map(|index| own.on[*index].clone()).zip(0..).collect();
            let keys = Keys::new(keys, join.null_equality);
            return Ok(Some(restrict(own.plan, &on, &keys, self)?));
        }
        let Some(filter) = &join.filter else {
            // Every row meets every other.
            return if join.on.is_empty() { self.all_if_changed(own, other) } else { no_way(join) };
        };
        let used = columns_of([filter], other.plan.schema());
        let used: Vec<Expr> = used.into_iter().map(Expr::Column).collect();
        if used.is_empty() {
            return no_way(join);
        }
        match unless_blocked(self.rows(other.plan, &used))? {
            Some(Some(rows)) => {
                let met = Join::try_new(
                    own.plan.clone().into(),
                    rows.into(),
                    Vec::new(),
                    Some(filter.clone()),
                    JoinType::LeftSemi,
                    JoinConstraint::On,
                    NullEquality::NullEqualsNothing,
                    false,
                )?;
                Ok(Some(LogicalPlan::Join(met)))
            }
            Some(None) => Ok(None),
            None => no_way(join),
        }
    }

    /// All rows of `own` if any row of `other` is another than before.
    fn all_if_changed(&self, own: &Side<'_>, other: &Side<'_>) -> Result<Option<LogicalPlan>, TraceError> {
        let columns: Vec<Expr> = other.plan.schema().columns().into_iter().map(Expr::Column).collect();
        let Some(rows) = self.changed(other.plan, &columns)? else { return Ok(None) };
        let any = LogicalPlanBuilder::from(rows).limit(0, Some(1))?.project([lit(true).alias("__wl_any")])?;
        let any = any.alias(self.fresh())?.build()?;
        Ok(Some(LogicalPlanBuilder::from(own.plan.clone()).cross_join(any)?.build()?))
    }

    /// The expressions need both sides: changed rows of each with the other as it is now, and with its changed rows.
    fn both_sides(&self, join: &Join, left: &Side<'_>, right: &Side<'_>, exprs: &[Expr]) -> Traced {
        let by_left = self.traceable(left.plan, &left.on)?;
        let by_right = self.traceable(right.plan, &right.on)?;
        let by_both: Vec<usize> = by_left.iter().copied().filter(|index| by_right.contains(index)).collect();
        let crosses = join.on.is_empty() && join.filter.is_none();
        if by_both.is_empty() && !crosses {
            return no_way(join);
        }
        let needed = |side: &Side<'_>, on: &[usize]| -> Vec<Expr> {
            let columns = columns_of(exprs, side.plan.schema());
            columns.into_iter().map(Expr::Column).chain(on.iter().map(|index| side.on[*index].clone())).collect()
        };
        let changed_left = self.rows(left.plan, &needed(left, &by_left))?;
        let changed_right = self.rows(right.plan, &needed(right, &by_right))?;
        let meet = |left_rows: &LogicalPlan, right_rows: &LogicalPlan, on: &[usize]| -> Result<LogicalPlan> {
            let on = on.iter().map(|index| (left.on[*index].clone(), right.on[*index].clone())).collect();
            let join = Join::try_new(
                left_rows.clone().into(),
                right_rows.clone().into(),
                on,
                None,
                JoinType::Inner,
                JoinConstraint::On,
                join.null_equality,
                false,
            )?;
            project_keys(LogicalPlan::Join(join), exprs)
        };
        let mut parts = Vec::new();
        if let (true, Some(rows)) = (crosses, &changed_left) {
            parts.push(meet(rows, right.plan, &[])?);
        } else if let Some(rows) = &changed_left {
            let on: Vec<(Expr, usize)> = by_left.iter().map(|index| right.on[*index].clone()).zip(0..).collect();
            let theirs: Vec<Expr> = by_left.iter().map(|index| left.on[*index].clone()).collect();
            let keys = Keys::new(project_keys(rows.clone(), &theirs)?, join.null_equality);
            parts.push(meet(rows, &restrict(right.plan, &on, &keys, self)?, &by_left)?);
        }
        if let (true, Some(rows)) = (crosses, &changed_right) {
            parts.push(meet(left.plan, rows, &[])?);
        } else if let Some(rows) = &changed_right {
            let on: Vec<(Expr, usize)> = by_right.iter().map(|index| left.on[*index].clone()).zip(0..).collect();
            let theirs: Vec<Expr> = by_right.iter().map(|index| right.on[*index].clone()).collect();
            let keys = Keys::new(project_keys(rows.clone(), &theirs)?, join.null_equality);
            parts.push(meet(&restrict(left.plan, &on, &keys, self)?, rows, &by_right)?);
        }
        if let (Some(left_rows), Some(right_rows)) = (&changed_left, &changed_right) {
            parts.push(meet(left_rows, right_rows, &by_both)?);
        }
        for (own, other) in [(left, right), (right, left)] {
            if other.nulled {
                parts.extend(self.unmatched(join, own, other, exprs)?);
            }
        }
        Ok(union_all(parts)?)
    }

    /// The expressions in rows of `own` that have, or had, no partner in `other`.
    fn unmatched(&self, join: &Join, own: &Side<'_>, other: &Side<'_>, exprs: &[Expr]) -> Traced {
        let alone = with_nulls(exprs, other)?;
        if alone.iter().all(|expr| is_over(expr, own.plan.schema())) {
            let mut parts = Vec::from_iter(self.changed(own.plan, &alone)?);
            if self.changes.touch(other.plan)? {
                parts.extend(self.met(join, own, other)?.map(|met| project_keys(met, &alone)).transpose()?);
            }
            return Ok(union_all(parts)?);
        }
        blocked(format!("the join on {}", shown(join)), "an expression over both sides cannot be followed")
    }
}

fn no_way<T>(join: &Join) -> Result<T, TraceError> {
    blocked(
        format!("the join on {}", shown(join)),
        "there is no equality by which changes of one side can be found on the other",
    )
}

fn sides(join: &Join) -> (Side<'_>, Side<'_>) {
    let left_nulled = matches!(join.join_type, JoinType::Right | JoinType::Full);
    let right_nulled = matches!(join.join_type, JoinType::Left | JoinType::Full);
    let (left_on, right_on) = join.on.iter().cloned().unzip();
    (
        Side { plan: &join.left, on: left_on, nulled: left_nulled },
        Side { plan: &join.right, on: right_on, nulled: right_nulled },
    )
}

/// One row with what the expressions are where `side` is all null.
fn nulls(exprs: &[Expr], side: &Side<'_>) -> Result<LogicalPlan> {
    project_keys(LogicalPlanBuilder::empty(true).build()?, &with_nulls(exprs, side)?)
}

fn with_nulls(exprs: &[Expr], side: &Side<'_>) -> Result<Vec<Expr>> {
    let schema = side.plan.schema();
    let null_of = |column: &Column| -> Result<Option<Expr>> {
        match schema.maybe_index_of_column(column) {
            Some(index) => Ok(Some(lit(ScalarValue::try_from(schema.field(index).data_type())?))),
            None => Ok(None),
        }
    };
    exprs
        .iter()
        .map(|expr| {
            use datafusion::common::tree_node::{Transformed, TreeNode};
            let replaced = expr.clone().transform_up(|expr| match &expr {
                Expr::Column(column) => Ok(match null_of(column)? {
                    Some(null) => Transformed::yes(null),
                    None => Transformed::no(expr),
                }),
                _ => Ok(Transformed::no(expr)),
            })?;
            Ok(replaced.data)
        })
        .collect()
}

/// The join's condition, as a person reads it.
fn shown(join: &Join) -> String {
    let equalities = join.on.iter().map(|(left, right)| format!("{left} = {right}"));
    let parts: Vec<String> = equalities.chain(join.filter.iter().map(ToString::to_string)).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(" AND ") }
}
