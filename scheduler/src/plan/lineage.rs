//! Column lineage: from which columns of what a stage reads each of its own columns is made.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use windlass_base::ids::NodeName;

/// A column of a source or a stage.
pub type Origin = (NodeName, String);

/// Per column of a plan, those that its values are computed from. Columns that only decide which rows there are, in filters and
/// the conditions of joins, are not among them.
type Origins = Vec<BTreeSet<Origin>>;

/// Per column of `plan`, in order, the columns of `reads` that it is made of. Views among `reads` are not seen through.
///
/// # Errors
/// The engine's, for a plan that does not fit together.
pub fn column_lineage(plan: &LogicalPlan, reads: &[NodeName]) -> Result<Vec<(String, BTreeSet<Origin>)>> {
    let origins = Tracer { reads: reads.iter().map(|name| (name.as_str(), name)).collect() }.of(plan)?;
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    Ok(names.zip(origins).collect())
}

struct Tracer<'r> {
    reads: BTreeMap<&'r str, &'r NodeName>,
}

impl Tracer<'_> {
    fn of(&self, plan: &LogicalPlan) -> Result<Origins> {
        Ok(match plan {
            LogicalPlan::TableScan(scan) => self.leaf(scan.table_name.table(), plan.schema()).unwrap_or_default(),
            LogicalPlan::SubqueryAlias(alias) => match self.leaf(alias.alias.table(), plan.schema()) {
                // A view by its name; a table by another name has its scan below.
                Some(found) if !matches!(alias.input.as_ref(), LogicalPlan::TableScan(_)) => found,
                _ => self.of(&alias.input)?,
            },
            LogicalPlan::Projection(projection) => self.exprs(&projection.expr, &projection.input)?,
            LogicalPlan::Window(window) => {
                let mut origins = self.of(&window.input)?;
                origins.extend(self.exprs(&window.window_expr, &window.input)?);
                origins
            }
            LogicalPlan::Aggregate(aggregate) => {
                let grouped: Vec<Expr> = aggregate.group_expr.iter().flat_map(leaves_of).collect();
                let mut origins = self.exprs(&grouped, &aggregate.input)?;
                let made = self.exprs(&aggregate.aggr_expr, &aggregate.input)?;
                // Grouping sets have a column of their own behind those that they group by.
                origins.resize(aggregate.schema.fields().len().saturating_sub(made.len()), BTreeSet::new());
                origins.extend(made);
                origins
            }
            LogicalPlan::Join(join) => {
                let (mut left, right) = (self.of(&join.left)?, self.of(&join.right)?);
                match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti => right,
                    JoinType::LeftSemi | JoinType::LeftAnti => left,
                    _ => {
                        left.extend(right);
                        left.truncate(plan.schema().fields().len());
                        left
                    }
                }
            }
            LogicalPlan::Union(union) => {
                let mut origins: Origins = vec![BTreeSet::new(); plan.schema().fields().len()];
                for input in &union.inputs {
                    for (all, own) in origins.iter_mut().zip(self.of(input)?) {
                        all.extend(own);
                    }
                }
                origins
            }
            LogicalPlan::Unnest(unnest) => {
                let input = self.of(&unnest.input)?;
                let from = |index: &usize| input.get(*index).cloned().unwrap_or_default();
                unnest.dependency_indices.iter().map(from).collect()
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.exprs(&distinct.select_expr, &distinct.input)?,
            LogicalPlan::RecursiveQuery(recursive) => self.of(&recursive.static_term)?,
            LogicalPlan::Subquery(subquery) => self.of(&subquery.subquery)?,
            other => match other.inputs().as_slice() {
                // Rows are dropped, ordered or repeated; columns stay.
                [input] if input.schema().fields().len() == other.schema().fields().len() => self.of(input)?,
                inputs => {
                    let mut all = BTreeSet::new();
                    for input in inputs {
                        all.extend(self.of(input)?.into_iter().flatten());
                    }
                    vec![all; other.schema().fields().len()]
                }
            },
        })
    }

    /// The columns of a node that is read; `None` if it is no such.
    fn leaf(&self, name: &str, schema: &DFSchema) -> Option<Origins> {
        let node = self.reads.get(name)?;
        let column =
            |field: &datafusion::arrow::datatypes::FieldRef| BTreeSet::from([((*node).clone(), field.name().clone())]);
        Some(schema.fields().iter().map(column).collect())
    }

    fn exprs(&self, exprs: &[Expr], input: &LogicalPlan) -> Result<Origins> {
        let origins = self.of(input)?;
        exprs.iter().map(|expr| self.expr(expr, input.schema(), &origins)).collect()
    }

    fn expr(&self, expr: &Expr, schema: &DFSchema, origins: &Origins) -> Result<BTreeSet<Origin>> {
        let mut found = BTreeSet::new();
        expr.apply(|part| {
            match part {
                Expr::Column(column) => {
                    if let Some(index) = schema.maybe_index_of_column(column) {
                        found.extend(origins.get(index).cloned().unwrap_or_default());
                    }
                }
                Expr::ScalarSubquery(subquery) => {
                    found.extend(self.of(&subquery.subquery)?.into_iter().flatten());
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }
}

/// The columns that an expression groups by.
fn leaves_of(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}
