//! The SQL of stages: every part of the parser's syntax tree is carried or refused by name, and the documentation says
//! which.

use std::fmt::Write;
use std::path::Path;

use windlass_project::graph::check;
use windlass_project::spec::grammar::{Part, Verdict, sections};
use windlass_project::spec::{ProblemReport, ProjectFiles, check_question, codes};

const BEGIN: &str = "<!-- from here on made by a test: UPDATE_DOCS=1 -->\n";

/// The documentation's table, according to the declarations of the syntax tree.
fn table() -> String {
    let mut text = String::new();
    for section in sections() {
        let _ = write!(text, "\n### `{}`\n\n| part | what becomes of it |\n|---|---|\n", section.node);
        for part in section.parts {
            let _ = writeln!(text, "| {} | {} |", part.name.replace("r#", ""), describe_part(part));
        }
    }
    text
}

fn describe_part(part: &Part) -> String {
    let escaped = |text: &str| text.replace('|', "\\|");
    match part.verdict {
        Verdict::Carried => "carried".to_owned(),
        Verdict::ByFunction => "carried if the function takes it, else refused (WL0220)".to_owned(),
        Verdict::Nothing(why) => format!("makes no difference: {why}"),
        Verdict::Refused(rule) => format!("**refused**: {}; {}", escaped(rule.clause), escaped(rule.help)),
        Verdict::Except(rule) => format!("carried, but **refused**: {}; {}", escaped(rule.clause), escaped(rule.help)),
    }
}

#[test]
fn the_documented_grammar_is_that_of_the_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (written, made) = page.split_once(BEGIN).expect("the table's beginning");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{written}{BEGIN}{}", table())).unwrap();
    } else {
        assert_eq!(made, table(), "write the table with UPDATE_DOCS=1");
    }
}

#[test]
fn no_part_is_declared_twice_and_every_refusal_has_help() {
    let mut nodes = std::collections::BTreeSet::new();
    for section in sections() {
        assert!(nodes.insert(section.node), "{}", section.node);
        assert!(!section.parts.is_empty(), "{}", section.node);
        for part in section.parts {
            if let Verdict::Refused(rule) | Verdict::Except(rule) = part.verdict {
                assert!(!rule.clause.is_empty() && !rule.help.is_empty(), "{} {}", section.node, part.name);
            }
        }
    }
}

/// The message about a stage with this query.
fn reports(sql: &str) -> Vec<ProblemReport> {
    let mut files = ProjectFiles::new();
    files.insert(
        "windlass.yaml",
        "name: p\nsources:\n  t: { kind: delta, location: t }\n  u: { kind: delta, location: u }\n",
    );
    files.insert("stages/a.sql", sql);
    check(&files).err().map(|problems| problems.reports()).unwrap_or_default()
}

/// Queries that the engine would plan as if the part after `§` did not exist, or refuse with its own message.
const REFUSED: &[&str] = &[
    // Groups.
    "SELECT a, sum(b) AS s FROM t GROUP BY a §WITH ROLLUP",
    "SELECT a, sum(b) AS s FROM t GROUP BY a §WITH CUBE",
    "SELECT a, sum(b) AS s FROM t GROUP BY a §WITH TOTALS",
    "SELECT a, sum(b) AS s FROM t GROUP BY ALL §WITH TOTALS",
    // Tables.
    "SELECT * FROM t §TABLESAMPLE (10 PERCENT)",
    "SELECT * FROM t §SAMPLE (10)",
    "SELECT * FROM (SELECT a FROM t) AS x §TABLESAMPLE BERNOULLI (10)",
    "SELECT * FROM t §PARTITION (p0)",
    "SELECT * FROM generate_series(1, 3) §WITH ORDINALITY",
    "SELECT * FROM a.§generate_series(1, 3)",
    "SELECT * FROM t AS x (§a BIGINT)",
    "SELECT * FROM t §PIVOT (sum(a) FOR b IN ('x'))",
    "SELECT * FROM t §UNPIVOT (v FOR n IN (a, b))",
    "SELECT * FROM UNNEST([1, 2]) §WITH OFFSET",
    // Joins.
    "SELECT * FROM t §NATURAL LEFT JOIN u",
    "SELECT * FROM t §JOIN u",
    "SELECT a FROM t FULL JOIN u §USING (a)",
    "SELECT t.b FROM t RIGHT OUTER JOIN u §USING (a, b)",
    "SELECT * FROM t §CROSS APPLY (SELECT 1) AS x",
    "SELECT * FROM t §GLOBAL JOIN u USING (a)",
    "SELECT t.a FROM t §SEMI JOIN u USING (a)",
    // SELECT.
    "SELECT * FROM t §PREWHERE a > 1",
    "SELECT a FROM t §START WITH a = 1 CONNECT BY PRIOR a = b",
    "SELECT a §INTO x FROM t",
    "SELECT §TOP 3 a FROM t",
    "SELECT a FROM t §CLUSTER BY a",
    "SELECT a FROM t §DISTRIBUTE BY a",
    "SELECT a FROM t §SORT BY a",
    "SELECT * FROM t §LATERAL VIEW explode(a) x AS y",
    "SELECT * §ILIKE '%id%' FROM t",
    "SELECT * §RENAME (a AS b) FROM t",
    "§FROM t",
    // Windows.
    "SELECT a FROM t WINDOW w AS (ORDER BY a) QUALIFY sum(a) OVER §w > 1",
    "SELECT a FROM t WINDOW w AS (ORDER BY a) ORDER BY sum(a) OVER §w",
    "SELECT sum(a) OVER (§w ROWS 1 PRECEDING) AS s FROM t WINDOW w AS (ORDER BY a)",
    "SELECT sum(a) OVER w AS s FROM t WINDOW v AS (ORDER BY a), w AS §v",
    // Queries.
    "SELECT a FROM t ORDER BY a §FETCH FIRST 3 ROWS ONLY",
    "SELECT a FROM t ORDER BY a §FETCH FIRST 3 ROWS WITH TIES",
    "SELECT a FROM t ORDER BY a LIMIT 3 §BY b",
    "SELECT a FROM t §FOR UPDATE",
    "SELECT a FROM t §FOR SHARE",
    "SELECT a FROM t §SETTINGS max_threads = 1",
    "SELECT a FROM t §FORMAT JSON",
    "SELECT a FROM t ORDER BY a §WITH FILL FROM 1 TO 3",
    "SELECT a FROM t §MINUS SELECT a FROM u",
    "SELECT a FROM t §EXCEPT ALL SELECT a FROM u",
    "SELECT a FROM t §INTERSECT ALL SELECT a FROM u",
    "SELECT a FROM t EXCEPT SELECT a FROM u §INTERSECT ALL SELECT a FROM t",
    "WITH RECURSIVE §x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9 LIMIT 3) SELECT n FROM x",
    "SELECT * FROM t |> AGGREGATE sum(a) AS s GROUP BY b §ASC",
    "SELECT * FROM t |> §DROP a",
    // Calls.
    "SELECT §count(t.*) AS n FROM t",
    "SELECT count(§DISTINCT *) AS n FROM t",
    "SELECT string_agg(a §SEPARATOR ',') AS s FROM t",
    "SELECT array_agg(a §LIMIT 3) AS s FROM t",
    // Expressions.
    "§SELECT [(SELECT max(a) FROM t)] AS x FROM t",
    "SELECT a §SIMILAR TO 'x%' AS x FROM t",
    "SELECT a §COLLATE \"de\" AS x FROM t",
    "SELECT a FROM t WHERE b §IS DISTINCT FROM 3 AND a > 1",
    "SELECT a FROM t WHERE a > 1 OR b §IS NOT DISTINCT FROM c OR a = 2",
    "SELECT b §IS NOT DISTINCT FROM c AND d AS x FROM t",
    "SELECT a §IS NORMALIZED AS x FROM t",
    "SELECT CEIL(a §TO DAY) AS x FROM t",
    "SELECT TRIM(a, 'x', §'y') AS x FROM t",
    "SELECT CAST(a AS DATE §FORMAT 'YYYY') AS x FROM t",
    "SELECT INTERVAL '1-2' YEAR §TO MONTH AS x FROM t",
    "SELECT a §XOR b AS x FROM t",
    "SELECT a LIKE '10!%' §ESCAPE '!' AS x FROM t",
    // Types.
    "SELECT CAST(§a AS VARCHAR(3)) AS x FROM t",
    "SELECT CAST(§a AS FLOAT(53)) AS x FROM t",
    "SELECT CAST(a AS TIMESTAMP §WITH TIME ZONE) AS x FROM t",
    "SELECT CAST(a AS §UUID) AS x FROM t",
];

#[test]
fn sql_that_the_plan_would_not_contain_is_refused_at_its_position() {
    let mut wrong = Vec::new();
    for case in REFUSED {
        let column = case.split_once('§').expect("a mark").0.chars().count() + 1;
        let sql = case.replace('§', "");
        let reports = reports(&sql);
        let found: Vec<_> = reports.iter().map(|report| (report.code.as_str(), report.line, report.column)).collect();
        if found != [("WL0219", Some(1), Some(column))] {
            wrong.push(format!("{case}\n  column {column} expected, printed: {reports:?}"));
        }
        assert!(reports.iter().all(|report| report.help.is_some()), "{case}");
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), REFUSED.len(), wrong.join("\n"));
}

#[test]
fn an_ad_hoc_query_is_refused_at_its_position_too() {
    let problems = check_question("SELECT a,\n  b\nFROM t TABLESAMPLE (10)").unwrap_err();
    let report = &problems.reports()[0];
    assert_eq!(report.code, codes::REFUSED_CLAUSE.0);
    assert_eq!((report.file.as_deref(), report.line, report.column), (Some("query"), Some(3), Some(8)));
    assert!(check_question("EXPLAIN SELECT * FROM t PREWHERE a > 1").is_err());
    assert!(check_question("SHOW TABLES").is_ok());
}

#[test]
fn sql_that_the_plan_contains_is_accepted() {
    let queries = [
        "SELECT a, sum(b) AS s FROM t GROUP BY ROLLUP (a)",
        "SELECT a, sum(b) AS s FROM t GROUP BY GROUPING SETS ((a), ())",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC NULLS LAST",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT * EXCEPT (a) FROM t",
        "SELECT * REPLACE (a + 1 AS a) FROM t",
        "SELECT a FROM t QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1",
        "SELECT sum(a) OVER w AS s FROM t WINDOW w AS (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "SELECT count(*) FILTER (WHERE a > 1) OVER (ORDER BY b) AS n FROM t",
        "SELECT lag(a) IGNORE NULLS OVER (ORDER BY b) AS l FROM t",
        "SELECT first_value(a IGNORE NULLS ORDER BY b) AS f FROM t",
        "SELECT a FROM t UNION BY NAME SELECT a FROM u",
        "SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY a LIMIT 3 OFFSET 1",
        "SELECT a FROM t NATURAL JOIN u",
        "SELECT t.a FROM t FULL JOIN u ON t.a = u.a",
        "SELECT a FROM t LEFT JOIN u USING (a)",
        "SELECT a FROM t WHERE (b IS DISTINCT FROM 3) AND a > 1",
        "SELECT a FROM t WHERE a > 1 AND b IS NOT DISTINCT FROM c + 1",
        "SELECT a FROM t WHERE b IS DISTINCT FROM (c AND d)",
        "SELECT a FROM t, u",
        "SELECT t.a FROM t LEFT ANTI JOIN u USING (a)",
        "SELECT t.a FROM t CROSS JOIN u",
        "SELECT t.a, x.b FROM t CROSS JOIN LATERAL (SELECT u.b FROM u WHERE u.a = t.a) AS x",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT n FROM x ORDER BY n LIMIT 3",
        "SELECT * FROM t |> WHERE a > 1 |> AGGREGATE sum(a) AS s GROUP BY b |> ORDER BY s |> LIMIT 3",
        "FROM t SELECT a",
        "SELECT a LIKE '10\\%' ESCAPE '\\' AS x FROM t",
        "SELECT EXTRACT(YEAR FROM a) AS y, POSITION('x' IN b) AS p, OVERLAY(b PLACING 'x' FROM 1 FOR 2) AS o FROM t",
        "SELECT TRIM(LEADING 'x' FROM a) AS x, SUBSTRING(a FROM 2 FOR 3) AS y, CEIL(b) AS c FROM t",
        "SELECT a AT TIME ZONE 'UTC' AS x, CAST(a AS TIMESTAMP(6)) AS y, b::DECIMAL(10, 2) AS z FROM t",
        "SELECT a = ANY([1, 2]) AS x, INTERVAL '1' DAY AS y, [1, 2][1] AS z FROM t",
        "SELECT {'k': a} AS x, struct(a AS b) AS y FROM t",
        "SELECT array_agg(a ORDER BY b DESC) AS x, count(DISTINCT a) AS y FROM t",
        "SELECT a FROM t WHERE a > ALL (SELECT b FROM u)",
    ];
    for sql in queries {
        let reports = reports(sql);
        assert!(reports.is_empty(), "{sql}: {reports:?}");
    }
}
