//! Subqueries wherever SQL allows them: as values, in aggregates, correlated in every way, lateral and recursive. What
//! one process can run runs, on the cluster or next to the scheduler; what nobody can plan is refused before anything
//! runs.

use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::RunStatus;
use windlass_project::spec::ProjectFiles;

use super::planning::{rows_of, windlass};

const SOURCES: &str = "name: subqueries
run: { max_parallel_stages: 4 }
sources:
  o: { kind: rows, columns: { id: long, v: long, k: string }, rows: [[1, 1, x], [2, 5, y], [3, null, x], [4, 9, null]] }
  c: { kind: rows, columns: { id: long, w: long }, rows: [[1, 10], [2, 20], [9, 30], [null, 40]] }
  e: { kind: rows, columns: { id: long, w: long }, rows: [] }
";

/// Stages with their queries, and the rows according to PostgreSQL's rules, null as the empty string.
const STAGES: &[(&str, &str, &str)] = &[
    (
        "recursive",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "1; 2; 3; 4; 5",
    ),
    (
        "recursive_join",
        "WITH RECURSIVE r AS (SELECT id, v FROM o WHERE id = 1 UNION ALL SELECT o.id, r.v + o.id AS v FROM o JOIN r ON o.id = r.id + 1) SELECT id, v FROM r",
        "1,1; 2,3; 3,6; 4,10",
    ),
    (
        "recursive_distinct",
        "WITH RECURSIVE r AS (SELECT 1 AS a UNION SELECT (a * 2) % 7 AS a FROM r) SELECT a FROM r",
        "1; 2; 4",
    ),
    (
        "lateral_max",
        "SELECT o.id, l.m FROM o CROSS JOIN LATERAL (SELECT max(c.id) + o.id AS m FROM c) AS l",
        "1,10; 2,11; 3,12; 4,13",
    ),
    (
        "lateral_where",
        "SELECT o.id, l.n FROM o CROSS JOIN LATERAL (SELECT count(*) AS n FROM c WHERE c.id < o.v) AS l",
        "1,0; 2,2; 3,0; 4,2",
    ),
    (
        "lateral_top",
        "SELECT o.id, l.w FROM o JOIN LATERAL (SELECT c.w FROM c WHERE c.id <= o.id ORDER BY c.w DESC LIMIT 1) AS l ON true",
        "1,10; 2,20; 3,20; 4,20",
    ),
    (
        "lateral_left",
        "SELECT o.id, l.w FROM o LEFT JOIN LATERAL (SELECT c.w FROM c WHERE c.id > o.v ORDER BY c.w LIMIT 1) AS l ON true",
        "1,20; 2,30; 3,; 4,",
    ),
    ("exists", "SELECT id, EXISTS (SELECT 1 FROM c WHERE c.id = o.id) AS f FROM o", "1,true; 2,true; 3,false; 4,false"),
    (
        "not_exists",
        "SELECT id, NOT EXISTS (SELECT 1 FROM c WHERE c.id > o.v) AS f FROM o",
        "1,false; 2,false; 3,true; 4,true",
    ),
    ("exists_plain", "SELECT id, EXISTS (SELECT 1 FROM e) AS f FROM o", "1,false; 2,false; 3,false; 4,false"),
    ("in_case", "SELECT id, CASE WHEN id IN (SELECT id FROM c) THEN 1 ELSE 0 END AS f FROM o", "1,1; 2,1; 3,0; 4,0"),
    (
        "in_null",
        "SELECT id, v IN (SELECT id FROM c) AS f, v NOT IN (SELECT id FROM c WHERE id IS NOT NULL) AS g, v IN (SELECT id FROM e) AS h FROM o",
        "1,true,false,false; 2,,true,false; 3,,,false; 4,true,false,false",
    ),
    ("in_or", "SELECT id FROM o WHERE v NOT IN (SELECT id FROM c) OR id = 2", "2"),
    (
        "in_group",
        "SELECT id IN (SELECT id FROM c WHERE id < 5) AS f, count(*) AS n FROM o GROUP BY 1",
        "false,2; true,2",
    ),
    (
        "exists_sum",
        "SELECT sum(CASE WHEN EXISTS (SELECT 1 FROM c WHERE c.id = o.id) THEN 1 ELSE 0 END) AS s FROM o",
        "2",
    ),
    ("scalar_in_sum", "SELECT sum(v * (SELECT max(id) FROM c)) AS s FROM o", "135"),
    (
        "scalar_in_window",
        "SELECT id, sum(v + (SELECT min(w) FROM c)) OVER (ORDER BY id) AS s FROM o",
        "1,11; 2,26; 3,26; 4,45",
    ),
    ("scalar_in_order", "SELECT id FROM o ORDER BY id * (SELECT max(w) FROM c) LIMIT 2", "1; 2"),
    ("scalar_less", "SELECT id, (SELECT sum(c.id) FROM c WHERE c.id < o.v) AS s FROM o", "1,; 2,3; 3,; 4,3"),
    ("scalar_less_count", "SELECT id, (SELECT count(*) FROM c WHERE c.id < o.v) AS s FROM o", "1,0; 2,2; 3,0; 4,2"),
    ("scalar_less_filter", "SELECT id FROM o WHERE v > (SELECT count(*) FROM c WHERE c.w > o.v * 10)", "2; 4"),
    ("scalar_two", "SELECT id, (SELECT max(c.w + o.v) FROM c WHERE c.id <= o.id) AS s FROM o", "1,11; 2,25; 3,; 4,29"),
    (
        "scalar_null_key",
        "SELECT id, (SELECT count(*) FROM c WHERE c.w > 10 OR o.k = 'x') AS s FROM o",
        "1,4; 2,3; 3,4; 4,3",
    ),
];

/// A project of these stages, each a table.
fn project(dir: &std::path::Path, stages: &[(&str, &str)]) -> Project {
    let mut files = ProjectFiles::new();
    files.insert("windlass.yaml", SOURCES);
    for (name, sql) in stages {
        files.insert(format!("stages/{name}.sql"), sql);
    }
    Project::from_files(&files, dir, None, &[])
        .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
}

fn sorted(text: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = text.split("; ").filter(|row| !row.is_empty()).collect();
    rows.sort_unstable();
    rows
}

async fn rows(windlass: &Windlass, project: &Project, sql: &str) -> Vec<String> {
    let mut rows = rows_of(windlass, project, sql).await;
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn subqueries_have_values_in_every_position() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let stages: Vec<(&str, &str)> = STAGES.iter().map(|(name, sql, _)| (*name, *sql)).collect();
    let project = project(dir.path(), &stages);
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let failed: Vec<_> = record.stages.iter().filter(|stage| stage.failure.is_some()).collect();
    assert_eq!(record.status, RunStatus::Succeeded, "{failed:#?}");
    for (name, sql, expected) in STAGES {
        let found = rows(&windlass, &project, &format!("SELECT * FROM {name}")).await;
        assert_eq!(found, sorted(expected), "{name}: {sql}");
        // Ad hoc queries are planned in the same way.
        let asked = rows(&windlass, &project, sql).await;
        assert_eq!(asked, sorted(expected), "asked: {sql}");
    }
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_refused_with_its_place_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let good = ("good", "SELECT id FROM o");
    // A side of a full join that depends on the other, and an outer column two levels down.
    let bad = [
        (
            "full",
            "SELECT o.id,\n  (SELECT count(*) FROM c FULL JOIN (SELECT id FROM c WHERE id < o.v) d ON d.id = c.id) AS n\nFROM o",
        ),
        (
            "sliding",
            "SELECT id, bool_or(v > 4) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS b FROM o",
        ),
        ("sliding_text", "SELECT string_agg(k, ',') OVER (ORDER BY id ROWS 1 PRECEDING) AS t FROM o"),
        ("lost_hours", "SELECT CAST('2020-01-01' AS DATE) + INTERVAL '90 minutes' AS d FROM o"),
        ("unnested", "SELECT o.id, l.i\nFROM o CROSS JOIN LATERAL\n  (SELECT i FROM unnest([o.id, o.v]) AS u(i)) AS l"),
    ];
    for (name, sql) in bad {
        let project = project(dir.path(), &[good, (name, sql)]);
        let error = windlass.plan(&project, &RunOptions::default()).await.err();
        let error = error.unwrap_or_else(|| panic!("{name} is planned"));
        let problems = error.problems().unwrap_or_else(|| panic!("{name}: {error}"));
        let reports = problems.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert_eq!(reports[0].file.as_deref(), Some(format!("stages/{name}.sql").as_str()), "{reports:?}");
        assert!(reports[0].line.is_some() && reports[0].help.is_some(), "{reports:?}");
        // The run fails during planning, before another stage has created its table.
        let outcome = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await;
        assert!(outcome.is_err(), "{name} runs");
        assert!(!dir.path().join("home/tables/good").exists());
    }
    windlass.stop().await;
}
