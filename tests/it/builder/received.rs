//! Plans that do not match their receiver, or are invalid.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::logical_expr_node::ExprType;
use datafusion_proto::protobuf::logical_plan_node::LogicalPlanType;
use datafusion_proto::protobuf::{
    BinaryExprNode, EmptyRelationNode, EmptyTableScanNode, ListingTableScanNode, LogicalExprNode, LogicalPlanNode,
    ProjectionNode, ScalarUdfExprNode, UnionNode, ValuesNode,
};
use proptest::prelude::*;
use windlass_base::ids::RunId;
use windlass_client::builder::{ProjectBuilder, StageBuilder, planning_context};
use windlass_engine::codec::logical::{decode_plan, encode_plan};
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_project::graph::check;
use windlass_project::spec::plan_text;
use windlass_project::spec::plan_text::ENGINE_VERSION;
use windlass_project::spec::{ParamValue, ProjectFiles, RenderStyle};
use windlass_scheduler::home::Home;
use windlass_scheduler::plan::{PlanError, PlanRequest, plan_run};
use windlass_storage::Location;

use super::{columns, plan, session, shop};

/// The message of a run of the project whose files are in `dir`.
async fn error_text(dir: &Path, files: &ProjectFiles) -> String {
    let graph = match check(files) {
        Ok(graph) => graph,
        Err(problems) => return problems.render(RenderStyle::default()),
    };
    let sessions = Sessions::new(graph.session.clone(), Functions::standard()).unwrap();
    let request = PlanRequest {
        graph: Arc::new(graph),
        base: Location::from_path(dir).unwrap(),
        home: Home::new(Location::parse("home", dir).unwrap()),
        params: BTreeMap::from([("least".to_owned(), ParamValue::Long(1))]),
        select: Vec::new(),
        exclude: Vec::new(),
        refresh: Default::default(),
        run: RunId::new("r"),
        fixed: None,
    };
    match plan_run(request, &sessions).await {
        Ok(plan) => panic!("planned {:?}", plan.stages),
        Err(PlanError::Sql(problems)) => problems.render(RenderStyle::default()),
        Err(error) => panic!("{error}"),
    }
}

/// The files of a project with one stage, whose plan is `bytes`.
fn with_plan(builder: &ProjectBuilder, header: &str, bytes: &[u8]) -> ProjectFiles {
    let mut files = builder.files().unwrap();
    let text = plan_text::write(bytes);
    files.insert("stages/s.plan", &format!("/* windlass\n{header}\nengine: {ENGINE_VERSION}\n*/\n{text}"));
    files
}

fn shown(text: &str) -> String {
    // How the plan is encoded does not matter here.
    let cut = |line: &str| match line.split_once(" │ ") {
        Some((number, code)) if code.len() > 30 && !code.contains(' ') => format!("{number} │ …"),
        _ if line.contains('─') || line.contains('┬') => line.trim_end_matches(['─', '┬']).to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|line| cut(line) + "\n").collect()
}

#[tokio::test]
async fn a_plan_that_does_not_fit_says_where_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let base = shop(dir.path()).param("least", ParamValue::Long(1));
    let bytes = |sql: &'static str| async move { encode_plan(&plan(sql).await).unwrap().bytes };
    let from = |tables: Vec<(&'static str, DataType)>, sql: &'static str| async move {
        let context = planning_context(&[("orders", columns(&tables))]).unwrap();
        encode_plan(&context.sql(sql).await.unwrap().into_unoptimized_plan()).unwrap().bytes
    };
    let join = "SELECT o.id FROM orders AS o JOIN customers AS c ON o.customer = c.customer";
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("reads more than it says", "reads: [orders]", bytes(join).await),
        ("reads what the project does not have", "reads: [paid]", bytes("SELECT id FROM paid").await),
        ("a parameter that is not named", "reads: [orders]", bytes("SELECT id FROM orders WHERE id > $least").await),
        (
            "a column that is not there",
            "reads: [orders]",
            from(vec![("id", DataType::Int64), ("amonut", DataType::Int64)], "SELECT id FROM orders").await,
        ),
        (
            "a column of another type",
            "reads: [orders]",
            from(vec![("id", DataType::Int64), ("amount", DataType::Utf8)], "SELECT id FROM orders").await,
        ),
        ("not a plan", "reads: []", b"not a plan at all, just some text".to_vec()),
        ("half of a plan", "reads: [orders]", {
            let mut half = bytes("SELECT id FROM orders WHERE amount > 3").await;
            half.truncate(half.len() / 2);
            half
        }),
        ("a function", "reads: []", encoded(&node(projection(udf("no_such_function"))))),
        ("values without columns", "reads: []", {
            let values = ValuesNode { n_cols: 0, values_list: vec![number()] };
            encoded(&node(LogicalPlanType::Values(values)))
        }),
        ("files", "reads: []", {
            let scan = ListingTableScanNode { paths: vec!["/etc/passwd".into()], ..ListingTableScanNode::default() };
            encoded(&node(LogicalPlanType::ListingScan(scan)))
        }),
        ("an empty table", "reads: [orders]", {
            encoded(&node(LogicalPlanType::EmptyTableScan(EmptyTableScanNode::default())))
        }),
        ("nothing of any kind", "reads: []", encoded(&LogicalPlanNode { logical_plan_type: None })),
    ];
    let mut all = String::new();
    for (name, header, bytes) in cases {
        let text = error_text(dir.path(), &with_plan(&base, header, &bytes)).await;
        all.push_str(&format!("=== {name}\n{}\n", shown(&text)));
    }
    insta::assert_snapshot!(all);
}

/// All problems come at once, those of SQL and those of plans.
#[tokio::test]
async fn problems_of_plans_and_of_sql_are_reported_together() {
    let dir = tempfile::tempdir().unwrap();
    let context = planning_context(&[("customers", columns(&[("citty", DataType::Utf8)]))]).unwrap();
    let wrong = context.table("customers").await.unwrap();
    let builder = shop(dir.path())
        .stage(StageBuilder::data_frame("a", wrong))
        .stage(StageBuilder::sql("b", "SELECT nothing FROM orders"))
        .stage(StageBuilder::sql("c", "SELECT * FROM a"));
    let text = error_text(dir.path(), &builder.files().unwrap()).await;
    assert_eq!(text.matches("WL0").count(), 2, "{text}");
    assert!(text.contains("did you mean `city`?"), "{text}");
}

fn node(kind: LogicalPlanType) -> LogicalPlanNode {
    LogicalPlanNode { logical_plan_type: Some(kind) }
}

fn encoded(node: &LogicalPlanNode) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.try_encode(&mut bytes).unwrap();
    bytes
}

fn number() -> LogicalExprNode {
    use datafusion_proto::generated::datafusion_common::{ScalarValue, scalar_value::Value};
    let literal = ExprType::Literal(ScalarValue { value: Some(Value::Int64Value(1)) });
    LogicalExprNode { expr_type: Some(literal) }
}

fn udf(name: &str) -> LogicalExprNode {
    let call = ScalarUdfExprNode { fun_name: name.to_owned(), ..ScalarUdfExprNode::default() };
    LogicalExprNode { expr_type: Some(ExprType::ScalarUdfExpr(call)) }
}

fn projection(expr: LogicalExprNode) -> LogicalPlanType {
    let one = node(LogicalPlanType::EmptyRelation(EmptyRelationNode { produce_one_row: true }));
    LogicalPlanType::Projection(Box::new(ProjectionNode {
        input: Some(Box::new(one)),
        expr: vec![expr],
        ..ProjectionNode::default()
    }))
}

/// A list of operands or inputs becomes a chain as long as the list.
#[tokio::test]
async fn a_long_chain_in_a_small_file_is_refused() {
    let one = node(LogicalPlanType::EmptyRelation(EmptyRelationNode { produce_one_row: true }));
    let union = |inputs| node(LogicalPlanType::Union(UnionNode { inputs: vec![one.clone(); inputs] }));
    decode_plan(&encoded(&union(240)), &session(), &[].into(), &[].into()).await.unwrap();
    let union = union(100_000);
    let chain = |operands| LogicalExprNode {
        expr_type: Some(ExprType::BinaryExpr(BinaryExprNode { operands, op: "Plus".to_owned() })),
    };
    let flat = chain(vec![number(); 100_000]);
    let nested = (0..20).fold(number(), |inner, _| {
        let mut operands = vec![number(); 1_000];
        operands[0] = inner;
        chain(operands)
    });
    for bytes in [union, node(projection(flat)), node(projection(nested))].map(|node| encoded(&node)) {
        let error = decode_plan(&bytes, &session(), &[].into(), &[].into()).await.unwrap_err();
        assert_eq!(error.to_string(), "the plan is too deep to be sent");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens to the bytes of a plan, reading them succeeds or returns an error.
    #[test]
    fn damaged_plans_are_survived(
        which in 0..PLANS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut bytes = encode_plan(&plan(PLANS[which]).await).unwrap().bytes;
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let reads = ["orders", "customers", "paid"].into();
            drop(decode_plan(&bytes, &session(), &reads, &["least"].into()).await);
        });
    }
}

const PLANS: [&str; 4] = [
    "SELECT o.id, c.city FROM orders AS o LEFT JOIN customers AS c ON o.customer = c.customer AND o.amount > 5",
    "SELECT customer, sum(amount) AS s, (SELECT max(id) FROM paid) AS m FROM orders GROUP BY customer LIMIT 3",
    "SELECT id, sum(amount) OVER (PARTITION BY customer ORDER BY id) AS s FROM orders WHERE amount > $least",
    "SELECT column1, [column1, 2] AS l FROM (VALUES (1), (2)) UNION ALL SELECT id, NULL FROM orders",
];
