//! Limits of a message, checked before the engine decodes it.
//!
//! The nesting of messages is limited, but an operator's operands and a union's inputs are lists that the decoder turns
//! into nested plans; without a limit a small file could exhaust the stack. Nodes that a stage's plan must not contain
//! are refused here, so that no file table is ever opened for a plan.

use datafusion_proto::protobuf::logical_expr_node::ExprType;
use datafusion_proto::protobuf::logical_plan_node::LogicalPlanType;
use datafusion_proto::protobuf::repartition_node::PartitionMethod;
use datafusion_proto::protobuf::{LogicalExprNode, LogicalPlanNode, SortExprNode};

use super::PlanWireError;

/// The maximum depth of a plan.
const PLAN_LEVELS: usize = 250;
/// The maximum depth of an expression. The engine's traversals of 2,000 levels take more than the 2 MiB stack of a
/// thread.
const EXPRESSION_LEVELS: usize = 500;

type Checked = Result<(), PlanWireError>;

/// Checks that a message is a query, and not too deep.
pub(super) fn check(node: &LogicalPlanNode) -> Checked {
    plan(node, 0)
}

fn plan(node: &LogicalPlanNode, level: usize) -> Checked {
    use LogicalPlanType as P;
    if level > PLAN_LEVELS {
        return Err(PlanWireError::TooDeep);
    }
    let below = |input: &Option<Box<LogicalPlanNode>>| input.as_deref().map_or(Ok(()), |input| plan(input, level + 1));
    let Some(kind) = &node.logical_plan_type else {
        return Err(PlanWireError::Unreadable { reason: "it has a node without a kind".to_owned() });
    };
    match kind {
        P::EmptyRelation(_) | P::CteWorkTableScan(_) => Ok(()),
        P::CustomScan(scan) => all(&scan.filters, level),
        P::Values(values) => {
            // The decoder divides by the number of columns.
            if values.n_cols == 0 && !values.values_list.is_empty() {
                return Err(PlanWireError::Unreadable { reason: "it has values without columns".to_owned() });
            }
            all(&values.values_list, level)
        }
        P::Projection(node) => all(&node.expr, level).and_then(|()| below(&node.input)),
        P::Selection(node) => one(node.expr.as_deref(), level).and_then(|()| below(&node.input)),
        P::Limit(node) => below(&node.input),
        P::Distinct(node) => below(&node.input),
        P::SubqueryAlias(node) => below(&node.input),
        P::Unnest(node) => below(&node.input),
        P::Window(node) => all(&node.window_expr, level).and_then(|()| below(&node.input)),
        P::Aggregate(node) => {
            all(&node.group_expr, level)?;
            all(&node.aggr_expr, level)?;
            below(&node.input)
        }
        P::Sort(node) => sorts(&node.expr, level).and_then(|()| below(&node.input)),
        P::DistinctOn(node) => {
            all(&node.on_expr, level)?;
            all(&node.select_expr, level)?;
            sorts(&node.sort_expr, level)?;
            below(&node.input)
        }
        P::Repartition(node) => {
            match &node.partition_method {
                Some(PartitionMethod::Hash(hash)) => all(&hash.hash_expr, level)?,
                Some(PartitionMethod::Range(range)) => sorts(&range.sort_expr, level)?,
                Some(PartitionMethod::RoundRobin(_)) | None => {}
            }
            below(&node.input)
        }
        P::Join(node) => {
            all(&node.left_join_key, level)?;
            all(&node.right_join_key, level)?;
            one(node.filter.as_deref(), level)?;
            below(&node.left)?;
            below(&node.right)
        }
        P::CrossJoin(node) => below(&node.left).and_then(|()| below(&node.right)),
        P::RecursiveQuery(node) => below(&node.static_term).and_then(|()| below(&node.recursive_term)),
        P::Union(union) => {
            let inputs = union.inputs.len();
            union.inputs.iter().enumerate().try_for_each(|(index, input)| plan(input, level + inputs - index))
        }
        other => Err(refused(other)),
    }
}

fn refused(kind: &LogicalPlanType) -> PlanWireError {
    use LogicalPlanType as P;
    let (what, help) = match kind {
        P::ListingScan(_) => ("a scan of files", "make the files a source of the project, and read that by its name"),
        P::EmptyTableScan(_) | P::ViewScan(_) => {
            ("a table of its own", "write the plan with the client library: `StageBuilder::plan`")
        }
        P::Extension(_) => ("a node of an extension", "write this stage with the engine's own operators"),
        P::Explain(_) | P::Analyze(_) => ("an EXPLAIN", "send the query that it explains"),
        _ => ("a statement that is not a query", "a stage is one query; windlass writes its rows"),
    };
    PlanWireError::Refused { what: what.to_owned(), help }
}

fn all(exprs: &[LogicalExprNode], plan_level: usize) -> Checked {
    exprs.iter().try_for_each(|node| expr(node, plan_level, 0))
}

fn one(node: Option<&LogicalExprNode>, plan_level: usize) -> Checked {
    node.map_or(Ok(()), |node| expr(node, plan_level, 0))
}

fn sorts(sorts: &[SortExprNode], plan_level: usize) -> Checked {
    sorts.iter().try_for_each(|sort| one(sort.expr.as_ref(), plan_level))
}

/// An expression in a plan's node at `plan_level`, `level` operators deep.
fn expr(node: &LogicalExprNode, plan_level: usize, level: usize) -> Checked {
    use ExprType as E;
    if level > EXPRESSION_LEVELS {
        return Err(PlanWireError::TooDeep);
    }
    let below = |node: &Option<Box<LogicalExprNode>>| match node.as_deref() {
        Some(node) => expr(node, plan_level, level + 1),
        None => Ok(()),
    };
    let each = |nodes: &[LogicalExprNode]| nodes.iter().try_for_each(|node| expr(node, plan_level, level + 1));
    let sorted = |sorts: &[SortExprNode]| {
        sorts.iter().filter_map(|sort| sort.expr.as_ref()).try_for_each(|node| expr(node, plan_level, level + 1))
    };
    match &node.expr_type {
        None | Some(E::Column(_) | E::Literal(_) | E::Wildcard(_) | E::Placeholder(_) | E::LambdaVariable(_)) => Ok(()),
        Some(E::BinaryExpr(node)) => {
            let operands = node.operands.len();
            let deeper = |(index, node)| expr(node, plan_level, level + operands - index);
            node.operands.iter().enumerate().try_for_each(deeper)
        }
        Some(E::Alias(node)) => below(&node.expr),
        Some(E::IsNullExpr(node)) => below(&node.expr),
        Some(E::IsNotNullExpr(node)) => below(&node.expr),
        Some(E::NotExpr(node)) => below(&node.expr),
        Some(E::IsTrue(node)) => below(&node.expr),
        Some(E::IsFalse(node)) => below(&node.expr),
        Some(E::IsUnknown(node)) => below(&node.expr),
        Some(E::IsNotTrue(node)) => below(&node.expr),
        Some(E::IsNotFalse(node)) => below(&node.expr),
        Some(E::IsNotUnknown(node)) => below(&node.expr),
        Some(E::Negative(node)) => below(&node.expr),
        Some(E::Cast(node)) => below(&node.expr),
        Some(E::TryCast(node)) => below(&node.expr),
        Some(E::Like(node)) => below(&node.expr).and_then(|()| below(&node.pattern)),
        Some(E::Ilike(node)) => below(&node.expr).and_then(|()| below(&node.pattern)),
        Some(E::SimilarTo(node)) => below(&node.expr).and_then(|()| below(&node.pattern)),
        Some(E::Lambda(node)) => below(&node.body),
        Some(E::Between(node)) => [&node.expr, &node.low, &node.high].into_iter().try_for_each(below),
        Some(E::InList(node)) => below(&node.expr).and_then(|()| each(&node.list)),
        Some(E::Case(node)) => {
            let branches = node.when_then_expr.iter().flat_map(|branch| [&branch.when_expr, &branch.then_expr]);
            branches.flatten().try_for_each(|node| expr(node, plan_level, level + 1))?;
            below(&node.expr)?;
            below(&node.else_expr)
        }
        Some(E::WindowExpr(node)) => {
            each(&node.exprs)?;
            each(&node.partition_by)?;
            sorted(&node.order_by)?;
            below(&node.filter)
        }
        Some(E::AggregateUdfExpr(node)) => {
            each(&node.args)?;
            sorted(&node.order_by)?;
            below(&node.filter)
        }
        Some(E::ScalarUdfExpr(node)) => each(&node.args),
        Some(E::HigherOrderUdfExpr(node)) => each(&node.args),
        Some(E::Unnest(node)) => each(&node.exprs),
        Some(E::Cube(node)) => each(&node.expr),
        Some(E::Rollup(node)) => each(&node.expr),
        Some(E::GroupingSet(node)) => node.expr.iter().try_for_each(|list| each(&list.expr)),
        Some(E::ScalarSubqueryExpr(node)) => {
            let Some(subquery) = &node.subquery else { return Ok(()) };
            each(&subquery.outer_ref_columns)?;
            subquery.subquery.as_deref().map_or(Ok(()), |inner| plan(inner, plan_level + 1))
        }
    }
}
