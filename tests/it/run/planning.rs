//! Deep, long and growing queries: what the limits allow runs completely, anything else is refused with a code and a
//! place, and no input ends the process.

use std::path::Path;

use datafusion::arrow::util::display::array_value_to_string;
use windlass_base::config::SessionSettings;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::RunStatus;
use windlass_project::spec::{ProblemReport, ProjectFiles};
use windlass_storage::Location;

const SOURCES: &str = "name: deep
run: { max_parallel_stages: 2 }
sources:
  t: { kind: rows, columns: { a: long, b: long }, rows: [[1, 1], [2, 5]] }
";

/// Windlass with its home below `dir`.
pub(super) async fn windlass(dir: &Path) -> Windlass {
    let home = Location::from_path(&dir.join("home")).unwrap();
    let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    Windlass::embedded(windlass_tests::embedded(home, session)).await.unwrap()
}

/// The rows of a query, each as comma-separated values, null as the empty string.
pub(super) async fn rows_of(windlass: &Windlass, project: &Project, sql: &str) -> Vec<String> {
    let answer = windlass.query(project, sql, &QueryOptions::default()).await;
    let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let batches = answer.collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| match column.is_null(row) {
                true => String::new(),
                false => array_value_to_string(column, row).unwrap(),
            });
            rows.push(values.collect::<Vec<_>>().join(","));
        }
    }
    rows
}

/// `start`, and `count` common table expressions, each of which reads the previous one with `step`.
fn chain(count: usize, step: impl Fn(usize, &str) -> String) -> String {
    let mut text = "WITH c0 AS (SELECT a FROM t)".to_owned();
    for number in 1..=count {
        text.push_str(&format!(", c{number} AS ({})", step(number, &format!("c{}", number - 1))));
    }
    text + &format!(" SELECT * FROM c{count}")
}

fn files(stages: &[(String, String)]) -> ProjectFiles {
    let mut files = ProjectFiles::new();
    files.insert("windlass.yaml", SOURCES);
    for (name, sql) in stages {
        files.insert(format!("stages/{name}.sql"), sql);
    }
    files
}

/// The message about a project that is refused when it is read or when it is planned.
async fn refusal(windlass: &Windlass, dir: &Path, sql: &str) -> Vec<ProblemReport> {
    let files = files(&[("deep".to_owned(), sql.to_owned())]);
    let error = match Project::from_files(&files, dir, None, &[]) {
        Ok(project) => windlass.plan(&project, &RunOptions::default()).await.expect_err("it is refused"),
        Err(error) => error,
    };
    error.problems().unwrap_or_else(|| panic!("{error:?}")).reports()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_limits_allow_runs() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let joins: String = (1..30).map(|i| format!(" JOIN t x{i} ON x{i}.a = x{}.a", i - 1)).collect();
    let items: Vec<String> = (0..150).map(|i| format!("(SELECT a FROM t WHERE a = 1) x{i}")).collect();
    let cases = [
        ("sum", format!("SELECT {} AS s FROM t", ["a"; 290].join(" + ")), vec!["290", "580"]),
        ("mixed", format!("SELECT a{} AS s FROM t", " + a - b".repeat(145)), vec!["-433", "1"]),
        ("casts", format!("SELECT a{} AS s FROM t", "::int::bigint".repeat(145)), vec!["1", "2"]),
        ("tests", format!("SELECT a{} AS s FROM t", " IS NULL".repeat(290)), vec!["false", "false"]),
        ("either", format!("SELECT a FROM t WHERE {}", ["a = 2"; 140].join(" OR b = 0 OR ")), vec!["2"]),
        ("steps", chain(100, |_, from| format!("SELECT a + 1 AS a FROM {from}")), vec!["101", "102"]),
        ("joins", format!("SELECT count(*) AS n FROM t x0{joins}"), vec!["2"]),
        ("items", format!("SELECT count(*) AS n FROM {}", items.join(", ")), vec!["1"]),
        (
            "distinct",
            chain(20, |i, from| format!("SELECT DISTINCT a + 1 AS a FROM {from} WHERE a > {i} - 1")),
            vec!["21", "22"],
        ),
        ("values", "SELECT sum(length(repeat('ab', 1000000))) AS n FROM t".to_owned(), vec!["4000000"]),
    ];
    let stages: Vec<_> = cases.iter().map(|(name, sql, _)| ((*name).to_owned(), sql.clone())).collect();
    // A chain of views, and a table at its end.
    let view = |i: usize| match i {
        0 => "/* windlass\nmaterialize: view\n*/\nSELECT a FROM t".to_owned(),
        _ => format!("/* windlass\nmaterialize: view\n*/\nSELECT a + 1 AS a FROM v{}", i - 1),
    };
    let views = (0..100).map(|i| (format!("v{i}"), view(i)));
    let last = ("views".to_owned(), "SELECT a FROM v99".to_owned());
    let all: Vec<_> = stages.into_iter().chain(views).chain([last]).collect();
    let project = Project::from_files(&files(&all), dir.path(), None, &[]).unwrap();

    windlass.plan(&project, &RunOptions::default()).await.unwrap();
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let failed: Vec<_> = record.stages.iter().filter(|stage| stage.failure.is_some()).collect();
    assert_eq!(record.status, RunStatus::Succeeded, "{failed:#?}");
    for (name, sql, expected) in &cases {
        let mut found = rows_of(&windlass, &project, &format!("SELECT * FROM {name}")).await;
        found.sort_unstable();
        assert_eq!(found, *expected, "{name}");
        let mut asked = rows_of(&windlass, &project, sql).await;
        asked.sort_unstable();
        assert_eq!(asked, *expected, "asked: {name}");
    }
    let mut found = rows_of(&windlass, &project, "SELECT a FROM views").await;
    found.sort_unstable();
    assert_eq!(found, ["100", "101"]);
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_a_limit_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let doubled = |_: usize, from: &str| format!("SELECT x.a FROM {from} x JOIN {from} y ON x.a = y.a");
    let cases = [
        ("WL0102", format!("SELECT {} AS s FROM t", ["a"; 310].join(" + "))),
        ("WL0102", format!("SELECT a{} AS s FROM t", "::int".repeat(1_600))),
        ("WL0102", format!("SELECT a{} AS s FROM t", " IS NULL".repeat(310))),
        ("WL0102", chain(12, doubled)),
        // A plan that grows only while it is optimized.
        ("WL0376", chain(40, |_, from| format!("SELECT a + a AS a FROM {from}")) + " WHERE a > 1"),
        ("WL0376", "SELECT repeat('a', 1000000000) AS s FROM t".to_owned()),
        ("WL0376", "SELECT length(repeat(repeat('ab', 1000), 1000 * 1000)) AS n FROM t".to_owned()),
        ("WL0376", "SELECT lpad('a', 2000000000) AS s FROM t".to_owned()),
        ("WL0376", "SELECT array_length(range(1, 10000000000)) AS n FROM t".to_owned()),
        ("WL0376", "SELECT replace(repeat('a', 100000), 'a', repeat('b', 100000)) AS s FROM t".to_owned()),
        ("WL0376", format!("SELECT {} AS s FROM t", ["repeat('a', 10000000)"; 100].join(" || "))),
    ];
    for (code, sql) in cases {
        let reports = refusal(&windlass, dir.path(), &sql).await;
        let start: String = sql.chars().take(80).collect();
        assert_eq!(reports[0].code, code, "{start}: {reports:?}");
        assert_eq!(reports[0].file.as_deref(), Some("stages/deep.sql"), "{start}");
        assert!(reports[0].line.is_some() && reports[0].help.is_some(), "{start}: {reports:?}");
    }
    // Views that double one another, each small in itself.
    let view = |i: usize| match i {
        0 => "/* windlass\nmaterialize: view\n*/\nSELECT a FROM t".to_owned(),
        _ => format!("/* windlass\nmaterialize: view\n*/\nSELECT x.a FROM v{0} x JOIN v{0} y ON x.a = y.a", i - 1),
    };
    let stages: Vec<_> = (0..40).map(|i| (format!("v{i}"), view(i))).collect();
    let last = ("views".to_owned(), "SELECT a FROM v39".to_owned());
    let project = Project::from_files(&files(&[stages, vec![last]].concat()), dir.path(), None, &[]).unwrap();
    let error = windlass.plan(&project, &RunOptions::default()).await.expect_err("it is refused");
    assert!(
        error.problems().is_some_and(|problems| problems.iter().all(|problem| problem.code.0 == "WL0376")),
        "{error:?}"
    );
    windlass.stop().await;
}
