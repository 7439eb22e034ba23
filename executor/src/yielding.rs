//! Makes tasks stoppable.
//!
//! A task is stopped by dropping it, which only takes effect where it yields, and not at all for tasks that the engine
//! has spawned. The engine makes its scans yield, but not the readers of shuffle files, and a join that turns one batch
//! into thousands lets an aggregation above it run for minutes without yielding. So every operator of a task yields
//! regularly, whatever its inputs, and returns an error once the task has been stopped. The same wrapper grows the
//! stack for every operator.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ballista_core::error::BallistaError;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
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

/// `plan` with every operator below its root wrapped. The root, which writes the shuffle files, is kept, because the
/// engine looks for it. `work_dir` is the folder of this executor's shuffle files: the engine would pass it to the
/// readers, but cannot find them inside the wrappers. Once `stopped` fires, the operators only return an error.
pub(crate) fn yielding(
    plan: Arc<dyn ExecutionPlan>,
    work_dir: &str,
    stopped: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let below = plan.children().into_iter().cloned();
    let wrapped = |node| Ok(Transformed::yes(wrap(node, work_dir, stopped)));
    let below = below.map(|child| child.transform_up(wrapped).data());
    let below = below.collect::<Result<Vec<_>>>()?;
    plan.replace_children(below, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

fn wrap(node: Arc<dyn ExecutionPlan>, work_dir: &str, stopped: &CancellationToken) -> Arc<dyn ExecutionPlan> {
    let inner = if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
        Arc::new(reader.with_work_dir(work_dir.to_owned()))
    } else if let Some(reader) = node.downcast_ref::<RangeShuffleReaderExec>() {
        Arc::new(reader.with_work_dir(work_dir.to_owned()))
    } else {
        node
    };
    Arc::new(Yielding { inner, stopped: stopped.clone() })
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
