//! Refuses function calls with clauses that the function does not support. The engine silently drops such clauses from
//! the plan, and only a session knows the kind of a function.

use datafusion::execution::SessionState;
use windlass_project::spec::pipeline::SqlText;
use windlass_project::spec::{Call, CallClause, Problem, calls, codes};

/// The kind of function that a name refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callee {
    /// A scalar function.
    Row,
    /// A pure window function, which may support `IGNORE NULLS`.
    Window { sees_nulls: bool },
    /// An aggregate function, over a window or not.
    Group { sees_nulls: bool, is_ordered_set: bool, of_all_rows: bool },
    /// An unknown function, which the engine reports.
    Unknown,
}

/// Window functions that number rows, and do not read values that could be null.
const NUMBERING: [&str; 6] = ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"];
/// Aggregate functions with a separate window function of the same name.
const OF_WINDOWS: [&str; 3] = ["first_value", "last_value", "nth_value"];
/// Aggregate functions that are used with WITHIN GROUP but do not declare it.
const ORDERED_SETS: [&str; 4] =
    ["percentile_cont", "quantile_cont", "approx_percentile_cont", "approx_percentile_cont_with_weight"];
/// Aggregate functions for which the engine ignores DISTINCT.
const OF_ALL_ROWS: [&str; 15] = [
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "corr",
    "covar_pop",
    "covar_samp",
    "nth_value",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
];
/// Built-in constructs that the engine plans like scalar functions.
const BUILT_IN: [&str; 4] = ["make_map", "map", "unnest", "unnest_outer"];

/// The problems of function calls in `sql`, in a session with the functions of `state`.
pub fn refused_calls(state: &SessionState, sql: &SqlText) -> Vec<Problem> {
    calls(sql).iter().filter_map(|call| refused(call, callee(state, call))).collect()
}

fn callee(state: &SessionState, call: &Call) -> Callee {
    let name = call.name.as_str();
    let is_of_a_row = state.scalar_functions().contains_key(name)
        || state.higher_order_functions().contains_key(name)
        || BUILT_IN.contains(&name);
    if is_of_a_row {
        return Callee::Row;
    }
    let over = call.clauses.contains(&CallClause::Over);
    let of_a_group = state.aggregate_functions().get(name);
    match of_a_group.filter(|function| !(over && OF_WINDOWS.contains(&function.name()))) {
        Some(function) => Callee::Group {
            sees_nulls: function.supports_null_handling_clause(),
            is_ordered_set: function.supports_within_group_clause() || ORDERED_SETS.contains(&name),
            of_all_rows: OF_ALL_ROWS.contains(&function.name()),
        },
        None => match state.window_functions().get(name) {
            Some(function) if over => Callee::Window { sees_nulls: !NUMBERING.contains(&function.name()) },
            _ => Callee::Unknown,
        },
    }
}

fn refused(call: &Call, callee: Callee) -> Option<Problem> {
    let (clause, what, help) = call.clauses.iter().find_map(|clause| match (callee, clause) {
        (Callee::Unknown, _) | (Callee::Row, CallClause::ArgumentName) => None,
        (Callee::Row, clause) => Some((clause, "a scalar function", "remove it, or call an aggregate function")),
        (Callee::Window { .. }, CallClause::Filter) => Some((
            clause,
            "a pure window function, which needs all rows of its window",
            "put the condition into the argument with CASE, or filter in a subquery",
        )),
        (Callee::Window { .. }, CallClause::Distinct | CallClause::OrderBy { .. } | CallClause::WithinGroup) => {
            Some((clause, "a pure window function", "write it in the parentheses of OVER, or in a subquery"))
        }
        (Callee::Window { sees_nulls: false }, CallClause::Nulls) => {
            Some((clause, "a function that numbers rows", "remove it, or filter the nulls in a subquery"))
        }
        (Callee::Group { sees_nulls: false, .. }, CallClause::Nulls) => {
            Some((clause, "a function that ignores nulls", "remove it"))
        }
        (Callee::Group { of_all_rows: true, .. }, CallClause::Distinct) => {
            Some((clause, "a function that always reads every row", "remove it, and call it over a SELECT DISTINCT"))
        }
        (Callee::Group { is_ordered_set: true, .. }, CallClause::OrderBy { by_argument: false }) => Some((
            clause,
            "a function of sorted values, whose first argument would be ignored",
            "write `WITHIN GROUP (ORDER BY …)` after the other arguments",
        )),
        _ => None,
    })?;
    let message = format!("`{}` is not supported by `{}`, which is {what}", clause.name(), call.name);
    Some(Problem::new(codes::FUNCTION_CLAUSE, message).at(&call.span).help(help))
}
