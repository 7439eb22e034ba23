//! What the engine says against a query, in the words of who wrote the query.

mod rewording;

use datafusion::common::{Column, Location as SqlLocation, SchemaError, Span as SqlSpan};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use windlass_base::count::counted;
use windlass_base::engine_terms::{with_sql_types, without_engine_terms};
use windlass_base::suggest::{did_you_mean, nearest};

/// What is wrong with a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The message.
    pub(super) message: String,
    /// Where in the query, if that is known.
    pub(super) span: Option<SqlSpan>,
    /// Other places that matter, with what is there.
    pub(super) notes: Vec<(SqlSpan, String)>,
    /// What to write instead, if that is known.
    pub(super) help: Option<String>,
}

impl Complaint {
    /// What `error` says against the query `sql`; a plan has no text.
    pub(super) fn of(error: &DataFusionError, sql: Option<&str>) -> Self {
        // The engine may list several: the first is shown, the others may follow from it.
        let error = error.iter().next().unwrap_or(error);
        let diagnosed = Self::diagnosed(error);
        let span = diagnosed.as_ref().and_then(|complaint| complaint.span);
        let schema_error = match error.find_root() {
            DataFusionError::SchemaError(error, _) => Some(error.as_ref()),
            _ => None,
        };
        match schema_error {
            Some(SchemaError::FieldNotFound { field, valid_fields }) => missing_column(field, valid_fields, sql, span),
            Some(SchemaError::AmbiguousReference { field }) => ambiguous_column(field, sql, span),
            _ => diagnosed.unwrap_or_else(|| {
                let message = without_engine_terms(&error.find_root().strip_backtrace()).into_owned();
                let known = wrong_arguments(&message, sql).or_else(|| rewording::reworded(&message, sql));
                known.unwrap_or_else(|| Self::told(&message))
            }),
        }
    }

    /// A message of the engine without anything else.
    fn told(message: &str) -> Self {
        // The function takes the engine's names of types.
        let message = if message.contains("arrow type name") { message.to_owned() } else { with_sql_types(message) };
        Self { message: lower_first(&message), ..Self::default() }
    }

    /// What the engine's own diagnostic says, if there is one.
    fn diagnosed(error: &DataFusionError) -> Option<Self> {
        let diagnostic = error.diagnostic()?;
        let notes = diagnostic.notes.iter();
        let with_place =
            notes.clone().filter_map(|note| Some((note.span?, with_sql_types(&lower_first(&note.message)))));
        let with_place = with_place.collect();
        let helps = diagnostic.helps.iter().map(|help| help.message.as_str());
        let helps: Vec<&str> =
            helps.chain(notes.filter(|note| note.span.is_none()).map(|note| note.message.as_str())).collect();
        let mut complaint = Self {
            message: lower_first(&with_sql_types(&without_engine_terms(&diagnostic.message))),
            span: diagnostic.span,
            notes: with_place,
            help: (!helps.is_empty()).then(|| with_sql_types(&lower_first(&helps.join("; ")))),
        };
        let types: Vec<&str> =
            diagnostic.notes.iter().filter_map(|note| note.message.strip_prefix("has type ")).collect();
        if let ([left, right], true) = (types.as_slice(), complaint.message.contains("incompatible types")) {
            let (left, right) = (with_sql_types(left), with_sql_types(right));
            complaint.message = format!("{left} and {right} cannot be combined here");
            complaint.help = Some(rewording::help_with_types(&left, &right));
        }
        complaint.reword();
        Some(complaint)
    }

    /// Says the most frequent mistakes as other messages do.
    fn reword(&mut self) {
        if let Some(name) = quoted_after(&self.message, "invalid function '") {
            if rewording::WINDOW_FUNCTIONS.contains(&name) {
                self.help = Some(format!("write the window after it, as in `{name}(…) OVER (ORDER BY x)`"));
                self.message = format!("`{name}` is a window function, and has no OVER here");
                return;
            }
            self.help = self
                .help
                .as_deref()
                .and_then(|help| quoted_after(help, "possible function '"))
                .map(|known| format!("did you mean `{known}`? docs/sql-functions.md lists the functions"));
            self.message = format!("there is no function `{name}`");
        } else if self.message.contains("must appear in GROUP BY") {
            let column = quoted_after(&self.message, "'").map(ToOwned::to_owned);
            if let Some(column) = column {
                self.message = format!("`{column}` is neither aggregated nor in GROUP BY");
                self.help = Some(format!("add it to GROUP BY, or aggregate it, as in `max({column})`"));
            }
        } else if self.message.contains("different number of columns") {
            self.message = "the queries of a UNION have different numbers of columns".to_owned();
            self.help = Some("select as many columns in each, with NULL for those that one does not have".to_owned());
            for (_, note) in &mut self.notes {
                let number = note.split_whitespace().find_map(|word| word.parse::<u64>().ok());
                *note = number.map_or_else(|| note.clone(), |number| format!("this has {}", counted(number, "column")));
            }
        }
    }
}

/// A function whose arguments have the wrong types.
fn wrong_arguments(message: &str, sql: Option<&str>) -> Option<Complaint> {
    let call = quoted_after(message, "No function matches the given name and argument types '")?;
    let (name, types) = call.split_once('(')?;
    let candidates = message.split_once("Candidate functions:").map(|(_, list)| list).unwrap_or_default();
    let candidates: Vec<&str> = candidates.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let help = match candidates.is_empty() {
        true => "convert them, as in `CAST(x AS DOUBLE)`".to_owned(),
        false => format!("it takes {}: convert them, as in `CAST(x AS DOUBLE)`", candidates.join(", ")),
    };
    Some(Complaint {
        message: format!("`{name}` cannot take arguments of the types ({}", with_sql_types(types)),
        span: sql.and_then(|sql| word_of(sql, name, None)).map(|(place, _)| place),
        notes: Vec::new(),
        help: Some(with_sql_types(&help)),
    })
}

/// The text between `start` and the next single quote.
fn quoted_after<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    Some(text.split_once(start)?.1.split_once('\'')?.0)
}

/// A column that no table of the query has.
fn missing_column(field: &Column, valid: &[Column], sql: Option<&str>, span: Option<SqlSpan>) -> Complaint {
    let found = sql.and_then(|sql| word_of(sql, &field.name, span).or_else(|| word_of(sql, &field.name, None)));
    let (place, word) = found.unzip();
    let message = match &field.relation {
        Some(relation) => format!("`{relation}` has no column `{}`", field.name),
        None => format!("there is no column `{}`", field.name),
    };
    let help = column_help(&field.name, valid, word.as_ref());
    Complaint { message, span: place.or(span), notes: Vec::new(), help }
}

/// What to write instead of a column that does not exist.
fn column_help(name: &str, valid: &[Column], word: Option<&Word>) -> Option<String> {
    let names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    if let Some(other) = names.iter().find(|other| other.eq_ignore_ascii_case(name)) {
        let written = word.filter(|word| word.quote_style.is_none() && word.value == **other);
        return Some(match written {
            Some(_) => format!(
                "names without quotes are read in lower case, and the column is `{other}`: write \"{other}\" in double quotes"
            ),
            None => {
                format!("the column is `{other}`, and upper and lower case differ: write \"{other}\" in double quotes")
            }
        });
    }
    let is_quoted = word.is_some_and(|word| word.quote_style == Some('"'));
    match nearest(name, names.iter().copied()) {
        Some(other) if other.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some(format!("did you mean \"{other}\", in double quotes?"))
        }
        Some(other) => Some(format!("did you mean `{other}`?")),
        None if is_quoted => Some(format!("double quotes are for names: write a text in single quotes, '{name}'")),
        None if names.is_empty() => {
            Some("nothing that it is read from has columns: add FROM, or quote a text with '…'".into())
        }
        None => did_you_mean(name, "there are", names),
    }
}

/// A column that several tables of the query have.
fn ambiguous_column(field: &Column, sql: Option<&str>, span: Option<SqlSpan>) -> Complaint {
    let place = sql.and_then(|sql| word_of(sql, &field.name, span)).map(|(place, _)| place);
    Complaint {
        message: format!("several tables of the query have a column `{}`", field.name),
        span: place.or(span),
        notes: Vec::new(),
        help: Some(format!("write it with its table, as in `t.{}`", field.name)),
    }
}

/// The first word of `sql`, within `span` if one is given, that means the identifier `name`.
fn word_of(sql: &str, name: &str, span: Option<SqlSpan>) -> Option<(SqlSpan, Word)> {
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize_with_location().ok()?;
    let within = |token: &TokenWithSpan| {
        let at = |location: SqlLocation| (location.line, location.column);
        let start = (token.span.start.line, token.span.start.column);
        span.is_none_or(|span| {
            at(span.start) <= start && start < at(span.end).max((span.start.line, span.start.column + 1))
        })
    };
    tokens.iter().filter(|token| within(token)).find_map(|token| {
        let Token::Word(word) = &token.token else { return None };
        let means = word.value == name || (word.quote_style.is_none() && word.value.to_lowercase() == name);
        let place = SqlSpan::try_from_sqlparser_span(token.span)?;
        means.then(|| (place, word.clone()))
    })
}

/// The text with its first letter in lower case and without a full stop at its end.
pub(super) fn lower_first(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    match chars.next() {
        // An abbreviation such as SQL stays as it is.
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        Some(first) => std::iter::once(first).chain(chars).collect(),
        None => String::new(),
    }
}
