//! No two rows of a key: the rows that are about to be committed, held against each other and against those that stay.
//!
//! The table has one row a key before. So what a merge replaces by key needs no look at the table, and where rows are added
//! beside those that are there, it is enough to look there for the keys of the new ones.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use windlass_shared::delta::scan::ScanOptions;
use windlass_shared::delta::table::TableState;
use windlass_shared::delta::write::StagedFiles;
use windlass_shared::error::{Coded, Failure};
use windlass_shared::ids::NodeName;
use windlass_shared::spec::table::Incremental;

use super::merge_plan::{COUNT, Counted, shared_keys};
use super::stage_run::StageRun;
use super::target_rows::Target;
use crate::plan::incremental::rows_of_keys;

/// Keys that are shown of those that several rows have.
const SHOWN_KEYS: usize = 5;
/// If there is one new row to so many of the table, their keys are not picked out of it.
const MANY_ROWS: u64 = 4;

impl StageRun<'_> {
    /// Whether rows of the stage's table have a key of their own each.
    pub(super) fn is_keyed(&self) -> bool {
        !self.stage.table.key.is_empty() && self.stage.table.incremental != Incremental::Off
    }

    /// An error with examples if two of `rows` have a key in common.
    pub(super) async fn refuse_duplicates(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
    ) -> Result<(), Failure> {
        self.refuse_shared(context, vec![Counted { rows: rows.clone(), each: 1 }]).await
    }

    /// An error if two of the `rows`, `count` if that is known, that are added to `target` have a key in common, or one of
    /// them and a row that is there; rows that are `leaving` do not count.
    pub(super) async fn refuse_taken(
        &mut self,
        context: &Arc<SessionContext>,
        target: &Target,
        rows: &LogicalPlan,
        count: Option<u64>,
        leaving: Option<&LogicalPlan>,
    ) -> Result<(), Failure> {
        let key = &self.stage.table.key;
        let there = target.table.pin().rows;
        // Of a table that is not much larger than what comes, all keys are counted: that can spill, and a join cannot.
        let are_many = count.zip(there).is_some_and(|(new, there)| new.saturating_mul(MANY_ROWS) >= there);
        let like_the_new = |of: &LogicalPlan| match are_many {
            true => Ok(of.clone()),
            false => self.built(rows_of_keys(of, key, rows)),
        };
        let mut parts = vec![Counted { rows: rows.clone(), each: 1 }];
        if there != Some(0) {
            parts.push(Counted { rows: like_the_new(&target.plan)?, each: 1 });
            if let Some(leaving) = leaving {
                parts.push(Counted { rows: like_the_new(leaving)?, each: -1 });
            }
        }
        self.refuse_shared(context, parts).await
    }

    /// An error if two of all these rows have a key in common.
    pub(super) async fn refuse_shared(
        &mut self,
        context: &Arc<SessionContext>,
        parts: Vec<Counted>,
    ) -> Result<(), Failure> {
        let key = &self.stage.table.key;
        let shared = self.built(shared_keys(parts, key, SHOWN_KEYS))?;
        let found = self.collect(context, "duplicates", &shared).await?;
        if found.iter().any(|batch| batch.num_rows() > 0) {
            return Err(in_common(&self.stage.name, &self.stage.table.key, &found));
        }
        Ok(())
    }

    /// The rows of `files`, written for `table` and not committed.
    pub(super) fn written(
        &self,
        context: &SessionContext,
        table: &TableState,
        files: &StagedFiles,
    ) -> Result<LogicalPlan, Failure> {
        let options = ScanOptions::from_config(context.state().config());
        let rows = files.provider(&self.write_spec(table), &options).map_err(|error| error.to_failure())?;
        self.built(
            LogicalPlanBuilder::scan("__wl_written", provider_as_source(rows), None)
                .and_then(LogicalPlanBuilder::build),
        )
    }
}

/// Rows that have a key in common.
fn in_common(stage: &NodeName, key: &[String], found: &[RecordBatch]) -> Failure {
    let options = FormatOptions::default().with_null("null");
    let mut examples = Vec::new();
    for batch in found {
        for row in 0..batch.num_rows() {
            let value = |name: &str| {
                let column = batch.column_by_name(name)?;
                let shown = ArrayFormatter::try_new(column, &options).ok()?;
                shown.value(row).try_to_string().ok()
            };
            let values: Vec<String> =
                key.iter().map(|name| format!("{name} = {}", value(name).unwrap_or_default())).collect();
            examples.push(format!("({}) {} times", values.join(", "), value(COUNT).unwrap_or_default()));
        }
    }
    Failure {
        code: "WL0657".to_owned(),
        message: format!("rows of `{stage}` have a key in common: {}", examples.join("; ")),
        help: Some(format!(
            "choose a `key` that every row has its own of, or make the query give one row for each ({})",
            key.join(", ")
        )),
        retryable: false,
    }
}
