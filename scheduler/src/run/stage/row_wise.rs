//! A stage whose rows are each made of one row of an input: the rows made of changed rows are deleted, and those that they
//! make now are inserted.
//!
//! The table is the query's result as of the cursors, with one row a key. So a deleted row deletes its key's row, and an
//! inserted row must be the only one with its key, and find the key free: either no row of the table has it, or that row is
//! one of the deleted ones.

use datafusion::common::Result as EngineResult;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;

use super::attempt::StageRun;
use super::incremental::{KeptKeys, Update, columns};
use super::merge_plan::Counted;
use crate::plan::incremental::{PreservedKey, RowChange, changed_rows, rows_of_keys};
use crate::run::staged::StagedWrite;

/// Whether a row with the key was deleted, among the keys of changed rows.
const DELETED: &str = "__wl_went";

impl StageRun<'_> {
    pub(super) async fn row_wise(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let new = self.built(changed_rows(&update.query.optimized, &update.feeds.tables, RowChange::Added))?;
        let (new, count) = self.keep_good_rows(update, &new).await?;
        match self.preserved_keys(update).await? {
            Some((by, keys)) => self.replace_by_preserved_key(update, new, &by, &keys).await,
            None => self.replace_changed(update, new, count).await,
        }
    }

    /// Puts the `new` rows in the place of those that the changed rows had become.
    async fn replace_changed(
        &mut self,
        update: &Update<'_>,
        new: LogicalPlan,
        count: Option<u64>,
    ) -> Result<StagedWrite, Failure> {
        let key = self.stage.table.key.clone();
        let old = self.built(changed_rows(&update.query.optimized, &update.feeds.tables, RowChange::Old))?;
        let old = self.good_rows(&update.query.context, old)?;
        // Kept, keys are counted, and the engine sees that they are few.
        let keys = self.built(keys_of_both(&key, &new, old))?;
        let Some(keys) = self.keep_keys(update, "keys", &keys).await? else {
            return self.touch(update.table_context, &update.query, &update.table).await;
        };
        let target = self.target(&update.table).await?;
        let existing = self.matched_rows(update, &target, &key, |plan| rows_of_keys(plan, &key, &keys.plan)).await?;
        if count != Some(0) {
            let staying = LogicalPlanBuilder::from(keys.plan.clone())
                .filter(col(DELETED).eq(lit(0_i64)))
                .and_then(LogicalPlanBuilder::build)
                .and_then(|free| rows_of_keys(&existing.rows, &key, &free));
            let staying = Counted { rows: self.built(staying)?, each: 1 };
            let parts = vec![Counted { rows: new.clone(), each: 1 }, staying];
            self.refuse_shared(&update.query.context, parts).await?;
        }
        self.merge(update, &target.table, new, existing.rows).await
    }

    /// Puts the `new` rows in the place of those with one of the `keys` in the columns `by`.
    async fn replace_by_preserved_key(
        &mut self,
        update: &Update<'_>,
        new: LogicalPlan,
        by: &[String],
        keys: &KeptKeys,
    ) -> Result<StagedWrite, Failure> {
        let target = self.target(&update.table).await?;
        let existing = self.matched_rows(update, &target, by, |plan| rows_of_keys(plan, by, &keys.plan)).await?;
        if by.iter().all(|column| self.stage.table.key.contains(column)) {
            self.refuse_duplicates(&update.query.context, &new).await?;
        } else {
            self.refuse_taken(&update.query.context, &target, &new, None, Some(&existing.rows)).await?;
        }
        self.merge(update, &target.table, new, existing.rows).await
    }

    /// The keys of the input that changed, kept, and the columns of the table that hold them, if they tell the rows of
    /// the table that the changed rows had become.
    async fn preserved_keys(&mut self, update: &Update<'_>) -> Result<Option<(Vec<String>, KeptKeys)>, Failure> {
        let graph = self.run.graph();
        let key_of = |name: &NodeName| graph.stage(name).map(|stage| stage.table.key.clone()).unwrap_or_default();
        let Some(preserved) = PreservedKey::find(&update.query.optimized, key_of) else { return Ok(None) };
        let changed = preserved.changed(&update.feeds.tables).map_err(|error| self.engine_failure(error))?;
        let Some(changed) = changed else { return Ok(None) };
        let Some(keys) = self.keep_keys(update, "changed", &changed).await? else { return Ok(None) };
        let ambiguous = self.built(preserved.ambiguous(&keys.plan))?;
        let ambiguous = self.collect(&update.query.context, "ambiguous", &ambiguous).await?;
        let is_ambiguous = ambiguous.iter().any(|batch| batch.num_rows() > 0);
        Ok((!is_ambiguous).then(|| (preserved.names(), keys)))
    }
}

/// The keys of the `new` rows and of the `old` ones, each once, with [`DELETED`].
fn keys_of_both(key: &[String], new: &LogicalPlan, old: LogicalPlan) -> EngineResult<LogicalPlan> {
    let marked = |rows: LogicalPlan, deleted: i64| {
        let own = columns(key).zip(key).map(|(column, name)| column.alias(name));
        LogicalPlanBuilder::from(rows).project(own.chain([lit(deleted).alias(DELETED)]))?.build()
    };
    let by: Vec<Expr> = columns(key).collect();
    LogicalPlanBuilder::from(marked(new.clone(), 0)?)
        .union(marked(old, 1)?)?
        .aggregate(by, [max(col(DELETED)).alias(DELETED)])?
        .build()
}
