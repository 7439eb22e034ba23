//! Overflowing results, and scalar subqueries with several rows: errors with a code, in one process and on a cluster.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;
use windlass_base::error::{Coded, Failure};
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};

use super::values::rows;

const TABLES: &[&str] = &[
    "CREATE TABLE o AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, NULL)) AS t(id, v)",
    "CREATE TABLE c AS SELECT * FROM (VALUES (1, 2), (1, 3), (2, 5)) AS t(id, rate)",
    "CREATE TABLE n AS SELECT * FROM (VALUES (9223372036854775807, 1), (1, 1), (-5, 2)) AS t(x, g)",
    "CREATE TABLE d AS SELECT arrow_cast(x, 'Decimal128(38, 0)') AS x FROM (VALUES \
     ('90000000000000000000000000000000000000'), ('90000000000000000000000000000000000000')) AS t(x)",
    "CREATE TABLE s AS SELECT arrow_cast(x, 'Int32') AS x, arrow_cast(u, 'UInt64') AS u, arrow_cast(m, 'Int64') AS m \
     FROM (VALUES (2147483647, 0, -9223372036854775807 - 1)) AS t(x, u, m)",
    "CREATE TABLE p AS SELECT arrow_cast(x, 'Decimal128(10, 2)') AS c, arrow_cast(x, 'Float64') AS f \
     FROM (VALUES ('99999.99'), ('70.10'), ('0.29')) AS t(x)",
    "CREATE TABLE z AS SELECT id, arrow_cast(x, 'Float64') AS x FROM (VALUES (1, '-0.0'), (2, '0.0'), (3, '7')) AS t(id, x)",
    "CREATE TABLE t AS SELECT arrow_cast(d, 'Date32') AS d, arrow_cast(x, 'Timestamp(Microsecond, None)') AS x \
     FROM (VALUES ('9999-12-31', NULL), ('2020-01-01', '2020-01-01T00:00:00')) AS t(d, x)",
];

/// Queries that return several rows where one value is required.
const SEVERAL_ROWS: &[&str] = &[
    "SELECT id, v * (SELECT rate FROM c) AS x FROM o",
    "SELECT id FROM o WHERE v > (SELECT rate FROM c)",
    "SELECT sum(v) AS s FROM o WHERE v >= (SELECT rate FROM c)",
    "SELECT id, (SELECT rate FROM c WHERE c.id = o.id) AS r FROM o",
    "SELECT CASE WHEN id = 1 THEN (SELECT rate FROM c ORDER BY rate LIMIT 2) END AS r FROM o",
    "SELECT (SELECT CAST(NULL AS BIGINT) FROM c) AS r",
    "SELECT (SELECT max(rate) FROM c GROUP BY id) AS r",
    "SELECT (SELECT 1 UNION ALL SELECT 2) AS r",
];

/// Queries whose results overflow their types.
const OVERFLOW: &[&str] = &[
    "SELECT sum(x) AS s FROM n WHERE g = 1",
    "SELECT g, sum(x) AS s FROM n GROUP BY g",
    "SELECT sum(DISTINCT x) AS s FROM n WHERE x > 0",
    "SELECT g, sum(DISTINCT x) AS s, count(DISTINCT g) AS c FROM n GROUP BY g",
    "SELECT sum(x) OVER (ORDER BY g, x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s FROM n",
    "SELECT sum(x) FILTER (WHERE g = 1) OVER () AS s FROM n",
    "SELECT x + 1 AS y FROM n",
    "SELECT x * 2 AS y FROM n",
    "SELECT -5 - x - 4 AS y FROM n WHERE x > 1",
    "SELECT id FROM o WHERE id + 9223372036854775807 > 0",
    "SELECT o.id FROM o JOIN n ON o.id = n.x * 3",
    "SELECT g FROM n ORDER BY x + g",
    "SELECT x + arrow_cast(1, 'Int32') AS y FROM s",
    "SELECT u - arrow_cast(1, 'UInt64') AS y FROM s",
    "SELECT -m AS y FROM s",
    "SELECT sum(x) AS s FROM d",
    "SELECT x + x AS y FROM d",
    "SELECT x * 3 AS y FROM d",
    "SELECT 9223372036854775807 + 1 AS y",
];

/// Queries near the limits that have a result, and the result.
const RIGHT: &[(&str, &str)] = &[
    (
        "SELECT id, (SELECT rate FROM c WHERE c.id = o.id ORDER BY -rate LIMIT 1) AS r FROM o ORDER BY id",
        "1 3|2 5|3 NULL",
    ),
    (
        "SELECT o.id, t.rate FROM o LEFT JOIN LATERAL (SELECT rate FROM c WHERE c.id = o.id ORDER BY -rate LIMIT 1) AS t ON true \
         ORDER BY o.id",
        "1 3|2 5|3 NULL",
    ),
    ("SELECT id FROM o WHERE EXISTS (SELECT max(rate) FROM c WHERE c.id = o.id + 5) ORDER BY id", "1|2|3"),
    ("SELECT id FROM o WHERE EXISTS (SELECT 1 FROM c WHERE c.id = o.id OFFSET 1) ORDER BY id", "1"),
    ("SELECT id FROM o WHERE v NOT IN (SELECT rate FROM c WHERE c.id = o.id) ORDER BY id", "1|2|3"),
    ("SELECT id FROM o WHERE NOT (v IN (SELECT rate * 4 FROM c WHERE c.id = o.id)) ORDER BY id", "1|3"),
    (
        "SELECT o.id, t.r FROM o, LATERAL (SELECT rate, row_number() OVER (ORDER BY rate) AS r FROM c WHERE c.id = o.id) AS t \
         ORDER BY o.id, t.r",
        "1 1|1 2|2 1",
    ),
    (
        "SELECT o.id, t.n FROM o, LATERAL (SELECT count(*) AS n FROM c WHERE c.id = o.id HAVING count(*) > 1) AS t",
        "1 2",
    ),
    (
        "SELECT o.id, t.x FROM o, LATERAL (SELECT DISTINCT rate > 1 AS x FROM c WHERE c.id <= o.id) AS t ORDER BY o.id",
        "1 true|2 true|3 true",
    ),
    ("SELECT c FROM p WHERE c = 99999.99", "99999.99"),
    ("SELECT c FROM p WHERE c < 99999.99 ORDER BY c", "0.29|70.10"),
    ("SELECT c FROM p WHERE c IN (70.1, 0.29, 5.5, 6.5) ORDER BY c", "0.29|70.10"),
    ("SELECT c FROM p WHERE c BETWEEN 70.1 AND 99999.98", "70.10"),
    ("SELECT c FROM p WHERE -c = -0.29", "0.29"),
    ("SELECT CASE c WHEN 99999.99 THEN 1 ELSE 0 END AS r FROM p ORDER BY c", "0|0|1"),
    ("SELECT count(*) AS n FROM p AS a JOIN p AS b ON a.c = b.f", "3"),
    ("SELECT count(*) AS n FROM p WHERE c = f", "3"),
    ("SELECT id FROM z WHERE x IN (0.0, 5.0, 6.0, 7.5, 8.0) ORDER BY id", "1|2"),
    ("SELECT id FROM z WHERE x NOT IN (0.0, 5.0, 6.0, 7.5, 8.0)", "3"),
    ("SELECT CASE x WHEN 0.0 THEN 1 ELSE 0 END AS r FROM z ORDER BY id", "1|1|0"),
    ("SELECT id FROM z WHERE NULLIF(x, 0.0) IS NULL ORDER BY id", "1|2"),
    ("SELECT (SELECT rate FROM c WHERE rate > 9) AS r", "NULL"),
    ("SELECT (SELECT rate FROM c WHERE rate > 4) AS r", "5"),
    ("SELECT (SELECT max(rate) FROM c) AS r", "5"),
    ("SELECT (SELECT rate FROM c ORDER BY rate LIMIT 1) AS r", "2"),
    ("SELECT id, (SELECT rate FROM c WHERE c.id = o.id AND rate <> 3) AS r FROM o ORDER BY id", "1 2|2 5|3 NULL"),
    ("SELECT id FROM o WHERE v > (SELECT rate FROM c WHERE id = 2) ORDER BY id", "1|2"),
    ("SELECT sum(x) AS s FROM n WHERE x > 1", "9223372036854775807"),
    ("SELECT sum(x) AS s, sum(DISTINCT x) AS t FROM n", "9223372036854775803 9223372036854775803"),
    ("SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) AS s FROM n WHERE x < 2 ORDER BY x", "-5|-4"),
    ("SELECT g, sum(x) AS s FROM n WHERE x < 2 GROUP BY g ORDER BY g", "1 1|2 -5"),
    ("SELECT sum(x) AS s FROM n WHERE x > 1 AND x < 0", "NULL"),
    ("SELECT sum(DISTINCT g) AS s, sum(DISTINCT x) AS t FROM n WHERE x < 2", "3 -4"),
    ("SELECT x - 1 AS y FROM n WHERE g = 1 ORDER BY x", "0|9223372036854775806"),
    ("SELECT sum(v) AS s, sum(id * 2 - 1) AS t, sum(CAST(id AS DOUBLE)) AS u FROM o", "30 9 6"),
    (
        "SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM o ORDER BY id",
        "1 10|2 30|3 20",
    ),
    ("SELECT sum(x - x) AS s FROM d", "0"),
    // Nulls are equal only where the query says so.
    ("SELECT a.id FROM o AS a JOIN o AS b ON a.id IS NOT DISTINCT FROM b.id WHERE a.v = b.v ORDER BY a.id", "1|2"),
    (
        "SELECT a.id FROM o AS a JOIN o AS b ON a.id IS NOT DISTINCT FROM b.id JOIN o AS c ON b.v = c.v ORDER BY a.id",
        "1|2",
    ),
    (
        "SELECT a.id FROM o AS a JOIN o AS b ON a.id = b.id JOIN o AS c ON a.v IS NOT DISTINCT FROM c.v ORDER BY a.id",
        "1|2|3",
    ),
    (
        "SELECT a.id FROM o AS a, o AS b, o AS c WHERE (a.v IS NOT DISTINCT FROM b.v) AND b.id = c.id AND c.v = a.v ORDER BY a.id",
        "1|2",
    ),
    (
        "SELECT a.id FROM o AS a JOIN o AS b ON a.v IS NOT DISTINCT FROM b.v WHERE EXISTS (SELECT 1 FROM o AS c, o AS d \
         WHERE c.v = d.v AND c.id = a.id) ORDER BY a.id",
        "1|2",
    ),
    ("SELECT count(*) AS n FROM o WHERE (SELECT max(c.rate) FROM c WHERE c.id < o.id - 100) = o.v", "0"),
    ("SELECT id FROM o WHERE (SELECT max(c.rate) FROM c WHERE c.id < o.id - 100) IS NOT DISTINCT FROM o.v", "3"),
    ("SELECT id FROM o WHERE (SELECT max(c.rate) FROM c WHERE c.id < o.id) * 4 = o.v - 8", "2"),
    // Times are compared as they are stored in tables.
    ("SELECT count(*) AS n FROM t WHERE d > now()", "1"),
    ("SELECT max(d - INTERVAL '1 month 24 hours') AS m FROM t", "9999-11-29"),
    ("SELECT count(*) AS n FROM t WHERE d = TIMESTAMP '9999-12-31'", "1"),
    ("SELECT count(*) AS n FROM t WHERE d BETWEEN TIMESTAMP '1000-01-01' AND TIMESTAMP '2020-01-01 00:00:00'", "1"),
    ("SELECT count(*) AS n FROM t WHERE d IN (TIMESTAMP '9999-12-31', now())", "1"),
    ("SELECT count(*) AS n FROM t WHERE d NOT IN (TIMESTAMP '9999-12-31', TIMESTAMP '2020-01-01')", "0"),
    ("SELECT count(*) AS n FROM t AS a JOIN t AS b ON a.d = b.x", "1"),
    ("SELECT count(*) AS n FROM t WHERE coalesce(x, TIMESTAMP '9999-12-31 00:00:00') > d", "0"),
    ("SELECT max(coalesce(x, '9999-12-31'::timestamp)) AS m FROM t", "9999-12-31T00:00:00"),
    (
        "SELECT count(value) AS n FROM generate_series(TIMESTAMP '2020-01-01', TIMESTAMP '2020-01-03', INTERVAL '1 day')",
        "3",
    ),
];

async fn with_tables(ctx: &SessionContext) {
    for table in TABLES {
        ctx.sql(table).await.unwrap().collect().await.unwrap();
    }
}

/// The code of the failure that the engine reports.
fn code_of(error: &DataFusionError) -> String {
    let DataFusionError::External(inner) = error.find_root() else { return format!("{error}") };
    inner.downcast_ref::<Failure>().map_or_else(|| format!("{error}"), |failure| failure.code.clone())
}

fn text(batches: &[RecordBatch]) -> String {
    rows(batches).unwrap().iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("|")
}

fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
    let several = SEVERAL_ROWS.iter().map(|sql| (*sql, "WL0372"));
    several.chain(OVERFLOW.iter().map(|sql| (*sql, "WL0373")))
}

#[tokio::test]
async fn in_one_process() {
    for (batch_size, whole_plans) in [(1, false), (8192, false), (1, true), (8192, true)] {
        let settings = SessionSettings { target_partitions: 3, batch_size, ..SessionSettings::default() };
        let sessions = Sessions::new(settings, Functions::standard()).unwrap();
        let sessions = if whole_plans { sessions.in_process().unwrap() } else { sessions };
        let ctx = sessions.context().unwrap();
        with_tables(&ctx).await;
        let run = async |sql: &str| ctx.execute_logical_plan(sql_plan(&ctx.state(), sql).await?).await?.collect().await;
        for (sql, code) in refused() {
            match run(sql).await {
                Ok(batches) => panic!("{sql}: {}", text(&batches)),
                Err(error) => assert_eq!(code_of(&error), code, "{sql}: {error}"),
            }
        }
        for (sql, expected) in RIGHT {
            assert_eq!(text(&run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))), *expected, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster() {
    let cluster = windlass_tests::shared_cluster().await;
    let ctx = Arc::new(cluster.context());
    with_tables(&ctx).await;
    for (sql, code) in refused() {
        match cluster.run_sql(&ctx, sql).await {
            Ok(job) => panic!("{sql}: {}", text(&job.collect().await.unwrap())),
            Err(error) => {
                let failure = error.to_failure();
                assert_eq!(failure.code, code, "{sql}: {failure}");
                assert!(failure.help.is_some() && !failure.retryable, "{sql}");
            }
        }
    }
    for (sql, expected) in RIGHT {
        let job = cluster.run_sql(&ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        // Rows are fetched by partition.
        assert_eq!(sorted(&text(&job.collect().await.unwrap())), sorted(expected), "{sql}");
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = text.split('|').collect();
    rows.sort_unstable();
    rows
}
