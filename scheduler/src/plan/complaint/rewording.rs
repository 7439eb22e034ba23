//! Messages of the engine that have neither a place nor a remedy, or name its own concepts, as other messages are written.

use datafusion::common::Span as SqlSpan;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use windlass_base::count::counted;
use windlass_base::engine_terms::with_sql_types;
use windlass_base::failed_cast::FailedCast;

use super::Complaint;

/// Functions that exist only with OVER.
pub(super) const WINDOW_FUNCTIONS: [&str; 8] =
    ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];

/// How the engine begins messages about the types of an operation.
const OPERATIONS: [&str; 3] = [
    "Cannot get result type for temporal operation ",
    "Cannot get result type for decimal operation ",
    "Cannot coerce arithmetic expression ",
];
const OPERATORS: [&str; 5] = [" + ", " - ", " * ", " / ", " % "];

const HELP_WITH_INTERVALS: &str = "intervals are only added to and subtracted from dates, times and intervals: write n days as \
                                   `CAST(concat(n, ' days') AS INTERVAL)`, or add the number to a date";
const HELP_WITH_TEXT: &str = "correct it, or use TRY_CAST, which gives null for what does not fit";

/// The complaint for `message` about the query `sql`, if it is one of those that are known here.
pub(super) fn reworded(message: &str, sql: Option<&str>) -> Option<Complaint> {
    cast(message, sql)
        .or_else(|| operation(message, sql))
        .or_else(|| condition(message, sql))
        .or_else(|| rows_of_values(message, sql))
        .or_else(|| substring(message, sql))
}

/// What to do about an operation on values of two types.
pub(super) fn help_with_types(left: &str, right: &str) -> String {
    if [left, right].contains(&"INTERVAL") {
        return HELP_WITH_INTERVALS.to_owned();
    }
    if [left, right].iter().any(|name| name.ends_with("[]")) {
        return "take one element of the list, as in `x[1]`, or all of them with `unnest(x)`".to_owned();
    }
    match left == right {
        true => format!("there is no such operation on two values of type {left}"),
        false => format!("convert one of them, as in `CAST(x AS {right})`"),
    }
}

/// A constant that cannot be converted.
fn cast(message: &str, sql: Option<&str>) -> Option<Complaint> {
    let FailedCast { message, value, help } = FailedCast::of(message)?;
    let is_value = |token: &Token| match token {
        Token::SingleQuotedString(text) => Some(text) == value.as_ref(),
        Token::Number(number, _) => Some(number) == value.as_ref(),
        _ => false,
    };
    Some(Complaint {
        message,
        span: sql.and_then(|sql| only_place(sql, is_value)),
        help: Some(help.unwrap_or(HELP_WITH_TEXT).to_owned()),
        ..Complaint::default()
    })
}

/// An operation that does not exist for the types of its operands.
fn operation(message: &str, sql: Option<&str>) -> Option<Complaint> {
    let converted = message.strip_prefix("Cannot automatically convert ").and_then(|rest| rest.split_once(" to "));
    if let Some((from, to)) = converted {
        let (from, to) = (with_sql_types(from), with_sql_types(to));
        let help = help_with_types(&from, &to);
        let span = sql.filter(|_| to == "INTERVAL").and_then(|sql| only_keyword(sql, &["INTERVAL"]));
        let message = format!("{from} and {to} cannot be combined here");
        return Some(Complaint { message, span, help: Some(help), ..Complaint::default() });
    }
    let rest = OPERATIONS.iter().find_map(|prefix| message.strip_prefix(prefix))?;
    let (types, _) = rest.split_once(": ").or_else(|| rest.split_once(" to valid types")).unwrap_or((rest, ""));
    let (left, operator, right) = OPERATORS.iter().find_map(|operator| {
        let (left, right) = types.split_once(operator)?;
        Some((with_sql_types(left), operator.trim(), with_sql_types(right)))
    })?;
    let has_interval = left == "INTERVAL" || right == "INTERVAL";
    Some(Complaint {
        message: format!("there is no operation {left} {operator} {right}"),
        span: sql.filter(|_| has_interval).and_then(|sql| only_keyword(sql, &["INTERVAL"])),
        help: Some(help_with_types(&left, &right)),
        ..Complaint::default()
    })
}

/// A condition that is not true or false.
fn condition(message: &str, sql: Option<&str>) -> Option<Complaint> {
    let (_, data_type) =
        message.strip_prefix("Cannot create filter with non-boolean predicate ")?.rsplit_once(" returning ")?;
    Some(Complaint {
        message: format!("a condition is BOOLEAN, and this one is {}", with_sql_types(data_type)),
        span: sql.and_then(|sql| only_keyword(sql, &["WHERE", "HAVING"])),
        help: Some("compare it with something, as in `x <> 0`".to_owned()),
        ..Complaint::default()
    })
}

/// Rows of VALUES with different numbers of values.
fn rows_of_values(message: &str, sql: Option<&str>) -> Option<Complaint> {
    let rest = message.strip_prefix("Inconsistent data length across values list: got ")?;
    let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [found, row, expected] = numbers.as_slice() else { return None };
    Some(Complaint {
        message: format!(
            "row {} of VALUES has {}, and the first row has {expected}",
            row + 1,
            counted(*found, "value")
        ),
        span: sql.and_then(|sql| only_keyword(sql, &["VALUES"])),
        help: Some("write as many values in each row, with NULL for those that are missing".to_owned()),
        ..Complaint::default()
    })
}

/// `substr` with one argument, which the engine shows as its parser sees it.
fn substring(message: &str, sql: Option<&str>) -> Option<Complaint> {
    message.to_lowercase().starts_with("substring without for/from").then(|| Complaint {
        message: "a part of a text needs the position at which it begins".to_owned(),
        span: sql.and_then(|sql| only_keyword(sql, &["SUBSTR", "SUBSTRING"])),
        help: Some("write it as the second argument, as in `substr(x, 2)`".to_owned()),
        ..Complaint::default()
    })
}

/// Where one of the keywords is, unless there are several.
fn only_keyword(sql: &str, keywords: &[&str]) -> Option<SqlSpan> {
    only_place(sql, |token| match token {
        Token::Word(word) if word.quote_style.is_none() => {
            keywords.iter().any(|keyword| word.value.eq_ignore_ascii_case(keyword))
        }
        _ => false,
    })
}

/// Where the token is that is meant, unless there are several.
fn only_place(sql: &str, is_meant: impl Fn(&Token) -> bool) -> Option<SqlSpan> {
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize_with_location().ok()?;
    let mut places = tokens.iter().filter(|token| is_meant(&token.token));
    let place = places.next()?;
    places.next().is_none().then(|| SqlSpan::try_from_sqlparser_span(place.span))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message, the column of its place and the remedy.
    fn told(message: &str, sql: &str) -> (String, Option<u64>, String) {
        let complaint = reworded(message, Some(sql)).unwrap();
        (complaint.message, complaint.span.map(|span| span.start.column), complaint.help.unwrap())
    }

    #[test]
    fn operations_on_intervals_name_their_types_and_what_to_write() {
        let product = "Cannot get result type for temporal operation Int64 * Interval(MonthDayNano): Invalid interval \
                       arithmetic operation: Interval(MonthDayNano) * Interval(MonthDayNano)";
        let (message, column, help) = told(product, "SELECT n * INTERVAL '1 day' AS x");
        assert_eq!(message, "there is no operation BIGINT * INTERVAL");
        assert_eq!((column, help.as_str()), (Some(12), HELP_WITH_INTERVALS));
        let sum = "Cannot automatically convert Int64 to Interval(MonthDayNano)";
        let (message, column, _) = told(sum, "SELECT interval '1 day' + 1, interval '2 days'");
        // Which of several is meant is not known.
        assert_eq!((message.as_str(), column), ("BIGINT and INTERVAL cannot be combined here", None));
    }

    #[test]
    fn constants_that_cannot_be_converted_have_a_place() {
        let (message, column, help) =
            told("Cannot cast string 'x' to value of Int32 type", "SELECT cast('x' AS int), 'y'");
        assert_eq!((message.as_str(), column), ("the text 'x' cannot be cast to INT", Some(13)));
        assert_eq!(help, HELP_WITH_TEXT);
        let (message, column, help) = told("Can't cast value 300 to type Int8", "SELECT cast(300 AS tinyint)");
        assert_eq!((message.as_str(), column), ("the value 300 does not fit into TINYINT", Some(13)));
        assert!(help.contains("wider type"), "{help}");
    }

    #[test]
    fn others_are_told_without_the_engines_concepts() {
        let cases = [
            (
                "Cannot create filter with non-boolean predicate 'Int64(1)' returning Int64",
                "SELECT 1 WHERE 1",
                "a condition is BOOLEAN, and this one is BIGINT",
                10,
            ),
            (
                "Inconsistent data length across values list: got 1 values in row 1 but expected 2",
                "VALUES (1, 2), (3)",
                "row 2 of VALUES has 1 value, and the first row has 2",
                1,
            ),
            (
                "Substring without for/from is not valid Substring { expr: Value(1) }",
                "SELECT substr(1)",
                "a part of a text needs the position at which it begins",
                8,
            ),
        ];
        for (engine, sql, plain, place) in cases {
            let (message, column, _) = told(engine, sql);
            assert_eq!((message.as_str(), column), (plain, Some(place)));
        }
        assert_eq!(reworded("something else", None), None);
    }

    #[test]
    fn help_with_types_never_casts_to_what_does_not_exist() {
        assert_eq!(help_with_types("VARCHAR", "BIGINT"), "convert one of them, as in `CAST(x AS BIGINT)`");
        assert_eq!(help_with_types("DATE", "DATE"), "there is no such operation on two values of type DATE");
        assert!(help_with_types("BIGINT[]", "BIGINT").contains("unnest"));
        assert_eq!(help_with_types("INTERVAL", "BIGINT"), HELP_WITH_INTERVALS);
    }
}
