//! FROM: tables, table functions, and joins.

use sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableFactor, TableFunctionArgs, TableWithJoins,
};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

/// Without common columns, the planner turns any natural join into a cross join.
const NATURAL_OUTER: Rule =
    Rule { clause: "NATURAL for a join that is not an inner one", help: "write ON and the columns" };
const NO_CONDITION: Rule = Rule { clause: "JOIN without ON or USING", help: "write the join condition, or CROSS JOIN" };
/// The planner looks a function up by one part of its name.
const QUALIFIED_FUNCTION: Rule =
    Rule { clause: "a schema before the name of a table function", help: "write the function's name alone" };

nodes! {
    structure TableWithJoins {
        relation: carried,
        joins: carried,
    }
    choice TableFactor also(qualified_function: QUALIFIED_FUNCTION) {
        Table {
            name: carried,
            alias: carried,
            args: carried,
            with_hints: (refused "WITH after a table's name" "remove the hint: the engine has none"),
            version: (refused "FOR SYSTEM_TIME or VERSION AS OF or TIMESTAMP AS OF or AT or BEFORE or CHANGES"
                "set `pin` in the source, or ask with `windlass query --at`"),
            with_ordinality: (refused "WITH ORDINALITY" "number the rows with `row_number() OVER ()`"),
            partitions: (refused "PARTITION after a table's name" "filter by the partition columns in WHERE"),
            json_path: (refused "a path after a table's name" "unnest the column among the columns of a SELECT"),
            sample: (refused "TABLESAMPLE or SAMPLE" "filter by a hash of the key, which gives the same rows in every run"),
            index_hints: (refused "USE INDEX or IGNORE INDEX or FORCE INDEX or USE KEY or IGNORE KEY or FORCE KEY"
                "remove it: tables have no indexes"),
        };
        Derived {
            lateral: carried,
            subquery: carried,
            alias: carried,
            sample: (refused "TABLESAMPLE or SAMPLE" "filter by a hash of the key, which gives the same rows in every run"),
        };
        TableFunction: (refused "TABLE around a function" "write the function alone");
        Function {
            lateral: carried,
            name: carried,
            args: (except named, "a name before an argument of a table function" "write the arguments in their order"),
            with_ordinality: (refused "WITH ORDINALITY" "number the rows with `row_number() OVER ()`"),
            alias: carried,
        };
        UNNEST {
            alias: carried,
            array_exprs: carried,
            with_offset: (refused "WITH OFFSET" "number the elements: unnest `range(0, array_length(x))` next to them"),
            with_offset_alias: (nothing "goes with WITH OFFSET"),
            with_ordinality: (refused "WITH ORDINALITY" "number the elements: unnest `range(1, array_length(x) + 1)` next to them"),
        };
        JsonTable: (refused "JSON_TABLE" "read the JSON as a source, or parse it with a custom function");
        OpenJsonTable: (refused "OPENJSON" "read the JSON as a source, or parse it with a custom function");
        NestedJoin { table_with_joins: carried, alias: carried };
        Pivot: (refused "PIVOT" "aggregate with `FILTER (WHERE …)`, one column per value");
        Unpivot: (refused "UNPIVOT" "write one SELECT per column, combined with UNION ALL");
        MatchRecognize: (refused "MATCH_RECOGNIZE" "use window functions such as `lag`");
        XmlTable: (refused "XMLTABLE" "parse the XML with a custom function");
        SemanticView: (refused "SEMANTIC_VIEW" "read the stage by its name");
    }
    structure TableFunctionArgs {
        args: (except named, "a name before an argument of a table function" "write the arguments in their order"),
        settings: (refused "SETTINGS" "remove it: the engine has none for a function"),
    }
    structure Join also(natural_outer: NATURAL_OUTER, no_condition: NO_CONDITION) {
        relation: carried,
        global: (refused "GLOBAL" "remove it: every join reads all rows"),
        join_operator: carried,
    }
    choice JoinOperator {
        Join(on: carried);
        Inner(on: carried);
        Left(on: carried);
        LeftOuter(on: carried);
        Right(on: (except of_both_sides, "USING of a join that keeps all rows of its right side" "write ON, and `coalesce(a.id, b.id)` where the column is meant: USING would give the left side's value alone"));
        RightOuter(on: (except of_both_sides, "USING of a join that keeps all rows of its right side" "write ON, and `coalesce(a.id, b.id)` where the column is meant: USING would give the left side's value alone"));
        FullOuter(on: (except of_both_sides, "USING of a join that keeps all rows of its right side" "write ON, and `coalesce(a.id, b.id)` where the column is meant: USING would give the left side's value alone"));
        CrossJoin(on: (except conditional, "ON or USING after CROSS JOIN" "write JOIN"));
        Semi: (refused "SEMI JOIN" "write LEFT SEMI JOIN");
        LeftSemi(on: carried);
        RightSemi(on: carried);
        Anti: (refused "ANTI JOIN" "write LEFT ANTI JOIN");
        LeftAnti(on: carried);
        RightAnti(on: carried);
        CrossApply: (refused "CROSS APPLY" "write CROSS JOIN LATERAL");
        OuterApply: (refused "OUTER APPLY" "write LEFT JOIN LATERAL … ON true");
        AsOf: (refused "ASOF JOIN" "join by a range and keep the nearest row with `row_number()`");
        StraightJoin: (refused "STRAIGHT_JOIN" "write JOIN");
        ArrayJoin: (refused "ARRAY JOIN" "use `unnest`");
        LeftArrayJoin: (refused "LEFT ARRAY JOIN" "use `unnest`");
        InnerArrayJoin: (refused "INNER ARRAY JOIN" "use `unnest`");
    }
    choice JoinConstraint {
        On(condition: carried);
        Using(columns: carried);
        Natural: carried;
        None: carried;
    }
    tuple ObjectName {
        parts: carried,
    }
    choice ObjectNamePart {
        Identifier(name: carried);
        Function: (refused "a function where a name is expected" "write the name");
    }
}

/// Whether columns of both sides are merged.
fn of_both_sides(on: &JoinConstraint) -> bool {
    matches!(on, JoinConstraint::Using(_))
}

/// The constraint of a join, and whether it is an inner join.
fn constraint(join: &JoinOperator) -> Option<(&JoinConstraint, bool)> {
    match join {
        JoinOperator::Join(on) | JoinOperator::Inner(on) => Some((on, true)),
        JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::LeftSemi(on)
        | JoinOperator::RightSemi(on)
        | JoinOperator::LeftAnti(on)
        | JoinOperator::RightAnti(on) => Some((on, false)),
        JoinOperator::CrossJoin(_)
        | JoinOperator::Semi(_)
        | JoinOperator::Anti(_)
        | JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::AsOf { .. }
        | JoinOperator::StraightJoin(_)
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}

fn natural_outer(join: &Join, walk: &mut Walk<'_>) {
    if matches!(constraint(&join.join_operator), Some((JoinConstraint::Natural, false))) {
        walk.refuse(&NATURAL_OUTER);
    }
}

fn no_condition(join: &Join, walk: &mut Walk<'_>) {
    if matches!(constraint(&join.join_operator), Some((JoinConstraint::None, _))) {
        walk.refuse(&NO_CONDITION);
    }
}

fn conditional(on: &JoinConstraint) -> bool {
    !matches!(on, JoinConstraint::None)
}

fn qualified_function(factor: &TableFactor, walk: &mut Walk<'_>) {
    if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor
        && name.0.len() > 1
    {
        name.walk(walk);
        walk.refuse(&QUALIFIED_FUNCTION);
    }
}

fn named(args: &[sqlparser::ast::FunctionArg]) -> bool {
    args.iter().any(|arg| !matches!(arg, sqlparser::ast::FunctionArg::Unnamed(_)))
}
