//! Traverses a syntax tree to find refused clauses and their positions in the text.

use std::collections::BTreeSet;

use sqlparser::ast::SetOperator;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token};

use super::Rule;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::sql::tokens::Tokens;

/// The maximum number of reported problems per query; a generated text could repeat one many times.
const MAX_PROBLEMS: usize = 50;

/// The traversal. Few nodes know their position, so it tracks the position of the last visited leaf: a refused clause
/// is written after it, and is searched for among the following tokens.
pub(super) struct Walk<'a> {
    tokens: &'a Tokens<'a>,
    place: Option<Location>,
    problems: Vec<Problem>,
    /// The tokens that problems point at.
    pointed_at: BTreeSet<usize>,
    /// Whether `OVER name` can resolve the window.
    pub(super) resolves_windows: bool,
    /// Whether the walk is inside an array literal.
    pub(super) in_array: bool,
    /// The last operator between two queries.
    pub(super) set_operator: Option<SetOperator>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tokens: &'a Tokens<'a>) -> Self {
        Self {
            tokens,
            place: None,
            problems: Vec::new(),
            pointed_at: BTreeSet::new(),
            resolves_windows: false,
            in_array: false,
            set_operator: None,
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Records the position of a visited element, if known.
    pub(super) fn pass(&mut self, place: Location) {
        if place.line > 0 {
            self.place = Some(place);
        }
    }

    /// Reports a refused clause.
    pub(super) fn refuse(&mut self, rule: &Rule) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let (clause, span) = match self.find(rule.clause) {
            Some((index, spelling)) => {
                self.pointed_at.insert(index);
                (spelling, self.tokens.span(index))
            }
            None => (rule.clause, self.place.map_or_else(|| self.tokens.whole(), |place| self.tokens.span_at(place))),
        };
        let problem =
            Problem::new(codes::REFUSED_CLAUSE, format!("{} is not supported", quote_keywords(clause))).at(&span);
        self.problems.push(problem.help(rule.help));
    }

    /// The token that starts one of the spellings of `clause`, and the spelling: the first after the current position
    /// that no other problem points at, else the first of all.
    fn find<'c>(&self, clause: &'c str) -> Option<(usize, &'c str)> {
        let spellings: Vec<(Vec<&str>, &'c str)> =
            clause.split(" or ").map(|spelling| (leading_words(spelling), spelling)).collect();
        let mut earlier = None;
        for index in 0..self.tokens.len() {
            let matches = |(words, _): &&(Vec<&str>, &str)| !words.is_empty() && self.matches_at(index, words);
            let Some((_, spelling)) = spellings.iter().find(matches).filter(|_| !self.pointed_at.contains(&index))
            else {
                continue;
            };
            if self.place.is_none_or(|place| self.tokens.start(index) >= place) {
                return Some((index, spelling));
            }
            earlier.get_or_insert((index, *spelling));
        }
        earlier
    }

    /// Whether `words` follow one another from the token at `index` on.
    fn matches_at(&self, index: usize, words: &[&str]) -> bool {
        if matches!(self.tokens.get(index), Some(Token::Whitespace(_))) {
            return false;
        }
        let from_here = (index..self.tokens.len()).filter_map(|at| self.tokens.get(at));
        let mut written = from_here.filter(|token| !matches!(token, Token::Whitespace(_))).map(word_of);
        words.iter().all(|word| written.next().flatten().is_some_and(|other| other.eq_ignore_ascii_case(word)))
    }
}

/// The keyword of a token, if it is one.
fn word_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() && word.keyword != Keyword::NoKeyword => Some(&word.value),
        _ => None,
    }
}

/// The keywords that a spelling starts with.
fn leading_words(spelling: &str) -> Vec<&str> {
    let is_keyword = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    spelling.split(' ').take_while(is_keyword).collect()
}

/// A clause for messages, with its keywords in quotes.
fn quote_keywords(clause: &str) -> String {
    let quoted = |spelling: &str| {
        let words = leading_words(spelling).join(" ");
        if words.is_empty() { spelling.to_owned() } else { format!("`{words}`{}", &spelling[words.len()..]) }
    };
    clause.split(" or ").map(quoted).collect::<Vec<_>>().join(" or ")
}
