//! Counts and sums that are updated from the changes.

use datafusion::arrow::array::{Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use windlass_base::config::SessionSettings;
use windlass_evidence::artifact::PlanText;
use windlass_project::strategy::Strategy;

use super::one_source::{OneSource, Stage, has, summary};
use crate::delta_read::tables::{array, batch};

/// The last three cannot be continued: one lacks a row count, one has an average, one has sums that depend on their
/// order.
const STAGES: &[Stage] = &[
    (
        "by_shop",
        "key: [shop]",
        "SELECT shop, count(*) AS sales, count(amount) AS paid, sum(amount) AS amount, sum(price) AS price FROM sales GROUP BY shop",
    ),
    (
        "labelled",
        "key: [label, shop]",
        "SELECT 'all' AS label, count(*) FILTER (WHERE amount > 20) AS large, shop, count(*) AS sales
         FROM sales WHERE amount IS NULL OR amount <> 13 GROUP BY shop",
    ),
    (
        "twice",
        "key: [shop]",
        "SELECT shop, sum(amount + 1) AS amount, count(*) AS sales
         FROM (SELECT * FROM sales UNION ALL SELECT * FROM sales WHERE amount > 20) GROUP BY shop",
    ),
    ("uncounted", "key: [shop]", "SELECT shop, sum(amount) AS amount FROM sales GROUP BY shop"),
    ("average", "key: [shop]", "SELECT shop, avg(amount) AS amount, count(*) AS sales FROM sales GROUP BY shop"),
    ("weighed", "key: [shop]", "SELECT shop, sum(weight) AS weight, count(*) AS sales FROM sales GROUP BY shop"),
];

/// Runs the pipeline, and returns the names of the stages that, according to their plans, read only the changes.
async fn carried(shops: &OneSource) -> Vec<&'static str> {
    let run = shops.run().await;
    let mut carried = Vec::new();
    for (name, ..) in STAGES {
        let summary = summary(&run, name);
        let steps = shops.steps(&run, name, PlanText::Optimized).await;
        let is_carried = has(&steps, "change") && !has(&steps, "keys");
        assert_eq!(summary.from_changes, is_carried, "{name}: {steps:?}");
        if is_carried {
            assert_eq!(summary.strategy, Some(Strategy::AffectedKeys), "{name}");
            carried.push(*name);
        }
    }
    carried
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
async fn counts_and_sums_are_continued_where_the_table_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = rows(&[("a", Some(10)), ("a", Some(30)), ("b", Some(5)), ("c", None), ("c", Some(7))]);
    let shops =
        OneSource::new(dir.path(), "sales", vec![first], STAGES, SessionSettings::default().partition_bytes).await;
    assert!(carried(&shops).await.is_empty());
    let exact = ["by_shop", "labelled", "twice"];

    // Rows changed, one of them to another group.
    shops.update("amount = 30", "amount", "13").await;
    shops.update("amount = 5", "shop", "'a'").await;
    assert_eq!(carried(&shops).await, exact);

    // The same rows several times, and a new group.
    let same = rows(&[("a", Some(40)), ("a", Some(40)), ("d", Some(1)), ("a", Some(40))]);
    shops.append(same).await;
    assert_eq!(carried(&shops).await, exact);
    shops.delete("amount = 40 OR shop = 'd'").await;
    assert_eq!(carried(&shops).await, exact);

    // None of the remaining rows has an amount: the table does not show that the sum is now null and not zero.
    shops.delete("amount = 7").await;
    assert_eq!(carried(&shops).await, ["labelled"]);
    // A zero is inserted where there was nothing.
    shops.append(rows(&[("c", Some(0))])).await;
    assert_eq!(carried(&shops).await, ["labelled", "twice"]);
    shops.windlass.stop().await;
}
