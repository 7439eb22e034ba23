//! Counts and sums that a table holds, with those of the changed rows added.

use datafusion::arrow::array::RecordBatch;
use windlass_base::error::Failure;
use windlass_engine::function::exact::OVERFLOW;
use windlass_project::expect::Severity;

use super::attempt::StageRun;
use super::incremental::Update;
use super::target_rows::Target;
use crate::plan::incremental::{MaintainedAggregates, rows_of_keys};
use crate::run::staged::StagedWrite;

impl StageRun<'_> {
    /// Applies the changes without reading the inputs, if the query only counts and sums and the table tells enough;
    /// else `None`, and nothing is done yet.
    pub(super) async fn maintain_aggregates(
        &mut self,
        update: &Update<'_>,
        target: &Target,
    ) -> Result<Option<StagedWrite>, Failure> {
        match self.apply_to_aggregates(update, target).await {
            // The sum of the changed rows alone can be too large where no sum of a group is.
            Err(failure) if failure.code == OVERFLOW.0 => Ok(None),
            Ok(Some(staged)) => {
                self.notes().from_changes = true;
                Ok(Some(staged))
            }
            other => other,
        }
    }

    async fn apply_to_aggregates(
        &mut self,
        update: &Update<'_>,
        target: &Target,
    ) -> Result<Option<StagedWrite>, Failure> {
        let key = &self.stage.table.key;
        let Some(aggregates) = MaintainedAggregates::find(&update.query.optimized, target.table.schema(), key) else {
            return Ok(None);
        };
        // Rows in quarantine are missing in the table, and what was counted before would be counted twice.
        let has_quarantine = self.stage.expectations.iter().any(|rule| rule.severity == Severity::Quarantine);
        if has_quarantine || update.again {
            return Ok(None);
        }
        let change = self.built(aggregates.change(&update.feeds.tables))?;
        let Some(change) = self.keep_keys(update, "change", &change).await? else {
            return self.touch(update.table_context, &update.query, &update.table).await.map(Some);
        };
        let existing = self.matched_rows(update, target, key, |plan| rows_of_keys(plan, key, &change.plan)).await?;
        let new = self.built(aggregates.apply(&change.plan, &existing.rows))?;
        let doubtful = self.built(aggregates.doubtful(&new))?;
        let doubtful = self.collect(&update.query.context, "doubtful", &doubtful).await?;
        if doubtful.iter().map(RecordBatch::num_rows).sum::<usize>() > 0 {
            return Ok(None);
        }
        let new = self.keep_rows(update, &new).await?;
        self.merge(update, &target.table, new, existing.rows).await.map(Some)
    }
}
