//! Cursors that are set back, ranges that are applied again, and sources whose history has changed.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use windlass_base::error::Coded;
use windlass_client::RunOptions;
use windlass_evidence::artifact::{PlanDecision, Refresh};
use windlass_project::strategy::Strategy;

use super::rebuilt::{Rebuilt, Stage, numbers, strategy};

const T: [&str; 3] = ["id", "g", "v"];
const U: [&str; 2] = ["g", "w"];

const STAGES: &[Stage<'static>] = &[
    ("rows", "io: { key: [id], incremental: strict }", "SELECT id, v FROM t"),
    ("log", "io: { mode: append, incremental: auto }", "SELECT id, v FROM t"),
    ("totals", "io: { key: [g], incremental: strict }", "SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g"),
    ("most", "io: { key: [g], incremental: strict }", "SELECT g, max(v) AS m, count(*) AS n FROM t GROUP BY g"),
    ("large", "io: { key: [g], incremental: strict }", "SELECT g, sum(v) AS s FROM t GROUP BY g HAVING sum(v) > 60"),
    (
        "per_most",
        "io: { key: [m], incremental: strict }",
        "SELECT m, count(*) AS n FROM (SELECT g, max(v) AS m FROM t GROUP BY g) AS x GROUP BY m",
    ),
    ("parts", "io: { key: [g], partition_by: [g], incremental: strict }", "SELECT g, min(v) AS v FROM t GROUP BY g"),
    ("joined", "io: { key: [id], incremental: strict }", "SELECT t.id, t.v, u.w FROM t JOIN u ON t.g = u.g"),
    ("alone", "io: { key: [id], incremental: strict }", "SELECT t.id, t.v FROM t LEFT ANTI JOIN u ON t.g = u.g"),
    ("known", "io: { key: [g], incremental: strict }", "SELECT g FROM t EXCEPT SELECT g FROM u"),
    ("behind", "io: { key: [id], incremental: strict }", "SELECT id, v * 2 AS v FROM rows WHERE v > 10"),
];

async fn lab() -> Rebuilt {
    let rows = numbers(T, &[[1, 1, 10], [2, 1, 20], [3, 2, 30]]);
    // `u` has a row for every group, so that `joined` has one row per id.
    Rebuilt::new(&[("t", rows), ("u", numbers(U, &[[1, 100], [2, 200]]))]).await
}

/// Something happens to the sources; ids stay unique.
async fn change(lab: &Rebuilt, random: &mut StdRng, next: &mut i64) -> String {
    let id = random.random_range(1..*next + 1);
    let v = random.random_range(0..60);
    match random.random_range(0..6) {
        0 | 1 => {
            *next += 1;
            let group = random.random_range(1..5);
            lab.append("t", numbers(T, &[[*next, group, v]])).await;
            format!("append ({next}, {group}, {v})")
        }
        2 => {
            lab.delete("t", &format!("id = {id}")).await;
            format!("delete {id}")
        }
        3 => {
            lab.update("t", &format!("id = {id}"), "g", "g % 4 + 1").await;
            format!("move {id}")
        }
        4 => {
            lab.update("u", "g = 2", "w", "w + 1").await;
            "update u".to_owned()
        }
        _ => {
            lab.update("t", &format!("id = {id}"), "v", &v.to_string()).await;
            format!("set {id} to {v}")
        }
    }
}

/// The newest version of a source.
async fn version(lab: &Rebuilt, source: &str) -> u64 {
    super::tables::open(&lab.source(source)).await.version().unwrap()
}

fn range(stage: &str, source: &str, from: Option<u64>, to: Option<u64>) -> RunOptions {
    let bound = |version: Option<u64>| version.map(|version| (Some(source.into()), version)).into_iter().collect();
    RunOptions {
        select: vec![stage.to_owned()],
        refresh: Refresh { from_versions: bound(from), to_versions: bound(to), ..Refresh::default() },
        ..RunOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_set_back_has_the_result_of_a_rebuild() {
    let lab = lab().await;
    let project = lab.project(STAGES);
    lab.fine(&project, "first").await;
    let mut random = StdRng::seed_from_u64(7);
    let (mut next, mut reported) = (3, Vec::new());
    let mut taken = version(&lab, "t").await;
    for round in 0..5 {
        for _ in 0..random.random_range(1..4) {
            reported.push(change(&lab, &mut random, &mut next).await);
        }
        if round % 2 == 0 {
            lab.fine(&project, &format!("round {round}: {reported:?}")).await;
            reported.push("run".to_owned());
            taken = version(&lab, "t").await;
        }
        for (stage, ..) in STAGES.iter().filter(|(stage, ..)| *stage != "behind") {
            let to = random.random_range(1..=taken.min(1 + round));
            lab.set_cursor(&project, stage, "t", to).await;
            reported.push(format!("{stage} to {to}"));
        }
        lab.set_cursor(&project, "behind", "rows", 0).await;
        // The earlier changes are undone now, so that there is no net change.
        if random.random_bool(0.5) {
            let before = version(&lab, "t").await.saturating_sub(1).max(1);
            super::tables::open(&lab.source("t")).await.restore().with_version_to_restore(before).await.unwrap();
            reported.push(format!("restore {before}"));
        }
        lab.fine(&project, &format!("round {round}, set back: {reported:?}")).await;
        lab.fine(&project, &format!("round {round}, once more: {reported:?}")).await;
        taken = version(&lab, "t").await;
    }
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_applied_again_never_reverts_a_table() {
    let lab = lab().await;
    let auto = ("auto_rows", "io: { key: [id], incremental: auto }", "SELECT id, v FROM t");
    let stages: Vec<Stage<'_>> = STAGES.iter().copied().filter(|(name, ..)| *name != "behind").chain([auto]).collect();
    let project = lab.project(&stages);
    lab.fine(&project, "first").await;
    lab.update("t", "id = 1", "v", "50").await;
    for id in 4..8 {
        lab.append("t", numbers(T, &[[id, id % 3, id * 5]])).await;
    }
    lab.fine(&project, "five versions on").await;
    let newest = version(&lab, "t").await;
    for (stage, ..) in &stages {
        let what = format!("{stage}, a range behind the cursor");
        lab.fine_with(&project, &range(stage, "t", Some(2), Some(3)), &what).await;
        lab.fine_with(&project, &range(stage, "t", Some(1), Some(2)), &what).await;
        let what = format!("{stage}, up to a version behind the cursor");
        lab.fine_with(&project, &range(stage, "t", None, Some(2)), &what).await;
    }
    let cursors = lab.windlass.cursors(&project).await.unwrap();
    for cursor in cursors {
        let of_t = cursor.sources.iter().find(|source| source.source.as_str() == "t").unwrap();
        assert_eq!(of_t.version, Some(i64::try_from(newest).unwrap()), "{cursor:?}");
    }

    // A change that is undone: there is no net change since the first version of the range.
    lab.update("t", "id = 1", "v", "10").await;
    for (stage, ..) in &stages {
        lab.fine_with(&project, &range(stage, "t", Some(2), None), &format!("{stage}, undone")).await;
    }
    // A full refresh of an older version was requested.
    let old = RunOptions {
        refresh: Refresh { full: vec!["rows".into()], ..range("rows", "t", None, Some(1)).refresh },
        ..range("rows", "t", None, Some(1))
    };
    lab.run(&project, &old).await;
    assert_eq!(lab.rows("home", "rows").await, ["1 | 10", "2 | 20", "3 | 30"]);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_stage_is_recomputed_in_full_and_gives_the_reason() {
    let lab = lab().await;
    let project = lab.project(&[("log", "io: { mode: append, incremental: strict }", "SELECT id, v FROM t")]);
    lab.fine(&project, "first").await;
    lab.append("t", numbers(T, &[[4, 2, 40]])).await;
    lab.fine(&project, "appended").await;
    lab.set_cursor(&project, "log", "t", 1).await;
    let plan = lab.plan(&project).await;
    assert_eq!(plan.stages[0].decision, PlanDecision::Full);
    assert!(plan.stages[0].reason.contains("once more"), "{}", plan.stages[0].reason);
    lab.fine(&project, "set back").await;
    lab.append("t", numbers(T, &[[5, 2, 50]])).await;
    let record = lab.run(&project, &RunOptions::default()).await;
    assert_eq!(strategy(&record, "log"), Some(Strategy::Append));
    lab.windlass.stop().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_restored_from_a_backup_is_detected() {
    let lab = lab().await;
    let strict: &[Stage<'_>] = &[("rows", "io: { key: [id], incremental: strict }", "SELECT id, v FROM t")];
    let others: &[Stage<'_>] = &[
        ("auto_rows", "io: { key: [id], incremental: auto }", "SELECT id, v FROM t"),
        ("totals", "io: { key: [g], incremental: auto }", "SELECT g, count(*) AS n FROM t GROUP BY g"),
        ("off", "io: { key: [id] }", "SELECT id, v FROM t"),
    ];
    let all: Vec<Stage<'_>> = strict.iter().chain(others).copied().collect();
    let project = lab.project(&all);
    lab.fine(&project, "first").await;
    let backup = lab.dir.path().join("backup");
    copy(&lab.source("t"), &backup);
    lab.append("t", numbers(T, &[[4, 1, 40]])).await;
    lab.append("t", numbers(T, &[[5, 1, 50]])).await;
    lab.fine(&project, "two more").await;

    // The backup is restored, and two other versions follow: as many as before, then one more.
    for more in [2, 3] {
        fs::remove_dir_all(lab.source("t")).unwrap();
        copy(&backup, &lab.source("t"));
        for id in 0..more {
            lab.append("t", numbers(T, &[[60 + more * 10 + id, 2, 60]])).await;
        }
        let project = lab.project(strict);
        let error = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap_err();
        assert_eq!(error.code().0, "WL0368");
        let project = lab.project(others);
        let plan = lab.plan(&project).await;
        for stage in &plan.stages {
            assert_eq!(stage.decision, PlanDecision::Full, "{stage:?}");
            assert!(stage.reason.contains("another history"), "{}", stage.reason);
        }
        lab.fine(&project, &format!("put back, and {more} more")).await;
    }
    // From then on everything is as before.
    lab.append("t", numbers(T, &[[99, 2, 60]])).await;
    let record = lab.run(&lab.project(others), &RunOptions::default()).await;
    assert_eq!(strategy(&record, "auto_rows"), Some(Strategy::Append));
    lab.windlass.stop().await;
}
