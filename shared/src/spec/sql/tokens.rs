//! The tokens of a query and the bytes they stand at.

use std::sync::Arc;

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::{Span, offset_of};

/// Tokens that one expression may have, outside of its parentheses. The parser makes a chain such as `a + b + c` as
/// deep as it is long, and each step of a walk over it takes stack.
const MAX_CHAIN: usize = 5_000;
/// Queries that one chain of UNION, EXCEPT and INTERSECT may have.
const MAX_SET_OPERATIONS: usize = 500;

/// The tokens of a query, white space and comments among them.
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
                let start = offset_of(sql, to_usize(error.location.line), to_usize(error.location.column));
                let span = Span::new(file, base + start, base + start);
                Err(Problem::new(codes::SQL_SYNTAX, format!("not valid SQL: {}", lower_first(&error.message)))
                    .at(&span))
            }
        }
    }

    pub(super) fn file(&self) -> &Arc<str> {
        self.file
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Token> {
        self.list.iter().map(|token| &token.token)
    }

    pub(super) fn to_parse(&self) -> Vec<TokenWithSpan> {
        self.list.clone()
    }

    /// The first token that is neither white space nor a comment nor `;`.
    pub(super) fn first(&self) -> Option<(usize, &Token)> {
        self.iter().enumerate().find(|(_, token)| !matches!(token, Token::Whitespace(_) | Token::SemiColon))
    }

    /// The place of a token in the file.
    pub(super) fn span(&self, index: usize) -> Span {
        let start = self.starts.get(index).copied().unwrap_or(self.sql.len());
        let end = self.starts.get(index + 1).copied().unwrap_or(self.sql.len());
        Span::new(self.file, self.base + start, self.base + end)
    }

    /// The place of the token that starts at a location of the parser's.
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

    /// The byte of the query after its last token, a closing `;` and what follows it left out.
    pub(super) fn end_of_query(&self) -> usize {
        let closing = self.list.iter().position(|token| token.token == Token::SemiColon);
        let end = closing.and_then(|index| self.starts.get(index).copied()).unwrap_or(self.sql.len());
        self.sql[..end].trim_end().len()
    }

    /// Whether a `;` stands before a place.
    pub(super) fn has_semicolon_before(&self, span: &Span) -> bool {
        let ends = |(token, start): (&TokenWithSpan, &usize)| {
            token.token == Token::SemiColon && self.base + start < span.start
        };
        self.list.iter().zip(&self.starts).any(ends)
    }
}

/// The byte at which each token starts. Tokens and characters are walked through side by side.
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

/// A parser's message without the place it ends with, and the place.
pub(super) fn without_place(error: &ParserError) -> (String, Option<Location>) {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "it nests too deeply",
    };
    let place = text.rfind(" at Line: ").and_then(|at| {
        let (line, column) = text[at..].strip_prefix(" at Line: ")?.split_once(", Column: ")?;
        Some((at, Location { line: line.parse().ok()?, column: column.parse().ok()? }))
    });
    match place {
        Some((at, place)) => (lower_first(&text[..at]), Some(place)),
        None => (lower_first(text), None),
    }
}

/// The text with its first letter small, unless it starts with a word in capitals.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// Notes chains so long that walking over their tree could exhaust the stack.
pub(super) fn check_limits(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    // One pair of counters for each open parenthesis: tokens since the last comma, and set operations.
    let mut open = vec![(0_usize, 0_usize)];
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => open.push((0, 0)),
            Token::RParen | Token::RBracket | Token::RBrace if open.len() > 1 => drop(open.pop()),
            _ => {}
        }
        let Some((chain, sets)) = open.last_mut() else { return };
        match token {
            Token::Comma => *chain = 0,
            Token::Word(word) => {
                *chain += 1;
                *sets += usize::from(matches!(word.keyword, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT));
            }
            _ => *chain += 1,
        }
        if *chain > MAX_CHAIN || *sets > MAX_SET_OPERATIONS {
            let problem = Problem::new(codes::LIMIT, "the query is too long at one level")
                .label(&tokens.span(index), "the limit is reached here")
                .help(format!(
                    "one expression may have {MAX_CHAIN} tokens and one query {MAX_SET_OPERATIONS} set operations; \
                     use IN lists, VALUES or several stages"
                ));
            problems.push(problem);
            return;
        }
    }
}
