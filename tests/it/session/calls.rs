//! A clause that a function does not support is refused when a query is planned, where the engine would ignore it.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, refused_calls};
use windlass_project::spec::pipeline::SqlText;
use windlass_project::spec::{Problems, codes, question_files};

/// The locations and messages of what is refused.
fn problems_of(sql: &str) -> Vec<(usize, String)> {
    let own = create_udf("own", vec![DataType::Int64], DataType::Int64, Volatility::Immutable, {
        Arc::new(|args: &[ColumnarValue]| Ok(args[0].clone()))
    });
    let functions = Functions::standard().with_scalar(own);
    let context = Sessions::new(SessionSettings::default(), functions).unwrap().context().unwrap();
    let text = SqlText { file: "query".into(), text: sql.into(), offset: 0 };
    match Problems::check(refused_calls(&context.state(), &text), &question_files(sql)) {
        Ok(()) => Vec::new(),
        Err(problems) => {
            let reported = problems.reports().into_iter().map(|report| {
                assert_eq!(report.code, codes::FUNCTION_CLAUSE.0);
                assert!(report.help.is_some());
                (report.column.unwrap(), report.message)
            });
            reported.collect()
        }
    }
}

#[test]
fn clauses_without_meaning_for_a_function_are_refused_at_its_name() {
    let refused = [
        ("SELECT §abs(a) FILTER (WHERE a > 1) FROM t", "`FILTER` is not supported by `abs`"),
        ("SELECT §abs(DISTINCT a) FROM t", "`DISTINCT` is not supported by `abs`"),
        ("SELECT §Upper(a) OVER () FROM t", "`OVER` is not supported by `upper`"),
        ("SELECT §coalesce(a, b) IGNORE NULLS FROM t", "`IGNORE NULLS` is not supported by `coalesce`"),
        ("SELECT §own(a ORDER BY b) FROM t", "`ORDER BY` is not supported by `own`"),
        ("SELECT §unnest(a) FILTER (WHERE b) FROM t", "`FILTER` is not supported by `unnest`"),
        ("SELECT §stable_id(DISTINCT a) FROM t", "`DISTINCT` is not supported by `stable_id`"),
        ("SELECT §lag(a) FILTER (WHERE a > 1) OVER (ORDER BY b) FROM t", "`FILTER` is not supported by `lag`"),
        ("SELECT §first_value(DISTINCT a) OVER (ORDER BY b) FROM t", "`DISTINCT` is not supported by `first_value`"),
        (
            "SELECT §row_number() IGNORE NULLS OVER (ORDER BY b) FROM t",
            "`IGNORE NULLS` is not supported by `row_number`",
        ),
        ("SELECT §sum(a) IGNORE NULLS OVER (ORDER BY b) FROM t", "`IGNORE NULLS` is not supported by `sum`"),
        ("SELECT §max(a) RESPECT NULLS FROM t", "`IGNORE NULLS` is not supported by `max`"),
        ("SELECT §corr(DISTINCT a, b) FROM t", "`DISTINCT` is not supported by `corr`"),
        ("SELECT §covar(DISTINCT a, b) FROM t", "`DISTINCT` is not supported by `covar`"),
        ("SELECT §regr_count(DISTINCT a, b) OVER () FROM t", "`DISTINCT` is not supported by `regr_count`"),
        ("SELECT §percentile_cont(a, 0.5 ORDER BY b) FROM t", "`ORDER BY` is not supported by `percentile_cont`"),
        ("SELECT a FROM t WHERE (SELECT §abs(a) OVER () FROM u) > 1", "`OVER` is not supported by `abs`"),
    ];
    for (sql, message) in refused {
        let column = sql.split_once('§').unwrap().0.chars().count() + 1;
        let reported = problems_of(&sql.replace('§', ""));
        assert!(
            matches!(reported.as_slice(), [(at, text)] if *at == column && text.starts_with(message)),
            "{sql}: {reported:?}"
        );
    }
}

#[test]
fn clauses_that_a_function_takes_are_not() {
    let taken = [
        "SELECT sum(DISTINCT a) FILTER (WHERE a > 1) FROM t",
        "SELECT sum(a) FILTER (WHERE a > 1) OVER (ORDER BY b), count(DISTINCT a) OVER (PARTITION BY b) FROM t",
        "SELECT lag(a) IGNORE NULLS OVER (ORDER BY b), nth_value(a, 2) RESPECT NULLS OVER (ORDER BY b) FROM t",
        "SELECT first_value(a ORDER BY b) IGNORE NULLS, array_agg(DISTINCT a ORDER BY a) FROM t",
        "SELECT array_agg(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), percentile_cont(a, 0.5 ORDER BY a) FROM t",
        "SELECT string_agg(a, ',' ORDER BY b) FROM t",
        "SELECT unknown_function(DISTINCT a) OVER () FROM t",
        "SELECT a FROM",
    ];
    for sql in taken {
        assert_eq!(problems_of(sql), [], "{sql}");
    }
}
