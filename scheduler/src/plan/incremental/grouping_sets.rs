//! Changes followed through GROUPING SETS, ROLLUP and CUBE: each set is a grouping of its own, in which the columns of the
//! others are null.

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, lit};

use super::blocker::{TraceError, blocked};
use super::columns::{union_all, unnamed};
use super::trace::{Traced, Tracer, instead_of_all};

impl Tracer<'_> {
    /// The values of `exprs` in every row of `aggregate`, which groups by `sets`, that can have changed.
    pub(super) fn grouping_sets(&self, aggregate: &Aggregate, sets: &GroupingSet, exprs: &[Expr]) -> Traced {
        let all: Vec<Expr> = sets.distinct_expr().into_iter().map(unnamed).collect();
        let members = members(sets, &all);
        if members.iter().enumerate().any(|(place, set)| members[..place].contains(set)) {
            return blocked("GROUPING SETS, CUBE or ROLLUP", "a set of columns occurs twice");
        }
        let mut parts = Vec::new();
        for set in members {
            let of_set = column_values(aggregate, &all, &set)?;
            let inner = exprs
                .iter()
                .map(|expr| instead_of_all(expr, &aggregate.schema, |index| of_set.get(index).cloned()))
                .collect::<Result<Option<Vec<Expr>>>>()?;
            let Some(inner) = inner else {
                return blocked("GROUPING SETS, CUBE or ROLLUP", "the key has a column that is not grouped by");
            };
            parts.extend(self.changed(&aggregate.input, &inner)?);
        }
        Ok(union_all(parts)?)
    }
}

/// For each set, which of `all` expressions are in it.
fn members(sets: &GroupingSet, all: &[Expr]) -> Vec<Vec<bool>> {
    match sets {
        GroupingSet::Rollup(_) => (0..=all.len()).map(|first| (0..all.len()).map(|at| at < first).collect()).collect(),
        GroupingSet::Cube(_) => {
            let subsets = 1_usize << all.len().min(20);
            (0..subsets).map(|subset| (0..all.len()).map(|at| subset & (1 << at) != 0).collect()).collect()
        }
        GroupingSet::GroupingSets(sets) => sets
            .iter()
            .map(|set| all.iter().map(|expr| set.iter().any(|member| unnamed(member) == *expr)).collect())
            .collect(),
    }
}

/// What the columns that are grouped by, and the one behind them that tells the set, are made of in rows of one set.
fn column_values(aggregate: &Aggregate, all: &[Expr], set: &[bool]) -> Result<Vec<Expr>, TraceError> {
    let mut values = Vec::with_capacity(all.len() + 1);
    for (index, (expr, is_in)) in all.iter().zip(set).enumerate() {
        values.push(match is_in {
            true => expr.clone(),
            false => lit(ScalarValue::try_from(aggregate.schema.field(index).data_type())?),
        });
    }
    if let Some(id) = aggregate.schema.fields().get(all.len()) {
        let bits = set.iter().fold(0_u64, |bits, is_in| (bits << 1) | u64::from(!is_in));
        values.push(lit(ScalarValue::from(bits).cast_to(id.data_type())?));
    }
    Ok(values)
}
