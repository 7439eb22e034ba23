//! The tokens of a query and their byte positions.

use std::sync::Arc;

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::{RECURSION_LIMIT, syntax, template};
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::{Span, offset_of};

/// The maximum number of tokens of an expression, outside its parentheses. The parser makes a chain such as `a + b + c`
/// as deep as it is long, and each level of a traversal uses stack.
const MAX_CHAIN: usize = 5_000;
/// The maximum number of queries in a chain of UNION, EXCEPT and INTERSECT.
const MAX_SET_OPERATIONS: usize = 500;

/// The tokens of a query, including white space and comments.
pub(super) struct Tokens<'a> {
    file: &'a Arc<str>,
    sql: &'a str,
    /// The byte of the file at which the query starts.
    base: usize,
    list: Vec<TokenWithSpan>,
    /// The byte of the query at which each token starts.
    starts: Vec<usize>,
}

impl<'a> Tokens<'a> {
    pub(super) fn read(file: &'a Arc<str>, sql: &'a str, base: usize) -> Result<Self, Problem> {
        match Tokenizer::new(&GenericDialect, sql).tokenize_with_location() {
            Ok(list) => {
                let starts = starts_of(sql, &list);
                Ok(Self { file, sql, base, list, starts })
            }
            Err(error) => {
                if let Some((problem, place)) = template::problem_in(sql) {
                    return Err(problem.at(&Span::new(file, base + place.start, base + place.end)));
                }
                let start = offset_of(sql, to_usize(error.location.line), to_usize(error.location.column));
                let span = Span::new(file, base + start, base + start);
                let message = format!("not valid SQL: {}", lower_first(error.message.trim_end_matches('.')));
                Err(Problem::new(codes::SQL_SYNTAX, message).at(&span).help(syntax::tokenizer_help(&error.message)))
            }
        }
    }

    pub(super) fn file(&self) -> &Arc<str> {
        self.file
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Token> {
        self.list.iter().map(|token| &token.token)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Token> {
        self.list.get(index).map(|token| &token.token)
    }

    /// Where a token starts, as the parser counts.
    pub(super) fn start(&self, index: usize) -> Location {
        self.list.get(index).map_or(Location { line: 0, column: 0 }, |token| token.span.start)
    }

    pub(super) fn to_parse(&self) -> Vec<TokenWithSpan> {
        self.list.clone()
    }

    /// The tokens with a keyword in the place of one.
    pub(super) fn with_keyword(&self, index: usize, keyword: &str) -> Vec<TokenWithSpan> {
        let mut list = self.list.clone();
        if let Some(replaced) = list.get_mut(index) {
            replaced.token = Token::make_keyword(keyword);
        }
        list
    }

    /// The token that starts at a location of the parser.
    pub(super) fn index_at(&self, place: Location) -> Option<usize> {
        self.list.binary_search_by_key(&key(place), |token| key(token.span.start)).ok()
    }

    /// The last token before `index` that is neither white space nor a comment.
    pub(super) fn before(&self, index: usize) -> Option<usize> {
        let tokens = self.list.get(..index.min(self.list.len()))?;
        tokens.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)))
    }

    /// The first token behind `index` that is neither white space nor a comment.
    pub(super) fn after(&self, index: usize) -> Option<usize> {
        let visible = |index: &usize| !matches!(self.get(*index), Some(Token::Whitespace(_)));
        (index + 1..self.list.len()).find(visible)
    }

    /// The text of a span of the query.
    pub(super) fn text(&self, span: &Span) -> &str {
        self.sql.get(span.start.saturating_sub(self.base)..span.end.saturating_sub(self.base)).unwrap_or_default()
    }

    /// The first token that is neither white space nor a comment nor `;`.
    pub(super) fn first(&self) -> Option<(usize, &Token)> {
        self.iter().enumerate().find(|(_, token)| !matches!(token, Token::Whitespace(_) | Token::SemiColon))
    }

    /// The span of a token in the file.
    pub(super) fn span(&self, index: usize) -> Span {
        let start = self.starts.get(index).copied().unwrap_or(self.sql.len());
        let end = self.starts.get(index + 1).copied().unwrap_or(self.sql.len());
        Span::new(self.file, self.base + start, self.base + end)
    }

    /// The span of the token that starts at a location of the parser.
    pub(super) fn span_at(&self, place: Location) -> Span {
        if place.line == 0 {
            return self.at_end();
        }
        match self.list.binary_search_by_key(&(place.line, place.column), |token| key(token.span.start)) {
            Ok(index) => self.span(index),
            Err(_) => {
                let start = self.base + offset_of(self.sql, to_usize(place.line), to_usize(place.column));
                Span::new(self.file, start, start)
            }
        }
    }

    /// The last token that is neither white space nor a comment: where a query ends too early.
    pub(super) fn at_end(&self) -> Span {
        let last = self.iter().collect::<Vec<_>>().iter().rposition(|token| !matches!(token, Token::Whitespace(_)));
        last.map_or_else(|| self.whole(), |index| self.span(index))
    }

    /// The whole query.
    pub(super) fn whole(&self) -> Span {
        Span::new(self.file, self.base, self.base + self.sql.len())
    }

    /// The byte after the last token of the query, without a trailing `;` and what follows it.
    pub(super) fn end_of_query(&self) -> usize {
        let closing = self.list.iter().position(|token| token.token == Token::SemiColon);
        let end = closing.and_then(|index| self.starts.get(index).copied()).unwrap_or(self.sql.len());
        self.sql[..end].trim_end().len()
    }

    /// Whether a `;` precedes a position.
    pub(super) fn has_semicolon_before(&self, span: &Span) -> bool {
        let ends = |(token, start): (&TokenWithSpan, &usize)| {
            token.token == Token::SemiColon && self.base + start < span.start
        };
        self.list.iter().zip(&self.starts).any(ends)
    }
}

/// The byte at which each token starts. Tokens and characters are traversed in parallel.
fn starts_of(sql: &str, list: &[TokenWithSpan]) -> Vec<usize> {
    let mut starts = Vec::with_capacity(list.len());
    let mut place = (1, 1);
    let mut chars = sql.char_indices();
    let mut here = 0;
    for token in list {
        while place < key(token.span.start) {
            let Some((at, c)) = chars.next() else { break };
            here = at + c.len_utf8();
            place = if c == '\n' { (place.0 + 1, 1) } else { (place.0, place.1 + 1) };
        }
        starts.push(here);
    }
    starts
}

fn key(place: Location) -> (u64, u64) {
    (place.line, place.column)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Splits a parser's message into the text and the location at its end.
pub(super) fn split_location(error: &ParserError) -> (String, Option<Location>) {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "it nests too deeply",
    };
    let place = text.rfind(" at Line: ").and_then(|at| {
        let (line, column) = text[at..].strip_prefix(" at Line: ")?.split_once(", Column: ")?;
        Some((at, Location { line: line.parse().ok()?, column: column.parse().ok()? }))
    });
    match place {
        Some((at, place)) => (syntax::plain_words(&lower_first(&text[..at])), Some(place)),
        None => (syntax::plain_words(&lower_first(text)), None),
    }
}

/// The text with its first letter lower-cased, unless it starts with a word in capitals.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// Reports a query whose tree would be so deep that parsing or traversing it could exhaust the stack. The parser has a
/// limit of its own, but does not enforce it everywhere.
pub(super) fn check_limits(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    let mut levels = vec![Level::default()];
    let mut types: usize = 0;
    let mut before: Option<&Token> = None;
    for (index, token) in tokens.iter().enumerate() {
        if matches!(token, Token::Whitespace(_)) {
            continue;
        }
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Level::default()),
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => drop(levels.pop()),
            // `ARRAY<`, and the `>` or `>>` that end such types.
            Token::Lt if before.is_some_and(is_nested_type) => types += 1,
            Token::Gt => types = types.saturating_sub(1),
            Token::ShiftRight => types = types.saturating_sub(2),
            _ => {}
        }
        let holds = levels.last_mut().is_none_or(|level| level.stays_within_limits(token));
        let problem = if levels.len() > RECURSION_LIMIT + 1 || types > RECURSION_LIMIT {
            Some(too_deep())
        } else if is_interval(token) && before.is_some_and(is_interval) {
            Some(Problem::new(codes::SQL_SYNTAX, "not valid SQL: `INTERVAL` follows `INTERVAL`"))
        } else {
            (!holds).then(too_long)
        };
        if let Some(problem) = problem {
            problems.push(problem.at(&tokens.span(index)));
            return;
        }
        before = Some(token);
    }
}

/// A query that nests beyond the parser's limit.
pub(super) fn too_deep() -> Problem {
    let message = format!("the query nests more than {RECURSION_LIMIT} deep");
    Problem::new(codes::LIMIT, message).help("split it into several stages")
}

fn too_long() -> Problem {
    Problem::new(codes::LIMIT, "the query is too long at one level").help(format!(
        "one expression may have {MAX_CHAIN} tokens and one query {MAX_SET_OPERATIONS} set operations; use IN lists, \
         VALUES or several stages"
    ))
}

fn is_interval(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::INTERVAL)
}

fn is_nested_type(token: &Token) -> bool {
    matches!(token, Token::Word(word) if matches!(word.keyword, Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP))
}

/// The content between two parentheses so far.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma.
    chain: usize,
    set_operations: usize,
}

impl Level {
    /// Counts a token; returns whether the limits are still met.
    fn stays_within_limits(&mut self, token: &Token) -> bool {
        self.chain = if *token == Token::Comma { 0 } else { self.chain + 1 };
        if let Token::Word(word) = token {
            let sets = matches!(word.keyword, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT);
            self.set_operations += usize::from(sets);
        }
        self.chain <= MAX_CHAIN && self.set_operations <= MAX_SET_OPERATIONS
    }
}
