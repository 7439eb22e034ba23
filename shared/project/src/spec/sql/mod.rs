//! Parses a stage's query: which tables it reads, which parameters it uses, or what is wrong with it.
//!
//! The dialect and the recursion limit are those that the engine's own parser has, so that what passes here is parsed
//! there too. Whether columns and functions exist is checked by the engine.

mod called;
pub mod grammar;
mod header;
mod misspelt;
mod relations;
mod size;
mod syntax;
mod template;
mod tokens;

use std::sync::Arc;

use sqlparser::ast::{Query as Ast, SetExpr, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use windlass_base::error::ErrorCode;
use windlass_base::stack::with_large_stack;
use windlass_base::suggest::nearest;

pub use called::{Call, CallClause, calls};
pub(crate) use header::place_of_word;
pub(super) use header::{Header, split_header};
use tokens::Tokens;

use super::codes;
use super::files::ProjectFiles;
use super::pipeline::{RelationRef, SqlText};
use super::problem::{Problem, Problems};
use super::span::{Span, Spanned};

/// The words that a query can start with.
const QUERY_STARTS: [&str; 4] = ["SELECT", "WITH", "VALUES", "FROM"];

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
    problems.extend(template::problems(&tokens));
    if problems.len() > before {
        return None;
    }
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

/// The code of an ad-hoc query that is not valid SQL, or more than one query.
pub const BAD_QUESTION: ErrorCode = ErrorCode("WL0363");

/// Checks that an ad-hoc query can be parsed, is within the limits of the parser, and has no clause that its plan would
/// not contain. Statements that are not queries pass: the engine refuses them.
///
/// # Errors
/// [`Problems`] with positions in the text, as the file [`QUESTION`].
pub fn check_question(text: &str) -> Result<(), Problems> {
    let file: Arc<str> = QUESTION.into();
    let mut problems = Vec::new();
    match Tokens::read(&file, text, 0) {
        Ok(tokens) => with_large_stack(|| check_question_tokens(&tokens, &mut problems)),
        Err(problem) => problems.push(problem),
    }
    for problem in &mut problems {
        if [codes::SQL_SYNTAX, codes::NOT_ONE_QUERY, codes::LIMIT].contains(&problem.code) {
            problem.code = BAD_QUESTION;
        }
    }
    Problems::check(problems, &question_files(text))
}

fn check_question_tokens(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    problems.extend(template::problems(tokens));
    tokens::check_limits(tokens, problems);
    placeholders(tokens, problems);
    if !problems.is_empty() {
        return;
    }
    let mut parser = parser_of(tokens);
    let statement = match parser.parse_statement() {
        Ok(statement) => statement,
        Err(error) if starts_like_query(tokens) => {
            problems.push(syntax::syntax_problem(&error, tokens));
            return;
        }
        Err(_) => return,
    };
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF && starts_like_query(tokens) {
        let at = tokens.index_at(next.span.start).unwrap_or(tokens.len());
        let mut problem = syntax::after_query(tokens, at);
        if problem.code == codes::NOT_ONE_QUERY {
            problem.message = "only one query can be asked at a time, here a second one starts".to_owned();
            problem.help = Some("ask it separately".to_owned());
        }
        problems.push(problem);
        return;
    }
    let query = match statement {
        Statement::Query(query) => query,
        Statement::Explain { statement, .. } => match *statement {
            Statement::Query(query) => query,
            _ => return,
        },
        _ => return,
    };
    size::check(&query, tokens, true, problems);
    if problems.is_empty() {
        grammar::check_query(&query, tokens, problems);
    }
}

/// Whether the first word is one that queries start with, or nearly.
fn starts_like_query(tokens: &Tokens<'_>) -> bool {
    match tokens.first().map(|(_, token)| token) {
        Some(Token::Word(word)) => word.quote_style.is_none() && nearest(&word.value, QUERY_STARTS).is_some(),
        Some(Token::LParen) => true,
        _ => false,
    }
}

/// The named parameters of an ad-hoc query, with their positions in the file [`QUESTION`].
pub fn question_params(text: &str) -> Vec<Spanned<String>> {
    placeholders_in(&QUESTION.into(), text, 0).unwrap_or_default()
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
    parser(tokens.to_parse())
}

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&GenericDialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens)
}

/// The named parameters. Other placeholders are problems.
fn placeholders(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
    let mut params = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let span = tokens.span(index);
        let written = match token {
            Token::Placeholder(written) => written.clone(),
            Token::Word(word) if word.quote_style.is_none() && word.value.starts_with('@') => word.value.clone(),
            Token::Colon | Token::AtSign => match tokens.get(index + 1) {
                Some(Token::Word(word)) if starts_operand(tokens, index) => format!("{token}{}", word.value),
                _ => continue,
            },
            _ => continue,
        };
        let name = written.trim_start_matches(['$', ':', '@', '?']);
        let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_name && written.starts_with('$') {
            params.push(Spanned::new(name.to_owned(), span));
            continue;
        }
        let name = if is_name { name } else { "its_name" };
        let problem = Problem::new(codes::PLACEHOLDER, format!("`{written}` is not a named parameter")).at(&span);
        problems.push(problem.help(format!("declare it under `params` in windlass.yaml and write `${name}`")));
    }
    params
}

/// Whether the token at `index` stands where an operand begins: not inside of `a:b`, `[1:2]` or `{'a': b}`.
fn starts_operand(tokens: &Tokens<'_>, index: usize) -> bool {
    let adjacent = tokens.get(index.wrapping_sub(1));
    let previous = tokens.before(index).and_then(|previous| tokens.get(previous));
    match previous {
        // `WHERE :least` is, `a:b` is not.
        Some(Token::Word(word)) => word.keyword != Keyword::NoKeyword && matches!(adjacent, Some(Token::Whitespace(_))),
        Some(
            Token::LParen
            | Token::Comma
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::LtEq
            | Token::Gt
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::StringConcat,
        ) => true,
        _ => false,
    }
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
    let written = word.value.to_ascii_uppercase();
    if word.quote_style.is_none() && QUERY_STARTS.contains(&written.as_str()) {
        return;
    }
    let help = match written.as_str() {
        "CREATE" => "write the query alone: windlass creates the stage's table".to_owned(),
        "INSERT" | "COPY" => {
            "write the query alone; `io: { mode: append }` adds its rows to the stage's table".to_owned()
        }
        "TABLE" => "write `SELECT * FROM` and the table's name".to_owned(),
        other => match nearest(other, QUERY_STARTS) {
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
    let statement =
        parser.parse_statement().map_err(|error| problems.push(syntax::syntax_problem(&error, tokens))).ok()?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let at = tokens.index_at(next.span.start).unwrap_or(tokens.len());
        problems.push(syntax::after_query(tokens, at));
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
