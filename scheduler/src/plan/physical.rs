//! A query's physical plan, or what stands in the way of it.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Span as SqlSpan};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use windlass_engine::session::limits::PlanLimit;

use super::sliding::cannot_slide;
use crate::planning::heavily;

/// A query, optimized and planned.
#[derive(Debug)]
pub struct PhysicalQuery {
    /// As it was optimized.
    pub optimized: LogicalPlan,
    /// How its rows are computed.
    pub plan: Arc<dyn ExecutionPlan>,
}

/// What a query holds that the engine has no plan for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unplannable {
    /// What it is.
    pub what: String,
    /// What to write instead.
    pub help: &'static str,
    /// Where it stands in the query, if that is known.
    pub span: Option<SqlSpan>,
}

impl Unplannable {
    /// What the error says is in the query, if it does.
    pub(crate) fn find_in(error: &DataFusionError) -> Option<&Self> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

/// Plans `logical` for the cluster; if that fails, for one process, which can do more.
///
/// # Errors
/// The engine's, with an [`Unplannable`] or a [`PlanLimit`] inside where one is the reason.
pub async fn physical_query(state: &SessionState, logical: &LogicalPlan) -> Result<PhysicalQuery> {
    let refused = match planned(state, logical).await {
        Ok(query) => return Ok(query),
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => error,
    };
    let one_process = one_process(state);
    match planned(&one_process, logical).await {
        Ok(query) => Ok(query),
        Err(error) if is_final(&error) => Err(error),
        Err(_) => {
            let left = one_process.optimize(logical).ok().and_then(|optimized| unplannable(&optimized));
            Err(left.map_or(refused, |found| DataFusionError::External(Box::new(found))))
        }
    }
}

/// Whether the error says already what is wrong, and it would be so in one process too.
fn is_final(error: &DataFusionError) -> bool {
    PlanLimit::find_in(error).is_some() || Unplannable::find_in(error).is_some()
}

async fn planned(state: &SessionState, logical: &LogicalPlan) -> Result<PhysicalQuery> {
    heavily(async {
        let optimized = state.optimize(logical)?;
        let plan = state.query_planner().create_physical_plan(&optimized, state).await?;
        if let Some(found) = cannot_slide(&plan) {
            return Err(DataFusionError::External(Box::new(found)));
        }
        Ok(PhysicalQuery { optimized, plan })
    })
    .await
}

/// The session with what works in one process only.
fn one_process(state: &SessionState) -> SessionState {
    let mut config = state.config().clone();
    config.options_mut().optimizer.enable_physical_uncorrelated_scalar_subquery = true;
    SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build()
}

/// What is left in an optimized plan that the engine does not plan.
fn unplannable(optimized: &LogicalPlan) -> Option<Unplannable> {
    let mut found = None;
    // The visitor does not fail.
    let _ = optimized.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::OuterReferenceColumn(_, column) => found = Some(outer_reference(column)),
                    Expr::Exists(Exists { subquery, .. })
                    | Expr::InSubquery(InSubquery { subquery, .. })
                    | Expr::SetComparison(SetComparison { subquery, .. })
                    | Expr::ScalarSubquery(subquery)
                        if found.is_none() =>
                    {
                        found = Some(Unplannable {
                            what: "it has a subquery in a place where none can be planned".to_owned(),
                            help: "write the subquery as a join, or as a stage of its own that this one joins",
                            span: subquery.spans.first(),
                        });
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

fn outer_reference(column: &Column) -> Unplannable {
    Unplannable {
        what: format!(
            "a subquery depends on `{}`, which is outside of it, in a way that cannot be planned",
            column.flat_name()
        ),
        help: "write the subquery as a join with the table that the column is of, grouped by that table's key",
        span: column.spans.first(),
    }
}
