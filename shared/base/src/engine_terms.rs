//! Messages of the engine and its libraries without their internal terms.
//!
//! Each library puts the name of its own error class in front of a message (`Execution error: Arrow error: …`), some ask the
//! reader to report a bug to them, and some append a backtrace. None of it helps who reads the message here.

use std::borrow::Cow;

/// Class names of errors that precede a message.
const CLASSES: [&str; 30] = [
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
const TYPES: [(&str, &str); 18] = [
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
];
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

/// `text` with SQL's names of types in place of the engine's.
pub fn with_sql_types(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(next) = rest.chars().next() {
        let found = TYPES.iter().find(|(name, _)| {
            let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            !after_word && rest.strip_prefix(name).is_some_and(ends)
        });
        let (taken, put) = match found {
            Some((name, sql)) => (name.len(), (*sql).to_owned()),
            None => (next.len_utf8(), next.to_string()),
        };
        after_word = found.is_none() && (next.is_alphanumeric() || next == '_');
        plain.push_str(&put);
        rest = &rest[taken..];
    }
    plain
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
        ];
        for (text, plain) in cases {
            assert_eq!(with_sql_types(text), plain);
        }
    }
}
