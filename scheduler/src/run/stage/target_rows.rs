//! The rows of a stage's table that changes can have touched, and what it means if they are most of them.

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as EngineResult;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use windlass_base::error::Failure;
use windlass_delta::merge::{ROW_FILE, ROW_POSITION, rows_at};
use windlass_delta::pin::{PinnedTable, pin};
use windlass_delta::table::TableState;
use windlass_evidence::artifact::TouchedRows;
use windlass_project::spec::source::PinAt;

use super::attempt::StageRun;
use super::incremental::{Update, columns};
use crate::plan::IncrementalContext;
use crate::plan::incremental::{has_all_groups, rows_of_keys, touched_groups};
use crate::run::staged::StagedWrite;

/// A table is worth a job of its own from this part of what a partition is worth.
const SMALL_JOB: u64 = 8;
/// If more than one of so many rows are wanted, all columns are read at once.
const MANY_ROWS: u64 = 4;
/// Addresses that the scheduler takes.
const MOST_ADDRESSES: usize = 1_000_000;
/// If changes touch one of so many rows, all are computed again: that takes less than to pick those out of the inputs.
const MOST_ROWS: u64 = 2;

/// The stage's table as it is.
pub(super) struct Target {
    pub(super) table: PinnedTable,
    pub(super) plan: LogicalPlan,
}

/// Rows of the stage's table.
pub(super) struct MatchedRows {
    pub(super) rows: LogicalPlan,
    /// How many they are, if they were counted.
    pub(super) count: Option<u64>,
}

impl StageRun<'_> {
    /// The stage's table with the addresses of its rows.
    pub(super) async fn target(&self, table: &TableState) -> Result<Target, Failure> {
        let at = PinAt::Version(table.version.0);
        let table = pin(&self.planned.table.location, at, self.run.stores()).await?;
        let source = provider_as_source(table.addressed(&self.scan_options()?));
        let plan =
            self.built(LogicalPlanBuilder::scan("__wl_old", source, None).and_then(LogicalPlanBuilder::build))?;
        Ok(Target { table, plan })
    }

    /// The rows of the stage's table that `find` finds by the columns `by`. In a table worth a job of its own they are
    /// looked for by these columns alone, and then only those that were found are read whole, unless they are many.
    pub(super) async fn matched_rows(
        &mut self,
        update: &Update<'_>,
        target: &Target,
        by: &[String],
        find: impl Fn(&LogicalPlan) -> EngineResult<LogicalPlan>,
    ) -> Result<MatchedRows, Failure> {
        let pin = target.table.pin();
        let least = self.run.sessions.settings().partition_bytes / SMALL_JOB;
        if pin.bytes < least || by.len() >= target.table.schema().fields().len() {
            return Ok(MatchedRows { rows: self.built(find(&target.plan))?, count: None });
        }
        let address = || [ROW_FILE, ROW_POSITION].map(|name| Expr::Column(Column::new_unqualified(name)));
        let addresses = self.built((|| {
            let narrow =
                LogicalPlanBuilder::from(target.plan.clone()).project(columns(by).chain(address()))?.build()?;
            LogicalPlanBuilder::from(find(&narrow)?).project(address())?.build()
        })())?;
        let addresses = self.collect(&update.query.context, "addresses", &addresses).await?;
        let count: usize = addresses.iter().map(RecordBatch::num_rows).sum();
        let is_few = pin.rows.is_none_or(|rows| count as u64 <= rows / MANY_ROWS);
        let rows = if !is_few || count > MOST_ADDRESSES {
            find(&target.plan)
        } else {
            let options = self.scan_options()?;
            match rows_at(&target.table, &addresses, &options)? {
                Some(rows) => LogicalPlanBuilder::scan("__wl_old", provider_as_source(rows), None)
                    .and_then(LogicalPlanBuilder::build),
                None => {
                    LogicalPlanBuilder::from(target.plan.clone()).filter(lit(false)).and_then(LogicalPlanBuilder::build)
                }
            }
        };
        Ok(MatchedRows { rows: self.built(rows)?, count: Some(count as u64) })
    }

    /// Whether the changes touch most rows of the table for sure, since what is computed together has many. Told before
    /// the rows' keys are looked for, which can take as long as all rows.
    pub(super) async fn touches_most_groups(&mut self, update: &Update<'_>, target: &Target) -> Result<bool, Failure> {
        if !self.is_worth_a_look(update) {
            return Ok(false);
        }
        let groups = touched_groups(&update.query.optimized, &update.feeds.tables)
            .map_err(|error| self.engine_failure(error))?;
        for group in groups {
            let rows = self.built(rows_of_keys(&target.plan, &group.columns, &group.keys))?;
            let touched = self.how_many(update, &rows).await?;
            if self.is_most(target, touched, true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the rows `found` of `keys` are most of the table, and the table tells how much there is to compute: it has
    /// a row for every group of the query, or there are about as many keys as rows in the inputs.
    pub(super) async fn touches_most(
        &mut self,
        update: &Update<'_>,
        target: &Target,
        found: &MatchedRows,
        keys: u64,
    ) -> Result<bool, Failure> {
        let tells = has_all_groups(&update.query.optimized)
            || keys.saturating_mul(MANY_ROWS) >= self.most_input_rows(update.table_context).unwrap_or(u64::MAX);
        let touched = match found.count {
            Some(count) => count,
            None if !tells || !self.is_worth_a_look(update) => return Ok(false),
            None => self.how_many(update, &found.rows).await?,
        };
        Ok(self.is_most(target, touched, tells))
    }

    /// Whether the inputs are so large that it takes less to find out how much must be computed.
    fn is_worth_a_look(&self, update: &Update<'_>) -> bool {
        self.input_bytes(update.table_context) >= self.run.sessions.settings().partition_bytes
    }

    /// The rows of the largest input, if that is known of all of them.
    fn most_input_rows(&self, table_context: &IncrementalContext) -> Option<u64> {
        let inputs = table_context.inputs.iter().filter_map(|name| self.inputs.pinned_input(name));
        inputs.map(|input| input.table.as_ref()?.pin().rows).collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// The number of `rows`.
    async fn how_many(&mut self, update: &Update<'_>, rows: &LogicalPlan) -> Result<u64, Failure> {
        let plan = LogicalPlanBuilder::from(rows.clone())
            .aggregate(Vec::<Expr>::new(), [count(lit(1_i64)).alias("__wl_rows")])
            .and_then(LogicalPlanBuilder::build);
        let plan = self.built(plan)?;
        let counted = self.collect(&update.query.context, "touched", &plan).await?;
        Ok(super::validation::number(&counted, "__wl_rows").and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }

    fn is_most(&mut self, target: &Target, touched: u64, tells: bool) -> bool {
        let Some(of) = target.table.pin().rows else { return false };
        let all_computed = tells && touched > 0 && touched.saturating_mul(MOST_ROWS) >= of;
        self.note_touched(TouchedRows { rows: touched, of, all_computed });
        all_computed
    }

    /// Notes that the changes can have touched every row of the table, if it tells how many these are.
    pub(super) fn note_all_touched(&mut self, target: &Target) {
        if let Some(of) = target.table.pin().rows {
            self.note_touched(TouchedRows { rows: of, of, all_computed: true });
        }
    }

    fn note_touched(&mut self, touched: TouchedRows) {
        self.notes().touched = Some(touched);
    }

    /// Computes all rows and writes those that are others than before.
    pub(super) async fn compare_all(&mut self, update: &Update<'_>, target: Target) -> Result<StagedWrite, Failure> {
        let new = self.keep_rows(update, &update.query.optimized).await?;
        self.merge(update, &target.table, new, target.plan).await
    }
}
