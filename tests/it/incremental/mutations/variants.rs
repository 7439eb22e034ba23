//! Every node and every expression of the engine's plans: the shapes have all that SQL can make, and those that only a
//! program can make have forms that tell them apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::functions_nested::array_transform::array_transform_higher_order_function;
use datafusion::logical_expr::expr::{HigherOrderFunction, Lambda, LambdaVariable, Placeholder};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Partitioning, col, lit};
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;
use windlass_engine::canonical::{Names, canonical, canonical_expr};
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_project::spec::ParamValue;
use windlass_scheduler::plan::engine_params;

use super::shapes::SHAPES;
use super::versions::schemas;

/// A function to the name of each variant, and the names of those that SQL can produce. If a later version of the
/// engine adds a variant, this does not compile until it is in one of the lists.
macro_rules! variants {
    ($(#[$attribute:meta])* $name_of:ident, $of:ty, $by_sql:ident = { $($made:pat => $made_name:literal,)* }, others { $($other:pat => $other_name:literal,)* }) => {
        const $by_sql: &[&str] = &[$($made_name),*];

        $(#[$attribute])*
        fn $name_of(of: &$of) -> &'static str {
            match of {
                $($made => $made_name,)*
                $($other => $other_name,)*
            }
        }
    };
}

variants!(node_name, LogicalPlan, NODES = {
    LogicalPlan::Projection(_) => "Projection",
    LogicalPlan::Filter(_) => "Filter",
    LogicalPlan::Window(_) => "Window",
    LogicalPlan::Aggregate(_) => "Aggregate",
    LogicalPlan::Sort(_) => "Sort",
    LogicalPlan::Join(_) => "Join",
    LogicalPlan::Union(_) => "Union",
    LogicalPlan::TableScan(_) => "TableScan",
    LogicalPlan::EmptyRelation(_) => "EmptyRelation",
    LogicalPlan::Subquery(_) => "Subquery",
    LogicalPlan::SubqueryAlias(_) => "SubqueryAlias",
    LogicalPlan::Limit(_) => "Limit",
    LogicalPlan::Values(_) => "Values",
    LogicalPlan::Distinct(Distinct::All(_)) => "Distinct",
    LogicalPlan::Distinct(Distinct::On(_)) => "Distinct on",
    LogicalPlan::Unnest(_) => "Unnest",
    LogicalPlan::RecursiveQuery(_) => "RecursiveQuery",
}, others {
    // Rows are only moved, or only programs can create it.
    LogicalPlan::Repartition(_) => "Repartition",
    LogicalPlan::Extension(_) => "Extension",
    // No queries.
    LogicalPlan::Statement(_) => "Statement",
    LogicalPlan::Explain(_) => "Explain",
    LogicalPlan::Analyze(_) => "Analyze",
    LogicalPlan::Dml(_) => "Dml",
    LogicalPlan::Ddl(_) => "Ddl",
    LogicalPlan::Copy(_) => "Copy",
    LogicalPlan::DescribeTable(_) => "DescribeTable",
});

variants!(#[expect(deprecated)] expr_name, Expr, EXPRESSIONS = {
    Expr::Alias(_) => "Alias",
    Expr::Column(_) => "Column",
    Expr::Literal(_, _) => "Literal",
    Expr::BinaryExpr(_) => "BinaryExpr",
    Expr::Like(_) => "Like",
    Expr::Not(_) => "Not",
    Expr::IsNotNull(_) => "IsNotNull",
    Expr::IsNull(_) => "IsNull",
    Expr::IsTrue(_) => "IsTrue",
    Expr::IsFalse(_) => "IsFalse",
    Expr::IsUnknown(_) => "IsUnknown",
    Expr::IsNotTrue(_) => "IsNotTrue",
    Expr::IsNotFalse(_) => "IsNotFalse",
    Expr::IsNotUnknown(_) => "IsNotUnknown",
    Expr::Negative(_) => "Negative",
    Expr::Between(_) => "Between",
    Expr::Case(_) => "Case",
    Expr::Cast(_) => "Cast",
    Expr::TryCast(_) => "TryCast",
    Expr::ScalarFunction(_) => "ScalarFunction",
    Expr::AggregateFunction(_) => "AggregateFunction",
    Expr::WindowFunction(_) => "WindowFunction",
    Expr::InList(_) => "InList",
    Expr::Exists(_) => "Exists",
    Expr::InSubquery(_) => "InSubquery",
    Expr::SetComparison(_) => "SetComparison",
    Expr::ScalarSubquery(_) => "ScalarSubquery",
    Expr::GroupingSet(_) => "GroupingSet",
    Expr::Placeholder(_) => "Placeholder",
    Expr::OuterReferenceColumn(_, _) => "OuterReferenceColumn",
}, others {
    // Refused by the project: the engine interprets it as a search.
    Expr::SimilarTo(_) => "SimilarTo",
    // Resolved while the plan is built.
    Expr::Wildcard { .. } => "Wildcard",
    Expr::Unnest(_) => "Unnest",
    // Created only by programs: the session has no variables, and its dialect has no lambdas.
    Expr::ScalarVariable(_, _) => "ScalarVariable",
    Expr::HigherOrderFunction(_) => "HigherOrderFunction",
    Expr::Lambda(_) => "Lambda",
    Expr::LambdaVariable(_) => "LambdaVariable",
});

/// A session that knows the tables of the shapes, without rows.
fn session() -> SessionContext {
    let sessions = Sessions::new(SessionSettings::default(), Functions::standard()).unwrap();
    let context = sessions.context().unwrap();
    for (name, schema) in schemas() {
        context.register_table(name, Arc::new(EmptyTable::new(schema))).unwrap();
    }
    context
}

#[tokio::test]
async fn the_shapes_have_every_node_and_every_expression_that_sql_can_make() {
    let context = session();
    let mut met = BTreeSet::new();
    for shape in SHAPES {
        let plan = context.state().create_logical_plan(shape.sql).await.unwrap();
        plan.apply_with_subqueries(|node| {
            met.insert(node_name(node));
            node.apply_expressions(|root| {
                root.apply(|expr| {
                    met.insert(expr_name(expr));
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })
        .unwrap();
    }
    let missing: Vec<&&str> = NODES.iter().chain(EXPRESSIONS).filter(|name| !met.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let more: Vec<&&str> = met.iter().filter(|name| !NODES.contains(name) && !EXPRESSIONS.contains(name)).collect();
    assert!(more.is_empty(), "SQL can make {more:?}, although this is documented as impossible");
}

#[tokio::test]
async fn canonical_forms_distinguish_nodes_built_by_programs() {
    let orders = session().table("orders").await.unwrap().into_unoptimized_plan();
    let parted = |by: Partitioning| {
        let plan = LogicalPlanBuilder::from(orders.clone()).repartition(by).unwrap().build().unwrap();
        canonical(&plan, Names::Outside).unwrap().digest().to_owned()
    };
    let forms = [
        parted(Partitioning::RoundRobinBatch(2)),
        parted(Partitioning::RoundRobinBatch(3)),
        parted(Partitioning::Hash(vec![col("id")], 2)),
        parted(Partitioning::Hash(vec![col("amount")], 2)),
        parted(Partitioning::DistributeBy(vec![col("id")])),
    ];
    assert_eq!(BTreeSet::from(forms.clone()).len(), forms.len());
    assert_eq!(forms[0], parted(Partitioning::RoundRobinBatch(2)));
}

#[test]
fn canonical_forms_distinguish_expressions_built_by_programs() {
    let nothing = Arc::new(DFSchema::empty());
    let form = |expr: &Expr| canonical_expr(expr, &nothing).unwrap().digest().to_owned();
    let transform = |param: &str, add: i64| {
        let variable = LambdaVariable::new(param.to_owned(), None);
        let body = Expr::LambdaVariable(variable) + lit(add);
        let lambda = Expr::Lambda(Lambda::new(vec![param.to_owned()], body));
        let list = ScalarValue::List(ScalarValue::new_list_nullable(&[ScalarValue::from(1_i64)], &DataType::Int64));
        Expr::HigherOrderFunction(HigherOrderFunction::new(
            array_transform_higher_order_function(),
            vec![lit(list), lambda],
        ))
    };
    let placeholder = |name: &str| Expr::Placeholder(Placeholder::new_with_field(name.to_owned(), None));
    let variable =
        |name: &str| Expr::ScalarVariable(Arc::new(Field::new("v", DataType::Int64, true)), vec![name.to_owned()]);
    let exprs = [
        transform("v", 1),
        transform("v", 2),
        placeholder("$one"),
        placeholder("$two"),
        variable("@@one"),
        variable("@@two"),
    ];
    let forms: BTreeSet<String> = exprs.iter().map(form).collect();
    assert_eq!(forms.len(), exprs.len());
    // The name of a parameter makes no difference.
    assert_eq!(form(&transform("v", 1)), form(&transform("w", 1)));
}

/// Values that look the same to people, or that are equal to the engine.
#[test]
fn forms_have_every_bit_of_a_value() {
    let nothing = Arc::new(DFSchema::empty());
    let form = |value: ScalarValue| canonical_expr(&lit(value), &nothing).unwrap().digest().to_owned();
    let list = |items: &[i64]| {
        let items: Vec<ScalarValue> = items.iter().copied().map(ScalarValue::from).collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Int64))
    };
    let values = [
        ScalarValue::Float64(Some(0.0)),
        ScalarValue::Float64(Some(-0.0)),
        ScalarValue::Float64(Some(f64::NAN)),
        ScalarValue::Float64(Some(-f64::NAN)),
        ScalarValue::Float64(None),
        ScalarValue::Float32(Some(0.0)),
        ScalarValue::Int64(Some(0)),
        ScalarValue::Int32(Some(0)),
        ScalarValue::Null,
        ScalarValue::Utf8(None),
        ScalarValue::from(""),
        ScalarValue::from("0"),
        ScalarValue::Decimal128(Some(10), 5, 1),
        ScalarValue::Decimal128(Some(100), 5, 2),
        ScalarValue::TimestampMicrosecond(Some(0), None),
        ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into())),
        ScalarValue::TimestampNanosecond(Some(0), None),
        list(&[]),
        list(&[1]),
        list(&[1, 2]),
        list(&[2, 1]),
    ];
    let forms: BTreeSet<String> = values.iter().cloned().map(form).collect();
    assert_eq!(forms.len(), values.len());
}

#[tokio::test]
async fn a_parameter_is_its_value() {
    let context = session();
    let plan = async |sql: &str, value: i64| {
        let plan = context.state().create_logical_plan(sql).await.unwrap();
        let params = engine_params(&[("least".to_owned(), ParamValue::Long(value))].into());
        let plan = plan.with_param_values(params).unwrap();
        canonical(&plan, Names::Outside).unwrap().digest().to_owned()
    };
    let query = "SELECT id FROM orders WHERE amount > $least";
    assert_eq!(plan(query, 7).await, plan("SELECT id FROM orders WHERE amount > 7", 0).await);
    assert_ne!(plan(query, 7).await, plan(query, 8).await);
}
