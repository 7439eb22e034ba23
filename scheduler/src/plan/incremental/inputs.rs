//! What changed in the inputs of a stage, as plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_nested::expr_fn::gen_series;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableSource, col, lit, when};
use windlass_shared::delta::changes::CHANGE_TYPE;
use windlass_shared::ids::NodeName;

use super::columns::{column_at, identified, key_column, key_name, restored, unnamed};

/// The column that says how many copies of a row there are more (or, below zero, fewer) than before.
pub(super) const SIGN: &str = "__wl_sign";
const SUM: &str = "__wl_sum";
/// The column that repeats a row.
pub(super) const COPIES: &str = "__wl_copies";

/// The change feed of one input.
#[derive(Clone)]
pub struct InputChanges {
    /// The feed: the input's columns, and those of [`windlass_shared::delta::changes`].
    pub feed: Arc<dyn TableSource>,
    /// Whether it holds nothing but rows that were inserted.
    pub insert_only: bool,
}

/// The change feeds of the inputs that have changed, by the name under which a stage reads them. What is not here has
/// not changed.
#[derive(Clone, Default)]
pub struct ChangedInputs {
    by_name: BTreeMap<NodeName, InputChanges>,
}

impl ChangedInputs {
    /// Adds the changes of the input `name`.
    pub fn add(&mut self, name: NodeName, changes: InputChanges) {
        self.by_name.insert(name, changes);
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether rows were inserted and nothing else has changed.
    pub fn insert_only(&self) -> bool {
        self.by_name.values().all(|changes| changes.insert_only)
    }

    /// Whether anything that `plan` reads has changed.
    pub(super) fn touch(&self, plan: &LogicalPlan) -> Result<bool> {
        plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(scan) if self.of(scan).is_some())))
    }

    fn of(&self, scan: &TableScan) -> Option<&InputChanges> {
        self.by_name.get(scan.table_name.table())
    }

    /// The rows of the feed that `scan` would read, as it would read them; `None` if nothing has changed.
    pub(super) fn inserted(&self, scan: &TableScan) -> Result<Option<LogicalPlan>> {
        let Some(changes) = self.of(scan) else { return Ok(None) };
        let rows = feed_rows(scan, changes)?;
        LogicalPlanBuilder::from(rows).project(scanned(scan).map(Expr::Column))?.build().map(Some)
    }

    /// The rows of which `scan` reads more or fewer copies than before, each once, with [`SIGN`] behind its columns;
    /// `None` if nothing has changed. A row that was deleted and came back, or a change of columns that the scan does
    /// not read, is no change.
    pub(super) fn net(&self, scan: &TableScan) -> Result<Option<LogicalPlan>> {
        let Some(changes) = self.of(scan) else { return Ok(None) };
        let kind = || Expr::Column(Column::new(Some(scan.table_name.clone()), CHANGE_TYPE));
        let is_new = kind().eq(lit("insert")).or(kind().eq(lit("update_postimage")));
        let sign = when(is_new, lit(1_i64)).otherwise(lit(-1_i64))?;
        let schema = &scan.projected_schema;
        let columns = 0..schema.fields().len();
        let values = columns.clone().map(|index| restored(column_at(schema, index), schema, index));
        let values: Vec<Expr> = values.collect::<Result<_>>()?;
        LogicalPlanBuilder::from(feed_rows(scan, changes)?)
            .project(columns.map(|index| identified(schema, index)).chain([sign.alias(SIGN)]))?
            .aggregate(scanned(scan).map(Expr::Column), [sum(col(SIGN)).alias(SUM)])?
            .filter(col(SUM).not_eq(lit(0_i64)))?
            .project(values.into_iter().chain([col(SUM).alias(SIGN)]))?
            .build()
            .map(Some)
    }
}

impl ChangedInputs {
    /// `plan` over its inputs as they were before the changes: what they are now without what was added, and with what
    /// was taken away. It is meant to be restricted to few keys, since it counts copies of whole rows.
    pub(super) fn former(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let former = plan.clone().transform_down(|node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            match self.net(scan)? {
                Some(net) => Ok(Transformed::new(former_rows(&node, scan, net)?, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(former.data)
    }
}

fn former_rows(now: &LogicalPlan, scan: &TableScan, net: LogicalPlan) -> Result<LogicalPlan> {
    let schema = &scan.projected_schema;
    let columns = 0..schema.fields().len();
    let keys = || columns.clone().map(key_column);
    let counted = |rows: LogicalPlan, copies: Expr| {
        let keys = columns.clone().map(|index| unnamed(&identified(schema, index)).alias(key_name(index)));
        LogicalPlanBuilder::from(rows).project(keys.chain([copies.alias(SIGN)]))?.build()
    };
    let values = columns.clone().map(|index| restored(key_column(index), schema, index));
    let values: Vec<Expr> = values.collect::<Result<_>>()?;
    LogicalPlanBuilder::from(counted(now.clone(), lit(1_i64))?)
        .union(counted(net, lit(0_i64) - col(SIGN))?)?
        .aggregate(keys(), [sum(col(SIGN)).alias(SUM)])?
        .filter(col(SUM).gt(lit(0_i64)))?
        .project(keys().chain([gen_series(lit(1_i64), col(SUM), lit(1_i64)).alias(COPIES)]))?
        .unnest_column(Column::new_unqualified(COPIES))?
        .project(values)?
        .build()
}

/// The columns that `scan` reads.
fn scanned(scan: &TableScan) -> impl Iterator<Item = Column> + '_ {
    scan.projected_schema.iter().map(Column::from)
}

/// The feed of what `scan` reads, under the same name, with the filters that only the scan applies.
fn feed_rows(scan: &TableScan, changes: &InputChanges) -> Result<LogicalPlan> {
    let feed = LogicalPlanBuilder::scan(scan.table_name.clone(), Arc::clone(&changes.feed), None)?;
    match conjunction(scan.filters.iter().cloned()) {
        Some(filter) => feed.filter(filter)?.build(),
        None => feed.build(),
    }
}
