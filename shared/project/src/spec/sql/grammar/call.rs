//! Calls of functions. Which clauses a function supports is only known when a query is planned
//! (`session/call_clauses.rs`).

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, NullTreatment,
};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

/// The planner treats `count(DISTINCT *)` as counting distinct constants.
const DISTINCT_STAR: Rule =
    Rule { clause: "DISTINCT before `*`", help: "count the rows of a SELECT DISTINCT, or name a column" };

nodes! {
    structure Function {
        name: carried,
        uses_odbc_syntax: (nothing "whether braces were written around it"),
        parameters: (refused "parameters before a function's arguments" "write them among the arguments"),
        args: carried,
        filter: by_function,
        null_treatment: by_function,
        over: by_function,
        within_group: by_function,
    }
    choice FunctionArguments {
        None: carried;
        Subquery: (refused "a query as the arguments of a function" "write `(SELECT array_agg(…) FROM …)`, or put it into additional parentheses");
        List(list: carried);
    }
    structure FunctionArgumentList also(distinct_star: DISTINCT_STAR) {
        duplicate_treatment: by_function,
        args: carried,
        clauses: carried,
    }
    choice DuplicateTreatment {
        Distinct: by_function;
        All: (nothing "it is the default");
    }
    choice NullTreatment {
        IgnoreNulls: by_function;
        RespectNulls: by_function;
    }
    choice FunctionArgumentClause {
        IgnoreOrRespectNulls(nulls: by_function);
        OrderBy(order: by_function);
        Limit: (refused "LIMIT in a function's arguments" "cut the array with `array_slice`");
        OnOverflow: (refused "ON OVERFLOW" "remove it: texts may be long");
        Having: (refused "HAVING in a function's arguments" "write `first_value(… ORDER BY …)`");
        Separator: (refused "SEPARATOR" "write it as the second argument of `string_agg`");
        JsonNullClause: (refused "NULL ON NULL or ABSENT ON NULL" "write JSON with a custom function");
        JsonReturningClause: (refused "RETURNING" "write JSON with a custom function");
    }
    choice FunctionArg {
        Named { name: carried, arg: carried, operator: carried };
        ExprNamed { name: carried, arg: carried, operator: carried };
        Unnamed(arg: carried);
    }
    choice FunctionArgExpr {
        Expr(expr: carried);
        QualifiedWildcard: (refused "`.*` as an argument" "count a column that is never null where there is a row");
        Wildcard: carried;
        WildcardWithOptions: (refused "`*` with EXCLUDE or EXCEPT as an argument" "name the columns");
    }
    choice FunctionArgOperator {
        Equals: carried;
        RightArrow: carried;
        Assignment: carried;
        Colon: carried;
        Value: carried;
    }
}

fn distinct_star(list: &FunctionArgumentList, walk: &mut Walk<'_>) {
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if distinct && list.args.iter().any(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard))) {
        walk.refuse(&DISTINCT_STAR);
    }
}
