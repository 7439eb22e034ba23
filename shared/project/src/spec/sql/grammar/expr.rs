//! Expressions and their operators.

use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, DictionaryField, Expr,
    Interval, LambdaFunction, LambdaFunctionParameter, LambdaSyntax, Map, MapEntry, Subscript, TrimWhereField,
    TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

/// The planner plans the elements of an array without the names of the surrounding query.
const QUERY_IN_ARRAY: Rule = Rule {
    clause: "a query inside an array's brackets",
    help: "write `make_array(…)`, or aggregate with `array_agg`",
};

nodes! {
    choice Expr also(query_in_array: QUERY_IN_ARRAY) {
        Identifier(name: carried);
        CompoundIdentifier(names: carried);
        CompoundFieldAccess { root: carried, access_chain: carried };
        JsonAccess: (refused "a path after `:`" "parse the JSON with a custom function, or read it as a source");
        IsFalse(of: carried);
        IsNotFalse(of: carried);
        IsTrue(of: carried);
        IsNotTrue(of: carried);
        IsNull(of: carried);
        IsNotNull(of: carried);
        IsUnknown(of: carried);
        IsNotUnknown(of: carried);
        IsDistinctFrom(
            left: carried,
            right: (except unbounded, "IS DISTINCT FROM before AND, OR, XOR without parentheses" "write parentheses, such as `(a IS DISTINCT FROM b) AND c`: the parser takes all that follows for what is compared")
        );
        IsNotDistinctFrom(
            left: carried,
            right: (except unbounded, "IS NOT DISTINCT FROM before AND, OR, XOR without parentheses" "write parentheses, such as `(a IS NOT DISTINCT FROM b) AND c`: the parser takes all that follows for what is compared")
        );
        IsNormalized: (refused "IS NORMALIZED or IS NOT NORMALIZED" "normalize the text with a custom function");
        InList { expr: carried, list: carried, negated: carried };
        InSubquery { expr: carried, subquery: carried, negated: carried };
        InUnnest: (refused "IN UNNEST or NOT IN UNNEST" "write `array_has(array, value)`");
        Between { expr: carried, negated: carried, low: carried, high: carried };
        BinaryOp: (chain binary);
        Like {
            negated: carried,
            any: (refused "ANY after LIKE" "write one LIKE per pattern, with OR between them"),
            expr: carried,
            pattern: carried,
            escape_char: (except unusual_escape, "ESCAPE with another character than a backslash" "write a backslash in the pattern"),
        };
        ILike {
            negated: carried,
            any: (refused "ANY after ILIKE" "write one ILIKE per pattern, with OR between them"),
            expr: carried,
            pattern: carried,
            escape_char: (except unusual_escape, "ESCAPE with another character than a backslash" "write a backslash in the pattern"),
        };
        SimilarTo: (refused "SIMILAR TO or NOT SIMILAR TO" "write `~` and a regular expression between `^` and `$`");
        RLike: (refused "RLIKE or REGEXP or NOT RLIKE or NOT REGEXP" "write `~` and the pattern");
        AnyOp {
            left: carried,
            compare_op: carried,
            right: carried,
            is_some: (nothing "whether it was written ANY or SOME"),
        };
        AllOp { left: carried, compare_op: carried, right: carried };
        UnaryOp { op: carried, expr: carried };
        Convert: (refused "CONVERT or TRY_CONVERT" "write `CAST(… AS …)` or `TRY_CAST(… AS …)`");
        Cast {
            kind: carried,
            expr: carried,
            data_type: carried,
            array: (refused "ARRAY after the type of a cast" "write the type with brackets, such as `BIGINT[]`"),
            format: (refused "FORMAT in a cast" "write `to_char` or `to_timestamp` with the format"),
        };
        AtTimeZone { timestamp: carried, time_zone: carried };
        Extract {
            field: carried,
            syntax: (nothing "whether FROM or a comma was written"),
            expr: carried,
        };
        Ceil { expr: carried, field: carried };
        Floor { expr: carried, field: carried };
        Position { expr: carried, r#in: carried };
        Substring {
            expr: carried,
            substring_from: carried,
            substring_for: carried,
            special: (nothing "whether commas were written"),
            shorthand: (nothing "whether it was written SUBSTR"),
        };
        Trim {
            trim_where: carried,
            trim_what: carried,
            expr: carried,
            trim_characters: (except several, "more than one text of characters in TRIM" "combine them into one text"),
        };
        Overlay { expr: carried, overlay_what: carried, overlay_from: carried, overlay_for: carried };
        Collate: (refused "COLLATE" "texts compare by their bytes; compare `lower(…)` or another form of both");
        Nested(expr: carried);
        Value(value: carried);
        Prefixed: (refused "a character set before a text" "write the text alone");
        TypedString(text: carried);
        Function(call: carried);
        Case {
            case_token: carried,
            end_token: (nothing "a word of the syntax"),
            operand: carried,
            conditions: carried,
            else_result: carried,
        };
        Exists { subquery: carried, negated: carried };
        Subquery(query: carried);
        GroupingSets(sets: carried);
        Cube(columns: carried);
        Rollup(columns: carried);
        Tuple(values: carried);
        Struct {
            values: carried,
            fields: (refused "STRUCT with types of its fields" "write the values with AS, and cast them one by one"),
        };
        Named { expr: carried, name: carried };
        Dictionary(fields: carried);
        Map(map: carried);
        Array(array: (with elements));
        Interval(interval: carried);
        MatchAgainst: (refused "MATCH" "write LIKE or `~`");
        Wildcard: (refused "`*` where a value is expected" "name the columns");
        QualifiedWildcard: (refused "`.*` where a value is expected" "name the columns");
        OuterJoin: (refused "`(+)`" "write LEFT JOIN or RIGHT JOIN");
        Prior: (refused "PRIOR" "write WITH RECURSIVE");
        Lambda(function: carried);
        MemberOf: (refused "MEMBER OF" "write `array_has(array, value)`");
    }
    choice BinaryOperator {
        Plus: carried;
        Minus: carried;
        Multiply: carried;
        Divide: carried;
        Modulo: carried;
        StringConcat: carried;
        Gt: carried;
        Lt: carried;
        GtEq: carried;
        LtEq: carried;
        Spaceship: carried;
        Eq: carried;
        NotEq: carried;
        And: carried;
        Or: carried;
        Xor: (refused "XOR" "write `<>` between truth values, or `^` between numbers");
        BitwiseOr: carried;
        BitwiseAnd: carried;
        BitwiseXor: carried;
        DuckIntegerDivide: (refused "`//`" "write `/` between whole numbers");
        MyIntegerDivide: (refused "DIV" "write `/` between whole numbers");
        Match: (refused "MATCH" "write LIKE or `~`");
        Regexp: (refused "REGEXP" "write `~` and the pattern");
        Custom: (refused "an operator that the engine does not know" "call a function");
        PGBitwiseXor: carried;
        PGBitwiseShiftLeft: carried;
        PGBitwiseShiftRight: carried;
        PGExp: carried;
        PGOverlap: (refused "`&&`" "write `array_has_any(…, …)`");
        PGRegexMatch: carried;
        PGRegexIMatch: carried;
        PGRegexNotMatch: carried;
        PGRegexNotIMatch: carried;
        PGLikeMatch: carried;
        PGILikeMatch: carried;
        PGNotLikeMatch: carried;
        PGNotILikeMatch: carried;
        PGStartsWith: (refused "`^@`" "write `starts_with(…, …)`");
        Arrow: (refused "`->`" "parse the JSON with a custom function, or read it as a source");
        LongArrow: (refused "`->>`" "parse the JSON with a custom function, or read it as a source");
        HashArrow: (refused "`#>`" "parse the JSON with a custom function, or read it as a source");
        HashLongArrow: (refused "`#>>`" "parse the JSON with a custom function, or read it as a source");
        AtAt: (refused "`@@`" "write LIKE or `~`");
        AtArrow: carried;
        ArrowAt: carried;
        HashMinus: (refused "`#-`" "parse the JSON with a custom function, or read it as a source");
        AtQuestion: (refused "`@?`" "parse the JSON with a custom function, or read it as a source");
        Question: (refused "`?`" "parse the JSON with a custom function, or read it as a source");
        QuestionAnd: (refused "`?&`" "parse the JSON with a custom function, or read it as a source");
        QuestionPipe: (refused "`?|`" "parse the JSON with a custom function, or read it as a source");
        PGCustomBinaryOperator: (refused "OPERATOR" "write the operator alone");
        Overlaps: (refused "OVERLAPS" "compare the ends of the two ranges");
        DoubleHash: (refused "`##`" "call a function");
        LtDashGt: (refused "`<->`" "call a function");
        AndLt: (refused "`&<`" "call a function");
        AndGt: (refused "`&>`" "call a function");
        LtLtPipe: (refused "`<<|`" "call a function");
        PipeGtGt: (refused "`|>>`" "call a function");
        AndLtPipe: (refused "`&<|`" "call a function");
        PipeAndGt: (refused "`|&>`" "call a function");
        LtCaret: (refused "`<^`" "call a function");
        GtCaret: (refused "`>^`" "call a function");
        QuestionHash: (refused "`?#`" "call a function");
        QuestionDash: (refused "`?-`" "call a function");
        QuestionDashPipe: (refused "`?-|`" "call a function");
        QuestionDoublePipe: (refused "`?||`" "call a function");
        At: (refused "`@`" "call a function");
        TildeEq: (refused "`~=`" "call a function");
        Assignment: (refused "`:=`" "write `=` to compare");
    }
    choice UnaryOperator {
        AtDashAt: (refused "`@-@`" "call a function");
        BangNot: (refused "`!`" "write NOT");
        BitwiseNot: (refused "`~` before a value" "write `-1 - value`");
        DoubleAt: (refused "`@@` before a value" "call a function");
        Hash: (refused "`#` before a value" "call a function");
        Plus: carried;
        Minus: carried;
        Not: carried;
        PGAbs: (refused "`@` before a value" "write `abs(…)`");
        PGCubeRoot: (refused "`||/`" "write `cbrt(…)`");
        PGPostfixFactorial: (refused "`!` after a value" "write `factorial(…)`");
        PGPrefixFactorial: (refused "`!!`" "write `factorial(…)`");
        PGSquareRoot: (refused "`|/`" "write `sqrt(…)`");
        QuestionDash: (refused "`?-` before a value" "call a function");
        QuestionPipe: (refused "`?|` before a value" "call a function");
    }
    choice CastKind {
        Cast: carried;
        TryCast: carried;
        SafeCast: carried;
        DoubleColon: carried;
    }
    choice CeilFloorKind {
        DateTimeField(field: (except a_field, "TO and a unit in CEIL or FLOOR" "write `date_trunc` or `date_bin`"));
        Scale: (refused "a number of digits in CEIL or FLOOR" "multiply before and divide after it");
    }
    choice TrimWhereField {
        Both: carried;
        Leading: carried;
        Trailing: carried;
    }
    structure TypedString {
        data_type: carried,
        value: carried,
        uses_odbc_syntax: (nothing "whether braces were written around it"),
    }
    structure CaseWhen {
        condition: carried,
        result: carried,
    }
    structure DictionaryField {
        key: carried,
        value: carried,
    }
    structure Map {
        entries: carried,
    }
    structure MapEntry {
        key: carried,
        value: carried,
    }
    structure Array {
        elem: carried,
        named: (nothing "whether ARRAY was written before the brackets"),
    }
    structure Interval {
        value: carried,
        leading_field: carried,
        leading_precision: (refused "a precision in INTERVAL" "remove it"),
        last_field: (refused "TO in INTERVAL" "write the units in the text, such as `INTERVAL '1 year 2 months'`"),
        fractional_seconds_precision: (refused "a precision in INTERVAL" "remove it"),
    }
    structure LambdaFunction {
        params: carried,
        body: carried,
        syntax: carried,
    }
    structure LambdaFunctionParameter {
        name: carried,
        data_type: (refused "a type of a function's parameter" "remove it: it follows from the array"),
    }
    choice LambdaSyntax {
        Arrow: carried;
        LambdaKeyword: carried;
    }
    choice AccessExpr {
        Dot(name: carried);
        Subscript(subscript: carried);
    }
    choice Subscript {
        Index { index: carried };
        Slice { lower_bound: carried, upper_bound: carried, stride: carried };
    }
}

/// A date field is kept in the plan as text; an unknown field is an error of the engine.
impl Node for DateTimeField {
    fn walk(&self, _walk: &mut Walk<'_>) {}
}

fn query_in_array(expr: &Expr, walk: &mut Walk<'_>) {
    if walk.in_array && matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. }) {
        walk.refuse(&QUERY_IN_ARRAY);
    }
}

fn elements(array: &Array, walk: &mut Walk<'_>) {
    let outside = std::mem::replace(&mut walk.in_array, true);
    array.walk(walk);
    walk.in_array = outside;
}

/// Whether the parser has taken the following conditions as the compared value, unlike other engines; in parentheses it
/// would be [`Expr::Nested`].
fn unbounded(right: &Expr) -> bool {
    use BinaryOperator::{And, Or, Xor};
    matches!(right, Expr::BinaryOp { op: And | Or | Xor, .. })
}

fn unusual_escape(escape: &Option<ValueWithSpan>) -> bool {
    match escape {
        None => false,
        Some(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => text != "\\",
        Some(_) => true,
    }
}

fn several(characters: &Option<Vec<Expr>>) -> bool {
    characters.as_ref().is_some_and(|texts| texts.len() > 1)
}

fn a_field(field: &DateTimeField) -> bool {
    !matches!(field, DateTimeField::NoDateTime)
}

/// Walks through a chain such as `a + b + c` in a loop: it is as deep as it is long.
fn binary(expr: &Expr, walk: &mut Walk<'_>) {
    let mut operations = Vec::new();
    let mut first = expr;
    while let Expr::BinaryOp { left, op, right } = first {
        operations.push((op, right));
        first = left;
    }
    first.walk(walk);
    for (op, right) in operations.into_iter().rev() {
        op.walk(walk);
        right.walk(walk);
    }
}
