//! Stages whose queries plain DataFusion would compute wrongly: incremental updates are correct, or fail with a code
//! and leave their tables as they are.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, Int64Array, RecordBatch};
use windlass_base::config::SessionSettings;
use windlass_client::RunOptions;
use windlass_evidence::artifact::{RunRecord, RunStatus};
use windlass_project::strategy::Strategy;

use super::one_source::{OneSource, Stage, summary};
use super::tables::open;
use crate::delta_read::tables::batch;

const STAGES: &[Stage] = &[
    ("doubled", "key: [id]", "SELECT id, v * 2 AS w FROM source"),
    ("above", "key: [id], incremental: auto", "SELECT id, v FROM source WHERE v > (SELECT v FROM source WHERE mark)"),
    (
        "next",
        "key: [id], incremental: auto",
        "SELECT id, (SELECT n.v FROM source AS n WHERE n.id = o.id + 1) AS next FROM source AS o",
    ),
    ("totals", "key: [mark]", "SELECT mark, count(*) AS n, sum(v) AS total FROM source GROUP BY mark"),
    (
        "windows",
        "key: [id], incremental: auto",
        "SELECT id, count(*) FILTER (WHERE v > 2) OVER (PARTITION BY mark) AS n, \
         lag(v) IGNORE NULLS OVER (PARTITION BY mark ORDER BY id) AS l FROM source",
    ),
];

fn rows(rows: &[(i64, Option<i64>, bool)]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("v", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
        ("mark", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>())),
    ])
}

/// The codes of the stages that failed, with their names.
fn failures(run: &RunRecord) -> Vec<(&str, &str)> {
    let failed =
        run.stages.iter().filter_map(|stage| Some((stage.stage.as_str(), stage.failure.as_ref()?.code.as_str())));
    failed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_correct_result_fails_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = rows(&[(1, Some(1), true), (2, None, false), (3, Some(5), false), (4, Some(4), false)]);
    let bytes = SessionSettings::default().partition_bytes;
    let lab = OneSource::new(dir.path(), "source", vec![first], STAGES, bytes).await;
    lab.run().await;
    lab.append(rows(&[(5, Some(6), false), (6, None, false)])).await;
    lab.update("id = 3", "v", "7").await;
    lab.run().await;
    let windows =
        ["| 1  | 0 |   |", "| 2  | 3 |   |", "| 3  | 3 |   |", "| 4  | 3 | 7 |", "| 5  | 3 | 4 |", "| 6  | 3 | 6 |"];
    let kept = lab.rows("SELECT * FROM windows").await;
    assert!(windows.iter().all(|row| kept.iter().any(|line| line == row)), "{kept:?}");

    // A second row where only one is allowed.
    lab.append(rows(&[(7, Some(2), true)])).await;
    let above = lab.rows("SELECT * FROM above").await;
    let run = lab.windlass.run(&lab.project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!((run.status, failures(&run)), (RunStatus::Failed, vec![("above", "WL0372")]));
    assert_eq!(lab.rows("SELECT * FROM above").await, above);

    // Products and sums that overflow.
    lab.delete("id = 7").await;
    lab.run().await;
    lab.update("id IN (3, 4)", "v", "9223372036854775807").await;
    let (doubled, totals) = (lab.rows("SELECT * FROM doubled").await, lab.rows("SELECT * FROM totals").await);
    let run = lab.windlass.run(&lab.project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(failures(&run), [("doubled", "WL0373"), ("totals", "WL0373")]);
    assert_eq!((lab.rows("SELECT * FROM doubled").await, lab.rows("SELECT * FROM totals").await), (doubled, totals));
    assert_eq!(summary(&run, "next").failure, None);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_in_range_are_kept_although_their_changes_overflow() {
    const GROUPS: Stage =
        ("groups", "key: [mark]", "SELECT mark, count(*) AS n, sum(v) AS total FROM source GROUP BY mark");
    const ONE: &[Stage] = &[GROUPS];
    let dir = tempfile::tempdir().unwrap();
    let bytes = SessionSettings::default().partition_bytes;
    let first = rows(&[(1, Some(-i64::MAX), true), (2, Some(i64::MIN), false), (3, Some(1), false)]);
    let lab = OneSource::new(dir.path(), "source", vec![first], ONE, bytes).await;
    lab.run().await;
    // The total overflows, with the existing row it does not.
    lab.append(rows(&[(4, Some(i64::MAX), true), (5, Some(i64::MAX - 5), true)])).await;
    lab.run().await;
    // The smallest number has no negation that could be added.
    lab.delete("id = 2").await;
    lab.run().await;
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_reused_while_its_source_has_new_files_but_the_same_rows() {
    const ONE: &[Stage] = &[("first", "key: [id], incremental: auto", "SELECT id, v FROM source ORDER BY id LIMIT 2")];
    let dir = tempfile::tempdir().unwrap();
    let bytes = SessionSettings::default().partition_bytes;
    let files = vec![rows(&[(1, Some(1), true)]), rows(&[(2, Some(2), false), (3, Some(3), false)])];
    let lab = OneSource::new(dir.path(), "source", files, ONE, bytes).await;
    lab.run().await;
    open(&dir.path().join("source")).await.optimize().await.unwrap();
    let run = lab.run().await;
    assert_ne!(summary(&run, "first").strategy, Some(Strategy::Full), "{run:?}");
    lab.append(rows(&[(0, Some(9), true)])).await;
    let run = lab.run().await;
    assert_eq!(summary(&run, "first").strategy, Some(Strategy::Full), "{run:?}");
    lab.windlass.stop().await;
}
