//! How much of a table a change touches decides how its rows are computed, and never what they are.

use std::fs;
use std::path::Path;

use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_client::embedded::{EmbeddedConfig, local_runs};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_shared::artifact::{PlanText, RunRecord, RunStatus, Strategy, TouchedRows};
use windlass_shared::config::SessionSettings;
use windlass_shared::storage::Location;

use super::tables::open;
use crate::delta_read::tables::{append, array, batch};

/// 40 sales in two regions, in four files by their numbers; each stage asks for them in another way.
const STAGES: [(&str, &str, &str); 5] = [
    ("by_region", "region", "SELECT region, max(amount) AS most, sum(amount) AS amount FROM sales GROUP BY region"),
    ("by_sale", "id", "SELECT id, max(amount) AS most, sum(amount) AS amount FROM sales GROUP BY id"),
    ("ranked", "id", "SELECT id, region, rank() OVER (PARTITION BY region ORDER BY amount DESC) AS place FROM sales"),
    ("large", "id", "SELECT id, sum(amount) AS amount FROM sales GROUP BY id HAVING sum(amount) > 10000"),
    (
        "unmatched",
        "other, id",
        "SELECT coalesce(a.id, -1) AS other, b.id, b.amount
         FROM sales AS a RIGHT JOIN sales AS b ON a.amount = b.amount + 1000000",
    ),
];

struct Shop {
    project: Project,
    windlass: Windlass,
    home: Location,
    sales: std::path::PathBuf,
}

impl Shop {
    async fn new(dir: &Path) -> Self {
        let sales = dir.join("sales");
        for first in [1, 11, 21, 31_i64] {
            let ids = first..first + 10;
            let regions = ids.clone().map(|id| if id % 2 == 0 { "north" } else { "south" });
            let amounts = ids.clone().map(|id| if id == 7 { 20_000 } else { id * 10 });
            let rows = batch(vec![
                ("id", array(Int64Array::from_iter_values(ids))),
                ("region", array(StringArray::from_iter_values(regions))),
                ("amount", array(Int64Array::from_iter_values(amounts))),
            ]);
            append(&sales, rows, &[]).await;
        }
        let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
        open(&sales).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();

        let project = dir.join("project");
        fs::create_dir_all(project.join("stages")).unwrap();
        let manifest = format!(
            "name: shop\nsources:\n  sales: {{ kind: delta, location: {} }}\ndefaults:\n  incremental: strict\n",
            sales.display()
        );
        fs::write(project.join("windlass.yaml"), manifest).unwrap();
        for (name, key, sql) in STAGES {
            let text = format!("/* windlass\nio: {{ key: [{key}] }}\n*/\n{sql}\n");
            fs::write(project.join(format!("stages/{name}.sql")), text).unwrap();
        }
        let project = Project::open(&project, None, &[]).unwrap();
        let home = project.home(None).unwrap();
        // Small as it is, it is to be treated as a table that takes time to read.
        let session = SessionSettings { partition_bytes: 1, ..project.graph.session.clone() };
        let windlass = Windlass::embedded(EmbeddedConfig::new(home.clone(), session)).await.unwrap();
        Self { project, windlass, home, sales }
    }

    async fn change(&self, predicate: &str, amount: &str) {
        let update = open(&self.sales).await.update().with_predicate(predicate);
        update.with_update("amount", amount).await.unwrap();
    }

    async fn run(&self) -> RunRecord {
        let handle = self.windlass.run(&self.project, &RunOptions::default()).await.unwrap();
        let record = handle.wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        record
    }

    /// Runs the pipeline; by stage, how its table was brought up to date and how much of it had been touched.
    async fn touched(&self) -> Vec<(Option<Strategy>, Option<TouchedRows>)> {
        let record = self.run().await;
        let runs = local_runs(&self.home).await.unwrap();
        let lineage = runs.bundles.lineage(&record.run_id).await.unwrap().unwrap();
        let of = |name: &str| {
            let stage = lineage.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap();
            let summary = record.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap();
            assert_eq!((summary.strategy, summary.touched), (stage.strategy, stage.touched), "{name}");
            (stage.strategy, stage.touched)
        };
        STAGES.iter().map(|(name, _, _)| of(name)).collect()
    }

    /// Every table against its own query over the source.
    async fn check(&self) {
        for (name, _, sql) in STAGES {
            let ask = async |sql: String| {
                let rows = self.windlass.query(&self.project, &sql, &Default::default()).await.unwrap();
                pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
            };
            let actual = ask(format!("SELECT * FROM {name} ORDER BY 1, 2")).await;
            assert_eq!(actual, ask(format!("SELECT * FROM ({sql}) ORDER BY 1, 2")).await, "{name}");
        }
    }
}

fn touched(rows: u64, of: u64, all_computed: bool) -> (Option<Strategy>, Option<TouchedRows>) {
    (Some(Strategy::AffectedKeys), Some(TouchedRows { rows, of, all_computed }))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_are_computed_where_changes_touch_most_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::new(dir.path()).await;
    shop.run().await;

    // Two sales, one of each region.
    shop.change("id IN (3, 4)", "amount + 1").await;
    let run = shop.touched().await;
    let none = (Some(Strategy::AffectedKeys), None);
    let few = touched(2, 40, false);
    assert_eq!(run, [touched(2, 2, true), few, touched(40, 40, true), none, few]);
    shop.check().await;

    // All sales but one. The one that is large is all that its table has, and says nothing of how many are not.
    shop.change("id <> 1", "amount + 1").await;
    let run = shop.touched().await;
    let most = touched(39, 40, true);
    assert_eq!(run, [touched(2, 2, true), most, touched(40, 40, true), touched(1, 1, false), most]);
    shop.check().await;
    shop.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_between_the_least_and_the_greatest_key_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::new(dir.path()).await;
    shop.run().await;

    let scans = async |predicate: &str| {
        shop.change(predicate, "amount + 1").await;
        let run_id = shop.run().await.run_id;
        shop.check().await;
        let runs = local_runs(&shop.home).await.unwrap();
        let plan = runs.bundles.plan_text(&run_id, &"by_sale".into(), PlanText::Physical).await.unwrap().unwrap();
        let rows = plan.split("-- ").find(|step| step.starts_with("rows")).unwrap().to_owned();
        let scan = rows.lines().find(|line| line.contains("DataSourceExec") && line.contains("amount")).unwrap();
        let files = scan.split("file_groups={").nth(1).unwrap().split('}').next().unwrap();
        files.split(", ").nth(1).unwrap().to_owned()
    };
    assert_eq!(scans("id IN (12, 14)").await, "1 file");
    // The files of both have become one, and what lies between is in another.
    assert_eq!(scans("id IN (14, 33)").await, "2 files");
    shop.windlass.stop().await;
}
