//! The write as a plan: its text, its metrics, its encoding.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_delta::write::{DeltaWriteExec, StagedFiles};
use windlass_engine::codec::PlanCodec;

use super::lab::Lab;

const SQL: &str = "SELECT value AS id, value % 3 AS p, 'name ' || value AS name FROM generate_series(1, 300)";

async fn plan(lab: &Lab, partitions: usize) -> Arc<dyn ExecutionPlan> {
    let rows = lab.rows(SQL).await;
    let mut definition = lab.define("t", rows.schema());
    definition.partition_by = vec!["p".to_owned()];
    definition.not_null = vec!["name".to_owned()];
    definition.constraints.insert("positive".to_owned(), "id > 0 AND length(name) < 100".to_owned());
    let state = lab.ensure(&definition).await.unwrap();
    lab.write_plan(state.write_spec("people"), &rows, partitions).await
}

fn over_the_wire(lab: &Lab, plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let codec = PlanCodec::default();
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &codec).unwrap();
    let mut bytes = Vec::new();
    node.try_encode(&mut bytes).unwrap();
    let node = PhysicalPlanNode::try_decode(&bytes).unwrap();
    node.try_into_physical_plan(&lab.context.task_ctx(), &codec).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_text_names_the_table_and_no_path() {
    let lab = Lab::on_disk();
    let text = displayable(plan(&lab, 2).await.as_ref()).indent(false).to_string();
    insta::assert_snapshot!(text);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_stays_one() {
    let lab = Lab::on_disk();
    let plan = plan(&lab, 1).await;
    assert_eq!(plan.output_partitioning().partition_count(), 1);
    assert!(!displayable(plan.as_ref()).indent(false).to_string().contains("RepartitionExec"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_sent_with_its_constraints() {
    let lab = Lab::on_disk();
    let plan = plan(&lab, 2).await;
    let arrived = over_the_wire(&lab, &plan);
    let text = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(true).to_string();
    assert_eq!(text(&arrived), text(&plan));
    let spec = |plan: &Arc<dyn ExecutionPlan>| plan.downcast_ref::<DeltaWriteExec>().unwrap().spec().clone();
    assert_eq!(spec(&arrived), spec(&plan));
    let staged = lab.run(arrived).await.unwrap();
    assert_eq!(staged.rows(), 300);

    // The condition itself was sent along: rows that violate it are refused by the receiver.
    let write = plan.downcast_ref::<DeltaWriteExec>().unwrap();
    let rows = lab.rows("SELECT -1 AS id, -1 % 3 AS p, 'x' AS name").await;
    let bad = DeltaWriteExec::try_new(lab.input(&rows, 1).await, write.spec().clone(), write.constraints().to_vec());
    let bad: Arc<dyn ExecutionPlan> = Arc::new(bad.unwrap());
    let error = lab.run(over_the_wire(&lab, &bad)).await.unwrap_err().to_string();
    assert!(error.contains("breaks the constraint `positive`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_metrics_count_what_was_written() {
    let lab = Lab::on_disk();
    let plan = plan(&lab, 2).await;
    let staged: StagedFiles = lab.run(Arc::clone(&plan)).await.unwrap();
    let metrics = plan.metrics().unwrap().aggregate_by_name();
    let count = |name: &str| metrics.sum_by_name(name).map(|value| value.as_usize());
    assert_eq!(count("rows_written"), Some(300));
    assert_eq!(count("files_written"), Some(staged.files()));
    assert_eq!(count("bytes_written"), usize::try_from(staged.bytes()).ok());
    assert!(metrics.elapsed_compute().is_some());
}
