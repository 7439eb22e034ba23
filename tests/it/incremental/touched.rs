//! How much of a table a change touches affects how its rows are computed, but never the rows.

use std::path::Path;

use datafusion::arrow::array::{Int64Array, StringArray};
use windlass_evidence::artifact::{PlanText, TouchedRows};
use windlass_project::strategy::Strategy;

use super::one_source::{OneSource, Stage, summary};
use crate::delta_read::tables::{array, batch};

/// 40 sales in two regions, in four files by their numbers; each stage asks for them in another way.
const STAGES: &[Stage] = &[
    (
        "by_region",
        "key: [region]",
        "SELECT region, max(amount) AS most, sum(amount) AS amount FROM sales GROUP BY region",
    ),
    ("by_sale", "key: [id]", "SELECT id, max(amount) AS most, sum(amount) AS amount FROM sales GROUP BY id"),
    (
        "ranked",
        "key: [id]",
        "SELECT id, region, rank() OVER (PARTITION BY region ORDER BY amount DESC) AS place FROM sales",
    ),
    ("large", "key: [id]", "SELECT id, sum(amount) AS amount FROM sales GROUP BY id HAVING sum(amount) > 10000"),
    (
        "unmatched",
        "key: [other, id]",
        "SELECT coalesce(a.id, -1) AS other, b.id, b.amount
         FROM sales AS a RIGHT JOIN sales AS b ON a.amount = b.amount + 1000000",
    ),
];

async fn shop(dir: &Path) -> OneSource {
    let files = [1, 11, 21, 31_i64].map(|first| {
        let ids = first..first + 10;
        let regions = ids.clone().map(|id| if id % 2 == 0 { "north" } else { "south" });
        let amounts = ids.clone().map(|id| if id == 7 { 20_000 } else { id * 10 });
        batch(vec![
            ("id", array(Int64Array::from_iter_values(ids))),
            ("region", array(StringArray::from_iter_values(regions))),
            ("amount", array(Int64Array::from_iter_values(amounts))),
        ])
    });
    // Although it is small, it is to be treated as a table that takes time to read.
    OneSource::new(dir, "sales", files.to_vec(), STAGES, 1).await
}

/// Runs the pipeline; by stage, how its table was updated and how much of it had been touched.
async fn touched_by_run(shop: &OneSource) -> Vec<(Option<Strategy>, Option<TouchedRows>)> {
    let run = shop.run().await;
    let lineage = shop.runs().await.bundles.lineage(&run.run_id).await.unwrap().unwrap();
    let of = |name: &str| {
        let stage = lineage.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap();
        let summary = summary(&run, name);
        assert_eq!((summary.strategy, summary.touched), (stage.strategy, stage.touched), "{name}");
        (stage.strategy, stage.touched)
    };
    STAGES.iter().map(|(name, ..)| of(name)).collect()
}

fn touched(rows: u64, of: u64, all_computed: bool) -> (Option<Strategy>, Option<TouchedRows>) {
    (Some(Strategy::AffectedKeys), Some(TouchedRows { rows, of, all_computed }))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_are_computed_where_changes_touch_most_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let shop = shop(dir.path()).await;
    shop.run().await;

    // Two sales, one of each region.
    shop.update("id IN (3, 4)", "amount", "amount + 1").await;
    let run = touched_by_run(&shop).await;
    let none = (Some(Strategy::AffectedKeys), None);
    let few = touched(2, 40, false);
    assert_eq!(run, [touched(2, 2, true), few, touched(40, 40, true), none, few]);

    // All sales but one. The large one is the only one in its table, and does not show how many are not large.
    shop.update("id <> 1", "amount", "amount + 1").await;
    let run = touched_by_run(&shop).await;
    let most = touched(39, 40, true);
    assert_eq!(run, [touched(2, 2, true), most, touched(40, 40, true), touched(1, 1, false), most]);
    shop.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_between_the_least_and_the_greatest_key_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let shop = shop(dir.path()).await;
    shop.run().await;

    let scans = async |predicate: &str| {
        shop.update(predicate, "amount", "amount + 1").await;
        let run = shop.run().await;
        let steps = shop.steps(&run, "by_sale", PlanText::Physical).await;
        let rows = steps.iter().find(|step| step.starts_with("rows")).unwrap();
        let scan = rows.lines().find(|line| line.contains("DataSourceExec") && line.contains("amount")).unwrap();
        let files = scan.split("file_groups={").nth(1).unwrap().split('}').next().unwrap();
        files.split(", ").nth(1).unwrap().to_owned()
    };
    assert_eq!(scans("id IN (12, 14)").await, "1 file");
    // The files of both have been merged, and the rows between them are in another.
    assert_eq!(scans("id IN (14, 33)").await, "2 files");
    shop.windlass.stop().await;
}
