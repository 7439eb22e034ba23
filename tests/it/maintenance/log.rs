//! The log after maintenance: shorter, and runs, cursors and readers of kept versions find in it what they did before.

use windlass_client::RunOptions;
use windlass_evidence::artifact::{MaintenanceKind, PlanDecision};
use windlass_project::strategy::Strategy;

use super::history::{checkpoints, commits};
use super::lab::{Lab, action, of, stage};

/// Nothing of the log stays by time.
const SHORT: &str =
    "optimize: off, vacuum: { retention: 0s }, log_retention: 0s, checkpoint_every: 5, keep: { runs: 1, days: 0 }";
const SUMS: &str = "SELECT g, sum(v) AS total, count(*) AS n FROM base GROUP BY g";

/// What a plan decides about each stage.
async fn decisions(lab: &Lab) -> Vec<(String, PlanDecision)> {
    let plan = lab.windlass.plan(&lab.project(), &RunOptions::default()).await.unwrap();
    plan.stages.iter().map(|stage| (stage.stage.to_string(), stage.decision)).collect()
}

async fn cursors(lab: &Lab) -> Vec<windlass_client::CursorStatus> {
    lab.windlass.cursors(&lab.project()).await.unwrap()
}

/// Changes the source, and runs: incrementally, with the rows of a full computation.
async fn goes_on(lab: &Lab, ids: std::ops::Range<i64>, when: &str) {
    lab.add(ids).await;
    lab.update("id = 1", "v", "v + 1").await;
    let run = lab.run().await;
    for name in ["base", "reader"] {
        let strategy = stage(&run, name).strategy;
        assert!(
            strategy.is_some_and(|strategy| strategy != Strategy::Full),
            "{when}: {name} is computed by {strategy:?}"
        );
    }
    assert_eq!(lab.rows("SELECT * FROM base").await, lab.rows("SELECT id, g, v FROM t").await, "{when}");
    assert_eq!(lab.rows("SELECT * FROM reader").await, lab.rows(SUMS).await, "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_the_floor_goes_and_everything_else_works_as_before() {
    let stages = [
        ("base", "key: [id], incremental: auto", "SELECT id, g, v FROM t"),
        ("reader", "key: [g], incremental: auto", SUMS),
    ];
    let lab = Lab::new(SHORT, &stages).await;
    let folder = lab.table("base");
    lab.runs((1..=13).map(|run| run * 10..run * 10 + 10)).await;
    let newest = lab.version("base").await;
    assert!(newest >= 13, "each run makes a version, the newest is {newest}");
    let (early, late) = (lab.rows_at("base", 2).await, lab.rows_at("base", 12).await);
    let rows = lab.rows("SELECT * FROM base").await;
    let (planned, applied) = (decisions(&lab).await, cursors(&lab).await);
    assert!(planned.iter().all(|(_, decision)| *decision == PlanDecision::Reuse), "nothing has changed: {planned:?}");

    lab.mark("early", true, "base", 2).await;
    let record = lab.turn().await;
    let left = commits(&folder);
    assert!((2..=newest).all(|version| left.contains(&version)), "the tag needs the log from version 2 on: {left:?}");
    assert_eq!(lab.rows_at("base", 2).await, early, "{:?}", of(&record, "base"));

    lab.release("early").await;
    lab.mark("late", true, "base", 12).await;
    let record = lab.turn().await;
    let (left, made) = (commits(&folder), checkpoints(&folder));
    let clean = action(&record, "base", MaintenanceKind::CleanLog);
    let first = *left.first().unwrap();
    // The newest checkpoint up to version 12 is that of version 10, if there is one.
    assert!((10..=12).contains(&first), "{clean:?}: {left:?}, checkpoints {made:?}");
    assert!(made.contains(&first), "the log begins with a checkpoint: {left:?}, checkpoints {made:?}");
    assert!((first..=newest).all(|version| left.contains(&version)), "no commit above is missing: {left:?}");
    assert_eq!(lab.rows_at("base", 12).await, late, "the version that is tagged");
    assert!(lab.try_rows_at("base", 2).await.is_err(), "version 2 has rows without a log");
    assert_eq!(lab.rows("SELECT * FROM base").await, rows);
    assert_eq!(lab.others_rows("base").await, rows, "as another program reads it");
    assert_eq!(decisions(&lab).await, planned);
    assert_eq!(cursors(&lab).await, applied);
    goes_on(&lab, 500..505, "with the tag").await;
    assert_eq!(lab.rows_at("base", 12).await, late, "the version that is tagged, after a run");

    lab.release("late").await;
    let record = lab.turn().await;
    let newest = lab.version("base").await;
    let left = commits(&folder);
    assert!(left.len() < 13 && left.contains(&newest), "{:?}: {left:?}", of(&record, "base"));
    goes_on(&lab, 600..605, "without the tag").await;
    let (rows, others) = (lab.rows("SELECT * FROM base").await, lab.others_rows("base").await);
    assert_eq!(rows, others, "as another program reads it");
    let planned = decisions(&lab).await;
    assert!(planned.iter().all(|(_, decision)| *decision == PlanDecision::Reuse), "nothing has changed: {planned:?}");
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_made_when_enough_commits_follow_the_last_one() {
    let policy = "optimize: off, checkpoint_every: 3, keep: { runs: 1 }";
    let lab = Lab::new(policy, &[("events", "mode: append", "SELECT id FROM t")]).await;
    let folder = lab.table("events");
    lab.run().await;
    let record = lab.turn().await;
    assert!(!action(&record, "events", MaintenanceKind::Checkpoint).due, "two commits are not enough: {record:?}");
    lab.run_with(10..20).await;
    let before = commits(&folder);
    let record = lab.turn().await;
    let checkpoint = action(&record, "events", MaintenanceKind::Checkpoint);
    assert!(checkpoint.due && checkpoint.outcome.is_some(), "{checkpoint:?}");
    assert_eq!(checkpoints(&folder), [2].into());
    assert_eq!(commits(&folder), before, "a log that is kept for 30 days loses no commit");
    let record = lab.turn().await;
    assert!(!action(&record, "events", MaintenanceKind::Checkpoint).due, "it has one: {record:?}");
    assert_eq!(lab.rows("SELECT * FROM events").await, lab.others_rows("events").await);
    lab.windlass.stop().await;
}
