//! No two rows of a key: the rows that are about to be committed, compared with each other and with those that stay.
//!
//! The table has one row a key before. So what a merge replaces by key needs no look at the table, and where rows are added
//! beside existing ones, it is enough to look there for the keys of the new ones. A null in a key is a value like any other
//! here; the tables of incremental stages and of `mode: upsert` have none.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_delta::scan::ScanOptions;
use windlass_delta::table::TableState;
use windlass_delta::write::StagedFiles;

use super::attempt::StageRun;
use super::merge_plan::{COUNT, Counted, shared_keys};
use super::target_rows::Target;
use crate::plan::incremental::{rows_of_keys, rows_of_null_keys};

/// Keys that are shown of those that several rows have.
const SHOWN_KEYS: usize = 5;
/// If there is one new row to so many of the table, their keys are not picked out of it.
const MANY_ROWS: u64 = 4;

impl StageRun<'_> {
    /// Whether rows of the stage's table have a key of their own each.
    pub(super) fn is_keyed(&self) -> bool {
        !self.stage.table.key.is_empty()
    }

    /// Whether a row of the stage's table may have a null in its key.
    fn has_null_keys(&self) -> bool {
        let settings = &self.stage.table;
        !settings.key.iter().all(|column| settings.not_null.contains(column))
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
    /// them and an existing row; rows that are `leaving` do not count.
    pub(super) async fn refuse_taken(
        &mut self,
        context: &Arc<SessionContext>,
        target: &Target,
        rows: &LogicalPlan,
        count: Option<u64>,
        leaving: Option<&LogicalPlan>,
    ) -> Result<(), Failure> {
        let key = &self.stage.table.key;
        let existing = target.table.pin().rows;
        // Of a table that is not much larger than what comes, all keys are counted: that can spill, and a join cannot.
        let are_many = count.zip(existing).is_some_and(|(new, existing)| new.saturating_mul(MANY_ROWS) >= existing);
        let like_the_new = |of: &LogicalPlan| match are_many {
            true => Ok(of.clone()),
            false if self.has_null_keys() => self.built(same_values(of, key, rows)),
            false => self.built(rows_of_keys(of, key, rows)),
        };
        let mut parts = vec![Counted { rows: rows.clone(), each: 1 }];
        if existing != Some(0) {
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
        let rows = files.provider(&self.write_spec(table), &options)?;
        self.built(
            LogicalPlanBuilder::scan("__wl_written", provider_as_source(rows), None)
                .and_then(LogicalPlanBuilder::build),
        )
    }
}

/// The rows of `of` that have the values of one of `rows` in `columns`, where a null is a value like any other.
pub(super) fn same_values(of: &LogicalPlan, columns: &[String], rows: &LogicalPlan) -> EngineResult<LogicalPlan> {
    let with_nulls = rows_of_null_keys(of, columns, rows)?;
    LogicalPlanBuilder::from(rows_of_keys(of, columns, rows)?).union(with_nulls)?.build()
}

/// Rows that have a key in common.
fn in_common(stage: &NodeName, key: &[String], found: &[RecordBatch]) -> Failure {
    let options = FormatOptions::default().with_null("null");
    let value = |batch: &RecordBatch, row: usize, name: &str| {
        let column = batch.column_by_name(name).and_then(|column| ArrayFormatter::try_new(column, &options).ok());
        column.and_then(|column| column.value(row).try_to_string().ok()).unwrap_or_default()
    };
    let mut examples = Vec::new();
    for batch in found {
        for row in 0..batch.num_rows() {
            let values: Vec<String> = key.iter().map(|name| format!("{name} = {}", value(batch, row, name))).collect();
            examples.push(format!("({}) {} times", values.join(", "), value(batch, row, COUNT)));
        }
    }
    Failure {
        code: "WL0657".to_owned(),
        message: format!("rows of `{stage}` have the same key: {}", examples.join("; ")),
        help: Some(format!(
            "choose a `key` that differs in every row, or make the query give one row for each ({})",
            key.join(", ")
        )),
        retryable: false,
    }
}
