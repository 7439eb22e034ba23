//! The project that docs/incremental.md begins with does what the page says.

use std::fs;
use std::path::Path;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use deltalake::kernel::{DataType, StructField};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{PlanDecision, RunStatus};
use windlass_project::strategy::Strategy;

use super::tables::open;
use crate::delta_read::tables::{append, array, batch};

const PAGE: &str = include_str!("../../../docs/incremental.md");

/// The first block of the page in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

async fn create(folder: &Path, columns: &[(&str, DataType)]) {
    fs::create_dir_all(folder).unwrap();
    let columns = columns.iter().map(|(name, data_type)| StructField::nullable(*name, data_type.clone()));
    let create = open(folder).await.create().with_columns(columns);
    create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_example_of_the_page_applies_changes() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let project = dir.path().join("project");
    fs::create_dir_all(project.join("stages")).unwrap();
    let manifest = block("yaml").replace("../lake", lake.to_str().unwrap());
    fs::write(project.join("windlass.yaml"), manifest).unwrap();
    fs::write(project.join("stages/customer_totals.sql"), block("sql")).unwrap();
    let (orders, customers) = (lake.join("orders"), lake.join("customers"));
    create(&orders, &[("customer_id", DataType::LONG), ("amount", DataType::LONG)]).await;
    create(&customers, &[("customer_id", DataType::LONG), ("name", DataType::STRING)]).await;
    let ids = || array(Int64Array::from(vec![1, 2, 3]));
    append(&orders, batch(vec![("customer_id", ids()), ("amount", array(Int64Array::from(vec![10, 20, 30])))]), &[])
        .await;
    append(
        &customers,
        batch(vec![("customer_id", ids()), ("name", array(StringArray::from(vec!["ada", "bo", "cy"])))]),
        &[],
    )
    .await;

    let project = Project::open(&project, None, &[]).unwrap();
    let home = project.home(None).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let run = async || {
        let plan = windlass.plan(&project, &RunOptions::default()).await.unwrap();
        let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        let stage = &plan.stages[0];
        (stage.decision, stage.strategy)
    };
    assert_eq!(run().await, (PlanDecision::Full, Some(Strategy::Full)));

    let update = open(&orders).await.update().with_predicate("customer_id = 2");
    update.with_update("amount", "amount + 5").await.unwrap();
    append(
        &orders,
        batch(vec![("customer_id", array(Int64Array::from(vec![2]))), ("amount", array(Int64Array::from(vec![1])))]),
        &[],
    )
    .await;
    let (decision, strategy) = run().await;
    assert_eq!((decision, strategy), (PlanDecision::Incremental, Some(Strategy::AffectedKeys)));
    assert_eq!(run().await.0, PlanDecision::Reuse);

    let sql = "SELECT * FROM customer_totals ORDER BY customer_id";
    let rows = windlass.query(&project, sql, &Default::default()).await.unwrap().collect().await.unwrap();
    insta::assert_snapshot!(pretty_format_batches(&rows).unwrap(), @r"
    +-------------+------+--------+--------+
    | customer_id | name | orders | amount |
    +-------------+------+--------+--------+
    | 1           | ada  | 1      | 10     |
    | 2           | bo   | 2      | 26     |
    | 3           | cy   | 1      | 30     |
    +-------------+------+--------+--------+
    ");
    windlass.stop().await;
}
