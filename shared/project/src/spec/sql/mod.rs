//! Parses a stage's query: which tables it reads, which parameters it uses, or what is wrong with it.
//!
//! The dialect and the recursion limit are those that the engine's own parser has, so that what passes here is parsed
//! there too. Whether columns and functions exist is checked by the engine.

mod called;
pub mod grammar;
mod header;
mod relations;
mod size;
mod tokens;

use std::sync::Arc;

use sqlparser::ast::{Query as Ast, SetExpr, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use windlass_base::stack::with_large_stack;
use windlass_base::suggest::nearest;

pub use called::{Call, CallClause, calls};
pub(super) use header::{Header, split_header};
use tokens::Tokens;

use super::codes;
use super::files::ProjectFiles;
use super::pipeline::{RelationRef, SqlText};
use super::problem::{Problem, Problems};
use super::span::{Span, Spanned};

/// The nesting limit of queries, which is that of the engine.
const RECURSION_LIMIT: usize = 50;

/// A parsed query.
pub(super) struct Query {
    pub(super) sql: SqlText,
    pub(super) relations: Vec<RelationRef>,
    pub(super) params: Vec<Spanned<String>>,
}

/// Parses the query in `text`, starting at byte `body`.
pub(super) fn read(
    file: &Arc<str>,
    text: &str,
    body: usize,
    normalize: bool,
    problems: &mut Vec<Problem>,
) -> Option<Query> {
    // Parsing, traversing and dropping the result recurse as deep as the query.
    with_large_stack(|| read_text(file, text, body, normalize, problems))
}

fn read_text(file: &Arc<str>, text: &str, body: usize, normalize: bool, problems: &mut Vec<Problem>) -> Option<Query> {
    let offset = body + (text[body..].len() - text[body..].trim_start().len());
    let sql = text[offset..].trim_end();
    let tokens = Tokens::read(file, sql, offset).map_err(|problem| problems.push(problem)).ok()?;
    let before = problems.len();
    header::refuse_misplaced(&tokens, problems);
    tokens::check_limits(&tokens, problems);
    let params = placeholders(&tokens, problems);
    check_first_word(&tokens, body, problems);
    if problems.len() > before {
        return None;
    }
    let query = parse(&tokens, problems)?;
    check_query(&query, &tokens, problems);
    size::check(&query, &tokens, normalize, problems);
    if problems.len() == before {
        grammar::check_query(&query, &tokens, problems);
    }
    let relations = relations::of(&query, &tokens, normalize);
    let end = tokens.end_of_query();
    let sql = SqlText { file: Arc::clone(file), text: sql[..end].into(), offset };
    (problems.len() == before).then_some(Query { sql, relations, params })
}

/// The named parameters of the query in `text`, starting at byte `body`; `None` if it has no tokens.
pub(super) fn placeholders_in(file: &Arc<str>, text: &str, body: usize) -> Option<Vec<Spanned<String>>> {
    let tokens = Tokens::read(file, &text[body..], body).ok()?;
    Some(placeholders(&tokens, &mut Vec::new()))
}

/// The tables of the query in `text`, starting at byte `body`; none if it is not a query.
pub(super) fn relations_in(file: &Arc<str>, text: &str, body: usize, normalize: bool) -> Vec<RelationRef> {
    read(file, text, body, normalize, &mut Vec::new()).map(|query| query.relations).unwrap_or_default()
}

/// Refuses SQL that is deeper or larger than allowed, or whose tree could exhaust the stack of the parser, whose own
/// limit has gaps. Must be called before parsing SQL that is not a stage's. Invalid SQL passes.
pub fn check_depth(text: &str) -> Result<(), String> {
    let file: Arc<str> = "".into();
    let tokens = Tokens::read(&file, text, 0).map_err(|problem| problem.message)?;
    let mut problems = Vec::new();
    tokens::check_limits(&tokens, &mut problems);
    if problems.is_empty() {
        with_large_stack(|| {
            if let Ok(Statement::Query(query)) = parser_of(&tokens).parse_statement() {
                size::check(&query, &tokens, true, &mut problems);
            }
        });
    }
    problems.pop().map_or(Ok(()), |problem| Err(problem.message))
}

/// The file name used in problems of an ad-hoc query, which is in no file of a project.
pub const QUESTION: &str = "query";

/// Checks that an ad-hoc query has no clause that its plan would not contain. Other problems are found by the engine.
///
/// # Errors
/// [`Problems`] with positions in the text, as the file [`QUESTION`].
pub fn check_question(text: &str) -> Result<(), Problems> {
    let file: Arc<str> = QUESTION.into();
    let Ok(tokens) = Tokens::read(&file, text, 0) else { return Ok(()) };
    let mut problems = Vec::new();
    match parser_of(&tokens).parse_statement() {
        Ok(Statement::Query(query)) => grammar::check_query(&query, &tokens, &mut problems),
        Ok(Statement::Explain { statement, .. }) => {
            if let Statement::Query(query) = *statement {
                grammar::check_query(&query, &tokens, &mut problems);
            }
        }
        _ => {}
    }
    Problems::check(problems, &question_files(text))
}

/// An ad-hoc query as a file of a project, for problems to point into.
pub fn question_files(text: &str) -> ProjectFiles {
    let mut files = ProjectFiles::new();
    files.insert(QUESTION, text);
    files
}

/// Checks that `text` is one SQL expression; an error says why not.
pub(super) fn check_expression(text: &str) -> Result<(), String> {
    check_depth(text)?;
    let file: Arc<str> = "".into();
    let tokens = Tokens::read(&file, text, 0).map_err(|problem| problem.message)?;
    with_large_stack(|| {
        let mut parser = parser_of(&tokens);
        let expr = parser.parse_expr().map_err(|error| tokens::split_location(&error).0)?;
        if size::too_deep_at(&expr, &tokens).is_some() {
            return Err(size::too_deep().message);
        }
        match parser.peek_token().token {
            Token::EOF => grammar::check_expr(&expr, &tokens),
            more => Err(format!("`{more}` follows after its end")),
        }
    })
}

fn parser_of(tokens: &Tokens<'_>) -> Parser<'static> {
    Parser::new(&GenericDialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens.to_parse())
}

/// The named parameters. Other placeholders are problems.
fn placeholders(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
    let mut params = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Token::Placeholder(written) = token else { continue };
        let span = tokens.span(index);
        match written
            .strip_prefix('$')
            .filter(|name| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
        {
            Some(name) => params.push(Spanned::new(name.to_owned(), span)),
            None => {
                let message = format!("`{written}` is not a named parameter");
                let problem = Problem::new(codes::PLACEHOLDER, message).at(&span);
                problems.push(problem.help("declare it under `params` in windlass.yaml and write `$its_name`"));
            }
        }
    }
    params
}

/// Reports a text that does not start like a query, with a more helpful message than the parser's.
fn check_first_word(tokens: &Tokens<'_>, body: usize, problems: &mut Vec<Problem>) {
    let Some((index, token)) = tokens.first() else {
        let span = Span::new(tokens.file(), body.saturating_sub(2), body);
        let problem = Problem::new(codes::NOT_ONE_QUERY, "the stage has no query").label(&span, "nothing follows");
        problems.push(problem.help("write one SELECT"));
        return;
    };
    let Token::Word(word) = token else {
        if *token != Token::LParen {
            let message = format!("a stage is one query, this starts with `{token}`");
            problems.push(Problem::new(codes::NOT_ONE_QUERY, message).at(&tokens.span(index)).help("write one SELECT"));
        }
        return;
    };
    let starts = ["SELECT", "WITH", "VALUES", "FROM"];
    let written = word.value.to_ascii_uppercase();
    if word.quote_style.is_none() && starts.contains(&written.as_str()) {
        return;
    }
    let help = match written.as_str() {
        "CREATE" => "write the query alone: windlass creates the stage's table".to_owned(),
        "INSERT" | "COPY" => {
            "write the query alone; `io: { mode: append }` adds its rows to the stage's table".to_owned()
        }
        "TABLE" => "write `SELECT * FROM` and the table's name".to_owned(),
        other => match nearest(other, starts) {
            Some(start) => format!("did you mean `{start}`?"),
            None => "write one SELECT; a stage computes rows and changes nothing".to_owned(),
        },
    };
    let message = format!("a stage is one query, this starts with `{}`", word.value);
    problems.push(Problem::new(codes::NOT_ONE_QUERY, message).at(&tokens.span(index)).help(help));
}

/// The single query of the text.
fn parse(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) -> Option<Ast> {
    let mut parser = parser_of(tokens);
    let statement = parser.parse_statement().map_err(|error| problems.push(syntax_problem(&error, tokens))).ok()?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        problems.push(after_query(&next.token, &tokens.span_at(next.span.start), tokens));
        return None;
    }
    match statement {
        Statement::Query(query) => Some(*query),
        _ => {
            let span = tokens.first().map_or_else(|| Span::new(tokens.file(), 0, 0), |(index, _)| tokens.span(index));
            let problem = Problem::new(codes::NOT_ONE_QUERY, "a stage is one query").at(&span);
            problems.push(problem.help("write one SELECT; a stage computes rows and changes nothing"));
            None
        }
    }
}

/// The problem if anything follows the query.
fn after_query(token: &Token, span: &Span, tokens: &Tokens<'_>) -> Problem {
    if tokens.has_semicolon_before(span) {
        return Problem::new(codes::NOT_ONE_QUERY, "a stage is one query, here a second one starts")
            .at(span)
            .help("put it into a separate file, and read the other stage by its name");
    }
    let message = format!("not valid SQL: expected the end of the query, found `{token}`");
    let mut problem = Problem::new(codes::SQL_SYNTAX, message).at(span);
    if let Token::Word(word) = token {
        let clauses = ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "JOIN", "UNION", "WINDOW", "QUALIFY"];
        problem.help = nearest(&word.value, clauses).map(|clause| format!("did you mean `{clause}`?"));
    }
    problem
}

fn syntax_problem(error: &ParserError, tokens: &Tokens<'_>) -> Problem {
    if matches!(error, ParserError::RecursionLimitExceeded) {
        return tokens::too_deep().at(&tokens.whole());
    }
    let (message, place) = tokens::split_location(error);
    let span = place.map_or_else(|| tokens.at_end(), |place| tokens.span_at(place));
    Problem::new(codes::SQL_SYNTAX, format!("not valid SQL: {message}")).at(&span)
}

/// Refuses statements that are not queries, in positions where a query is allowed.
fn check_query(query: &Ast, tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    let mut refuse = |what: &str, help: &str| {
        let problem = Problem::new(codes::NOT_ONE_QUERY, format!("a stage is one query, {what}")).at(&tokens.whole());
        problems.push(problem.help(help));
    };
    let mut open = vec![query.body.as_ref()];
    while let Some(body) = open.pop() {
        match body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                refuse("this one changes a table", "write one SELECT; windlass writes its rows");
            }
            SetExpr::Table(_) => refuse("and `TABLE x` is not one", "write `SELECT * FROM x`"),
            SetExpr::SetOperation { left, right, .. } => open.extend([left.as_ref(), right.as_ref()]),
            SetExpr::Query(inner) => open.push(inner.body.as_ref()),
            _ => {}
        }
    }
}
