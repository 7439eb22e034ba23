//! `metrics.arrow`: what the operators of a stage measured, one row a metric, so that bundles can be queried together.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{RecordBatch, StringBuilder, UInt32Builder, UInt64Builder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::FileReader;
use datafusion::arrow::ipc::writer::FileWriter;
use windlass_base::ids::{NodeName, RunId};

use crate::artifact::OperatorMetrics;

/// The columns of `metrics.arrow`; docs/run-bundle.md explains them. Columns are only ever added, at the end.
pub fn metrics_schema() -> SchemaRef {
    let column = |name: &str, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        column("run_id", DataType::Utf8),
        column("stage", DataType::Utf8),
        column("engine_stage", DataType::UInt32),
        column("position", DataType::UInt32),
        column("depth", DataType::UInt32),
        column("operator", DataType::Utf8),
        column("detail", DataType::Utf8),
        column("metric", DataType::Utf8),
        column("unit", DataType::Utf8),
        column("value", DataType::UInt64),
    ]))
}

/// The metrics as an Arrow IPC file.
///
/// # Errors
/// Arrow's own.
pub fn encode_metrics(run_id: &RunId, stage: &NodeName, operators: &[OperatorMetrics]) -> Result<Bytes, ArrowError> {
    let schema = metrics_schema();
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    writer.write(&to_batch(schema, run_id, stage, operators)?)?;
    writer.finish()?;
    writer.into_inner().map(Bytes::from)
}

/// The batches of such a file.
///
/// # Errors
/// Arrow's own, if it is not such a file.
pub fn decode_metrics(content: Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    FileReader::try_new(Cursor::new(content), None)?.collect()
}

fn to_batch(
    schema: SchemaRef,
    run_id: &RunId,
    stage: &NodeName,
    operators: &[OperatorMetrics],
) -> Result<RecordBatch, ArrowError> {
    let mut texts: [StringBuilder; 6] = Default::default();
    let mut places: [UInt32Builder; 3] = Default::default();
    let mut value = UInt64Builder::new();
    for operator in operators {
        for metric in &operator.metrics {
            let row = [
                run_id.as_str(),
                stage.as_str(),
                operator.operator.as_str(),
                operator.detail.as_str(),
                metric.name.as_str(),
                metric.unit.as_str(),
            ];
            for (column, text) in texts.iter_mut().zip(row) {
                column.append_value(text);
            }
            for (column, place) in places.iter_mut().zip([operator.engine_stage, operator.position, operator.depth]) {
                column.append_value(place);
            }
            value.append_value(metric.value);
        }
    }
    let [run, stage, operator, detail, metric, unit] = texts.each_mut().map(StringBuilder::finish).map(Arc::new);
    let [engine_stage, position, depth] = places.each_mut().map(UInt32Builder::finish).map(Arc::new);
    let value = Arc::new(value.finish());
    RecordBatch::try_new(schema, vec![run, stage, engine_stage, position, depth, operator, detail, metric, unit, value])
}
