//! All rows of a query, saved among rows that stay: `mode: upsert` by key, `mode: replace_partitions` by partition.

use datafusion::logical_expr::LogicalPlanBuilder;
use windlass_base::error::Failure;
use windlass_delta::commit::CommitMode;
use windlass_delta::table::SchemaChange;
use windlass_delta::write::{StagedFiles, delta_write_plan};
use windlass_project::strategy::Strategy;

use super::attempt::StageRun;
use super::incremental::{Update, columns};
use super::unique_keys::same_values;
use crate::plan::incremental::{Choice, rows_of_keys};
use crate::plan::{ChangeFeeds, IncrementalContext};
use crate::run::staged::StagedWrite;

impl StageRun<'_> {
    /// The rows of the query take the place of those with the same key; the others stay.
    pub(super) async fn upsert(&mut self, table_context: &IncrementalContext) -> Result<StagedWrite, Failure> {
        let update = self.update(table_context).await?;
        let new = self.keep_rows(&update, &update.query.logical).await?;
        let key = &self.stage.table.key;
        let keys = self
            .built(LogicalPlanBuilder::from(new.clone()).project(columns(key)).and_then(LogicalPlanBuilder::build))?;
        let target = self.target(&update.table).await?;
        let by_this_stage = table_context.memory.as_ref().is_some_and(|memory| {
            memory.last_run.is_some() && memory.code == Some(table_context.code.mark()) && memory.foreign.is_none()
        });
        if !by_this_stage && target.table.pin().rows != Some(0) {
            // Nobody has seen to its keys yet.
            self.refuse_duplicates(&update.query.context, &target.plan).await?;
        }
        let existing = self.matched_rows(&update, &target, key, |plan| rows_of_keys(plan, key, &keys)).await?;
        self.merge(&update, &target.table, new, existing.rows).await
    }

    /// The rows of the query take the place of all rows of the partitions that they are in; other partitions stay.
    pub(super) async fn replace_partitions(
        &mut self,
        table_context: &IncrementalContext,
    ) -> Result<StagedWrite, Failure> {
        let update = self.update(table_context).await?;
        let spec = self.write_spec(&update.table);
        let (context, rows) = (&update.query.context, &update.query.logical);
        let batches = self.run_job(context, "rows", rows, |plan, state| delta_write_plan(plan, spec, state)).await?;
        let files = StagedFiles::from_batches(&batches)?;
        let files = self.validate_written(context, &update.table, files, true).await?;
        if files.files() == 0 {
            return self.touch(table_context, &update.query, &update.table).await;
        }
        let by = self.stage.table.partition_by.clone();
        self.refuse_taken_elsewhere(&update, &files, &by).await?;
        let mode = CommitMode::ReplacePartitions { values: files.partitions(&by), by };
        self.staged(table_context, &update.query, &update.table, files, mode).await
    }

    /// An error if two of the rows in `files` have a key in common, or one of them and a row of a partition that stays.
    async fn refuse_taken_elsewhere(
        &mut self,
        update: &Update<'_>,
        files: &StagedFiles,
        by: &[String],
    ) -> Result<(), Failure> {
        if !self.is_keyed() {
            return Ok(());
        }
        let context = &update.query.context;
        if by.iter().all(|column| self.stage.table.key.contains(column)) {
            return self.check_key(context, &update.table, files).await;
        }
        let rows = self.written(context, &update.table, files)?;
        let target = self.target(&update.table).await?;
        let leaving = self.built(same_values(&target.plan, by, &rows))?;
        self.refuse_taken(context, &target, &rows, Some(files.rows()), Some(&leaving)).await
    }

    async fn update<'r>(&mut self, table_context: &'r IncrementalContext) -> Result<Update<'r>, Failure> {
        let table = self.table_as_planned(table_context, SchemaChange::Refuse).await?;
        let query = self.query(&self.run.sessions).await?;
        self.note(&query, Some(Strategy::Full));
        let choice = Choice { strategy: Strategy::Full, replace_by: Vec::new() };
        Ok(Update { table_context, query, feeds: ChangeFeeds::default(), choice, table, again: false, repair: None })
    }
}
