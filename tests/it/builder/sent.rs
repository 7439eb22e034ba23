//! Which plans can be sent, and how their scans are encoded.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::MemTable;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Like, LogicalPlan, LogicalPlanBuilder, Volatility, create_udf, table_scan,
};
use datafusion::prelude::{SessionContext, col, lit, placeholder};
use windlass_base::error::Coded;
use windlass_client::builder::planning_context;
use windlass_engine::codec::logical::{PlanWireError, decode_plan, encode_plan};
use windlass_project::spec::plan_text::ENGINE_VERSION;

use super::{columns, orders, plan, session};

#[test]
fn plans_name_the_version_of_the_engine_that_is_built_in() {
    assert_eq!(ENGINE_VERSION, datafusion::DATAFUSION_VERSION);
}

/// The plan over the tables of a session.
async fn arrive(bytes: &[u8], session: &SessionContext) -> Result<LogicalPlan, PlanWireError> {
    decode_plan(bytes, session, &["orders"].into(), &["least"].into()).await
}

async fn refused(sql: &str) -> String {
    match session().state().create_logical_plan(sql).await {
        Ok(plan) => plan_text(&plan),
        Err(error) => panic!("{sql}: {error}"),
    }
}

fn plan_text(plan: &LogicalPlan) -> String {
    match encode_plan(plan) {
        Ok(sent) => panic!("{} was sent as {sent:?}", plan.display_indent()),
        Err(error) => format!("{error} [{}] {}\n", error.code(), error.help().unwrap_or_default()),
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_name() {
    let queries = [
        "SELECT * FROM orders WHERE customer IN (SELECT customer FROM customers)",
        "SELECT * FROM orders AS o WHERE EXISTS (SELECT 1 FROM customers AS c WHERE c.customer = o.customer)",
        "SELECT id, (SELECT max(city) FROM customers AS c WHERE c.customer = o.customer) AS city FROM orders AS o",
        "SELECT id FROM orders WHERE amount > ANY (SELECT amount FROM paid)",
        "SELECT id FROM orders LIMIT $least",
        "SELECT id FROM orders WHERE amount > $1",
        "EXPLAIN SELECT id FROM orders",
        "EXPLAIN ANALYZE SELECT id FROM orders",
        "INSERT INTO orders VALUES (1, 'x', 2)",
        "COPY orders TO 'out.parquet'",
        "PREPARE later AS SELECT id FROM orders",
        "CREATE VIEW v AS SELECT id FROM orders",
        "DESCRIBE orders",
        "SET datafusion.execution.batch_size = 1",
    ];
    let mut all = String::new();
    for sql in queries {
        all.push_str(&format!("{sql}\n    {}", refused(sql).await));
    }
    let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
    let read = session().read_batch(batch).unwrap().into_unoptimized_plan();
    all.push_str(&format!("rows in memory\n    {}", plan_text(&read)));
    let empty = LogicalPlanBuilder::empty(false).project(vec![lit(1).alias("x")]).unwrap().build().unwrap();
    let empty = session().state().optimize(&empty).unwrap();
    all.push_str(&format!("an empty relation\n    {}", plan_text(&empty)));
    let orders = session().table("orders").await.unwrap();
    let similar = Like::new(false, Box::new(col("customer")), Box::new(lit("a")), None, true);
    let similar = orders.clone().filter(Expr::SimilarTo(similar)).unwrap().into_unoptimized_plan();
    all.push_str(&format!("case is lost\n    {}", plan_text(&similar)));
    let marked = Alias::new(col("id"), None::<&str>, "x").with_metadata(Some(
        [("unit".to_owned(), "kg".to_owned())].into_iter().collect::<std::collections::HashMap<_, _>>().into(),
    ));
    let marked = orders.select(vec![Expr::Alias(marked)]).unwrap().into_unoptimized_plan();
    all.push_str(&format!("metadata is lost\n    {}", plan_text(&marked)));
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_plan_that_is_too_deep_is_refused() {
    let mut frame = session().table("orders").await.unwrap();
    for _ in 0..80 {
        frame = frame.distinct().unwrap();
    }
    let error = encode_plan(&frame.into_unoptimized_plan()).unwrap_err();
    assert!(matches!(error, PlanWireError::TooDeep), "{error}");
    for (operands, fits) in [(400, true), (600, false)] {
        let many = (1..=operands).fold(lit(0_i64), |sum, number| sum + lit(i64::from(number)));
        let long = session().table("orders").await.unwrap().select(vec![many.alias("n")]).unwrap();
        assert_eq!(encode_plan(&long.into_unoptimized_plan()).is_ok(), fits, "{operands}");
    }
}

#[tokio::test]
async fn the_tables_and_parameters_of_a_plan_are_recorded() {
    let sql = "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < $most) \
               SELECT o.id, (SELECT count(*) FROM customers) AS c FROM orders AS o, n WHERE o.id = n.x AND o.id > $least";
    let sent = encode_plan(&plan(sql).await).unwrap();
    assert_eq!(
        (sent.reads, sent.params),
        (vec!["customers".into(), "orders".into()], vec!["least".into(), "most".into()])
    );
    let sent = encode_plan(&plan("SELECT 1 AS x").await).unwrap();
    assert!(sent.reads.is_empty() && sent.params.is_empty());
}

/// The same plan over an empty table, a table with rows, a table that cannot be read at all, a view of the session.
#[tokio::test]
async fn the_provider_of_a_table_makes_no_difference() {
    let sql = "SELECT customer, sum(amount) AS s FROM orders WHERE id > 1 GROUP BY customer";
    let sent = encode_plan(&plan(sql).await).unwrap();

    let context = planning_context(&[]).unwrap();
    let rows = MemTable::try_new(orders(), vec![vec![RecordBatch::new_empty(orders())]]).unwrap();
    context.register_table("orders", Arc::new(rows)).unwrap();
    let over_rows = context.sql(sql).await.unwrap().into_unoptimized_plan();
    assert_eq!(encode_plan(&over_rows).unwrap(), sent);

    let scan = table_scan(Some("orders"), &orders(), None).unwrap();
    let by_hand = scan
        .filter(col("id").gt(lit(1_i64)))
        .unwrap()
        .aggregate(vec![col("customer")], vec![datafusion::functions_aggregate::expr_fn::sum(col("amount"))])
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(encode_plan(&by_hand).unwrap().reads, ["orders"]);

    let context = session();
    context.sql("CREATE VIEW big AS SELECT * FROM orders WHERE amount > 10").await.unwrap();
    let over_view = context.sql("SELECT id FROM big").await.unwrap().into_unoptimized_plan();
    assert_eq!(encode_plan(&over_view).unwrap().reads, ["orders"]);
}

/// A scan may have been given filters, columns and a number of rows.
#[tokio::test]
async fn filters_and_projections_of_a_scan_become_nodes_above_it() {
    let table = session().table_provider("orders").await.unwrap();
    let LogicalPlan::TableScan(mut scan) =
        LogicalPlanBuilder::scan("orders", provider_as_source(table), Some(vec![2, 0])).unwrap().build().unwrap()
    else {
        panic!("no scan")
    };
    let customer = Expr::Column(Column::from_qualified_name("orders.customer"));
    scan.filters = vec![customer.eq(lit("ada")), col("orders.amount").gt(placeholder("$least"))];
    scan.fetch = Some(3);
    let schema = Arc::clone(&scan.projected_schema);
    let plan = LogicalPlan::TableScan(scan);
    let sent = encode_plan(&plan).unwrap();
    assert_eq!(sent.params, ["least"]);
    let arrived = arrive(&sent.bytes, &session()).await.unwrap();
    assert_eq!(arrived.schema().as_arrow().fields(), schema.as_arrow().fields());
    insta::assert_snapshot!(arrived.display_indent(), @r#"
    Limit: skip=0, fetch=3
      Projection: orders.amount, orders.id
        Filter: orders.customer = Utf8("ada") AND orders.amount > $least
          TableScan: orders
    "#);
}

/// The cluster decides which functions exist, not the process that builds the plan.
#[tokio::test]
async fn a_function_that_is_not_everywhere_can_be_sent() {
    let context: SessionContext = planning_context(&[("orders", columns(&[("id", DataType::Int64)]))]).unwrap();
    let same = Arc::new(|values: &[datafusion::logical_expr::ColumnarValue]| Ok(values[0].clone()));
    context.register_udf(create_udf("my_own", vec![DataType::Int64], DataType::Int64, Volatility::Immutable, same));
    let plan = context.sql("SELECT my_own(id) AS x FROM orders").await.unwrap().into_unoptimized_plan();
    let sent = encode_plan(&plan).unwrap();
    let error = arrive(&sent.bytes, &session()).await.unwrap_err();
    assert_eq!(error.to_string(), "the plan calls the function `my_own`, which this cluster does not have");
    let again = arrive(&sent.bytes, &context).await;
    assert_eq!(again.unwrap().schema().fields()[0].name(), "x");
}

/// The value of a parameter is resolved where the plan is received.
#[tokio::test]
async fn parameters_are_set_where_the_plan_arrives() {
    let sent = encode_plan(&plan("SELECT id FROM orders WHERE amount > $least").await).unwrap();
    let arrived = arrive(&sent.bytes, &session()).await.unwrap();
    let values: Vec<(&str, ScalarValue)> = vec![("least", ScalarValue::from(7_i64))];
    let set = arrived.with_param_values(values).unwrap();
    assert!(set.display_indent().to_string().contains("orders.amount > Int64(7)"), "{}", set.display_indent());
    assert_eq!(col("id").get_type(set.schema()).unwrap(), DataType::Int64);
}
