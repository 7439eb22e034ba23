//! SELECT: its columns, groups and windows.

use sqlparser::ast::{
    Distinct, ExceptSelectItem, ExcludeSelectItem, GroupByExpr, GroupByWithModifier, NamedWindowDefinition,
    NamedWindowExpr, ReplaceSelectElement, ReplaceSelectItem, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

/// The planner resolves window names only in the columns of a SELECT. Elsewhere it treats the call as one without OVER,
/// that is, as an aggregate.
const WINDOW_NAME: Rule = Rule {
    clause: "the name of a window outside of the columns of a SELECT",
    help: "write the window out in the parentheses of OVER, or filter in a query around this one",
};

nodes! {
    structure Select {
        select_token: carried,
        optimizer_hints: (refused "a hint to the optimizer" "remove it: the engine has none"),
        distinct: carried,
        select_modifiers: (refused "STRAIGHT_JOIN or HIGH_PRIORITY or SQL_NO_CACHE or SQL_CALC_FOUND_ROWS or SQL_SMALL_RESULT or SQL_BIG_RESULT or SQL_BUFFER_RESULT"
            "remove it: it means something to MySQL only"),
        top: (refused "TOP" "write `LIMIT` at the end of the query"),
        top_before_distinct: (nothing "goes with TOP"),
        projection: (with columns),
        exclude: (refused "EXCLUDE" "write it right after the `*`, with parentheses around the columns"),
        into: (refused "INTO" "remove it: windlass creates the stage's table"),
        from: carried,
        lateral_views: (refused "LATERAL VIEW" "write `CROSS JOIN LATERAL`, or `unnest` among the columns"),
        prewhere: (refused "PREWHERE" "write WHERE"),
        selection: carried,
        connect_by: (refused "CONNECT BY or START WITH" "write WITH RECURSIVE"),
        group_by: carried,
        cluster_by: (refused "CLUSTER BY" "remove it, or set `partition_by` in `io`"),
        distribute_by: (refused "DISTRIBUTE BY" "remove it, or set `partition_by` in `io`"),
        sort_by: (refused "SORT BY" "write ORDER BY"),
        having: carried,
        named_window: carried,
        qualify: carried,
        window_before_qualify: (nothing "which of the two was written first"),
        value_table_mode: (refused "AS STRUCT or AS VALUE" "name the columns, or make a value of them with `struct`"),
        flavor: carried,
    }
    choice SelectFlavor {
        Standard: carried;
        FromFirst: carried;
        FromFirstNoSelect: (refused "FROM without a SELECT" "write `SELECT *` before it");
    }
    choice Distinct {
        All: (nothing "it is the default");
        Distinct: carried;
        On(exprs: carried);
    }
    choice SelectItem {
        UnnamedExpr(expr: carried);
        ExprWithAlias { expr: carried, alias: carried };
        ExprWithAliases {
            expr: carried,
            aliases: (refused "several names for one column" "give it one name"),
        };
        QualifiedWildcard(of: carried, options: carried);
        Wildcard(options: carried);
    }
    choice SelectItemQualifiedWildcardKind {
        ObjectName(name: carried);
        Expr: (refused "a `.*` after an expression" "name the fields, or unnest the struct");
    }
    structure WildcardAdditionalOptions {
        wildcard_token: carried,
        opt_ilike: (refused "ILIKE after `*`" "name the columns"),
        opt_exclude: carried,
        opt_except: carried,
        opt_replace: carried,
        opt_rename: (refused "RENAME" "name the columns with AS"),
        opt_alias: (refused "AS after `*`" "name the columns with AS"),
    }
    choice ExcludeSelectItem {
        Single(column: carried);
        Multiple(columns: carried);
    }
    structure ExceptSelectItem {
        first_element: carried,
        additional_elements: carried,
    }
    structure ReplaceSelectItem {
        items: carried,
    }
    structure ReplaceSelectElement {
        expr: carried,
        column_name: carried,
        as_keyword: (nothing "whether AS was written"),
    }
    choice GroupByExpr {
        All(modifiers: carried);
        Expressions(exprs: carried, modifiers: carried);
    }
    choice GroupByWithModifier {
        Rollup: (refused "WITH ROLLUP" "write `GROUP BY ROLLUP (…)`");
        Cube: (refused "WITH CUBE" "write `GROUP BY CUBE (…)`");
        Totals: (refused "WITH TOTALS" "write `GROUP BY GROUPING SETS ((…), ())`");
        GroupingSets: (refused "GROUPING SETS after the columns of GROUP BY" "write `GROUP BY GROUPING SETS (…)` alone");
    }
    tuple NamedWindowDefinition {
        name: carried,
        window: carried,
    }
    choice NamedWindowExpr {
        NamedWindow(name: (except any, "a window that is the name of another" "write the window out after AS"));
        WindowSpec(window: carried);
    }
    choice WindowType also(window_name: WINDOW_NAME) {
        WindowSpec(window: carried);
        NamedWindow(name: carried);
    }
    structure WindowSpec {
        window_name: (except Given::given, "a window based on another window" "repeat the definition of that window"),
        partition_by: carried,
        order_by: carried,
        window_frame: carried,
    }
    structure WindowFrame {
        units: carried,
        start_bound: carried,
        end_bound: carried,
    }
    choice WindowFrameUnits {
        Rows: carried;
        Range: carried;
        Groups: carried;
    }
    choice WindowFrameBound {
        CurrentRow: carried;
        Preceding(rows: carried);
        Following(rows: carried);
    }
}

/// Traverses the columns of a SELECT, where window names are resolved.
fn columns(items: &[SelectItem], walk: &mut Walk<'_>) {
    let outside = std::mem::replace(&mut walk.resolves_windows, true);
    for item in items {
        item.walk(walk);
    }
    walk.resolves_windows = outside;
}

fn window_name(window: &WindowType, walk: &mut Walk<'_>) {
    if let WindowType::NamedWindow(name) = window
        && !walk.resolves_windows
    {
        name.walk(walk);
        walk.refuse(&WINDOW_NAME);
    }
}

fn any<T>(_: &T) -> bool {
    true
}
