//! A plan returns the same rows as the equivalent SQL.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::{avg, count, sum};
use datafusion::functions_window::expr_fn::rank;
use datafusion::logical_expr::{ExprFunctionExt, LogicalPlan};
use datafusion::prelude::{SessionContext, cast, coalesce, col, lit, placeholder, when};
use futures::TryStreamExt;
use windlass_client::Project;
use windlass_client::builder::{StageBuilder, planning_context};
use windlass_client::{QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::RunStatus;
use windlass_project::spec::table::Materialize;
use windlass_project::spec::{ParamValue, RunSettings};

use super::{columns, customers, plan, session, shop};

const PAID: &str = "SELECT id, customer, amount FROM orders WHERE amount >= $least";

/// Queries whose SQL and whose plan, when sent, must give the same rows.
const QUERIES: &[&str] = &[
    "SELECT * FROM orders WHERE amount > 10 AND customer IS NOT NULL",
    "SELECT o.id, c.city FROM orders AS o LEFT JOIN customers AS c ON o.customer = c.customer AND o.amount > 5",
    "SELECT o.id, c.city FROM orders AS o JOIN customers AS c USING (customer)",
    "SELECT a.customer, b.customer AS other FROM customers AS a CROSS JOIN customers AS b WHERE a.city = b.city",
    "SELECT customer, count(DISTINCT amount) AS n, sum(amount) FILTER (WHERE amount > 7) AS s FROM orders \
     GROUP BY customer HAVING count(*) > 0",
    "SELECT customer, amount, count(*) AS n FROM orders GROUP BY GROUPING SETS ((customer), (amount), ())",
    "SELECT id, sum(amount) OVER (PARTITION BY customer ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s, \
     row_number() OVER (ORDER BY id) AS n, lag(amount) IGNORE NULLS OVER (ORDER BY id) AS l FROM orders",
    "SELECT customer AS c FROM orders UNION SELECT customer FROM customers UNION ALL SELECT 'x'",
    "SELECT id, amount FROM orders WHERE amount = (SELECT max(amount) FROM orders)",
    "SELECT id, (SELECT count(*) FROM customers) AS n FROM paid",
    "SELECT sum(amount) AS s FROM paid WHERE amount < $least + 30",
    "SELECT p.*, m.most FROM paid AS p JOIN (SELECT customer, max(amount) AS most FROM orders GROUP BY customer) AS m \
     ON p.customer = m.customer AND p.amount = m.most",
    "WITH big AS (SELECT * FROM orders WHERE amount > 20) SELECT a.id, b.id AS other FROM big AS a, big AS b \
     WHERE a.id < b.id",
    "SELECT DISTINCT customer FROM orders",
    "SELECT DISTINCT ON (customer) customer, amount FROM orders ORDER BY customer, amount DESC",
    "SELECT id FROM orders ORDER BY amount DESC NULLS LAST, id LIMIT 2 OFFSET 1",
    "SELECT id FROM orders ORDER BY id OFFSET 2",
    "SELECT CASE WHEN amount > 10 THEN upper(customer) ELSE 'small' END AS c, customer LIKE 'a%' AS a, \
     amount BETWEEN 5 AND 20 AS b, id IN (1, 2, 3) AS i, CAST(amount AS DOUBLE) / 3 AS d FROM orders",
    "SELECT column1 AS a, column2 AS b FROM (VALUES (1, 'x'), (2, NULL))",
    "SELECT id, unnest([id, amount]) AS v FROM orders",
    "SELECT stable_id(customer, amount) AS s, date '2026-01-31' + interval '1 month' AS d FROM orders",
    "SELECT * FROM orders EXCEPT SELECT * FROM orders WHERE amount > 20",
    "SELECT c.customer FROM customers AS c LEFT ANTI JOIN orders AS o ON c.customer = o.customer",
];

/// Plans that are built without SQL, and the equivalent SQL.
async fn frames() -> Vec<(LogicalPlan, &'static str)> {
    let session = session();
    let table = async |name: &str| session.table(name).await.unwrap();
    let spent = sum(col("amount")).alias("spent");
    let by_customer =
        table("orders").await.aggregate(vec![col("customer")], vec![spent, avg(col("amount")).alias("a")]).unwrap();
    let ranked = rank().partition_by(vec![col("customer")]).order_by(vec![col("amount").sort(false, true)]).build();
    let size = when(col("amount").gt(lit(10)), lit("big")).otherwise(lit("small")).unwrap();
    let known = table("orders")
        .await
        .join(table("customers").await, JoinType::LeftSemi, &["customer"], &["customer"], None)
        .unwrap();
    // The plan declares two columns, in a different order than in the file.
    let few = planning_context(&[
        ("orders", columns(&[("amount", DataType::Int64), ("customer", DataType::Utf8View)])),
        ("customers", customers()),
    ]);
    let few = few.unwrap().table("orders").await.unwrap();
    vec![
        (
            by_customer.filter(col("spent").gt(lit(20))).unwrap().into_unoptimized_plan(),
            "SELECT customer, sum(amount) AS spent, avg(amount) AS a FROM orders GROUP BY customer HAVING sum(amount) > 20",
        ),
        (
            table("orders").await.window(vec![ranked.unwrap().alias("r")]).unwrap().into_unoptimized_plan(),
            "SELECT *, rank() OVER (PARTITION BY customer ORDER BY amount DESC) AS r FROM orders",
        ),
        (
            table("paid")
                .await
                .select(vec![
                    col("id"),
                    size.alias("size"),
                    coalesce(vec![col("customer"), lit("nobody")]).alias("who"),
                    (cast(col("amount"), DataType::Float64) * placeholder("$least")).alias("product"),
                ])
                .unwrap()
                .sort(vec![col("id").sort(false, false)])
                .unwrap()
                .limit(1, Some(3))
                .unwrap()
                .into_unoptimized_plan(),
            "SELECT id, CASE WHEN amount > 10 THEN 'big' ELSE 'small' END AS size, coalesce(customer, 'nobody') AS who, \
             CAST(amount AS DOUBLE) * $least AS product FROM paid ORDER BY id DESC LIMIT 3 OFFSET 1",
        ),
        (known.into_unoptimized_plan(), "SELECT o.* FROM orders AS o LEFT SEMI JOIN customers AS c USING (customer)"),
        (
            few.clone().union(few.clone()).unwrap().into_unoptimized_plan(),
            "SELECT amount, customer FROM orders UNION ALL SELECT amount, customer FROM orders",
        ),
        (
            few.aggregate(vec![], vec![count(lit(1)).alias("n"), sum(col("amount")).alias("s")])
                .unwrap()
                .into_unoptimized_plan(),
            "SELECT count(*) AS n, sum(amount) AS s FROM orders",
        ),
        // What the optimizer pushes into scans is kept.
        (
            optimized("SELECT id FROM orders WHERE amount > 10 AND customer <> 'cy' LIMIT 10").await,
            "SELECT id FROM orders WHERE amount > 10 AND customer <> 'cy' LIMIT 10",
        ),
        (
            qualified("SELECT o.id, customer FROM datafusion.public.orders AS o WHERE amount > 10").await,
            "SELECT id, customer FROM orders WHERE amount > 10",
        ),
        (qualified("SELECT datafusion.public.orders.id FROM datafusion.public.orders").await, "SELECT id FROM orders"),
    ]
}

async fn optimized(sql: &str) -> LogicalPlan {
    session().sql(sql).await.unwrap().into_optimized_plan().unwrap()
}

async fn qualified(sql: &str) -> LogicalPlan {
    let context: SessionContext = session();
    context.sql(sql).await.unwrap().into_unoptimized_plan()
}

/// The rows of a table, sorted, as text.
async fn rows(windlass: &Windlass, project: &Project, table: &str) -> Vec<String> {
    let rows = windlass.query(project, &format!("SELECT * FROM {table}"), &QueryOptions::default()).await.unwrap();
    let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
    let mut lines: Vec<String> = batches
        .iter()
        .flat_map(|batch| {
            let text = pretty_format_batches(std::slice::from_ref(batch)).unwrap().to_string();
            text.lines().skip(3).map(|line| line.replace(' ', "")).collect::<Vec<_>>()
        })
        .filter(|line| !line.starts_with('+'))
        .collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_gives_the_rows_of_the_same_query_in_sql() {
    let dir = tempfile::tempdir().unwrap();
    let mut pairs: Vec<(LogicalPlan, &str)> = Vec::new();
    for sql in QUERIES {
        pairs.push((plan(sql).await, sql));
    }
    pairs.extend(frames().await);

    let mut builder = shop(dir.path())
        .param("least", ParamValue::Long(7))
        .run(&RunSettings { retries: 0, ..RunSettings::default() })
        // A view defined by a plan, read both by SQL and by plans.
        .stage(StageBuilder::plan("paid", plan(PAID).await).materialize(Materialize::View));
    for (index, (plan, sql)) in pairs.iter().enumerate() {
        builder = builder
            .stage(StageBuilder::plan(format!("plan_{index}"), plan.clone()))
            .stage(StageBuilder::sql(format!("sql_{index}"), *sql));
    }
    let project = builder.build().unwrap();
    let mut settings = project.graph.session.clone();
    settings.target_partitions = 2;
    let home = project.home(None).unwrap();
    let windlass = Windlass::embedded(windlass_tests::embedded(home, settings)).await.unwrap();
    let run = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let failed: Vec<_> = run.stages.iter().filter(|stage| stage.failure.is_some()).collect();
    assert_eq!(run.status, RunStatus::Succeeded, "{failed:#?}");
    let mut some = 0;
    for (index, (plan, sql)) in pairs.iter().enumerate() {
        let of_plan = rows(&windlass, &project, &format!("plan_{index}")).await;
        let of_sql = rows(&windlass, &project, &format!("sql_{index}")).await;
        assert_eq!(of_plan, of_sql, "{sql}\n{}", plan.display_indent());
        some += usize::from(!of_plan.is_empty());
    }
    assert!(some + 2 >= pairs.len(), "{some} of {} have rows", pairs.len());
    windlass.stop().await;
}
