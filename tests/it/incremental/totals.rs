//! Counts and sums, carried on from what the table holds.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_client::embedded::{EmbeddedConfig, local_runs};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_shared::artifact::{PlanText, RunStatus, Strategy};
use windlass_shared::storage::Location;

use super::tables::open;
use crate::delta_read::tables::{append, array, batch};

/// The last three cannot be carried on: there is no number of rows, an average, sums that depend on their order.
const STAGES: [(&str, &str, &str); 6] = [
    (
        "by_shop",
        "shop",
        "SELECT shop, count(*) AS sales, count(amount) AS paid, sum(amount) AS amount, sum(price) AS price FROM sales GROUP BY shop",
    ),
    (
        "labelled",
        "label, shop",
        "SELECT 'all' AS label, count(*) FILTER (WHERE amount > 20) AS large, shop, count(*) AS sales
         FROM sales WHERE amount IS NULL OR amount <> 13 GROUP BY shop",
    ),
    (
        "twice",
        "shop",
        "SELECT shop, sum(amount + 1) AS amount, count(*) AS sales
         FROM (SELECT * FROM sales UNION ALL SELECT * FROM sales WHERE amount > 20) GROUP BY shop",
    ),
    ("uncounted", "shop", "SELECT shop, sum(amount) AS amount FROM sales GROUP BY shop"),
    ("average", "shop", "SELECT shop, avg(amount) AS amount, count(*) AS sales FROM sales GROUP BY shop"),
    ("weighed", "shop", "SELECT shop, sum(weight) AS weight, count(*) AS sales FROM sales GROUP BY shop"),
];

struct Shops {
    project: Project,
    windlass: Windlass,
    home: Location,
    sales: PathBuf,
}

impl Shops {
    async fn new(dir: &Path) -> Self {
        let sales = dir.join("sales");
        append(&sales, rows(&[("a", Some(10)), ("a", Some(30)), ("b", Some(5)), ("c", None), ("c", Some(7))]), &[])
            .await;
        let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
        open(&sales).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();

        let project = dir.join("project");
        fs::create_dir_all(project.join("stages")).unwrap();
        let manifest = format!(
            "name: shops\nsources:\n  sales: {{ kind: delta, location: {} }}\ndefaults:\n  incremental: strict\n",
            sales.display()
        );
        fs::write(project.join("windlass.yaml"), manifest).unwrap();
        for (name, key, sql) in STAGES {
            let text = format!("/* windlass\nio: {{ key: [{key}] }}\n*/\n{sql}\n");
            fs::write(project.join(format!("stages/{name}.sql")), text).unwrap();
        }
        let project = Project::open(&project, None, &[]).unwrap();
        let home = project.home(None).unwrap();
        let config = EmbeddedConfig::new(home.clone(), project.graph.session.clone());
        let windlass = Windlass::embedded(config).await.unwrap();
        Self { project, windlass, home, sales }
    }

    /// Runs the pipeline, checks every table against its query, and gives the names of the stages that read nothing but
    /// what had changed.
    async fn run(&self) -> Vec<&'static str> {
        let record = self.windlass.run(&self.project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        let runs = local_runs(&self.home).await.unwrap();
        let mut carried = Vec::new();
        for (name, _, sql) in STAGES {
            let ask = async |sql: String| {
                let rows = self.windlass.query(&self.project, &sql, &Default::default()).await.unwrap();
                pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
            };
            let actual = ask(format!("SELECT * FROM {name} ORDER BY shop")).await;
            assert_eq!(actual, ask(format!("SELECT * FROM ({sql}) ORDER BY shop")).await, "{name}");
            let stage = record.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap();
            if stage.strategy != Some(Strategy::AffectedKeys) {
                continue;
            }
            let plans = runs.bundles.plan_text(&record.run_id, &name.into(), PlanText::Optimized).await;
            let plans = plans.unwrap().unwrap();
            let has = |step: &str| plans.lines().any(|line| line.starts_with(&format!("-- {step}")));
            assert_ne!(has("change") && !has("keys"), has("keys"), "{name}: {plans}");
            if !has("keys") {
                carried.push(name);
            }
        }
        carried
    }

    async fn update(&self, predicate: &str, column: &str, value: &str) {
        let update = open(&self.sales).await.update().with_predicate(predicate);
        update.with_update(column, value).await.unwrap();
    }
}

fn rows(rows: &[(&str, Option<i64>)]) -> RecordBatch {
    let prices = rows.iter().map(|(_, amount)| amount.map(|amount| i128::from(amount) * 125));
    let prices = prices.collect::<Decimal128Array>().with_precision_and_scale(15, 2).unwrap();
    batch(vec![
        ("shop", array(StringArray::from_iter_values(rows.iter().map(|(shop, _)| *shop)))),
        ("amount", array(rows.iter().map(|(_, amount)| *amount).collect::<Int64Array>())),
        ("price", array(prices)),
        ("weight", array(Float64Array::from_iter_values(rows.iter().map(|_| 0.5)))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_sums_are_carried_on_where_the_table_tells_enough() {
    let dir = tempfile::tempdir().unwrap();
    let shops = Shops::new(dir.path()).await;
    assert!(shops.run().await.is_empty());
    let carried = ["by_shop", "labelled", "twice"];

    // Rows changed, one of them to another group.
    shops.update("amount = 30", "amount", "13").await;
    shops.update("amount = 5", "shop", "'a'").await;
    assert_eq!(shops.run().await, carried);

    // The same rows several times, and a new group.
    let same = rows(&[("a", Some(40)), ("a", Some(40)), ("d", Some(1)), ("a", Some(40))]);
    append(&shops.sales, same, &[]).await;
    assert_eq!(shops.run().await, carried);
    open(&shops.sales).await.delete().with_predicate("amount = 40 OR shop = 'd'").await.unwrap();
    assert_eq!(shops.run().await, carried);

    // Of the rows that are left none has an amount: that the sum is null now and not zero the table does not tell.
    open(&shops.sales).await.delete().with_predicate("amount = 7").await.unwrap();
    assert_eq!(shops.run().await, ["labelled"]);
    // A zero comes where there was nothing.
    append(&shops.sales, rows(&[("c", Some(0))]), &[]).await;
    assert_eq!(shops.run().await, ["labelled", "twice"]);
    shops.windlass.stop().await;
}
