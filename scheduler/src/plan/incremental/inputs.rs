//! What changed in the inputs of a stage, as plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::functions_nested::expr_fn::gen_series;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableSource, col, lit, when};
use windlass_base::ids::NodeName;
use windlass_delta::changes::CHANGE_TYPE;
use windlass_engine::function::exact::sum_of;

use super::columns::{column_at, identified, key_column, key_name, restored, unnamed};

/// The column that says how many copies of a row there are more (or, below zero, fewer) than before.
pub(super) const SIGN: &str = "__wl_sign";
const SUM: &str = "__wl_sum";
/// The column that repeats a row.
pub(super) const COPIES: &str = "__wl_copies";

/// The change feeds of one input: its columns, and those of [`windlass_delta::changes`].
#[derive(Clone)]
pub struct InputChanges {
    /// What the table has yet to apply; `None` if that is nothing.
    pub feed: Option<Arc<dyn TableSource>>,
    /// Whether that is nothing but rows that were inserted.
    pub insert_only: bool,
    /// What it has applied and is to look at once more: the rows in it count as touched, and change no number of copies.
    pub again: Option<Arc<dyn TableSource>>,
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

    /// Whether the input `name` has changed.
    pub fn has(&self, name: &NodeName) -> bool {
        self.by_name.contains_key(name)
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
        let Some(feed) = self.of(scan).and_then(|changes| changes.feed.as_ref()) else { return Ok(None) };
        let rows = feed_rows(scan, feed)?;
        LogicalPlanBuilder::from(rows).project(scanned(scan).map(Expr::Column))?.build().map(Some)
    }

    /// The rows of which `scan` reads more or fewer copies than before, each once, with [`SIGN`] behind its columns;
    /// `None` if nothing has changed. A row that was deleted and inserted again, or a change of columns that the scan does
    /// not read, is no change. Rows that are looked at once more follow, with a sign of zero.
    pub(super) fn net(&self, scan: &TableScan) -> Result<Option<LogicalPlan>> {
        let Some(changes) = self.of(scan) else { return Ok(None) };
        let new = changes.feed.as_ref().map(|feed| net_rows(scan, feed)).transpose()?;
        let again = changes.again.as_ref().map(|feed| touched_rows(scan, feed)).transpose()?;
        match (new, again) {
            (Some(new), Some(again)) => {
                let columns: Vec<Column> = scanned(scan).collect();
                let bare = |rows: LogicalPlan| signed(rows, &columns, col(SIGN));
                let both = LogicalPlanBuilder::from(bare(new)?).union(bare(again)?)?;
                let named = columns.iter().enumerate().map(|(index, column)| {
                    key_column(index).alias_qualified(column.relation.clone(), column.name.clone())
                });
                both.project(named.chain([col(SIGN)]))?.build().map(Some)
            }
            (one, other) => Ok(one.or(other)),
        }
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
        .aggregate(keys(), [sum_of(col(SIGN)).alias(SUM)])?
        .filter(col(SUM).gt(lit(0_i64)))?
        .project(keys().chain([gen_series(lit(1_i64), col(SUM), lit(1_i64)).alias(COPIES)]))?
        .unnest_column(Column::new_unqualified(COPIES))?
        .project(values)?
        .build()
}

/// `rows` with their `columns` named as those of keys, and [`SIGN`] behind them.
fn signed(rows: LogicalPlan, columns: &[Column], sign: Expr) -> Result<LogicalPlan> {
    let columns = columns.iter().cloned().enumerate();
    let keys = columns.map(|(index, column)| Expr::Column(column).alias(key_name(index)));
    LogicalPlanBuilder::from(rows).project(keys.chain([sign.alias(SIGN)]))?.build()
}

/// The rows of `feed` that come out of its changes one way or the other, as `scan` reads them, with [`SIGN`].
fn net_rows(scan: &TableScan, feed: &Arc<dyn TableSource>) -> Result<LogicalPlan> {
    let kind = || Expr::Column(Column::new(Some(scan.table_name.clone()), CHANGE_TYPE));
    let is_new = kind().eq(lit("insert")).or(kind().eq(lit("update_postimage")));
    let sign = when(is_new, lit(1_i64)).otherwise(lit(-1_i64))?;
    let schema = &scan.projected_schema;
    let columns = 0..schema.fields().len();
    let values = columns.clone().map(|index| restored(column_at(schema, index), schema, index));
    let values: Vec<Expr> = values.collect::<Result<_>>()?;
    LogicalPlanBuilder::from(feed_rows(scan, feed)?)
        .project(columns.map(|index| identified(schema, index)).chain([sign.alias(SIGN)]))?
        .aggregate(scanned(scan).map(Expr::Column), [sum_of(col(SIGN)).alias(SUM)])?
        .filter(col(SUM).not_eq(lit(0_i64)))?
        .project(values.into_iter().chain([col(SUM).alias(SIGN)]))?
        .build()
}

/// All rows of `feed`, whether or not they came out of it, as `scan` reads them, with a [`SIGN`] of zero.
fn touched_rows(scan: &TableScan, feed: &Arc<dyn TableSource>) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(feed_rows(scan, feed)?)
        .project(scanned(scan).map(Expr::Column).chain([lit(0_i64).alias(SIGN)]))?
        .distinct()?
        .build()
}

/// The columns that `scan` reads.
fn scanned(scan: &TableScan) -> impl Iterator<Item = Column> + '_ {
    scan.projected_schema.iter().map(Column::from)
}

/// The feed of what `scan` reads, under the same name, with the filters that only the scan applies.
fn feed_rows(scan: &TableScan, feed: &Arc<dyn TableSource>) -> Result<LogicalPlan> {
    let feed = LogicalPlanBuilder::scan(scan.table_name.clone(), Arc::clone(feed), None)?;
    match conjunction(scan.filters.iter().cloned()) {
        Some(filter) => feed.filter(filter)?.build(),
        None => feed.build(),
    }
}
