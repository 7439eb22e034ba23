//! Preserves the options of window function calls on the way to executors.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction, WindowFunctionDefinition};
use datafusion::logical_expr::{Expr, LogicalPlan, ReversedUDWF};
use datafusion::optimizer::AnalyzerRule;

use crate::function::exact::{Filtered, Shifted};

/// Embeds options that the engine would not send in the called function.
#[derive(Debug)]
pub(super) struct WholeWindows;

impl AnalyzerRule for WholeWindows {
    fn name(&self) -> &str {
        "whole_windows"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let whole = plan.transform_up_with_subqueries(|node| {
            node.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::WindowFunction(call) => Ok(whole_call(*call).update_data(Expr::from)),
                    other => Ok(Transformed::no(other)),
                })
            })
        })?;
        Ok(whole.data)
    }
}

fn whole_call(mut call: WindowFunction) -> Transformed<WindowFunction> {
    match &call.fun {
        WindowFunctionDefinition::AggregateUDF(function) => {
            let Some(condition) = call.params.filter.take() else { return Transformed::no(call) };
            call.params.args.push(*condition);
            call.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(Filtered::of(Arc::clone(function))));
        }
        WindowFunctionDefinition::WindowUDF(function) => {
            let ignore_nulls = call.params.null_treatment == Some(NullTreatment::IgnoreNulls);
            let may_be_reversed = matches!(function.reverse_expr(), ReversedUDWF::Reversed(_));
            if function.inner().is::<Shifted>() || !(ignore_nulls || may_be_reversed) {
                return Transformed::no(call);
            }
            let shifted = Shifted::of(Arc::clone(function), ignore_nulls, false);
            call.fun = WindowFunctionDefinition::WindowUDF(Arc::new(shifted));
        }
    }
    Transformed::yes(call)
}
