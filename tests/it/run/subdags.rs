//! Running sub-DAGs: the documented example on real tables, and engine errors in their queries.

use std::fs;

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::util::pretty::pretty_format_batches;
use deltalake::kernel::{DataType, StructField};
use futures::TryStreamExt;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{PlanDecision, RunStatus};
use windlass_project::spec::{ProjectFiles, RenderStyle};
use windlass_storage::Location;

use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::open;
use crate::pages::subdag_example as example;

async fn orders(folder: &std::path::Path, rows: &[(i64, i64, i64)]) {
    if !folder.exists() {
        fs::create_dir_all(folder).unwrap();
        let columns = ["order_id", "line", "amount"].map(|name| StructField::nullable(name, DataType::LONG));
        let create = open(folder).await.create().with_columns(columns);
        create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
    }
    let column = |of: fn(&(i64, i64, i64)) -> i64| array(rows.iter().map(of).collect::<Int64Array>());
    let rows = vec![("order_id", column(|row| row.0)), ("line", column(|row| row.1)), ("amount", column(|row| row.2))];
    append(folder, batch(rows), &[]).await;
}

fn project(files: &ProjectFiles, dir: &std::path::Path) -> Project {
    Project::from_files(files, dir, None, &[])
        .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_page_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (web, shop) = (dir.path().join("data/web"), dir.path().join("data/shop"));
    orders(&web, &[(1, 1, 5), (1, 1, 7), (2, 1, 0), (3, 1, 9)]).await;
    orders(&shop, &[(1, 1, 100)]).await;
    let project = project(&example(), dir.path());
    let home = Location::from_path(&dir.path().join("home")).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let run = async || {
        let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    };
    let totals = async || {
        let sql = "SELECT * FROM web_totals UNION ALL SELECT * FROM shop_totals ORDER BY channel";
        let rows = windlass.query(&project, sql, &QueryOptions::default()).await.unwrap();
        let batches: Vec<_> = rows.stream().try_collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    };
    run().await;
    insta::assert_snapshot!(totals().await, @r"
    +---------+-------+--------+
    | channel | lines | amount |
    +---------+-------+--------+
    | shop    | 1     | 100    |
    | web     | 2     | 16     |
    +---------+-------+--------+
    ");
    // Each instance is reused separately.
    orders(&shop, &[(2, 1, 1)]).await;
    let plan = windlass.plan(&project, &RunOptions::default()).await.unwrap();
    let reused = plan.stages.iter().filter(|stage| stage.decision == PlanDecision::Reuse);
    let mut reused: Vec<&str> = reused.map(|stage| stage.stage.as_str()).collect();
    reused.sort_unstable();
    assert_eq!(reused, ["web_clean", "web_totals"]);
    run().await;
    assert!(totals().await.contains("| shop    | 2     | 101    |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_errors_point_into_the_sub_dag_and_at_the_instance() {
    let dir = tempfile::tempdir().unwrap();
    orders(&dir.path().join("data/web"), &[(1, 1, 5)]).await;
    orders(&dir.path().join("data/shop"), &[(1, 1, 5)]).await;
    let mut files = example();
    let totals = files.get("subdags/cleaned/totals.sql").unwrap().replace("clean.amount", "clean.price");
    files.insert("subdags/cleaned/totals.sql", &totals);
    let pipe = files.get("subdags/cleaned.yaml").unwrap().replace("WHERE amount", "WHERE amont");
    files.insert("subdags/cleaned.yaml", &pipe);
    let project = project(&files, dir.path());
    let home = Location::from_path(&dir.path().join("home")).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
    let error = windlass.plan(&project, &RunOptions::default()).await.unwrap_err();
    insta::assert_snapshot!(error.problems().unwrap().render(RenderStyle::default()));
}
