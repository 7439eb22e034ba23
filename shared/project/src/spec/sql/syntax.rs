//! What is wrong with SQL that cannot be parsed, and what to write instead.

use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::misspelt::misspelt;
use super::tokens::{self, Tokens};
use crate::spec::codes;
use crate::spec::problem::Problem;

/// The clauses of a query in the order in which they are written, by their first words.
const CLAUSES: [(Keyword, &str); 9] = [
    (Keyword::FROM, "FROM"),
    (Keyword::WHERE, "WHERE"),
    (Keyword::GROUP, "GROUP BY"),
    (Keyword::HAVING, "HAVING"),
    (Keyword::WINDOW, "WINDOW"),
    (Keyword::QUALIFY, "QUALIFY"),
    (Keyword::ORDER, "ORDER BY"),
    (Keyword::LIMIT, "LIMIT"),
    (Keyword::OFFSET, "OFFSET"),
];

/// The problem that the parser's `error` stands for.
pub(super) fn syntax_problem(error: &ParserError, tokens: &Tokens<'_>) -> Problem {
    if matches!(error, ParserError::RecursionLimitExceeded) {
        return tokens::too_deep().at(&tokens.whole());
    }
    let (message, place) = tokens::split_location(error);
    let at = place.and_then(|place| tokens.index_at(place)).unwrap_or(tokens.len());
    let span = place.map_or_else(|| tokens.at_end(), |place| tokens.span_at(place));
    explained(tokens, at, Problem::new(codes::SQL_SYNTAX, format!("not valid SQL: {message}")).at(&span))
}

/// The problem if something follows a complete query at the token `at`.
pub(super) fn after_query(tokens: &Tokens<'_>, at: usize) -> Problem {
    let span = tokens.span(at);
    if tokens.has_semicolon_before(&span) {
        return Problem::new(codes::NOT_ONE_QUERY, "a stage is one query, here a second one starts")
            .at(&span)
            .help("put it into a separate file, and read the other stage by its name");
    }
    let found = tokens.get(at).map(ToString::to_string).unwrap_or_default();
    let message = format!("not valid SQL: expected the end of the query, found `{found}`");
    explained(tokens, at, Problem::new(codes::SQL_SYNTAX, message).at(&span))
}

/// The problem with its cause, as far as the tokens around `at`, where parsing stops, show one.
fn explained(tokens: &Tokens<'_>, at: usize, problem: Problem) -> Problem {
    if let Some(found) = misspelt(tokens, at) {
        let written = tokens.get(found.index).map(ToString::to_string).unwrap_or_default();
        return Problem::new(codes::SQL_SYNTAX, format!("not valid SQL: the keyword `{written}` is misspelt"))
            .at(&tokens.span(found.index))
            .help(format!("did you mean `{}`?", found.clause));
    }
    let open = open_bracket(tokens, at);
    let token = tokens.get(at);
    let ends = matches!(token, None | Some(Token::SemiColon | Token::EOF));
    let unclosed = ends || (problem.message.contains("expected `)`") && token.and_then(clause_of).is_none());
    if let Some(open) = open.filter(|_| unclosed) {
        return problem.label(&tokens.span(open), "this is not closed").help("close the parenthesis or bracket");
    }
    if matches!(token, Some(Token::RParen | Token::RBracket)) && open.is_none() {
        return problem.help("remove it, or open it before");
    }
    // A comma makes the first word of a clause a name.
    let is_by = matches!(token, Some(Token::Word(word)) if word.keyword == Keyword::BY);
    let previous = if is_by { tokens.before(at).and_then(|first| tokens.before(first)) } else { tokens.before(at) };
    if let Some(comma) = previous.filter(|index| tokens.get(*index) == Some(&Token::Comma)) {
        return Problem::new(codes::SQL_SYNTAX, "not valid SQL: nothing follows this comma")
            .at(&tokens.span(comma))
            .help("remove the comma");
    }
    let help = help_at(tokens, at, tokens.before(at).and_then(|index| tokens.get(index)));
    problem.help(help)
}

/// The clause that a token begins.
fn clause_of(token: &Token) -> Option<&'static str> {
    let Token::Word(word) = token else { return None };
    CLAUSES.iter().find(|(first, _)| *first == word.keyword).map(|(_, clause)| *clause)
}

/// What may help at the token `at`, where parsing stops.
fn help_at(tokens: &Tokens<'_>, at: usize, previous: Option<&Token>) -> String {
    let next = tokens.after(at).and_then(|next| tokens.get(next));
    let is_by = matches!(next, Some(Token::Word(word)) if word.keyword == Keyword::BY);
    match tokens.get(at) {
        Some(Token::Word(word)) if matches!(word.keyword, Keyword::GROUP | Keyword::ORDER) && !is_by => {
            format!("write `{} BY`", word.value.to_ascii_uppercase())
        }
        Some(token) if clause_of(token).is_some() => {
            let order: Vec<&str> = CLAUSES.iter().map(|(_, clause)| *clause).collect();
            format!("clauses are written in this order: {}", order.join(", "))
        }
        Some(Token::Eq) if previous == Some(&Token::Eq) => "write one `=`".to_owned(),
        Some(Token::Word(word)) if word.quote_style.is_none() && word.keyword != Keyword::NoKeyword => {
            format!("`{0}` is a keyword of SQL; if it is a name here, write \"{0}\" in double quotes", word.value)
        }
        Some(Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_))
            if matches!(previous, Some(Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_))) =>
        {
            "write a comma or an operator before it; a name that contains a space is written in double quotes"
                .to_owned()
        }
        None | Some(Token::EOF | Token::SemiColon) => "the query ends too early: write the rest of it".to_owned(),
        _ => "correct the SQL at this place; windlass reads the SQL of DataFusion, as documented in docs/sql.md"
            .to_owned(),
    }
}

/// The innermost parenthesis or bracket that is open before the token `at`.
fn open_bracket(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate().take(at) {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(index),
            Token::RParen | Token::RBracket | Token::RBrace => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// What to do about a text that cannot be split into tokens, by the tokenizer's message.
pub(super) fn tokenizer_help(message: &str) -> &'static str {
    match message {
        _ if message.contains("string literal") => {
            "close the quote; a quote inside of a text is written twice: 'it''s'"
        }
        _ if message.contains("close delimiter") => "close the double quote of the name",
        _ if message.contains("comment") => "close the comment with `*/`",
        _ => "correct the SQL at this place",
    }
}

/// The parser's words about what it `expected` and `found`, in plain ones.
pub(super) fn plain_words(message: &str) -> String {
    let Some((expected, found)) = message.strip_prefix("expected: ").and_then(|rest| rest.rsplit_once(", found: "))
    else {
        return message.to_owned();
    };
    // What is expected is a description, or a token or keyword as it is written.
    let is_literal = !expected.bytes().any(|byte| byte.is_ascii_lowercase());
    let expected = if is_literal { format!("`{expected}`") } else { expected.to_owned() };
    match found {
        "EOF" => format!("expected {expected}, but the query ends"),
        found => format!("expected {expected}, found `{found}`"),
    }
}

/// Where parsing of a list of tokens stops: the token's line and column, the end of the text, or nowhere if it is one
/// statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    At(u64, u64),
    AtEnd,
    Nowhere,
}

impl Stop {
    pub(super) fn of(list: Vec<TokenWithSpan>) -> Self {
        let mut parser = super::parser(list);
        if let Err(error) = parser.parse_statement() {
            return tokens::split_location(&error).1.map_or(Self::AtEnd, |place| Self::At(place.line, place.column));
        }
        while parser.consume_token(&Token::SemiColon) {}
        let next = parser.peek_token();
        match next.token {
            Token::EOF => Self::Nowhere,
            _ => Self::At(next.span.start.line, next.span.start.column),
        }
    }
}
