//! A stage's table brought up to date from the changes of its inputs.
//!
//! ```text
//! cursors ─reads→ what changed ─strategy─┬─ append ────────── inserted rows ──────────────────────→ append
//!                                        ├─ row-wise ──────── new rows (kept), keys of old and new ┐
//!                                        ├─ changed files ─── new rows (kept), changed paths ──────┤ compare with the
//!                                        ├─ affected keys ─── keys (kept), their rows (kept) ──────┤ rows that are there
//!                                        │   (or all rows, if most are)  insert, update, delete ←─┘ → merge
//!                                        └─ partitions ────── keys (kept), their rows ─────────────→ replace partitions
//! ```

use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use windlass_base::error::Failure;
use windlass_base::ids::TableVersion;
use windlass_delta::commit::{BaseExpectation, CommitMode};
use windlass_delta::merge::{MergeStrategy, StagedMerge, choose_strategy, delta_merge_plan, finish, remaining_rows};
use windlass_delta::pin::PinnedTable;
use windlass_delta::scan::ScanOptions;
use windlass_delta::table::{SchemaChange, TableState};
use windlass_delta::write::{StagedFiles, delta_write_plan, partition_values};
use windlass_engine::session::Sessions;
use windlass_project::spec::table::Incremental;
use windlass_project::strategy::Strategy;

use super::attempt::StageRun;
use super::merge_plan::{Pair, merge_input, numbered_copies};
use super::query::StageQueryPlan;
use crate::plan::decide::Cursors;
use crate::plan::incremental::{
    Choice, RowChange, TraceError, affected_keys, changed_rows, rows_of_keys, rows_of_null_keys, spans_all,
};
use crate::plan::{
    ChangeFeeds, ChangeReader, ChangedData, ChangesSince, IncrementalContext, over_files, rows_of_files, strategy_for,
};
use crate::run::staged::{StagedCommit, StagedWrite};

/// The code of a table that is not what its definition says.
const TABLE_DIFFERS: &str = "WL0422";

/// What an attempt works with that changes a table that is there.
pub(super) struct Update<'r> {
    pub(super) table_context: &'r IncrementalContext,
    pub(super) query: StageQueryPlan,
    pub(super) feeds: ChangeFeeds,
    pub(super) choice: Choice,
    pub(super) table: TableState,
    /// Whether changes that are applied already may be applied once more.
    pub(super) again: bool,
    /// The version of the stage's table after which others have changed rows.
    pub(super) repair: Option<TableVersion>,
}

impl StageRun<'_> {
    /// Applies what has changed since `cursors`; computes all rows where that is not possible and allowed.
    pub(super) async fn incremental(
        &mut self,
        table_context: &IncrementalContext,
        cursors: &Cursors,
    ) -> Result<StagedWrite, Failure> {
        let changes = match self.changes_since(cursors).await? {
            ChangesSince::Known(changes) => changes,
            ChangesSince::Unknown { reason } => return self.full_instead(table_context, reason).await,
        };
        let feeds = ChangeFeeds::of(&changes, &self.scan_options()?);
        let query = self.query(&self.small_sessions(table_context)).await?;
        let table = match self.table_as_planned(table_context, SchemaChange::Refuse).await {
            // Its columns are not those of the stage any more.
            Err(failure) if failure.code == TABLE_DIFFERS => {
                return self.full_instead(table_context, failure.message).await;
            }
            found => found?,
        };
        if feeds.is_empty() && cursors.repair.is_none() {
            self.note(&query, None);
            return self.touch(table_context, &query, &table).await;
        }
        let again = !cursors.again.is_empty();
        let key = &self.stage.table.key;
        let by_key = || {
            let names_partitions = key.iter().all(|column| table.partition_by.contains(column));
            let strategy = if names_partitions { Strategy::PartitionReplace } else { Strategy::AffectedKeys };
            Choice { strategy, replace_by: key.clone() }
        };
        let choice = match feeds.is_empty() {
            true => Ok(by_key()),
            false => {
                strategy_for(self.stage, &query.optimized, &feeds, again).map_err(|error| self.engine_failure(error))?
            }
        };
        let choice = match choice {
            // What others have changed is found by key.
            Ok(_) if cursors.repair.is_some() => by_key(),
            Ok(choice) => choice,
            Err(blocker) => return self.full_instead(table_context, blocker.to_string()).await,
        };
        self.note(&query, Some(choice.strategy));
        let repair = cursors.repair;
        let update = Update { table_context, query, feeds, choice, table, again, repair };
        match update.choice.strategy {
            Strategy::Append => self.append(&update).await,
            Strategy::RowWise => self.row_wise(&update).await,
            Strategy::ChangedFiles => self.changed_files(&update).await,
            Strategy::AffectedKeys => self.affected_keys(&update).await,
            Strategy::PartitionReplace => self.partitions(&update).await,
            Strategy::Full => self.full(Some(table_context)).await,
        }
    }

    /// Sessions with no more partitions than what is read is worth: handing out a task costs more than reading a little.
    fn small_sessions(&self, table_context: &IncrementalContext) -> Sessions {
        let sessions = &self.run.sessions;
        let partitions = self.input_bytes(table_context) / sessions.settings().partition_bytes.max(1);
        sessions.with_at_most(usize::try_from(partitions).map_or(usize::MAX, |more| more.saturating_add(1)))
    }

    /// The bytes of all that the stage reads, as their pins tell.
    pub(super) fn input_bytes(&self, table_context: &IncrementalContext) -> u64 {
        let inputs = table_context.inputs.iter().filter_map(|name| self.inputs.pinned_input(name));
        inputs.map(|input| input.pin.bytes).sum()
    }

    async fn full_instead(
        &mut self,
        table_context: &IncrementalContext,
        reason: String,
    ) -> Result<StagedWrite, Failure> {
        match self.stage.table.incremental {
            Incremental::Strict => Err(self.refused(reason)),
            Incremental::Auto | Incremental::Off => {
                let staged = self.full(Some(table_context)).await?;
                self.notes().fallback = Some(reason);
                Ok(staged)
            }
        }
    }

    fn change_reader(&self) -> ChangeReader<'_> {
        let (stage, inputs, known) = (self.stage, &self.inputs, &self.run.plan.changes);
        ChangeReader { stage, inputs, known, home: &self.run.plan.request.home, stores: self.run.stores() }
    }

    /// What has changed in the inputs, noted; or why that cannot be told.
    async fn changes_since(&mut self, cursors: &Cursors) -> Result<ChangesSince, Failure> {
        let found = self.change_reader().changes_since(cursors).await?;
        if let ChangesSince::Known(changes) = &found {
            let known = changes.iter().filter(|input| !matches!(input.change, ChangedData::Pending));
            self.notes().changes = known.map(|input| input.summary.clone()).collect();
        }
        Ok(found)
    }

    pub(super) fn scan_options(&self) -> Result<ScanOptions, Failure> {
        let context = self.run.sessions.context()?;
        Ok(ScanOptions::from_config(context.state().config()))
    }

    /// Nothing that the stage reads has changed rows: only its cursors go on.
    pub(super) async fn touch(
        &mut self,
        table_context: &IncrementalContext,
        query: &StageQueryPlan,
        table: &TableState,
    ) -> Result<StagedWrite, Failure> {
        self.staged(table_context, query, table, StagedFiles::default(), CommitMode::Touch).await
    }

    /// A commit against the version of the table that was looked at, and no other: rows could come twice, and what others
    /// have done since would not be seen any more.
    pub(super) async fn staged(
        &mut self,
        table_context: &IncrementalContext,
        query: &StageQueryPlan,
        table: &TableState,
        files: StagedFiles,
        mode: CommitMode,
    ) -> Result<StagedWrite, Failure> {
        let base = BaseExpectation { version: Some(table.version), ..BaseExpectation::of(table) };
        let (change, plan_fingerprint) = (None, query.fingerprint.clone());
        let marks = self.marks(Some(table_context)).await?;
        let quarantine = self.quarantine.take();
        Ok(StagedWrite::Commit(Box::new(StagedCommit {
            files,
            mode,
            base,
            change,
            plan_fingerprint,
            marks,
            done_in: None,
            quarantine,
        })))
    }

    async fn append(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let rows = self.built(changed_rows(&update.query.optimized, &update.feeds.tables, RowChange::Inserted))?;
        let spec = self.write_spec(&update.table);
        let batches = self
            .run_job(&update.query.context, "rows", &rows, |plan, state| delta_write_plan(plan, spec, state))
            .await?;
        let files = StagedFiles::from_batches(&batches)?;
        let files = self.validate_written(&update.query.context, &update.table, files, false).await?;
        if files.files() > 0 && self.is_keyed() {
            let rows = self.written(&update.query.context, &update.table, &files)?;
            let target = self.target(&update.table).await?;
            self.refuse_taken(&update.query.context, &target, &rows, Some(files.rows()), None).await?;
        }
        let mode = if files.files() == 0 { CommitMode::Touch } else { CommitMode::Append };
        self.staged(update.table_context, &update.query, &update.table, files, mode).await
    }

    async fn changed_files(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let Some(paths) = update.feeds.files.values().next() else {
            return self.touch(update.table_context, &update.query, &update.table).await;
        };
        let Some(column) = update.choice.replace_by.first() else {
            return Err(self.refused("it does not keep the paths of its files".to_owned()));
        };
        let new = self.built(over_files(&update.query.optimized, paths))?;
        let new = self.keep_rows(update, &new).await?;
        let target = self.target(&update.table).await?;
        let by = std::slice::from_ref(column);
        let existing =
            self.matched_rows(update, &target, by, |plan| rows_of_files(plan.clone(), column, paths)).await?;
        if !self.stage.table.key.contains(column) {
            self.refuse_taken(&update.query.context, &target, &new, None, Some(&existing.rows)).await?;
        }
        self.merge(update, &target.table, new, existing.rows).await
    }

    async fn affected_keys(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let target = self.target(&update.table).await?;
        // Both look at what has changed in the inputs alone.
        if update.repair.is_none()
            && let Some(staged) = self.maintain_aggregates(update, &target).await?
        {
            return Ok(staged);
        }
        let spans_all = spans_all(&update.query.optimized, &update.feeds.tables);
        let touches_all = spans_all.map_err(|error| self.engine_failure(error))? || self.refers_to_changed(update);
        if touches_all {
            self.note_all_touched(&target);
            return self.compare_all(update, target).await;
        }
        if update.repair.is_none() && self.touches_most_groups(update, &target).await? {
            return self.compare_all(update, target).await;
        }
        let Some(keys) = self.affected(update).await? else {
            return self.touch(update.table_context, &update.query, &update.table).await;
        };
        let columns = &update.choice.replace_by;
        let existing =
            self.matched_rows(update, &target, columns, |plan| rows_of_keys(plan, columns, &keys.plan)).await?;
        if let Some(count) = keys.count
            && self.touches_most(update, &target, &existing, count).await?
        {
            return self.compare_all(update, target).await;
        }
        let new = self.rows_of(update, columns, &keys)?;
        let new = self.keep_rows(update, &new).await?;
        self.merge(update, &target.table, new, existing.rows).await
    }

    /// The rows of the query that have one of the `keys`.
    fn rows_of(&self, update: &Update<'_>, columns: &[String], keys: &KeptKeys) -> Result<LogicalPlan, Failure> {
        let plan = &update.query.optimized;
        let rows = rows_of_keys(plan, columns, &keys.plan);
        self.built(match keys.perhaps_null {
            false => rows,
            true => {
                (|| LogicalPlanBuilder::from(rows?).union(rows_of_null_keys(plan, columns, &keys.plan)?)?.build())()
            }
        })
    }

    async fn partitions(&mut self, update: &Update<'_>) -> Result<StagedWrite, Failure> {
        let Some(keys) = self.affected(update).await? else {
            return self.touch(update.table_context, &update.query, &update.table).await;
        };
        let by = update.choice.replace_by.clone();
        let new = self.rows_of(update, &by, &keys)?;
        let spec = self.write_spec(&update.table);
        let batches = self
            .run_job(&update.query.context, "rows", &new, |plan, state| delta_write_plan(plan, spec, state))
            .await?;
        let files = StagedFiles::from_batches(&batches)?;
        let files = self.validate_written(&update.query.context, &update.table, files, false).await?;
        self.check_key(&update.query.context, &update.table, &files).await?;
        let mut values = Vec::new();
        for batch in self.collect(&update.query.context, "partitions", &keys.plan).await? {
            values.extend(partition_values(&batch, &by)?);
        }
        let mode = CommitMode::ReplacePartitions { by, values };
        self.staged(update.table_context, &update.query, &update.table, files, mode).await
    }

    /// The affected keys, kept; `None` if there are none.
    async fn affected(&mut self, update: &Update<'_>) -> Result<Option<KeptKeys>, Failure> {
        let columns = &update.choice.replace_by;
        let affected = match affected_keys(&update.query.optimized, columns, &update.feeds.tables) {
            Ok(keys) => keys,
            Err(TraceError::Blocked(blocker)) => return Err(self.refused(blocker.to_string())),
            Err(TraceError::Engine(error)) => return Err(self.engine_failure(error)),
        };
        let keys = match (affected, self.changed_by_others(update).await?) {
            (Some(affected), Some(others)) => {
                self.built((|| LogicalPlanBuilder::from(affected).union(others)?.distinct()?.build())())?
            }
            (affected, others) => match affected.or(others) {
                Some(keys) => keys,
                None => return Ok(None),
            },
        };
        self.keep_keys(update, "keys", &keys).await
    }

    /// The keys of the rows that others have changed in the stage's table since its last run, if they have.
    async fn changed_by_others(&self, update: &Update<'_>) -> Result<Option<LogicalPlan>, Failure> {
        let Some(own) = update.repair else { return Ok(None) };
        let (location, newest) = (&self.planned.table.location, update.table.version);
        let found = self.change_reader().changes_by_others(location, own, newest).await;
        let found = found?.map_err(|reason| self.refused(reason))?;
        let source = provider_as_source(found.provider(&self.scan_options()?));
        self.built((|| {
            let rows = LogicalPlanBuilder::scan("__wl_others", source, None)?;
            rows.project(columns(&update.choice.replace_by))?.distinct()?.build()
        })())
        .map(Some)
    }

    /// Keys, kept; `None` if there are none.
    pub(super) async fn keep_keys(
        &mut self,
        update: &Update<'_>,
        step: &'static str,
        keys: &LogicalPlan,
    ) -> Result<Option<KeptKeys>, Failure> {
        let kept = self.keep(&update.query.context, step, keys).await?;
        let count = kept.table.as_ref().and_then(|table| table.pin().rows);
        if count == Some(0) {
            return Ok(None);
        }
        let source = provider_as_source(Arc::clone(&kept.provider));
        let plan =
            self.built(LogicalPlanBuilder::scan("__wl_keys", source, None).and_then(LogicalPlanBuilder::build))?;
        let no_null = |column: &ColumnStatistics| column.null_count == Precision::Exact(0);
        let perhaps_null = !kept.provider.statistics().is_some_and(|all| all.column_statistics.iter().all(no_null));
        Ok(Some(KeptKeys { plan, count, perhaps_null }))
    }

    /// New rows, kept, but for those that go to quarantine; an error if two have a key in common.
    pub(super) async fn keep_rows(&mut self, update: &Update<'_>, rows: &LogicalPlan) -> Result<LogicalPlan, Failure> {
        let (rows, count) = self.keep_good_rows(update, rows).await?;
        if count.unwrap_or(2) > 1 {
            self.refuse_duplicates(&update.query.context, &rows).await?;
        }
        Ok(rows)
    }

    /// New rows, kept, but for those that go to quarantine; and how many there are with these, if that is known.
    pub(super) async fn keep_good_rows(
        &mut self,
        update: &Update<'_>,
        rows: &LogicalPlan,
    ) -> Result<(LogicalPlan, Option<u64>), Failure> {
        let kept = self.keep(&update.query.context, "rows", rows).await?;
        let source = provider_as_source(Arc::clone(&kept.provider));
        let rows =
            self.built(LogicalPlanBuilder::scan("__wl_new", source, None).and_then(LogicalPlanBuilder::build))?;
        let good = self.validate(&update.query.context, &rows, false).await?.unwrap_or(rows);
        Ok((good, kept.table.as_ref().and_then(|table| table.pin().rows)))
    }

    /// Compares the rows that are `there` with the `new` ones and writes the difference.
    pub(super) async fn merge(
        &mut self,
        update: &Update<'_>,
        target: &PinnedTable,
        new: LogicalPlan,
        existing: LogicalPlan,
    ) -> Result<StagedWrite, Failure> {
        let key = &self.stage.table.key;
        let pair = match update.repair {
            Some(_) => numbered_copies(new, existing, key).map_err(|error| self.engine_failure(error))?,
            None => Pair { new, existing, by: key.clone() },
        };
        let input = self.built(merge_input(pair, target.schema(), key))?;
        let spec = self.write_spec(&update.table);
        let feed = target.properties().get("delta.enableChangeDataFeed").is_some_and(|value| value == "true");
        let batches = self
            .run_job(&update.query.context, "merge", &input, |plan, state| delta_merge_plan(plan, spec, feed, state))
            .await?;
        let staged = StagedMerge::from_batches(&batches)?;
        if staged.is_empty() {
            return self.touch(update.table_context, &update.query, &update.table).await;
        }
        let way = choose_strategy(self.stage.table.merge, target, &staged)?;
        let copies = match way {
            MergeStrategy::Rewrite => Some(self.copies(update, target, &staged).await?),
            MergeStrategy::DeletionVectors => None,
        };
        let merged = finish(target, &staged, way, copies, self.run.stores()).await?;
        let mode = CommitMode::Merge(merged.replacement);
        self.staged(update.table_context, &update.query, &update.table, merged.added, mode).await
    }

    /// The rows of touched files that stay, in new files.
    async fn copies(
        &mut self,
        update: &Update<'_>,
        target: &PinnedTable,
        staged: &StagedMerge,
    ) -> Result<StagedFiles, Failure> {
        let stay = remaining_rows(target, staged, &self.scan_options()?, self.run.stores()).await?;
        let Some(stay) = stay else { return Ok(StagedFiles::default()) };
        let source = provider_as_source(stay);
        let stay =
            self.built(LogicalPlanBuilder::scan("__wl_stay", source, None).and_then(LogicalPlanBuilder::build))?;
        let spec = self.write_spec(&update.table);
        let batches = self
            .run_job(&update.query.context, "copy", &stay, |plan, state| delta_write_plan(plan, spec, state))
            .await?;
        Ok(StagedFiles::from_batches(&batches)?)
    }

    pub(super) fn built(&self, plan: EngineResult<LogicalPlan>) -> Result<LogicalPlan, Failure> {
        plan.map_err(|error| self.engine_failure(error))
    }
}

/// Keys that changes can have touched.
pub(super) struct KeptKeys {
    pub(super) plan: LogicalPlan,
    /// How many they are, if that is known.
    count: Option<u64>,
    /// Whether there may be nulls among them.
    perhaps_null: bool,
}

/// Columns by their names, whatever relation they are of.
pub(super) fn columns(names: &[String]) -> impl Iterator<Item = Expr> + '_ {
    names.iter().map(|name| Expr::Column(Column::new_unqualified(name)))
}
