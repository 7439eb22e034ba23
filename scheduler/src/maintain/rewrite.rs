//! Data files written again by jobs of the engine, as the rows of a stage are.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure};
use windlass_base::failpoint;
use windlass_base::ids::NodeName;
use windlass_delta::maintenance::{RewriteOutcome, RewriteRequest, bins, layout_mark, rewrite, rewrite_plan};
use windlass_delta::pin::PinnedTable;
use windlass_delta::scan::ScanOptions;
use windlass_delta::write::{StagedFiles, WriteSpec};
use windlass_engine::function::exact::zorder_key;
use windlass_evidence::artifact::ActionOutcome;

use super::error::ActionError;
use super::plan::{Bin, Rewrite};
use crate::Scheduler;
use crate::execute::JobRequest;
use crate::plan::{PlanError, physical_query};
use crate::planning::heavily;

/// Bins that are committed together: what a turn has done by then stands if it is cut off.
const BINS_A_COMMIT: usize = 256;

/// What rewrites the files of one table.
pub(super) struct Rewriter<'t> {
    pub(super) scheduler: &'t Scheduler,
    pub(super) name: &'t NodeName,
    pub(super) table: &'t PinnedTable,
    pub(super) info: HashMap<String, serde_json::Value>,
    pub(super) cancel: &'t CancellationToken,
}

impl Rewriter<'_> {
    /// Rewrites files, commit by commit; `progress` is told how many bins are done. What was committed is in `outcome`
    /// whether or not all succeeded.
    pub(super) async fn run(
        &self,
        work: &Rewrite,
        outcome: &mut ActionOutcome,
        progress: impl Fn(u64),
    ) -> Result<(), Failure> {
        let capacity = self.scheduler.engine.capacity().await;
        // In this process all tasks of a job run side by side, so there are as many as it has threads.
        let side_by_side = if capacity.executors == 0 { capacity.vcores.max(1) } else { BINS_A_COMMIT };
        let a_commit = if work.zorder.is_empty() { BINS_A_COMMIT } else { side_by_side };
        let mut done = 0;
        for chunk in work.bins.chunks(a_commit.max(1)) {
            let tasks = match work.zorder.is_empty() {
                true => dealt(chunk, side_by_side),
                false => chunk.iter().map(|bin| bin.files.clone()).collect(),
            };
            self.commit(work, tasks, outcome).await?;
            outcome.bytes_removed += chunk.iter().map(|bin| bin.bytes).sum::<u64>();
            done += chunk.len() as u64;
            progress(done);
        }
        Ok(())
    }

    /// Rewrites the files of `tasks` and commits what comes out.
    async fn commit(
        &self,
        work: &Rewrite,
        tasks: Vec<Vec<String>>,
        outcome: &mut ActionOutcome,
    ) -> Result<(), Failure> {
        let (scheduler, stores) = (self.scheduler, self.scheduler.sessions.stores());
        let context = Arc::new(scheduler.sessions.context()?);
        let options = ScanOptions::from_config(context.state().config());
        let files = bins(self.table, &tasks, &options)?;
        let replaced: Vec<String> = tasks.into_iter().flatten().collect();
        let engine = |source| PlanError::Engine { stage: self.name.clone(), source }.to_failure();
        let logical = LogicalPlanBuilder::scan(self.name.as_str(), provider_as_source(files.provider), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(engine)?;
        failpoint!("maintain.rewrite_staged.before");
        let staged = StagedFiles::from_batches(&self.write(work, &context, &logical).await?)?;
        failpoint!("maintain.rewrite_staged.after");
        let (files_added, bytes_added) = (staged.files() as u64, staged.bytes());
        let request = RewriteRequest {
            location: self.table.location().clone(),
            base: self.table.version(),
            rows: files.rows,
            staged,
            zorder: work.zorder.clone(),
            target_file_bytes: work.target_file_bytes,
            info: self.info.clone(),
            replaced,
        };
        failpoint!("maintain.rewrite_committed.before");
        let rewritten = rewrite(&request, stores).await?;
        failpoint!("maintain.rewrite_committed.after");
        match rewritten {
            RewriteOutcome::Rewritten(version) => {
                outcome.version = Some(version);
                outcome.files_removed += request.replaced.len() as u64;
                outcome.files_added += files_added;
                outcome.bytes_added += bytes_added;
                Ok(())
            }
            RewriteOutcome::Conflicted { reason } => {
                Err(ActionError::Conflicted { table: self.name.clone(), reason }.into())
            }
        }
    }

    /// Runs the job, and gives the reports of its writers.
    async fn write(
        &self,
        work: &Rewrite,
        context: &Arc<SessionContext>,
        logical: &LogicalPlan,
    ) -> Result<Vec<RecordBatch>, Failure> {
        let state = context.state();
        let engine = |source: DataFusionError| PlanError::Engine { stage: self.name.clone(), source }.to_failure();
        let input = physical_query(&state, logical).await.map_err(engine)?.plan;
        let order = (!work.zorder.is_empty())
            .then(|| self.layout_order(&work.zorder).and_then(|key| physical(&key, context, logical)))
            .transpose()
            .map_err(engine)?;
        let plan = rewrite_plan(input, self.spec(work), order)?;
        let place = heavily(async { self.scheduler.engine.place(&plan, context) }).await;
        let request = JobRequest { name: format!("maintain/{}", self.name), plan, session: Arc::clone(context) };
        let job = self.scheduler.engine.start(request, &place).await?;
        let finished = tokio::select! {
            finished = job.wait() => finished?,
            () = self.cancel.cancelled() => {
                job.cancel().await;
                return Err(ActionError::Stopped { table: self.name.clone() }.into());
            }
        };
        Ok(finished.collect().await?)
    }

    fn spec(&self, work: &Rewrite) -> WriteSpec {
        let mut spec = self.table.write_spec(self.name.as_str());
        spec.target_file_bytes = work.target_file_bytes;
        spec.layout = (!work.zorder.is_empty()).then(|| layout_mark(&work.zorder));
        spec
    }

    /// What rows are sorted by, so that those with similar values in `columns` come close to one another.
    fn layout_order(&self, columns: &[String]) -> EngineResult<Expr> {
        let options = ScanOptions::from_config(self.scheduler.sessions.context().map_err(external)?.state().config());
        let statistics = self.table.provider(&options).statistics();
        let schema = self.table.schema();
        let keyed = columns.iter().map(|column| {
            let known = schema.index_of(column).ok().and_then(|index| {
                let of_column = statistics.as_ref()?.column_statistics.get(index)?;
                Some((value(&of_column.min_value), value(&of_column.max_value)))
            });
            let (low, high) = known.unwrap_or_default();
            (Expr::Column(Column::new_unqualified(column)), low, high)
        });
        Ok(zorder_key(&keyed.collect::<Vec<_>>()))
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A bound, exact or not: it only spreads the rows.
fn value(bound: &Precision<ScalarValue>) -> Option<ScalarValue> {
    bound.get_value().filter(|value| !value.is_null()).cloned()
}

fn physical(key: &Expr, context: &SessionContext, logical: &LogicalPlan) -> EngineResult<Arc<dyn PhysicalExpr>> {
    context.state().create_physical_expr(key.clone(), logical.schema())
}

/// The bins dealt out to at most `count` tasks, of about as many bytes each.
fn dealt(bins: &[Bin], count: usize) -> Vec<Vec<String>> {
    let mut tasks: Vec<(u64, Vec<String>)> = vec![(0, Vec::new()); count.clamp(1, bins.len().max(1))];
    for bin in bins {
        if let Some((bytes, files)) = tasks.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += bin.bytes;
            files.extend(bin.files.iter().cloned());
        }
    }
    tasks.into_iter().map(|(_, files)| files).filter(|files| !files.is_empty()).collect()
}

/// What a commit says about the turn that made it.
pub(super) fn commit_info(turn: &str, reason: &str) -> HashMap<String, serde_json::Value> {
    HashMap::from([
        ("windlass.maintenance".to_owned(), json!(turn)),
        ("windlass.reason".to_owned(), json!(reason)),
        ("windlass.version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_dealt_out_evenly_and_none_is_lost() {
        let bin = |name: &str, bytes: u64| Bin { files: vec![format!("{name}1"), format!("{name}2")], bytes };
        let bins = [bin("a", 10), bin("b", 1), bin("c", 1), bin("d", 9)];
        assert_eq!(dealt(&bins, 2), [vec!["a1", "a2"], vec!["b1", "b2", "c1", "c2", "d1", "d2"]]);
        assert_eq!(dealt(&bins, 9).len(), 4);
        assert_eq!(dealt(&[], 2), Vec::<Vec<String>>::new());
    }
}
