//! The limits of planning a query: operators, expressions, constants and time.
//!
//! Plans are measured before they are optimized and after every rule that changes them, and the timeout is checked
//! before every rule and every node, so planning a query that grows without bounds is aborted within the limits.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::optimizer::{PhysicalOptimizer, PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;
use windlass_base::coded;

use super::large_values::constant_bytes;

/// The maximum number of operators of a query's plan, with views and common table expressions inlined.
pub const MAX_OPERATORS: usize = 10_000;
/// The maximum nesting depth of operators.
pub const MAX_LEVELS: usize = 4_000;
/// The maximum number of expressions of a plan, counting all parts of all expressions.
pub const MAX_EXPRESSIONS: usize = 200_000;
/// The maximum nesting depth of an expression, including nodes added by the analysis.
pub const MAX_EXPRESSION_LEVELS: usize = 4_000;
/// The maximum total size of the constants of a plan in bytes.
pub const MAX_CONSTANT_BYTES: usize = 64 * 1024 * 1024;
/// The timeout for optimizing a query and creating its physical plan.
pub const PLANNING_TIME: Duration = Duration::from_secs(60);

/// A limit that a query exceeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanLimit {
    /// The plan is too large.
    #[error("its plan has more than {limit} {what}")]
    Size {
        /// What exceeds the limit.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A function would compute a constant that is too large.
    #[error("`{function}` would make a constant of {bytes} bytes, and one may have {limit}")]
    Constant {
        /// The function.
        function: String,
        /// The minimum size of the constant in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Planning takes too long.
    #[error("planning it takes more than {seconds} s")]
    Time {
        /// The timeout.
        seconds: u64,
    },
}

impl PlanLimit {
    /// The exceeded limit in an engine error, if that is the cause.
    pub fn find_in(error: &DataFusionError) -> Option<&Self> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(limit) = error.downcast_ref::<Self>() {
                return Some(limit);
            }
            cause = error.source();
        }
        None
    }
}

impl From<PlanLimit> for DataFusionError {
    fn from(limit: PlanLimit) -> Self {
        Self::External(Box::new(limit))
    }
}

coded! {
    PlanLimit {
        Size => "WL0376",
            "split it: let a stage in between keep a table (`materialize: table` or `cache`), and write long chains \
             as IN lists, VALUES or joins";
        Constant => "WL0376", "make such values from columns, in smaller pieces, or read them from a source";
        Time => "WL0377", "split it: let a stage in between keep a table (`materialize: table` or `cache`)";
    }
}

/// Refuses a plan that exceeds a limit. Shared subplans count each time they occur, as in any traversal; counting stops
/// at the limit.
///
/// # Errors
/// [`PlanLimit::Size`].
pub fn check_plan_size(plan: &LogicalPlan) -> Result<(), PlanLimit> {
    windlass_base::stack::with_large_stack(|| Size::default().plan(plan, 0, usize::MAX))
}

/// The counts so far.
#[derive(Default)]
struct Size {
    operators: usize,
    expressions: usize,
    constant_bytes: usize,
}

impl Size {
    /// Counts `plan`, which is `level` operators deep, and `further` operators below it.
    fn plan(&mut self, plan: &LogicalPlan, level: usize, further: usize) -> Result<(), PlanLimit> {
        let mut open = vec![(plan, level, further)];
        while let Some((plan, level, further)) = open.pop() {
            self.operators += 1;
            limited("operators", self.operators, MAX_OPERATORS)?;
            limited("operators above one another", level, MAX_LEVELS)?;
            let mut beyond = None;
            // The closure stops instead of failing.
            let _ = plan.apply_expressions(|expr| match self.expression(expr, level, further) {
                Ok(()) => Ok(TreeNodeRecursion::Continue),
                Err(limit) => {
                    beyond = Some(limit);
                    Ok(TreeNodeRecursion::Stop)
                }
            });
            if let Some(limit) = beyond {
                return Err(limit);
            }
            if further > 0 {
                open.extend(plan.inputs().into_iter().map(|input| (input, level + 1, further - 1)));
            }
        }
        Ok(())
    }

    fn expression(&mut self, root: &Expr, level: usize, further: usize) -> Result<(), PlanLimit> {
        let mut open = vec![(root, 0)];
        while let Some((expr, depth)) = open.pop() {
            self.expressions += 1;
            limited("expressions", self.expressions, MAX_EXPRESSIONS)?;
            limited("expressions inside one another", depth, MAX_EXPRESSION_LEVELS)?;
            match expr {
                Expr::Literal(value, _) => self.constant_bytes = self.constant_bytes.saturating_add(bytes_of(value)),
                Expr::ScalarFunction(call) => {
                    let bytes = constant_bytes(call).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
                    self.constant_bytes = self.constant_bytes.saturating_add(bytes);
                }
                Expr::ScalarSubquery(subquery)
                | Expr::Exists(Exists { subquery, .. })
                | Expr::InSubquery(InSubquery { subquery, .. })
                | Expr::SetComparison(SetComparison { subquery, .. })
                    if further > 0 =>
                {
                    self.plan(&subquery.subquery, level + 1, further - 1)?;
                }
                _ => {}
            }
            limited("bytes of constants", self.constant_bytes, MAX_CONSTANT_BYTES)?;
            // The closure cannot fail.
            let _ = expr.apply_children(|child| {
                open.push((child, depth + 1));
                Ok(TreeNodeRecursion::Continue)
            });
        }
        Ok(())
    }
}

fn limited(what: &'static str, found: usize, limit: usize) -> Result<(), PlanLimit> {
    if found > limit { Err(PlanLimit::Size { what, limit }) } else { Ok(()) }
}

/// The bytes of a constant beyond those that every constant takes.
fn bytes_of(value: &ScalarValue) -> usize {
    value.size().saturating_sub(size_of::<ScalarValue>())
}

/// When planning of the current query began. The rules of a session share it.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    began: Arc<Mutex<Instant>>,
    limit: Duration,
}

impl Clock {
    pub(super) fn new(limit: Duration) -> Self {
        Self { began: Arc::new(Mutex::new(Instant::now())), limit }
    }

    fn start(&self) {
        *self.began.lock() = Instant::now();
    }

    fn check(&self) -> Result<(), PlanLimit> {
        match self.began.lock().elapsed() > self.limit {
            true => Err(PlanLimit::Time { seconds: self.limit.as_secs() }),
            false => Ok(()),
        }
    }
}

/// The engine's analyzer rules, after one that measures the plan and starts the clock.
pub(super) fn limited_analyzer(clock: &Clock) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(Start { clock: clock.clone() })];
    rules.extend(Analyzer::new().rules);
    rules
}

/// Wraps `rules` so that each fails if it exceeds a limit.
pub(super) fn limited_optimizer(
    rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    clock: &Clock,
) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let limited = |rule| Arc::new(LimitedRule { rule, clock: clock.clone() }) as Arc<dyn OptimizerRule + Send + Sync>;
    rules.into_iter().map(limited).collect()
}

/// The engine's physical optimizer rules, wrapped so that none starts after the timeout.
pub(super) fn limited_physical_optimizer(clock: &Clock) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let limited = |rule| {
        Arc::new(LimitedPhysicalRule { rule, clock: clock.clone() }) as Arc<dyn PhysicalOptimizerRule + Send + Sync>
    };
    PhysicalOptimizer::new().rules.into_iter().map(limited).collect()
}

#[derive(Debug)]
struct Start {
    clock: Clock,
}

impl AnalyzerRule for Start {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        self.clock.start();
        check_plan_size(&plan)?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "plan_limits"
    }
}

#[derive(Debug)]
struct LimitedRule {
    rule: Arc<dyn OptimizerRule + Send + Sync>,
    clock: Clock,
}

impl OptimizerRule for LimitedRule {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        self.clock.check()?;
        let rewritten = self.rule.rewrite(plan, config)?;
        if rewritten.transformed {
            // A rule that is applied to a node changes it and the nodes that it inserts directly below it.
            let further = self.rule.apply_order().map_or(usize::MAX, |_| 2);
            Size::default().plan(&rewritten.data, 0, further)?;
        }
        Ok(rewritten)
    }
}

#[derive(Debug)]
struct LimitedPhysicalRule {
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
    clock: Clock,
}

impl PhysicalOptimizerRule for LimitedPhysicalRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.clock.check()?;
        self.rule.optimize(plan, config)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.clock.check()?;
        self.rule.optimize_with_context(plan, context)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}
