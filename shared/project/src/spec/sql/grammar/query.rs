//! Queries: WITH, set operations, ORDER BY and LIMIT.

use sqlparser::ast::{
    Cte, CteAsMaterialized, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, SetExpr,
    SetOperator, SetQuantifier, TableAlias, TableAliasColumnDef, Values, With,
};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

/// The planner expands ORDER BY ALL only for a SELECT.
const ORDER_BY_ALL_OF_A_SET: Rule =
    Rule { clause: "ORDER BY ALL of rows that are not of one SELECT", help: "name the columns to sort by" };
/// The engine drops, or keeps, all copies of a row that the other side has once.
const COPIES: Rule = Rule {
    clause: "EXCEPT ALL or INTERSECT ALL",
    help: "the engine does not count the copies of a row: number them with `row_number()` on both sides, and leave ALL out",
};
const BY_NAME: Rule =
    Rule { clause: "BY NAME after EXCEPT or INTERSECT", help: "name the columns on both sides, in the same order" };
/// The planner extracts the two sides of the union from a recursive query and drops the surrounding clauses.
const CUT_RECURSIVE_QUERY: Rule = Rule {
    clause: "a WITH, ORDER BY, LIMIT, FETCH or `|>` of a query in WITH RECURSIVE",
    help: "write it in the query that reads this one",
};

nodes! {
    structure Query also(orders_by_all_of_a_set: ORDER_BY_ALL_OF_A_SET) {
        with: carried,
        body: carried,
        order_by: carried,
        limit_clause: carried,
        fetch: (refused "FETCH" "write `LIMIT` and a number of rows"),
        locks: (refused "FOR UPDATE or FOR SHARE" "remove it: a stage locks no rows"),
        for_clause: (refused "FOR XML or FOR JSON or FOR BROWSE" "remove it: rows are written as they are"),
        settings: (refused "SETTINGS" "remove it: settings are under `session` in windlass.yaml"),
        format_clause: (refused "FORMAT" "remove it: the format of an export is set in `io` or in `datasets`"),
        pipe_operators: carried,
    }
    structure With also(cuts_recursive_queries: CUT_RECURSIVE_QUERY) {
        with_token: (nothing "a word of the syntax"),
        recursive: carried,
        cte_tables: carried,
    }
    structure Cte {
        alias: carried,
        materialized: carried,
        query: carried,
        from: (refused "FROM after a common table expression" "write the FROM inside its parentheses"),
        closing_paren_token: (nothing "a sign of the syntax"),
    }
    choice CteAsMaterialized {
        Materialized: (refused "AS MATERIALIZED" "make it a separate stage with `materialize: cache`");
        NotMaterialized: (nothing "it always happens");
    }
    structure TableAlias {
        explicit: (nothing "whether AS was written"),
        name: carried,
        columns: carried,
        at: (refused "AT after a table's alias" "remove it, or number the elements with `row_number()`"),
    }
    structure TableAliasColumnDef {
        name: carried,
        data_type: (refused "a type in the columns of an alias" "name the column alone and cast it where it is read"),
    }
    choice SetExpr {
        Select(select: carried);
        Query(query: carried);
        SetOperation { left: carried, op: (with operator), set_quantifier: carried, right: carried };
        Values(values: carried);
        Insert: (refused "INSERT" "write one SELECT; windlass writes its rows");
        Update: (refused "UPDATE" "write one SELECT; windlass writes its rows");
        Delete: (refused "DELETE" "write one SELECT; windlass writes its rows");
        Merge: (refused "MERGE" "write one SELECT; windlass writes its rows");
        Table: (refused "TABLE" "write `SELECT * FROM` and the table's name");
    }
    choice SetOperator {
        Union: carried;
        Except: carried;
        Intersect: carried;
        Minus: (refused "MINUS" "write EXCEPT");
    }
    choice SetQuantifier also(copies: COPIES, by_name: BY_NAME) {
        All: carried;
        Distinct: carried;
        ByName: carried;
        AllByName: carried;
        DistinctByName: carried;
        None: carried;
    }
    structure Values {
        explicit_row: (nothing "whether ROW was written before each row"),
        value_keyword: (refused "VALUE" "write VALUES"),
        rows: carried,
    }
    structure OrderBy {
        kind: carried,
        interpolate: (refused "INTERPOLATE" "compute the missing values in the SELECT"),
    }
    choice OrderByKind {
        All(options: carried);
        Expressions(exprs: carried);
    }
    structure OrderByExpr {
        expr: carried,
        options: carried,
        with_fill: (refused "WITH FILL" "join with `generate_series` for the missing rows"),
    }
    structure OrderByOptions {
        asc: carried,
        nulls_first: carried,
    }
    choice LimitClause {
        LimitOffset {
            limit: carried,
            offset: carried,
            limit_by: (refused "BY after LIMIT" "number the rows of each group with `row_number()` and filter by that"),
        };
        OffsetCommaLimit { offset: carried, limit: carried };
    }
    structure Offset {
        value: carried,
        rows: (nothing "whether ROW or ROWS was written"),
    }
}

fn orders_by_all_of_a_set(query: &Query, walk: &mut Walk<'_>) {
    let by_all = matches!(&query.order_by, Some(OrderBy { kind: OrderByKind::All(_), .. }));
    if by_all && !matches!(*query.body, SetExpr::Select(_)) {
        walk.refuse(&ORDER_BY_ALL_OF_A_SET);
    }
}

fn cuts_recursive_queries(with: &With, walk: &mut Walk<'_>) {
    if !with.recursive {
        return;
    }
    for cte in &with.cte_tables {
        let query = cte.query.as_ref();
        let is_cut = query.with.given()
            || query.order_by.given()
            || query.limit_clause.given()
            || query.fetch.given()
            || query.pipe_operators.given();
        if is_cut && matches!(*query.body, SetExpr::SetOperation { op: SetOperator::Union, .. }) {
            cte.alias.name.walk(walk);
            walk.refuse(&CUT_RECURSIVE_QUERY);
        }
    }
}

fn operator(op: &SetOperator, walk: &mut Walk<'_>) {
    op.walk(walk);
    walk.set_operator = Some(*op);
}

fn copies(quantifier: &SetQuantifier, walk: &mut Walk<'_>) {
    if counts_copies(quantifier) && walk.set_operator != Some(SetOperator::Union) {
        walk.refuse(&COPIES);
    }
}

fn by_name(quantifier: &SetQuantifier, walk: &mut Walk<'_>) {
    if matches_by_name(quantifier) && walk.set_operator != Some(SetOperator::Union) {
        walk.refuse(&BY_NAME);
    }
}

pub(super) fn counts_copies(quantifier: &SetQuantifier) -> bool {
    matches!(quantifier, SetQuantifier::All)
}

pub(super) fn matches_by_name(quantifier: &SetQuantifier) -> bool {
    matches!(quantifier, SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName)
}
