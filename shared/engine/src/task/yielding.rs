//! Makes tasks stoppable.
//!
//! A task is stopped by dropping it, which only takes effect where it yields, and not at all for tasks that the engine
//! has spawned. The engine makes its scans yield, but not the readers of shuffle files, and a join that turns one batch
//! into thousands lets an aggregation above it run for minutes without yielding. So every operator of a task yields
//! regularly, whatever its inputs, and returns an error once the task has been stopped. The same wrapper grows the
//! stack for every operator.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ballista_core::error::BallistaError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use windlass_base::stack::with_room;

/// `plan` with every operator yielding. Once `stopped` fires, the operators give nothing but an error.
///
/// # Errors
/// The engine's, if an operator does not take other children.
pub fn yielding(plan: Arc<dyn ExecutionPlan>, stopped: &CancellationToken) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = |inner| Ok(Transformed::yes(Arc::new(Yielding { inner, stopped: stopped.clone() }) as _));
    plan.transform_up(wrapped).data()
}

/// A wrapper of an operator, with the same children, properties and metrics.
#[derive(Debug)]
struct Yielding {
    inner: Arc<dyn ExecutionPlan>,
    stopped: CancellationToken,
}

impl DisplayAs for Yielding {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(t, f)
    }
}

impl ExecutionPlan for Yielding {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inner.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).replace_children(children, options)?;
        Ok(Arc::new(Self { inner, stopped: self.stopped.clone() }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    /// The tables of a recursive query are given to its operators while it runs.
    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn ExecutionPlan>> {
        let inner = self.inner.with_new_state(state)?;
        Some(Arc::new(Self { inner, stopped: self.stopped.clone() }))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).reset_state()?;
        Ok(Arc::new(Self { inner, stopped: self.stopped.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = with_room(|| self.inner.execute(partition, context))?;
        let rows = GrowingStackStream(make_cooperative(rows));
        let (schema, stopped) = (rows.0.schema(), self.stopped.clone());
        let rows = rows.map(move |batch| match stopped.is_cancelled() {
            true => Err(DataFusionError::External(Box::new(BallistaError::Cancelled))),
            false => batch,
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.inner.metrics()
    }
}

/// A stream that grows the stack for each poll: operators poll their inputs recursively, and expressions are traversed.
struct GrowingStackStream(SendableRecordBatchStream);

impl Stream for GrowingStackStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        with_room(|| self.0.poll_next_unpin(context))
    }
}
