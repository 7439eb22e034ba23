//! A table never has two rows with the same key, and a run that would commit them fails like a rebuild.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Int64Array, Int64Builder, ListBuilder, RecordBatch};
use windlass_client::RunOptions;
use windlass_evidence::artifact::PlanText;
use windlass_project::strategy::Strategy;

use super::rebuilt::{Outcome, Rebuilt, Stage, numbers, strategy};
use crate::delta_read::tables::{array, batch};

const T: [&str; 3] = ["id", "g", "v"];

/// Every way of writing rows, each by the key of `t` or by a value derived from it.
const STAGES: &[Stage<'static>] = &[
    ("plain", "io: { key: [id], incremental: strict }", "SELECT id, v FROM t"),
    ("marked", "io: { key: [id], incremental: strict, merge: deletion_vectors }", "SELECT id, g, v FROM t WHERE g < 9"),
    ("added", "io: { mode: append, key: [id], incremental: auto }", "SELECT id, v FROM t"),
    (
        "both",
        "io: { key: [id], incremental: strict }",
        "SELECT id, v FROM t UNION ALL SELECT id + 100, v FROM t WHERE v > 90 UNION ALL SELECT id, v FROM u",
    ),
    ("parts", "io: { key: [id], partition_by: [id], incremental: strict }", "SELECT id, v FROM t"),
    ("joined", "io: { key: [id], incremental: strict }", "SELECT t.id, t.v, u.v AS w FROM t LEFT JOIN u ON t.g = u.id"),
    (
        "ranked",
        "io: { key: [id], incremental: strict }",
        "SELECT id, v, rank() OVER (PARTITION BY g ORDER BY v) AS place FROM t",
    ),
    (
        "counted",
        "io: { key: [g], incremental: strict }",
        "SELECT g, v, count(*) AS n FROM t WHERE v < 50 GROUP BY g, v",
    ),
    ("behind", "io: { key: [id], incremental: strict }", "SELECT id, v + 1 AS v FROM plain"),
    ("whole", "io: { key: [id] }", "SELECT id, v FROM t"),
];

/// The stages that failed, with the code.
fn failed(outcomes: &BTreeMap<String, Outcome>) -> Vec<(&str, &str)> {
    let failed = outcomes.iter().filter_map(|(name, outcome)| Some((name.as_str(), outcome.as_ref().err()?.as_str())));
    failed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys_are_refused_by_every_strategy_until_they_are_removed() {
    let first = numbers(T, &[[1, 1, 60], [2, 1, 70], [3, 2, 80], [5, 2, 55]]);
    let lab = Rebuilt::new(&[("t", first), ("u", numbers(["id", "v"], &[[1, 7], [50, 8]]))]).await;
    // `both` has the key 1 twice from the start.
    lab.delete("u", "id = 1").await;
    let project = lab.project(STAGES);
    assert!(failed(&lab.check(&project, "first").await).is_empty());

    // A row is added whose key exists already: by appending alone.
    let all_by_id = [
        ("added", "WL0657"),
        ("behind", "skipped because of plain"),
        ("both", "WL0657"),
        ("joined", "WL0657"),
        ("marked", "WL0657"),
        ("parts", "WL0657"),
        ("plain", "WL0657"),
        ("ranked", "WL0657"),
        ("whole", "WL0657"),
    ];
    lab.append("t", numbers(T, &[[1, 2, 61], [7, 2, 62]])).await;
    assert_eq!(failed(&lab.check(&project, "appended").await), all_by_id);
    // Another row changes, so that more than appending is needed.
    lab.update("t", "id = 5", "v", "56").await;
    assert_eq!(failed(&lab.check(&project, "appended and changed").await), all_by_id);
    // The second row is deleted, then the same row is inserted twice, and once again.
    lab.delete("t", "id = 1 AND v = 61").await;
    assert!(failed(&lab.check(&project, "the second row is gone").await).is_empty());
    lab.append("t", numbers(T, &[[1, 1, 60]])).await;
    lab.update("t", "id = 5", "v", "57").await;
    assert_eq!(failed(&lab.check(&project, "delivered twice").await), all_by_id);
    lab.delete("t", "id = 1").await;
    lab.append("t", numbers(T, &[[1, 1, 60]])).await;
    assert!(failed(&lab.check(&project, "delivered once after all").await).is_empty());
    // A row takes the key of another that is deleted at the same time.
    lab.delete("t", "id = 2").await;
    lab.update("t", "id = 3", "id", "2").await;
    assert!(failed(&lab.check(&project, "a key that is free again").await).is_empty());
    // Two rows with one key, neither of which existed before.
    lab.append("t", numbers(T, &[[9, 3, 63], [9, 4, 64]])).await;
    assert_eq!(failed(&lab.check(&project, "both new").await), all_by_id);
    lab.delete("t", "v = 64").await;
    // The other source of a union has the key, and two groups have one.
    lab.append("u", numbers(["id", "v"], &[[9, 1]])).await;
    lab.append("t", numbers(T, &[[20, 6, 20], [21, 6, 21]])).await;
    assert_eq!(failed(&lab.check(&project, "in the other source").await), [("both", "WL0657"), ("counted", "WL0657")]);
    lab.delete("u", "id = 9").await;
    lab.delete("t", "id = 21").await;
    assert!(failed(&lab.check(&project, "all is well").await).is_empty());
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_value_is_refused_on_every_path() {
    let lab =
        Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60], [2, 1, 70]])), ("u", numbers(["id", "v"], &[[5, 1]]))]).await;
    let project = lab.project(STAGES);
    assert!(failed(&lab.check(&project, "first").await).is_empty());
    let row = |id: Option<i64>| {
        batch(vec![
            ("id", array(Int64Array::from(vec![id]))),
            ("g", array(Int64Array::from(vec![3]))),
            ("v", array(Int64Array::from(vec![77]))),
        ])
    };
    lab.append("t", row(None)).await;
    let outcomes = lab.check(&project, "a null").await;
    let names: Vec<&str> = failed(&outcomes).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["added", "behind", "both", "joined", "marked", "parts", "plain", "ranked"]);
    lab.update("t", "v = 77", "id", "6").await;
    assert!(failed(&lab.check(&project, "the null has a value now").await).is_empty());
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_unnested_list_are_checked_against_other_rows() {
    let lab = Rebuilt::new(&[("t", lists(&[(1, vec![10, 11]), (2, vec![20])]))]).await;
    // The second is found by the key of the row that it was unnested from, which is not in its own key.
    let stages: &[Stage<'_>] = &[
        ("boxes", "io: { key: [id], incremental: strict }", "SELECT id, items FROM t"),
        ("items", "io: { key: [item], incremental: strict }", "SELECT id, unnest(items) AS item FROM boxes"),
        ("places", "io: { key: [id, item], incremental: strict }", "SELECT id, unnest(items) AS item FROM boxes"),
    ];
    let project = lab.project(stages);
    assert!(failed(&lab.check(&project, "first").await).is_empty());
    put(&lab, 2, vec![20, 11]).await;
    assert_eq!(failed(&lab.check(&project, "11 is in two boxes").await), [("items", "WL0657")]);
    put(&lab, 1, vec![10]).await;
    assert!(failed(&lab.check(&project, "11 has moved").await).is_empty());
    put(&lab, 1, vec![10, 10]).await;
    assert_eq!(failed(&lab.check(&project, "10 exists twice").await), [("items", "WL0657"), ("places", "WL0657")]);
    lab.windlass.stop().await;
}

fn lists(rows: &[(i64, Vec<i64>)]) -> RecordBatch {
    let mut items = ListBuilder::new(Int64Builder::new());
    for (_, list) in rows {
        items.append_value(list.iter().copied().map(Some));
    }
    let ids = Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id));
    batch(vec![("id", array(ids)), ("items", array(items.finish()))])
}

/// Puts `items` into a row of [`lists`].
async fn put(lab: &Rebuilt, id: i64, items: Vec<i64>) {
    lab.delete("t", &format!("id = {id}")).await;
    lab.append("t", lists(&[(id, items)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_looked_up_in_the_files_that_can_hold_them() {
    let lab = Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60]]))]).await;
    let project = lab.project(&[("plain", "io: { key: [id], incremental: strict }", "SELECT id, v FROM t")]);
    lab.run(&project, &RunOptions::default()).await;
    for id in [1000, 2000, 3000] {
        lab.append("t", numbers(T, &[[id, 1, 1], [id + 1, 1, 1]])).await;
        let record = lab.run(&project, &RunOptions::default()).await;
        assert_eq!(strategy(&record, "plain"), Some(Strategy::Append));
    }
    lab.append("t", numbers(T, &[[2001, 1, 1]])).await;
    let record = lab.run(&project, &RunOptions::default()).await;
    let failure = record.stages[0].failure.clone().unwrap();
    assert_eq!(failure.code, "WL0657");
    assert!(failure.message.contains("(id = 2001) 2 times"), "{}", failure.message);
    let runs = lab.windlass.runs(&project).await.unwrap();
    let plans = runs.bundles.plan_text(&record.run_id, &"plain".into(), PlanText::Physical).await.unwrap().unwrap();
    let (_, look_up) = plans.split_once("-- duplicates\n").unwrap();
    let scans: Vec<&str> = look_up.lines().filter(|line| line.contains("DataSourceExec")).collect();
    assert!(!scans.is_empty() && scans.iter().all(|scan| scan.contains("1 file")), "{scans:?}");
    lab.windlass.stop().await;
}

/// The failure of a run of the stage alone, or the rows of its table after it.
async fn alone(lab: &Rebuilt, (name, header, query): Stage<'_>) -> Result<Vec<String>, String> {
    let record = lab.run(&lab.project(&[(name, header, query)]), &RunOptions::default()).await;
    match record.stages[0].failure.clone() {
        Some(failure) => Err(format!("{}: {}", failure.code, failure.message)),
        None => Ok(lab.rows("home", name).await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_former_key_is_checked_before_rows_are_replaced() {
    let lab = Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60], [1, 1, 61], [2, 1, 70]]))]).await;
    let all = "SELECT id, v FROM t";
    let twice = ["1 | 60", "1 | 61", "2 | 70"];
    assert_eq!(alone(&lab, ("kept", "io: { mode: append, not_null: [id] }", all)).await.unwrap(), twice);
    lab.delete("t", "v = 61").await;
    let refused = alone(&lab, ("kept", "io: { mode: upsert, key: [id] }", all)).await.unwrap_err();
    assert!(refused.starts_with("WL0657") && refused.contains("(id = 1) 2 times"), "{refused}");
    assert_eq!(lab.rows("home", "kept").await, twice);
    lab.windlass.stop().await;
}

const NO_KEY: &str = "SELECT CAST(NULL AS BIGINT) AS id, 5 AS g, 5 AS v";

#[tokio::test(flavor = "multi_thread")]
async fn rows_added_in_every_run_have_distinct_keys() {
    let lab = Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60], [2, 1, 70], [3, 2, 80]]))]).await;
    let add = async |query: &str| alone(&lab, ("added", "io: { mode: append, key: [id] }", query)).await;
    assert_eq!(add("SELECT id, g, v FROM t").await.unwrap().len(), 3);
    let refused = add("SELECT id, g, v FROM t WHERE id = 3").await.unwrap_err();
    assert!(refused.starts_with("WL0657") && refused.contains("(id = 3) 2 times"), "{refused}");
    let more = add(&format!("SELECT id + 10 AS id, g, v FROM t UNION ALL {NO_KEY}")).await.unwrap();
    assert_eq!(more.len(), 7);
    // A null is a value like any other.
    let refused = add(NO_KEY).await.unwrap_err();
    assert!(refused.starts_with("WL0657") && refused.contains("(id = null) 2 times"), "{refused}");
    assert_eq!(lab.rows("home", "added").await, more);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_replaced_partitions_have_distinct_keys() {
    let lab = Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60], [2, 1, 70], [3, 2, 80]]))]).await;
    let header = "io: { mode: replace_partitions, key: [id], partition_by: [g] }";
    let put = async |query: &str| alone(&lab, ("parted", header, query)).await;
    let first = put("SELECT id, g, v FROM t").await.unwrap();
    // The key of a row of a partition that remains, and two of a new one.
    let refused = put("SELECT 1 AS id, 2 AS g, 1 AS v").await.unwrap_err();
    assert!(refused.starts_with("WL0657") && refused.contains("(id = 1) 2 times"), "{refused}");
    let refused = put("SELECT id, 7 AS g, 1 AS v FROM (VALUES (8), (8)) AS r(id)").await.unwrap_err();
    assert!(refused.starts_with("WL0657") && refused.contains("(id = 8) 2 times"), "{refused}");
    assert_eq!(lab.rows("home", "parted").await, first);
    assert_eq!(put("SELECT 1 AS id, 1 AS g, 9 AS v").await.unwrap().len(), 2);
    // A partition of null is one like any other.
    let unnamed = "SELECT 4 AS id, CAST(NULL AS BIGINT) AS g, 4 AS v";
    assert_eq!(put(unnamed).await.unwrap().len(), 3);
    assert_eq!(put(&unnamed.replace("4 AS v", "5 AS v")).await.unwrap().len(), 3);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_would_replace_none_is_refused() {
    let lab = Rebuilt::new(&[("t", numbers(T, &[[1, 1, 60], [2, 1, 70]]))]).await;
    let put = async |query: &str| alone(&lab, ("upserted", "io: { mode: upsert, key: [id] }", query)).await;
    let first = put("SELECT id, g, v FROM t").await.unwrap();
    let refused = put(NO_KEY).await.unwrap_err();
    assert!(refused.starts_with("WL0426") && refused.contains("null in column `id`"), "{refused}");
    assert_eq!(lab.rows("home", "upserted").await, first);
    lab.windlass.stop().await;
}
