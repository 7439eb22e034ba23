//! Rules that every session adds to the engine's analysis of a plan, after types are settled. They put in the place of what
//! the engine computes only nearly, or loses on the way to executors, functions that do it exactly.

mod arithmetic;
mod decimals;
mod single_rows;
mod windows;
mod zeros;

use std::sync::Arc;

use datafusion::optimizer::AnalyzerRule;

/// The rules, in their order.
pub(super) fn rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![
        Arc::new(single_rows::SingleRows),
        Arc::new(decimals::ExactDecimals),
        Arc::new(zeros::OneZero),
        Arc::new(arithmetic::ExactArithmetic),
        Arc::new(windows::WholeWindows),
    ]
}
