//! The operators after `|>`.

use sqlparser::ast::{ExprWithAlias, ExprWithAliasAndOrderBy, PipeOperator, SetOperator, SetQuantifier};

use super::query::{counts_copies, matches_by_name};
use super::walk::Walk;
use super::{Declared, Node, Part, Rule, Section, Verdict, nodes};

/// The planner ignores the order of the expressions of an aggregation after `|>`.
const ORDERED: Rule = Rule { clause: "ASC or DESC in AGGREGATE", help: "write `|> ORDER BY` after it" };

nodes! {
    choice PipeOperator {
        Limit { expr: carried, offset: carried };
        Where { expr: carried };
        OrderBy { exprs: carried };
        Select { exprs: carried };
        Extend { exprs: carried };
        Set: (refused "SET after `|>`" "write `|> SELECT * REPLACE (…)`");
        Drop: (refused "DROP after `|>`" "write `|> SELECT * EXCLUDE (…)`");
        As { alias: carried };
        Aggregate { full_table_exprs: carried, group_by_expr: carried };
        TableSample: (refused "TABLESAMPLE after `|>`" "filter by a hash of the key, which gives the same rows in every run");
        Rename: (refused "RENAME after `|>`" "write `|> SELECT` and the columns with AS");
        Union { set_quantifier: (with quantifier_of_union), queries: carried };
        Intersect {
            set_quantifier: (only is_special, "INTERSECT ALL or INTERSECT BY NAME" "write INTERSECT alone"),
            queries: carried,
        };
        Except {
            set_quantifier: (only is_special, "EXCEPT ALL or EXCEPT BY NAME" "write EXCEPT alone"),
            queries: carried,
        };
        Call: (refused "CALL after `|>`" "read the function in FROM");
        Pivot: (refused "PIVOT after `|>`" "aggregate with `FILTER (WHERE …)`, one column per value");
        Unpivot: (refused "UNPIVOT after `|>`" "write one SELECT per column, combined with UNION ALL");
        Join(join: carried);
    }
    structure ExprWithAlias {
        expr: carried,
        alias: carried,
    }
    structure ExprWithAliasAndOrderBy also(ordered: ORDERED) {
        expr: carried,
        order_by: carried,
    }
}

fn ordered(expr: &ExprWithAliasAndOrderBy, walk: &mut Walk<'_>) {
    if expr.order_by.asc.is_some() || expr.order_by.nulls_first.is_some() {
        expr.expr.walk(walk);
        walk.refuse(&ORDERED);
    }
}

fn quantifier_of_union(quantifier: &SetQuantifier, walk: &mut Walk<'_>) {
    walk.set_operator = Some(SetOperator::Union);
    quantifier.walk(walk);
}

fn is_special(quantifier: &SetQuantifier) -> bool {
    counts_copies(quantifier) || matches_by_name(quantifier)
}
