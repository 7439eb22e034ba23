//! Queries at the limits of tracing: traced changes give the same result as a rebuild.

use std::fs;

use windlass_client::RunOptions;
use windlass_evidence::artifact::PlanDecision;
use windlass_project::strategy::Strategy;

use super::rebuilt::{Rebuilt, Stage, numbers, strategy};

const T: [&str; 3] = ["id", "g", "v"];
const U: [&str; 2] = ["g", "w"];

async fn lab() -> Rebuilt {
    let rows = numbers(T, &[[1, 1, 10], [2, 1, 20], [3, 2, 30]]);
    Rebuilt::new(&[("t", rows), ("u", numbers(U, &[[1, 100], [2, 200]]))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_whose_keys_use_no_column_and_joins_of_everything_are_followed() {
    let lab = lab().await;
    let strict = "incremental: strict";
    let headers = [
        format!("io: {{ key: [k], {strict} }}"),
        format!("io: {{ key: [id, g], {strict} }}"),
        format!("io: {{ key: [g, part], {strict} }}"),
    ];
    let [constant, pair, rolled] = &headers;
    let stages: &[Stage<'_>] = &[
        ("right_anti", constant, "SELECT DISTINCT 1 AS k FROM t RIGHT ANTI JOIN u ON t.g = u.g"),
        ("left_anti", constant, "SELECT DISTINCT 1 AS k FROM u LEFT ANTI JOIN t ON t.g = u.g"),
        ("right_semi", constant, "SELECT DISTINCT 1 AS k FROM t RIGHT SEMI JOIN u ON t.g = u.g AND t.v > 25"),
        ("right_outer", constant, "SELECT DISTINCT 1 AS k FROM t RIGHT JOIN u ON t.g = u.g WHERE t.id IS NULL"),
        ("not_there", constant, "SELECT DISTINCT 1 AS k FROM u WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.g = u.g)"),
        ("all_pairs", pair, "SELECT t.id, u.g, t.v + u.w AS s FROM t CROSS JOIN u"),
        ("some_pairs", pair, "SELECT t.id, u.g, u.w FROM t CROSS JOIN u WHERE u.w > 100"),
        (
            "sets",
            rolled,
            "SELECT coalesce(g, -1) AS g, coalesce(v % 2, -1) AS part, count(*) AS n, max(v) AS m FROM t GROUP BY ROLLUP (g, v % 2)",
        ),
        (
            "cube",
            "io: { key: [which, g, part], incremental: strict }",
            "SELECT grouping(g, p) AS which, coalesce(g, -1) AS g, coalesce(p, -1) AS part, sum(v) AS s
             FROM (SELECT g, v % 2 AS p, v FROM t) AS x GROUP BY CUBE (g, p)",
        ),
        ("placed", "io: { key: [id], incremental: strict }", "SELECT id, g, sum(v) OVER (ORDER BY id) AS s FROM t"),
        (
            "placed_below",
            "io: { key: [g], incremental: strict }",
            "SELECT g, max(place) AS p FROM (SELECT g, row_number() OVER (ORDER BY v DESC, id) AS place FROM t) AS x GROUP BY g",
        ),
        (
            "chosen",
            "io: { key: [which, g], incremental: strict }",
            "SELECT grouping(g) AS which, coalesce(g, -1) AS g, min(v) AS v FROM t GROUP BY GROUPING SETS ((g), ())",
        ),
    ];
    let project = lab.project(stages);
    lab.fine(&project, "first").await;
    lab.append("u", numbers(U, &[[3, 300]])).await;
    lab.fine(&project, "a row without a partner").await;
    lab.append("t", numbers(T, &[[4, 3, 41]])).await;
    lab.fine(&project, "its partner").await;
    lab.update("t", "id = 1", "g", "2").await;
    lab.update("u", "g = 1", "w", "90").await;
    lab.fine(&project, "both sides").await;
    lab.delete("t", "g = 3").await;
    lab.delete("u", "w > 200").await;
    lab.append("u", numbers(U, &[[7, 700]])).await;
    lab.fine(&project, "gone again").await;
    lab.delete("t", "true").await;
    lab.fine(&project, "nothing left").await;
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untraceable_side_does_not_matter_while_it_is_unchanged() {
    let mut lab = lab().await;
    fs::write(lab.source("names.csv"), "g,name\n1,one\n2,two\n").unwrap();
    lab.say("  names: { kind: listing, format: csv, location: names.csv }\n");
    let project = lab.project(&[
        (
            "named",
            "io: { key: [id], incremental: auto }",
            "SELECT t.id, t.v, n.name FROM t JOIN names AS n ON t.g = n.g",
        ),
        (
            "topped",
            "io: { key: [id], incremental: auto }",
            "SELECT t.id, t.v, x.w FROM t JOIN (SELECT g, w FROM u ORDER BY w DESC LIMIT 1) AS x ON t.g = x.g",
        ),
    ]);
    lab.fine(&project, "first").await;
    lab.append("t", numbers(T, &[[4, 2, 40]])).await;
    let plan = lab.plan(&project).await;
    for stage in &plan.stages {
        assert_eq!((stage.decision, stage.strategy), (PlanDecision::Incremental, Some(Strategy::AffectedKeys)));
    }
    lab.fine(&project, "the side that can be followed").await;
    lab.append("u", numbers(U, &[[2, 500]])).await;
    fs::write(lab.source("names.csv"), "g,name\n1,one\n2,zwei\n3,three\n").unwrap();
    let plan = lab.plan(&project).await;
    for stage in &plan.stages {
        assert_eq!(stage.decision, PlanDecision::Full, "{stage:?}");
        assert!(stage.reason.contains("has changed, and changes cannot be followed"), "{}", stage.reason);
    }
    lab.delete("u", "w = 200").await;
    lab.fine(&project, "the other one").await;
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repartitioned_table_is_followed_by_its_readers() {
    let lab = lab().await;
    let project = |partition_by: &str| {
        let header = format!("io: {{ key: [id], incremental: auto{partition_by} }}");
        lab.project(&[
            ("base", &header, "SELECT id, g, v FROM t"),
            ("reader", "io: { key: [id], incremental: strict }", "SELECT id, v + g AS v FROM base WHERE g < 9"),
            (
                "sums",
                "io: { key: [g], incremental: strict }",
                "SELECT g, sum(v) AS v, count(*) AS n FROM base GROUP BY g",
            ),
        ])
    };
    lab.fine(&project(""), "first").await;
    lab.update("t", "id = 2", "v", "21").await;
    lab.append("t", numbers(T, &[[4, 3, 40]])).await;
    for partition_by in [", partition_by: [g]", ", partition_by: [g, v]", ", partition_by: [v]", ""] {
        lab.fine(&project(partition_by), partition_by).await;
        lab.update("t", "id = 1", "v", "v + 1").await;
        lab.fine(&project(partition_by), "and then as usual").await;
        // Two of its versions at once, one of which is partitioned differently.
        lab.update("t", "id = 3", "g", "g + 1").await;
        let base = RunOptions { select: vec!["base".to_owned()], ..RunOptions::default() };
        lab.run(&project(partition_by), &base).await;
    }
    lab.fine(&project(""), "in the end").await;
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_are_seen_and_set_through_views_and_caches() {
    let lab = lab().await;
    let project = lab.project(&[
        ("kept", "materialize: cache", "SELECT id, g, v FROM t WHERE v > 0"),
        ("seen", "materialize: view", "SELECT * FROM kept"),
        ("sums", "io: { key: [g], incremental: strict }", "SELECT g, sum(v) AS v, count(*) AS n FROM seen GROUP BY g"),
    ]);
    lab.fine(&project, "first").await;
    lab.append("t", numbers(T, &[[4, 2, 40]])).await;
    lab.fine(&project, "appended").await;
    let cursors = lab.windlass.cursors(&project).await.unwrap();
    let names: Vec<&str> = cursors[0].sources.iter().map(|source| source.source.as_str()).collect();
    assert_eq!(names, ["t"]);
    assert_eq!(cursors[0].sources[0].version, Some(2));
    lab.set_cursor(&project, "sums", "t", 1).await;
    lab.fine(&project, "set back").await;
    let record = lab.run(&project, &RunOptions::default()).await;
    assert_eq!(strategy(&record, "sums"), None, "there was something left to do");
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_for_internal_use_are_refused_everywhere() {
    let lab =
        Rebuilt::new(&[("t", numbers(["id", "__wl_sign"], &[[1, 1]])), ("u", numbers(["id", "v"], &[[1, 1]]))]).await;
    let strict = "io: { key: [id], incremental: strict }";
    for sql in [
        "SELECT id, __wl_sign AS v FROM t",
        "SELECT id, v AS __wl_went FROM u",
        "SELECT id, v AS \"__WL_k0\" FROM u",
        "SELECT __wl_1.id, __wl_1.v FROM u AS __wl_1",
        "SELECT id, max(__wl_sum) AS n FROM (SELECT id, sum(v) AS __wl_sum FROM u GROUP BY id, v) AS x GROUP BY id",
    ] {
        for header in [strict, "io: {}"] {
            let project = lab.project(&[("s", header, sql)]);
            let error = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap_err();
            let codes: Vec<String> = error.problems().unwrap().iter().map(|problem| problem.code.to_string()).collect();
            assert!(codes.iter().all(|code| code == "WL0658") && !codes.is_empty(), "{sql}: {codes:?}");
        }
    }
    // A column of that name that nobody reads does not matter.
    lab.fine(&lab.project(&[("s", strict, "SELECT id FROM t")]), "unread").await;
    lab.windlass.stop().await;
}
