//! Checks that a plan arrived as it was sent.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::PlanWireError;
use super::decode::tidy_limits;
use crate::canonical::{Names, canonical};

/// Checks that nothing of `sent` was lost in `arrived`.
pub(super) fn same(sent: &LogicalPlan, arrived: &LogicalPlan) -> Result<(), PlanWireError> {
    let sent = comparable(sent.clone()).map_err(PlanWireError::Engine)?;
    let arrived = comparable(arrived.clone()).map_err(PlanWireError::Engine)?;
    // The engine's comparison ignores some differences, and the canonical form those that do not affect rows.
    let form = |plan| canonical(plan, Names::All).map_err(PlanWireError::Engine);
    if sent == arrived && form(&sent)? == form(&arrived)? {
        return Ok(());
    }
    let (was, is) = (sent.display_indent_schema().to_string(), arrived.display_indent_schema().to_string());
    let changed = was.lines().zip(is.lines()).find(|(was, is)| was != is);
    let what = match changed {
        Some((was, _)) => format!("a part of `{}`", was.trim()),
        None => "metadata of a column or a value".to_owned(),
    };
    Err(PlanWireError::Lost { what })
}

/// The plan without irrelevant details: the names of fields that only carry a type.
fn comparable(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = tidy_limits(plan)?;
    let renamed = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|root| {
            root.transform_up(|mut expr| {
                match &mut expr {
                    Expr::Placeholder(placeholder) => placeholder.field = placeholder.field.take().map(without_name),
                    Expr::Cast(cast) => cast.field = without_name(Arc::clone(&cast.field)),
                    Expr::TryCast(cast) => cast.field = without_name(Arc::clone(&cast.field)),
                    _ => return Ok(Transformed::no(expr)),
                }
                Ok(Transformed::yes(expr))
            })
        })
    })?;
    Ok(renamed.data)
}

fn without_name(field: FieldRef) -> FieldRef {
    Arc::new(Arc::unwrap_or_clone(field).with_name(""))
}
