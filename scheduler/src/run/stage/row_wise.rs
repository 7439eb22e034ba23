//! A stage whose rows are each made of one row of an input: what changed rows had become goes, what they become comes.
//!
//! The table is the query's result as of the cursors, with one row a key. So a row that went takes its key's row along, and
//! a row that came must be the only one that came with its key, and find the key free: either no row of the table has it,
//! or that row is one of those that went.

use datafusion::common::Result as EngineResult;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;

use super::attempt::StageRun;
use super::incremental::{KeptKeys, Update, columns};
use super::merge_plan::Counted;
use super::staged::StagedWrite;
use crate::plan::incremental::{CarriedKey, Side, changed_rows, rows_of_keys};

/// Whether a row with the key went, among the keys of changed rows.
const WENT: &str = "__wl_went";

impl StageRun<'_> {
    pub(super) async fn row_wise(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let new = self.built(changed_rows(&update.query.optimized, &update.feeds.tables, Side::Added))?;
        let (new, count) = self.keep_good_rows(update, &new).await?;
        match self.carried(update).await? {
            Some((by, keys)) => self.replace_carried(update, new, &by, &keys).await,
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
        let old = self.built(changed_rows(&update.query.optimized, &update.feeds.tables, Side::Old))?;
        let old = self.good_rows(&update.query.context, old)?;
        // Kept, keys are counted, and the engine sees that they are few.
        let keys = self.built(keys_of_both(&key, &new, old))?;
        let Some(keys) = self.keep_keys(update, "keys", &keys).await? else {
            return self.touch(update.role, &update.query, &update.table).await;
        };
        let target = self.target(&update.table).await?;
        let there = self.found(update, &target, &key, |plan| rows_of_keys(plan, &key, &keys.plan)).await?;
        if count != Some(0) {
            let staying = LogicalPlanBuilder::from(keys.plan.clone())
                .filter(col(WENT).eq(lit(0_i64)))
                .and_then(LogicalPlanBuilder::build)
                .and_then(|free| rows_of_keys(&there.rows, &key, &free));
            let staying = Counted { rows: self.built(staying)?, each: 1 };
            let parts = vec![Counted { rows: new.clone(), each: 1 }, staying];
            self.refuse_shared(&update.query.context, parts).await?;
        }
        self.merge(update, &target.table, new, there.rows).await
    }

    /// Puts the `new` rows in the place of those with one of the `keys` in the columns `by`.
    async fn replace_carried(
        &mut self,
        update: &Update<'_>,
        new: LogicalPlan,
        by: &[String],
        keys: &KeptKeys,
    ) -> Result<StagedWrite, Failure> {
        let target = self.target(&update.table).await?;
        let there = self.found(update, &target, by, |plan| rows_of_keys(plan, by, &keys.plan)).await?;
        if by.iter().all(|column| self.stage.table.key.contains(column)) {
            self.refuse_duplicates(&update.query.context, &new).await?;
        } else {
            self.refuse_taken(&update.query.context, &target, &new, None, Some(&there.rows)).await?;
        }
        self.merge(update, &target.table, new, there.rows).await
    }

    /// The keys of the input that changed, kept, and the columns of the table that hold them, if they tell the rows of
    /// the table that the changed rows had become.
    async fn carried(&mut self, update: &Update<'_>) -> Result<Option<(Vec<String>, KeptKeys)>, Failure> {
        let graph = self.run.graph();
        let key_of = |name: &NodeName| graph.stage(name).map(|stage| stage.table.key.clone()).unwrap_or_default();
        let Some(carried) = CarriedKey::find(&update.query.optimized, key_of) else { return Ok(None) };
        let changed = carried.changed(&update.feeds.tables).map_err(|error| self.engine_failure(error))?;
        let Some(changed) = changed else { return Ok(None) };
        let Some(keys) = self.keep_keys(update, "changed", &changed).await? else { return Ok(None) };
        let ambiguous = self.built(carried.ambiguous(&keys.plan))?;
        let ambiguous = self.collect(&update.query.context, "ambiguous", &ambiguous).await?;
        let is_ambiguous = ambiguous.iter().any(|batch| batch.num_rows() > 0);
        Ok((!is_ambiguous).then(|| (carried.names(), keys)))
    }
}

/// The keys of the `new` rows and of the `old` ones, each once, with [`WENT`].
fn keys_of_both(key: &[String], new: &LogicalPlan, old: LogicalPlan) -> EngineResult<LogicalPlan> {
    let marked = |rows: LogicalPlan, went: i64| {
        let own = columns(key).zip(key).map(|(column, name)| column.alias(name));
        LogicalPlanBuilder::from(rows).project(own.chain([lit(went).alias(WENT)]))?.build()
    };
    let by: Vec<Expr> = columns(key).collect();
    LogicalPlanBuilder::from(marked(new.clone(), 0)?)
        .union(marked(old, 1)?)?
        .aggregate(by, [max(col(WENT)).alias(WENT)])?
        .build()
}
