//! The root of a merge's plan: writes new rows and changes, and reports them and where old rows are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, SendableRecordBatchStream,
};
use deltalake::kernel::{Add, AddCDCFile};
use futures::{StreamExt, TryStreamExt};

use super::MergeCounts;
use super::input::MergeInput;
use super::positions::Positions;
use crate::write::check::{check, external};
use crate::write::files::{FileKind, OpenFiles};
use crate::write::partition::Splitter;
use crate::write::report::{ReplacedRows, TaskReport, WrittenFile, not_a_report};
use crate::write::{RowConstraint, WriteError, WriteSpec, report_schema};

/// Writes the changes in each partition of its input, the columns of [`delta_merge_plan`](super::delta_merge_plan), and
/// reports what it wrote and which rows are replaced in the rows of [`report_schema`]. Nothing becomes visible in the
/// table: that is the commit's part. A task that runs twice writes two sets of files, of which one is reported.
#[derive(Debug, Clone)]
pub struct DeltaMergeExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WriteSpec>,
    constraints: Arc<Vec<RowConstraint>>,
    change_feed: bool,
    columns: MergeInput,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DeltaMergeExec {
    /// Writes the changes of `input`; `constraints` are those of `spec`, compiled. With `change_feed`, changes are
    /// written to change data files too.
    ///
    /// # Errors
    /// [`WriteError::InputDiffers`] if the input does not have the columns of a merge.
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        spec: Arc<WriteSpec>,
        constraints: Vec<RowConstraint>,
        change_feed: bool,
    ) -> Result<Self, WriteError> {
        let columns = MergeInput::new(&input.schema(), &spec, change_feed)?;
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(report_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        let (constraints, metrics) = (Arc::new(constraints), ExecutionPlanMetricsSet::new());
        Ok(Self { input, spec, constraints, change_feed, columns, properties, metrics })
    }

    /// What is written, and how.
    pub fn spec(&self) -> &Arc<WriteSpec> {
        &self.spec
    }

    /// The constraints that every new row is checked against.
    pub fn constraints(&self) -> &[RowConstraint] {
        &self.constraints
    }

    /// Whether changes are written to change data files.
    pub fn change_feed(&self) -> bool {
        self.change_feed
    }
}

impl DisplayAs for DeltaMergeExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(kind, DisplayFormatType::TreeRender) {
            return writeln!(f, "table={}", self.spec.table);
        }
        write!(f, "DeltaMergeExec: table={}, change_feed={}", self.spec.table, self.change_feed)?;
        write!(f, ", target_file_bytes={}", self.spec.target_file_bytes)?;
        if !self.spec.partition_by.is_empty() {
            write!(f, ", partition_by=[{}]", self.spec.partition_by.join(", "))?;
        }
        if !self.constraints.is_empty() {
            let named = self.constraints.iter().map(|constraint| format!("{}: {}", constraint.name, constraint.sql));
            write!(f, ", constraints=[{}]", named.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for DeltaMergeExec {
    fn name(&self) -> &'static str {
        "DeltaMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let by_value = (!self.spec.partition_by.is_empty())
            .then(|| super::partition_columns(&self.input.schema(), &self.spec, self.change_feed).ok())
            .flatten()
            .map(Distribution::KeyPartitioned);
        InputDistributionRequirements::new(vec![by_value.unwrap_or(Distribution::UnspecifiedDistribution)])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop().filter(|_| children.is_empty()) else {
            return internal_err!("DeltaMergeExec has one child");
        };
        let new = Self::try_new(input, Arc::clone(&self.spec), self.constraints.to_vec(), self.change_feed);
        Ok(Arc::new(new.map_err(external)?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for constraint in self.constraints.iter() {
            if f(&constraint.condition)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let files = |kind| OpenFiles::new(kind, Arc::clone(&self.spec), &context);
        let task = MergeTask {
            input: self.input.execute(partition, Arc::clone(&context))?,
            data: files(FileKind::Data)?,
            changes: files(FileKind::Change)?,
            splitter: Splitter::new(&self.spec)?,
            columns: self.columns.clone(),
            constraints: Arc::clone(&self.constraints),
            spec: Arc::clone(&self.spec),
            replaced: BTreeMap::new(),
            counts: MergeCounts::default(),
            metrics: MergeMetrics::new(&self.metrics, partition),
        };
        let stream = futures::stream::once(task.run()).boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(report_schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What one task counts.
struct MergeMetrics {
    rows: Count,
    replaced: Count,
    bytes: Count,
    files: Count,
    change_files: Count,
    time: Time,
}

impl MergeMetrics {
    fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(set).counter(name, partition);
        Self {
            rows: counter("rows_written"),
            replaced: counter("rows_replaced"),
            bytes: counter("bytes_written"),
            files: counter("files_written"),
            change_files: counter("change_files_written"),
            time: MetricBuilder::new(set).elapsed_compute(partition),
        }
    }
}

/// The work on one partition.
struct MergeTask {
    input: SendableRecordBatchStream,
    data: OpenFiles,
    changes: OpenFiles,
    splitter: Splitter,
    columns: MergeInput,
    constraints: Arc<Vec<RowConstraint>>,
    spec: Arc<WriteSpec>,
    /// The rows that are replaced, by file.
    replaced: BTreeMap<String, Positions>,
    counts: MergeCounts,
    metrics: MergeMetrics,
}

impl MergeTask {
    async fn run(mut self) -> Result<RecordBatch> {
        let written = self.write_all().await;
        if written.is_err() {
            self.data.abort().await;
            self.changes.abort().await;
        }
        written
    }

    async fn write_all(&mut self) -> Result<RecordBatch> {
        while let Some(batch) = self.input.try_next().await? {
            let _timer = self.metrics.time.timer();
            let parts = self.columns.take(&batch, &mut self.replaced, &mut self.counts)?;
            check(&parts.new, &self.spec, &self.constraints)?;
            for (values, part) in self.splitter.split(&parts.new, &self.spec)? {
                self.data.write(values, &part).await?;
            }
            for rows in &parts.changes {
                for (values, part) in self.splitter.split(rows, &self.spec)? {
                    self.changes.write(values, &part).await?;
                }
            }
        }
        let (added, _) = self.data.finish().await?;
        let (_, changes) = self.changes.finish().await?;
        self.count(&added, &changes);
        self.report(added, changes).map_err(external)
    }

    fn report(
        &self,
        added: Vec<WrittenFile<Add>>,
        changes: Vec<WrittenFile<AddCDCFile>>,
    ) -> Result<RecordBatch, WriteError> {
        let mut replaced = Vec::with_capacity(self.replaced.len());
        for (file, positions) in &self.replaced {
            let rows = positions.len();
            let positions = positions.to_text().map_err(not_a_report)?;
            replaced.push(ReplacedRows { file: file.clone(), positions, rows });
        }
        let counts = serde_json::to_string(&self.counts).map_err(not_a_report)?;
        TaskReport { added, changes, replaced, counts }.into_batch()
    }

    fn count(&self, added: &[WrittenFile<Add>], changes: &[WrittenFile<AddCDCFile>]) {
        let sizes = added.iter().map(|file| file.action.size).chain(changes.iter().map(|file| file.action.size));
        self.metrics.rows.add(added.iter().map(|file| file.rows as usize).sum());
        self.metrics.replaced.add(self.counts.replaced() as usize);
        self.metrics.files.add(added.len());
        self.metrics.change_files.add(changes.len());
        self.metrics.bytes.add(sizes.map(|size| size.cast_unsigned() as usize).sum());
    }
}
