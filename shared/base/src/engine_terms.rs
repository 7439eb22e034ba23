//! Messages of the engine and its libraries without their internal terms.
//!
//! Each library puts the name of its own error class in front of a message (`Execution error: Arrow error: …`), some ask the
//! reader to report a bug to them, and some append a backtrace. None of it helps who reads the message here.

use std::borrow::Cow;

/// Class names of errors that precede a message.
const CLASSES: [&str; 31] = [
    "DataFusion error: ",
    "Error during planning: ",
    "Execution error: ",
    "ExecutionJoin error: ",
    "Schema error: ",
    "Arrow error: ",
    "Parquet error: ",
    "External error: ",
    "External: ",
    "Object Store error: ",
    "Object store error: ",
    "IO error: ",
    "SQL error: ",
    "Parser error: ",
    "Internal error: ",
    "Resources exhausted: ",
    "Kernel error: ",
    "Generic delta kernel error: ",
    "Generic DeltaTable error: ",
    "Invalid argument error: ",
    "Failed to read delta log object: ",
    "Csv error: ",
    "Json error: ",
    "Cast error: ",
    "Compute error: ",
    "Generic S3 error: ",
    "Generic GCS error: ",
    "Generic MicrosoftAzure error: ",
    "Generic LocalFileSystem error: ",
    "HTTP error: ",
    "error sending request: client error (Connect): ",
];
/// Phrases and their plain equivalents.
const PHRASES: [(&str, &str); 4] = [
    ("This feature is not implemented: ", "not supported: "),
    ("Divide by zero error", "division by zero"),
    ("Invalid or Unsupported Configuration: ", "invalid setting: "),
    ("tcp connect error: Connection refused", "connection refused"),
];
/// How the client of a store begins to describe a request that failed, and what separates it from the reason.
const REQUEST: &str = "Error performing ";
const REQUEST_END: &str = " - ";
/// SQL's names of the engine's types.
const TYPES: [(&str, &str); 24] = [
    ("Utf8View", "VARCHAR"),
    ("LargeUtf8", "VARCHAR"),
    ("Utf8", "VARCHAR"),
    ("UInt64", "BIGINT UNSIGNED"),
    ("UInt32", "INT UNSIGNED"),
    ("UInt16", "SMALLINT UNSIGNED"),
    ("UInt8", "TINYINT UNSIGNED"),
    ("Int64", "BIGINT"),
    ("Int32", "INT"),
    ("Int16", "SMALLINT"),
    ("Int8", "TINYINT"),
    ("Float64", "DOUBLE"),
    ("Float32", "REAL"),
    ("Boolean", "BOOLEAN"),
    ("Date32", "DATE"),
    ("Timestamp(µs)", "TIMESTAMP"),
    ("Timestamp(ns)", "TIMESTAMP(9)"),
    ("Decimal128", "DECIMAL"),
    ("Decimal256", "DECIMAL"),
    ("Decimal", "DECIMAL"),
    ("Interval(MonthDayNano)", "INTERVAL"),
    ("Interval(DayTime)", "INTERVAL"),
    ("Interval(YearMonth)", "INTERVAL"),
    ("Interval", "INTERVAL"),
];
/// The engine's types that constants are shown with: `Int64(1)`.
const TYPES_OF_CONSTANTS: [&str; 13] = [
    "Utf8View",
    "LargeUtf8",
    "Utf8",
    "UInt64",
    "UInt32",
    "UInt16",
    "UInt8",
    "Int64",
    "Int32",
    "Int16",
    "Int8",
    "Float64",
    "Boolean",
];
/// What the engine calls a list, before the type of its elements.
const LISTS: [&str; 2] = ["List(", "LargeList("];
/// What backtraces begin with.
const BACKTRACES: [&str; 3] = ["\n\nbacktrace: ", "\nstack backtrace:", "\n   0: "];
/// How the engine asks for a report of an internal error, and the last words of that.
const REPORT: [&str; 2] = ["This issue was likely caused by a bug in", "This was likely caused by a bug in"];
const REPORT_END: &str = "/issues";
/// What stands between a step of the engine and the error in it.
const CAUSED_BY: &str = "\ncaused by\n";

/// `text` without the class names of errors, backtraces and requests to report a bug to the engine's authors.
pub fn without_engine_terms(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if let Some(end) = BACKTRACES.iter().filter_map(|start| text.find(start)).min() {
        text = Cow::Owned(text[..end].trim_end().to_owned());
    }
    for request in REPORT {
        while let Some(start) = text.find(request) {
            let end = text[start..].find(REPORT_END).map_or(text.len(), |end| start + end + REPORT_END.len());
            text = Cow::Owned(format!("{}{}", text[..start].trim_end(), text[end..].trim_start_matches('.')));
        }
    }
    while let Some(at) = text.find(CAUSED_BY) {
        let step = text[..at].rfind(['\n', ':']).map_or(0, |end| end + 1);
        let (before, cause) = (text[..step].trim_end(), &text[at + CAUSED_BY.len()..]);
        text = Cow::Owned(if before.is_empty() { cause.to_owned() } else { format!("{before} {cause}") });
    }
    for class in CLASSES {
        if text.contains(class) {
            text = Cow::Owned(text.replace(class, ""));
        }
    }
    if text.contains(REQUEST) {
        text = Cow::Owned(short_requests(&text));
    }
    for (phrase, plain) in PHRASES {
        if text.contains(phrase) {
            text = Cow::Owned(text.replace(phrase, plain));
        }
    }
    text
}

/// `text` with requests as `GET URL: reason`, without how long and how often they were tried.
fn short_requests(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, request)) = rest.split_once(REQUEST) {
        short.push_str(before);
        rest = request;
        let described =
            request.split_once(REQUEST_END).and_then(|(head, reason)| Some((head.rsplit_once(" in ")?.0, reason)));
        if let Some((what, reason)) = described {
            short.push_str(what.split_once(" in ").map_or(what, |(what, _)| what));
            short.push_str(": ");
            rest = reason;
        }
    }
    short.push_str(rest);
    short
}

/// `text` with types and constants as SQL has them, in place of the engine's: `BIGINT`, `BIGINT[]`, `'x'`.
pub fn with_sql_types(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(next) = rest.chars().next() {
        let found = if after_word { None } else { list(rest).or_else(|| constant(rest)).or_else(|| plain_type(rest)) };
        let is_term = found.is_some();
        let (taken, put) = found.unwrap_or_else(|| (next.len_utf8(), next.to_string()));
        after_word = !is_term && (next.is_alphanumeric() || next == '_');
        plain.push_str(&put);
        rest = &rest[taken..];
    }
    plain
}

/// The type at the start of `text`: its length there, and SQL's name.
fn plain_type(text: &str) -> Option<(usize, String)> {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let (name, sql) = TYPES.iter().find(|(name, _)| text.strip_prefix(name).is_some_and(ends))?;
    Some((name.len(), (*sql).to_owned()))
}

/// The type of lists at the start of `text`.
fn list(text: &str) -> Option<(usize, String)> {
    let name = LISTS.iter().find(|name| text.starts_with(**name))?;
    let mut depth = 1;
    let end = text[name.len()..].find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    let element = text[name.len()..name.len() + end].trim_start_matches("non-null ");
    // A name of the elements; one before a `)` is of lists in this list.
    let named = element.rsplit_once(", field: ").filter(|(_, name)| !name.contains(')'));
    let element = named.map_or(element, |(element, _)| element);
    Some((name.len() + end + 1, format!("{}[]", with_sql_types(element))))
}

/// The constant at the start of `text`.
fn constant(text: &str) -> Option<(usize, String)> {
    let name =
        TYPES_OF_CONSTANTS.iter().find(|name| text.strip_prefix(**name).is_some_and(|rest| rest.starts_with('(')))?;
    let inner = &text[name.len() + 1..];
    let (length, value) = match inner.strip_prefix('"') {
        Some(quoted) => {
            let (value, _) = quoted.split_once("\")")?;
            (value.len() + 2, format!("'{value}'"))
        }
        None => {
            let (value, _) = inner.split_once(')')?;
            let is_value = value.parse::<f64>().is_ok() || matches!(value, "true" | "false" | "NULL");
            (value.len(), is_value.then(|| value.to_owned())?)
        }
    };
    Some((name.len() + 1 + length + 1, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_remains() {
        let cases = [
            ("rows of `a`: Execution error: Arrow error: Divide by zero error", "rows of `a`: division by zero"),
            (
                "Internal error: the type differs.\nThis issue was likely caused by a bug in DataFusion's code. Please \
                 help us to resolve this by filing a bug report in our issue tracker: \
                 https://github.com/apache/datafusion/issues",
                "the type differs.",
            ),
            (
                "the query fails: Optimizer rule 'common_sub' failed\ncaused by\nSchema error: No field named x.",
                "the query fails: No field named x.",
            ),
            ("type_coercion\ncaused by\nError during planning: no such function", "no such function"),
            ("Kernel error: Generic delta kernel error: bad log\n   0: std::backtrace\n   1: main", "bad log"),
            ("This feature is not implemented: LATERAL", "not supported: LATERAL"),
            (
                "Generic S3 error: Error performing GET http://h:9/b/x?in=1 in 2.4s, after 10 retries, max_retries: 10, \
                 retry_timeout: 60s  - HTTP error: error sending request: client error (Connect): tcp connect error: \
                 Connection refused (os error 111)",
                "GET http://h:9/b/x?in=1: connection refused (os error 111)",
            ),
        ];
        for (text, plain) in cases {
            assert_eq!(without_engine_terms(text), plain);
        }
        assert!(matches!(without_engine_terms("nothing of that"), Cow::Borrowed(_)));
    }

    #[test]
    fn types_have_the_names_of_sql() {
        let cases = [
            ("sum(Utf8)", "sum(VARCHAR)"),
            ("Int64 + LargeUtf8 is Decimal128(38, 0)", "BIGINT + VARCHAR is DECIMAL(38, 0)"),
            ("myInt64 Int640 äUtf8", "myInt64 Int640 äUtf8"),
            ("Int64 * Interval(MonthDayNano)", "BIGINT * INTERVAL"),
            ("sum(Decimal), sum(Interval)", "sum(DECIMAL), sum(INTERVAL)"),
            ("List(Int64) and List(non-null List(Utf8, field: 'x'))", "BIGINT[] and VARCHAR[][]"),
            ("Int64(1) + Utf8(\"a (b)\") = Boolean(true)", "1 + 'a (b)' = true"),
            ("round(Float64) and Utf8(x", "round(DOUBLE) and VARCHAR(x"),
        ];
        for (text, plain) in cases {
            assert_eq!(with_sql_types(text), plain);
        }
    }
}
