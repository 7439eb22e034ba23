//! Finds the misspelt keyword that keeps a text from being a query: with the right one in its place, the parser gets
//! further.

use sqlparser::tokenizer::Token;
use windlass_base::suggest::close;

use super::syntax::Stop;
use super::tokens::Tokens;

/// The keywords that queries are made of.
const KEYWORDS: [&str; 57] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "OUTER",
    "CROSS",
    "NATURAL",
    "ON",
    "USING",
    "UNION",
    "ALL",
    "EXCEPT",
    "INTERSECT",
    "DISTINCT",
    "WINDOW",
    "QUALIFY",
    "PARTITION",
    "OVER",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "NULL",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "EXISTS",
    "VALUES",
    "WITH",
    "RECURSIVE",
    "ASC",
    "DESC",
    "NULLS",
    "ROWS",
    "RANGE",
    "PRECEDING",
    "FOLLOWING",
    "INTERVAL",
    "LATERAL",
    "FILTER",
];
/// Keywords that only occur together with `BY`.
const WITH_BY: [&str; 3] = ["GROUP", "ORDER", "PARTITION"];

/// How many words before the one at which the parser stops can be the cause: it takes a misspelt keyword for an alias.
const BEFORE: usize = 3;
/// How many behind it can.
const BEHIND: usize = 1;

/// Up to how many tokens are all looked at if the parser does not say where it stops.
const SEARCHED: usize = 500;

/// A misspelt keyword.
pub(super) struct Misspelt {
    /// The token.
    pub(super) index: usize,
    /// What it should be, as the whole clause: `GROUP BY`.
    pub(super) clause: String,
}

/// The misspelt keyword around the token `at`, where parsing stops.
pub(super) fn misspelt(tokens: &Tokens<'_>, at: usize) -> Option<Misspelt> {
    let visible: Vec<usize> = (0..tokens.len())
        .filter(|index| !matches!(tokens.get(*index), None | Some(Token::Whitespace(_) | Token::EOF)))
        .collect();
    let stop = visible.partition_point(|index| *index < at);
    // Some errors of the parser have no place.
    let is_nowhere = stop == visible.len() && stop <= SEARCHED;
    let first = if is_nowhere { 0 } else { stop.saturating_sub(BEFORE) };
    let around = visible.get(first..(stop + BEHIND + 1).min(visible.len()))?;
    let mut best: Option<(Stop, usize, usize, &str)> = None;
    let before = Stop::of(tokens.to_parse());
    for index in around {
        let Some(Token::Word(word)) = tokens.get(*index) else { continue };
        // Words of one letter are names.
        let is_name = word.quote_style.is_some() || word.value.chars().count() < 2;
        if is_name || KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(&word.value)) {
            continue;
        }
        for (distance, keyword) in close(&word.value, KEYWORDS) {
            let reached = Stop::of(tokens.with_keyword(*index, keyword));
            let better =
                |(most, least, ..): (Stop, usize, usize, &str)| reached > most || (reached == most && distance < least);
            if reached > before && best.is_none_or(better) {
                best = Some((reached, distance, *index, keyword));
            }
        }
    }
    let (_, _, index, keyword) = best?;
    Some(Misspelt { index, clause: clause(tokens, index, keyword) })
}

/// The keyword with the `BY` that belongs to it.
fn clause(tokens: &Tokens<'_>, index: usize, keyword: &str) -> String {
    if keyword == "BY" {
        let first = tokens.before(index).and_then(|first| tokens.get(first)).map(ToString::to_string);
        return first.map_or_else(|| keyword.to_owned(), |first| format!("{} BY", first.to_ascii_uppercase()));
    }
    if WITH_BY.contains(&keyword) { format!("{keyword} BY") } else { keyword.to_owned() }
}
