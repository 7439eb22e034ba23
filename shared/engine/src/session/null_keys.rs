//! Separates join keys that treat nulls as equal from those that do not.
//!
//! A join has one null rule for all its keys. The engine adds keys of conditions like `a.x = b.x` to joins whose keys
//! treat nulls as equal (those of `IS NOT DISTINCT FROM`, and of values that a subquery depends on), and merges the
//! keys of several joins under the rule of one of them: the result then wrongly contains rows with nulls on both sides.
//! The two rules that do this are wrapped here:
//!
//! ```text
//! extract_equijoin_predicate   leaves `=` in the filter of a join whose keys take nulls for equal
//! eliminate_cross_join         finds a fence between a join of the one kind and what is above and below it
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, JoinType, NullEquality, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, Join, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, with the two wrapped that would mix keys.
pub(super) fn kept_apart(rules: Vec<Rule>) -> Vec<Rule> {
    rules
        .into_iter()
        .map(|rule| match rule.name() {
            "extract_equijoin_predicate" => Arc::new(KeysOfOneKind(rule)) as Rule,
            "eliminate_cross_join" => Arc::new(JoinsOfOneKind(rule)),
            _ => rule,
        })
        .collect()
}

/// Whether the join's keys treat nulls as equal.
fn equates_nulls(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty()
}

/// The engine's rule, which skips joins whose keys treat nulls as equal.
#[derive(Debug)]
struct KeysOfOneKind(Rule);

impl OptimizerRule for KeysOfOneKind {
    fn name(&self) -> &str {
        "extract_keys_of_one_kind"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Join(join) if equates_nulls(join) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// The engine's rule, which only merges joins with the same kind of keys.
#[derive(Debug)]
struct JoinsOfOneKind(Rule);

impl OptimizerRule for JoinsOfOneKind {
    fn name(&self) -> &str {
        "join_inputs_of_one_kind"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !has_null_keys(&plan)? {
            return self.0.rewrite(plan, config);
        }
        let fenced = plan.transform_down_with_subqueries(with_fences).data()?;
        let rewritten = self.0.rewrite(fenced, config)?;
        rewritten.transform_data(|plan| plan.transform_up_with_subqueries(without_fence))
    }
}

fn has_null_keys(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = found || matches!(inner_join(node), Some(join) if equates_nulls(join));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn inner_join(node: &LogicalPlan) -> Option<&Join> {
    match node {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => Some(join),
        _ => None,
    }
}

/// The filter or join with a fence above each inner join below it that it must not be merged with.
fn with_fences(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let above = match (&node, inner_join(&node)) {
        (_, Some(join)) => equates_nulls(join),
        (LogicalPlan::Filter(_), None) => false,
        _ => return Ok(Transformed::no(node)),
    };
    node.map_children(|child| match inner_join(&child) {
        Some(join) if above || equates_nulls(join) => {
            Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(Fence(child)) })))
        }
        _ => Ok(Transformed::no(child)),
    })
}

fn without_fence(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match &node {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<Fence>() {
            Some(Fence(inner)) => Ok(Transformed::yes(inner.clone())),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    }
}

/// A node without effect, at which rules that merge joins stop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
struct Fence(LogicalPlan);

impl UserDefinedLogicalNodeCore for Fence {
    fn name(&self) -> &str {
        "Fence"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.0]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.0.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.into_iter().next() {
            Some(input) => Ok(Self(input)),
            None => internal_err!("a fence has one input"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballista_core::optimizer::ballista_default_optimizer_rules;

    #[test]
    fn both_rules_of_the_engine_are_wrapped() {
        let rules = kept_apart(ballista_default_optimizer_rules());
        let names: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
        assert!(names.contains(&"extract_keys_of_one_kind"), "{names:?}");
        assert!(names.contains(&"join_inputs_of_one_kind"), "{names:?}");
    }
}
