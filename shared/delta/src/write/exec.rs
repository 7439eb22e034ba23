//! The root of a stage's plan: writes its input's rows as data files and reports them as rows.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::check::{RowConstraint, check, external};
use super::conform::Conform;
use super::files::{FileKind, OpenFiles};
use super::partition::Splitter;
use super::report::{TaskReport, report_schema};
use super::{WriteError, WriteSpec};

/// Writes each partition of its input as data files of a Delta table, and reports them in the rows of
/// [`report_schema`]. Nothing becomes visible in the table: that is the commit's part. A task that runs twice writes
/// two sets of files with different names, of which one is reported.
#[derive(Debug, Clone)]
pub struct DeltaWriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WriteSpec>,
    constraints: Arc<Vec<RowConstraint>>,
    conform: Conform,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DeltaWriteExec {
    /// Writes the rows of `input`; `constraints` are those of `spec`, compiled.
    ///
    /// # Errors
    /// [`WriteError::InputDiffers`] if the input does not have the table's columns.
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        spec: Arc<WriteSpec>,
        constraints: Vec<RowConstraint>,
    ) -> Result<Self, WriteError> {
        let conform = Conform::new(&input.schema(), &spec)?;
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(report_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, spec, constraints: Arc::new(constraints), conform, properties, metrics })
    }

    /// What is written, and how.
    pub fn spec(&self) -> &Arc<WriteSpec> {
        &self.spec
    }

    /// The constraints that every row is checked against.
    pub fn constraints(&self) -> &[RowConstraint] {
        &self.constraints
    }

    /// The partition columns as the input has them.
    pub(super) fn partition_columns(
        input: &Arc<dyn ExecutionPlan>,
        spec: &WriteSpec,
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let schema = input.schema();
        let column = |name: &String| Ok(Arc::new(Column::new_with_schema(name, &schema)?) as Arc<dyn PhysicalExpr>);
        spec.partition_by.iter().map(column).collect()
    }
}

impl DisplayAs for DeltaWriteExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.spec.target_file_bytes;
        if matches!(kind, DisplayFormatType::TreeRender) {
            return writeln!(f, "table={}", self.spec.table);
        }
        write!(f, "DeltaWriteExec: table={}, target_file_bytes={target}", self.spec.table)?;
        if !self.spec.partition_by.is_empty() {
            write!(f, ", partition_by=[{}]", self.spec.partition_by.join(", "))?;
        }
        let not_null = self.spec.schema.fields().iter().filter(|field| !field.is_nullable());
        let not_null: Vec<&str> = not_null.map(|field| field.name().as_str()).collect();
        if !not_null.is_empty() {
            write!(f, ", not_null=[{}]", not_null.join(", "))?;
        }
        if !self.constraints.is_empty() {
            let named = self.constraints.iter().map(|constraint| format!("{}: {}", constraint.name, constraint.sql));
            write!(f, ", constraints=[{}]", named.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for DeltaWriteExec {
    fn name(&self) -> &'static str {
        "DeltaWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let by_value = (!self.spec.partition_by.is_empty())
            .then(|| Self::partition_columns(&self.input, &self.spec).ok())
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
            return datafusion::common::internal_err!("DeltaWriteExec has one child");
        };
        let new = Self::try_new(input, Arc::clone(&self.spec), self.constraints.to_vec()).map_err(external)?;
        Ok(Arc::new(new))
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
        let task = WriteTask {
            input: self.input.execute(partition, Arc::clone(&context))?,
            files: OpenFiles::new(FileKind::Data, Arc::clone(&self.spec), &context)?,
            splitter: Splitter::new(&self.spec)?,
            conform: self.conform.clone(),
            constraints: Arc::clone(&self.constraints),
            spec: Arc::clone(&self.spec),
            metrics: WriteMetrics::new(&self.metrics, partition),
        };
        let stream = futures::stream::once(task.run()).boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(report_schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What one task counts.
struct WriteMetrics {
    rows: Count,
    bytes: Count,
    files: Count,
    time: Time,
}

impl WriteMetrics {
    fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(set).counter("rows_written", partition),
            bytes: MetricBuilder::new(set).counter("bytes_written", partition),
            files: MetricBuilder::new(set).counter("files_written", partition),
            time: MetricBuilder::new(set).elapsed_compute(partition),
        }
    }
}

/// The work on one partition.
struct WriteTask {
    input: SendableRecordBatchStream,
    files: OpenFiles,
    splitter: Splitter,
    conform: Conform,
    constraints: Arc<Vec<RowConstraint>>,
    spec: Arc<WriteSpec>,
    metrics: WriteMetrics,
}

impl WriteTask {
    async fn run(mut self) -> Result<RecordBatch> {
        let written = match self.write_all().await {
            Ok(()) => self.files.finish().await,
            Err(error) => Err(error),
        };
        match written {
            Ok((added, _)) => {
                self.metrics.files.add(added.len());
                self.metrics.rows.add(added.iter().map(|file| file.rows as usize).sum());
                self.metrics.bytes.add(added.iter().map(|file| file.action.size.cast_unsigned() as usize).sum());
                TaskReport { added, ..TaskReport::default() }.into_batch().map_err(external)
            }
            Err(error) => {
                self.files.abort().await;
                Err(error)
            }
        }
    }

    async fn write_all(&mut self) -> Result<()> {
        while let Some(batch) = self.input.try_next().await? {
            let _timer = self.metrics.time.timer();
            let rows = self.conform.apply(&batch).map_err(external)?;
            check(&rows, &self.spec, &self.constraints)?;
            for (values, part) in self.splitter.split(&rows, &self.spec)? {
                self.files.write(values, &part).await?;
            }
        }
        Ok(())
    }
}
