//! Decodes bytes to a plan.

use datafusion::common::tree_node::Transformed;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{FetchType, LogicalPlan, SkipType, lit};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use prost::Message;
use windlass_base::panics;

use super::wire::{Functions, Tables, WireCodec};
use super::{PlanWireError, limits};

/// The plan as it was sent: its scans are names and columns.
pub(super) fn decode_unbound(
    bytes: &[u8],
    task: &TaskContext,
    functions: Functions,
) -> Result<LogicalPlan, PlanWireError> {
    decode(bytes, task, &WireCodec::with_functions(functions))
}

/// The plan over `tables`.
pub(super) fn over(bytes: &[u8], task: &TaskContext, tables: Tables) -> Result<LogicalPlan, PlanWireError> {
    decode(bytes, task, &WireCodec::over(tables))
}

fn decode(bytes: &[u8], task: &TaskContext, codec: &WireCodec) -> Result<LogicalPlan, PlanWireError> {
    let node = LogicalPlanNode::decode(bytes).map_err(|error| {
        let reason = error.to_string();
        if reason.contains("recursion limit") { PlanWireError::TooDeep } else { PlanWireError::Unreadable { reason } }
    })?;
    limits::check(&node)?;
    // The engine's decoder may not handle every malformed message.
    let decoded = panics::expected(|| node.try_into_logical_plan(task, codec));
    let Ok(decoded) = decoded else {
        let reason = "it is inconsistent".to_owned();
        return Err(PlanWireError::Unreadable { reason });
    };
    decoded.and_then(tidy_limits).map_err(|error| codec.explain(error))
}

/// Infers the types of placeholders from their context. The engine also does this when it sets them, but looks up
/// columns in a node's output instead of in its inputs.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan, PlanWireError> {
    let typed = plan.transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        if inputs.is_empty() {
            return Ok(Transformed::no(node));
        }
        let columns = merge_schema(&inputs);
        let node = node.map_expressions(|expr| {
            let (expr, changed) = expr.infer_placeholder_types(&columns)?;
            Ok(Transformed::new_transformed(expr, changed))
        })?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    });
    Ok(typed.map_err(PlanWireError::Engine)?.data)
}

/// The encoding has a number for each limit and offset, even if there is none.
pub(super) fn tidy_limits(plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let tidied = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Limit(mut limit) = node else { return Ok(Transformed::no(node)) };
        let number = |rows: usize| i64::try_from(rows).ok().filter(|rows| *rows < i64::MAX);
        if let SkipType::Literal(rows) = limit.get_skip_type()? {
            limit.skip = number(rows).filter(|rows| *rows > 0).map(|rows| Box::new(lit(rows)));
        }
        if let FetchType::Literal(rows) = limit.get_fetch_type()? {
            limit.fetch = rows.and_then(number).map(|rows| Box::new(lit(rows)));
        }
        Ok(Transformed::yes(LogicalPlan::Limit(limit)))
    })?;
    Ok(tidied.data)
}
