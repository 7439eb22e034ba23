//! Whether a plan arrives at executors as it was sent. The engine's encoding leaves parts of some operators out without a word,
//! and the rows are then others than those that were asked for.

use std::fmt;
use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr};
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, WindowExpr};
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_engine::function::exact::embeds_call_options;

use super::EngineError;

/// Sends `plan` to a session like an executor's and compares what arrives.
///
/// # Errors
/// [`EngineError::CutShort`] with the operator that lost something, and [`EngineError::Plan`] if the plan cannot be sent.
pub(super) fn check(
    plan: &Arc<dyn ExecutionPlan>,
    executor: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
) -> Result<(), EngineError> {
    let echoed = PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), codec)
        .and_then(|node| node.try_into_physical_plan(executor, codec))
        .map_err(|reason| EngineError::from_refused_plan(&reason))?;
    match first_difference(plan, &echoed) {
        None => Ok(()),
        Some(operator) => Err(EngineError::CutShort { operator }),
    }
}

/// The first operator of `sent` that is another one in `arrived`.
fn first_difference(sent: &Arc<dyn ExecutionPlan>, arrived: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let (below, arrived_below) = (sent.children(), arrived.children());
    if let Some(input) = unchanged(arrived).filter(|_| !sent.is::<ProjectionExec>()) {
        return first_difference(sent, input);
    }
    if let Some(reading) = Reading::of(sent) {
        let same = Reading::of(arrived).is_some_and(|arrived| reading == arrived);
        return (!same).then(|| Shown(sent.as_ref()).to_string());
    }
    if below.is_empty() && arrived_below.is_empty() && sent.name() == arrived.name() {
        return counts_only(sent).then(|| Shown(sent.as_ref()).to_string());
    }
    let same = sent.name() == arrived.name()
        && below.len() == arrived_below.len()
        && sent.schema().fields().len() == arrived.schema().fields().len()
        && sent.output_partitioning().partition_count() == arrived.output_partitioning().partition_count()
        && text(sent) == text(arrived)
        && same_windows(windows(sent), windows(arrived));
    if !same {
        return Some(Shown(sent.as_ref()).to_string());
    }
    below.into_iter().zip(arrived_below).find_map(|(sent, arrived)| first_difference(sent, arrived))
}

/// Whether the operator makes rows without columns, to be counted: those of a series arrive with their column, which then has
/// no place.
fn counts_only(leaf: &Arc<dyn ExecutionPlan>) -> bool {
    leaf.is::<LazyMemoryExec>() && leaf.schema().fields().is_empty()
}

/// What decides the rows of a scan of files: which parts of which files, the columns made of them, the rows that may be left
/// out. What else is known of the files travels as far as executors need it, and may be said otherwise.
#[derive(PartialEq)]
struct Reading {
    files: Vec<Vec<String>>,
    columns: Option<Vec<String>>,
    filter: Option<String>,
    limit: Option<usize>,
}

impl Reading {
    /// Of a scan; `None` of other operators.
    fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let source = node.downcast_ref::<DataSourceExec>()?.data_source();
        let scan = source.downcast_ref::<FileScanConfig>()?;
        let part = |file: &PartitionedFile| {
            let range = file.range.as_ref().map(|range| (range.start, range.end));
            format!("{} {range:?} {:?}", file.object_meta.location, file.partition_values)
        };
        let columns = scan
            .file_source()
            .projection()
            .map(|columns| columns.iter().map(|column| format!("{} as {}", column.expr, column.alias)).collect());
        Some(Self {
            files: scan.file_groups.iter().map(|group| group.files().iter().map(part).collect()).collect(),
            columns,
            filter: scan.file_source().filter().map(|filter| filter.to_string()),
            limit: scan.limit,
        })
    }
}

/// The input of an operator that gives its rows as they are: a union that has arrived puts one above each branch whose columns
/// have its types already, to give them these types once more.
fn unchanged(node: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let made = node.downcast_ref::<ProjectionExec>()?;
    let fields = made.input().schema();
    let is_itself = |(index, made): (usize, &ProjectionExpr)| {
        let field = fields.fields().get(index)?;
        let value = match made.expr.downcast_ref::<CastExpr>() {
            Some(cast) if cast.cast_type() == field.data_type() => cast.expr(),
            Some(_) => return None,
            None => &made.expr,
        };
        let column = value.downcast_ref::<Column>()?;
        (column.index() == index && made.alias == *field.name()).then_some(())
    };
    let same = made.expr().len() == fields.fields().len()
        && made.expr().iter().enumerate().all(|made| is_itself(made).is_some());
    same.then(|| made.input())
}

/// What an operator says of itself, without what follows from what is known of the files of a scan.
fn text(node: &Arc<dyn ExecutionPlan>) -> String {
    let text = Shown(node.as_ref()).to_string();
    text.split_once(", ordering_mode=").map(|(before, _)| before.to_owned()).unwrap_or(text)
}

/// An operator alone, as a person reads it, with all that it says of itself.
struct Shown<'a>(&'a dyn ExecutionPlan);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DisplayAs::fmt_as(self.0, DisplayFormatType::Verbose, f)
    }
}

/// The calls of an operator of windows: of these their text does not say all.
fn windows(node: &Arc<dyn ExecutionPlan>) -> &[Arc<dyn WindowExpr>] {
    match (node.downcast_ref::<BoundedWindowAggExec>(), node.downcast_ref::<WindowAggExec>()) {
        (Some(bounded), _) => bounded.window_expr(),
        (None, Some(whole)) => whole.window_expr(),
        (None, None) => &[],
    }
}

fn same_windows(sent: &[Arc<dyn WindowExpr>], arrived: &[Arc<dyn WindowExpr>]) -> bool {
    sent.len() == arrived.len() && sent.iter().zip(arrived).all(|(sent, arrived)| said(sent) == said(arrived))
}

/// All that is said about a call over a window.
fn said(call: &Arc<dyn WindowExpr>) -> String {
    let frame = format!("{:?} {:?} {:?}", call.partition_by(), call.order_by(), call.get_window_frame());
    let inner = call.as_any();
    if let Some(plain) = inner.downcast_ref::<PlainAggregateWindowExpr>() {
        let function = plain.get_aggregate_expr();
        let flags = (function.is_distinct(), function.ignore_nulls(), filter_of(plain));
        return format!("{:?} {:?} {flags:?} {frame}", function.fun(), function.expressions());
    }
    if let Some(sliding) = inner.downcast_ref::<SlidingAggregateWindowExpr>() {
        let function = sliding.get_aggregate_expr();
        let flags = (function.is_distinct(), function.ignore_nulls(), filter_of(sliding));
        return format!("{:?} {:?} {flags:?} {frame}", function.fun(), function.expressions());
    }
    let standard = inner.downcast_ref::<StandardWindowExpr>().map(StandardWindowExpr::get_standard_func_expr);
    match standard.and_then(|function| function.as_any().downcast_ref::<WindowUDFExpr>()) {
        Some(function) if embeds_call_options(function.fun()) => {
            format!("{:?} {:?} {frame}", function.fun(), function.args())
        }
        // Only the text for a debugger tells whether nulls are passed over and whether the rows come backwards.
        Some(function) => format!("{function:?} {frame}"),
        None => format!("{call:?}"),
    }
}

/// The condition of a call, which only the text for a debugger tells.
fn filter_of(call: &dyn fmt::Debug) -> String {
    let text = format!("{call:?}");
    text.rsplit_once(", filter: ").map(|(_, filter)| filter.to_owned()).unwrap_or_default()
}
