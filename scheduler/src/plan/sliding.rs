//! Aggregates over windows that slide.
//!
//! A window whose start moves gives up rows again. An aggregate that cannot take a row out again fails at the first one, in the
//! middle of a run: the engine looks only then.

use std::sync::Arc;

use datafusion::physical_expr::window::{SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::physical::Unplannable;

/// The first aggregate of the plan that cannot be computed over its window.
pub(super) fn cannot_slide(plan: &Arc<dyn ExecutionPlan>) -> Option<Unplannable> {
    window_calls(plan).iter().find_map(refused).or_else(|| plan.children().into_iter().find_map(cannot_slide))
}

fn window_calls(plan: &Arc<dyn ExecutionPlan>) -> &[Arc<dyn WindowExpr>] {
    if let Some(window) = plan.downcast_ref::<WindowAggExec>() {
        return window.window_expr();
    }
    plan.downcast_ref::<BoundedWindowAggExec>().map_or(&[], BoundedWindowAggExec::window_expr)
}

fn refused(call: &Arc<dyn WindowExpr>) -> Option<Unplannable> {
    let sliding = call.as_any().downcast_ref::<SlidingAggregateWindowExpr>()?;
    sliding.get_aggregate_expr().create_sliding_accumulator().err()?;
    Some(Unplannable {
        what: format!("`{}` cannot be computed over a window whose start moves", call.name()),
        help: "let the window begin at UNBOUNDED PRECEDING, or join the table with itself over the rows of the window",
        span: None,
    })
}
