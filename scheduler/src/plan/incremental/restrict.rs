//! A query over the rows of some keys only: semi-joins with the keys, as deep in the plan as they can stand.

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, DataFusionError, NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, Union, Unnest, Window,
};

use super::bounds::Bounds;
use super::columns::{column_at, is_over, key_column, key_name, project_keys, renamed, replace, unnamed};
use super::trace::{Tracer, instead_of_all, partition_of};

/// A relation of keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Its columns are those of keys; rows may come more than once.
    pub plan: LogicalPlan,
    /// Whether a null among the keys stands for rows with a null.
    pub nulls: NullEquality,
    /// By column, between which values the keys lie, where that is known. Only for keys of which a null stands for no row.
    pub bounds: Vec<Option<Bounds>>,
}

impl Keys {
    /// Keys of which nothing more is known.
    pub(super) fn new(plan: LogicalPlan, nulls: NullEquality) -> Self {
        Self { plan, nulls, bounds: Vec::new() }
    }
}

/// An expression over a plan, and the column of the keys that it must be found in.
type On = Vec<(Expr, usize)>;

/// The rows of `plan` for which `on` is found in a row of `keys`: exactly those, in the columns of `plan`.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn restrict(plan: &LogicalPlan, on: &[(Expr, usize)], keys: &Keys, names: &Tracer<'_>) -> Result<LogicalPlan> {
    Restriction { keys, names }.apply(plan, on)
}

struct Restriction<'k> {
    keys: &'k Keys,
    names: &'k Tracer<'k>,
}

impl Restriction<'_> {
    fn apply(&self, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        match plan {
            LogicalPlan::Filter(_) | LogicalPlan::Repartition(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
                self.through(plan, on.to_vec())
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.through(plan, on.to_vec()),
            LogicalPlan::SubqueryAlias(alias) => {
                let exprs: Vec<Expr> = on.iter().map(|(expr, _)| expr.clone()).collect();
                let inner = renamed(&exprs, &alias.schema, alias.input.schema())?;
                self.through(plan, inner.into_iter().zip(on.iter().map(|(_, key)| *key)).collect())
            }
            LogicalPlan::Projection(projection) => {
                let inner = |expr: &Expr| {
                    replace(expr, &projection.schema, |index| {
                        Ok::<_, DataFusionError>(unnamed(&projection.expr[index]))
                    })
                };
                let inner = on.iter().map(|(expr, key)| Ok((inner(expr)?, *key))).collect::<Result<_>>()?;
                self.through(plan, inner)
            }
            LogicalPlan::Union(union) => self.union(union, on),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, plan, on),
            LogicalPlan::Window(window) => self.window(window, plan, on),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, plan, on),
            LogicalPlan::Join(join) => self.join(join, plan, on),
            other => self.semi_join(other.clone(), on),
        }
    }

    /// `plan` with its one input restricted.
    fn through(&self, plan: &LogicalPlan, on: On) -> Result<LogicalPlan> {
        let input = plan.inputs().into_iter().next().map(|input| self.apply(input, &on)).transpose()?;
        plan.with_new_exprs(plan.expressions(), Vec::from_iter(input))
    }

    /// `plan` with its input restricted by those of `on` that `below` can say of the input, and with a semi-join on top
    /// for all if that was not everything.
    fn partly(
        &self,
        plan: &LogicalPlan,
        on: &[(Expr, usize)],
        below: impl Fn(&Expr) -> Result<Option<Expr>>,
    ) -> Result<LogicalPlan> {
        let mut inner = On::new();
        for (expr, key) in on {
            inner.extend(below(expr)?.map(|expr| (expr, *key)));
        }
        let complete = inner.len() == on.len();
        let restricted = if inner.is_empty() { plan.clone() } else { self.through(plan, inner)? };
        if complete { Ok(restricted) } else { self.semi_join(restricted, on) }
    }

    fn union(&self, union: &Union, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        let exprs: Vec<Expr> = on.iter().map(|(expr, _)| expr.clone()).collect();
        let inputs = union
            .inputs
            .iter()
            .map(|input| {
                let inner = renamed(&exprs, &union.schema, input.schema())?;
                let inner: On = inner.into_iter().zip(on.iter().map(|(_, key)| *key)).collect();
                Ok(self.apply(input, &inner)?.into())
            })
            .collect::<Result<_>>()?;
        Ok(LogicalPlan::Union(Union { inputs, schema: union.schema.clone() }))
    }

    /// Groups are taken whole, so what only their keys say can be said of the rows.
    fn aggregate(&self, aggregate: &Aggregate, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return self.semi_join(plan.clone(), on);
        }
        self.partly(plan, on, |expr| {
            instead(expr, &aggregate.schema, |index| aggregate.group_expr.get(index).map(unnamed))
        })
    }

    /// Partitions are taken whole.
    fn window(&self, window: &Window, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        let partitions: Vec<Vec<Expr>> = window.window_expr.iter().map(partition_of).collect();
        self.partly(plan, on, |expr| {
            instead(expr, &window.schema, |index| {
                let column = column_at(&window.schema, index);
                partitions.iter().all(|partition| partition.contains(&column)).then_some(column)
            })
        })
    }

    fn unnest(&self, unnest: &Unnest, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        let unnested: Vec<usize> = unnest
            .list_type_columns
            .iter()
            .map(|(index, _)| *index)
            .chain(unnest.struct_type_columns.iter().copied())
            .collect();
        self.partly(plan, on, |expr| {
            instead(expr, &unnest.schema, |index| {
                let from = unnest.dependency_indices.get(index).filter(|from| !unnested.contains(from))?;
                Some(column_at(unnest.input.schema(), *from))
            })
        })
    }

    fn join(&self, join: &Join, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        // A side is restricted only if none of its rows that are left out shows that it is: by a missing partner.
        let (left_may, right_may) = match join.join_type {
            JoinType::Inner => (true, true),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
            JoinType::Full => (false, false),
        };
        let of = |side: &LogicalPlan| -> On {
            on.iter().filter(|(expr, _)| uses(expr) && is_over(expr, side.schema())).cloned().collect()
        };
        let left_on = if left_may { of(&join.left) } else { On::new() };
        let right_on = if right_may { of(&join.right) } else { On::new() };
        if left_on.is_empty() && right_on.is_empty() {
            return self.semi_join(plan.clone(), on);
        }
        // What holds for one part of an equality holds for the other: rows without it have no partner left.
        let mirrored = |on: &On, pairs: Vec<(Expr, Expr)>| -> On {
            let twin = |expr: &Expr| pairs.iter().find(|(own, _)| own == expr).map(|(_, other)| other.clone());
            on.iter().filter_map(|(expr, key)| Some((twin(expr)?, *key))).collect()
        };
        let to_right = mirrored(&left_on, join.on.clone());
        let swapped = join.on.iter().map(|(left, right)| (right.clone(), left.clone()));
        let to_left = mirrored(&right_on, swapped.collect());
        let same_nulls = join.null_equality == self.keys.nulls || join.null_equality == NullEquality::NullEqualsNothing;
        let both = |own: &On, twin: On| -> On {
            let mut all = own.clone();
            all.extend(twin.into_iter().filter(|pair| same_nulls && !own.contains(pair)));
            all
        };
        let (all_left, all_right) = (both(&left_on, to_left), both(&right_on, to_right));
        let mut left = self.side(&join.left, &all_left)?;
        let mut right = self.side(&join.right, &all_right)?;
        if all_right.is_empty() && is_heavy(&join.right) && !join.on.is_empty() {
            right = self.partners(&left, &join.right, join, |(left, right)| (left, right))?;
        } else if all_left.is_empty() && is_heavy(&join.left) && !join.on.is_empty() {
            left = self.partners(&right, &join.left, join, |(left, right)| (right, left))?;
        }
        let restricted = Join::try_new(
            left.into(),
            right.into(),
            join.on.clone(),
            join.filter.clone(),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        let restricted = LogicalPlan::Join(restricted);
        let complete = left_on.len() == on.len() || right_on.len() == on.len();
        if complete { Ok(restricted) } else { self.semi_join(restricted, on) }
    }

    fn side(&self, plan: &LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        if on.is_empty() { Ok(plan.clone()) } else { self.apply(plan, on) }
    }

    /// The rows of `plan`, a side of `join` that takes work to compute, that have a partner among `others`.
    fn partners(
        &self,
        others: &LogicalPlan,
        plan: &LogicalPlan,
        join: &Join,
        order: impl Fn((Expr, Expr)) -> (Expr, Expr),
    ) -> Result<LogicalPlan> {
        let (theirs, own): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().map(order).unzip();
        let keys = Keys::new(project_keys(others.clone(), &theirs)?, join.null_equality);
        let on: On = own.into_iter().zip(0..).collect();
        restrict(plan, &on, &keys, self.names)
    }

    /// `plan`, if it is a scan, without rows that lie outside of the keys' bounds. Anywhere else they would spare no
    /// reading, and above outer joins the engine draws wrong conclusions from such a filter.
    fn within(&self, plan: LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        if !matches!(plan, LogicalPlan::TableScan(_)) {
            return Ok(plan);
        }
        let mut within = Vec::new();
        for (expr, key) in on.iter().filter(|(expr, _)| matches!(expr, Expr::Column(_))) {
            let Some(Some(bounds)) = self.keys.bounds.get(*key) else { continue };
            if !Bounds::of(&plan, expr).is_some_and(|all| bounds.are_wide(&all)) {
                within.extend(bounds.hold(expr, plan.schema())?);
            }
        }
        match conjunction(within) {
            Some(within) => LogicalPlanBuilder::from(plan).filter(within)?.build(),
            None => Ok(plan),
        }
    }

    /// The keys stand on the left, where the engine builds its hash table.
    fn semi_join(&self, plan: LogicalPlan, on: &[(Expr, usize)]) -> Result<LogicalPlan> {
        let plan = self.within(plan, on)?;
        let alias = self.names.fresh();
        let keys = LogicalPlanBuilder::from(self.keys.plan.clone())
            .project(
                on.iter().map(|(_, key)| *key).collect::<std::collections::BTreeSet<_>>().into_iter().map(key_column),
            )?
            // One changed row in a hundred names most groups of a coarse key many times over, and the engine pairs every
            // copy with every row of the group.
            .distinct()?
            .alias(alias.clone())?
            .build()?;
        let key = |index: usize| Expr::Column(Column::new(Some(alias.clone()), key_name(index)));
        let on = on.iter().map(|(expr, index)| (key(*index), expr.clone())).collect();
        let join = Join::try_new(
            keys.into(),
            plan.into(),
            on,
            None,
            JoinType::RightSemi,
            JoinConstraint::On,
            self.keys.nulls,
            false,
        )?;
        Ok(LogicalPlan::Join(join))
    }
}

/// `expr` with each of its columns replaced by what `by` gives for its place; `None` if it gives nothing for one, or
/// there is none.
fn instead(expr: &Expr, schema: &DFSchema, by: impl Fn(usize) -> Option<Expr>) -> Result<Option<Expr>> {
    if uses(expr) { instead_of_all(expr, schema, by) } else { Ok(None) }
}

/// Whether the expression uses columns at all.
fn uses(expr: &Expr) -> bool {
    !expr.column_refs().is_empty()
}

/// Whether it takes more than a scan to compute `plan`: then it is worth finding out first for which rows.
fn is_heavy(plan: &LogicalPlan) -> bool {
    let costs = |node: &LogicalPlan| {
        matches!(
            node,
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Join(_) | LogicalPlan::Unnest(_)
        )
    };
    plan.exists(|node| Ok(costs(node))).unwrap_or(false)
}
