//! The `/* windlass … */` comment at the start of a stage's file.

use std::ops::Range;

use sqlparser::tokenizer::{Token, Whitespace};

use super::tokens::Tokens;
use crate::spec::codes;
use crate::spec::problem::Problem;

/// The word that makes a comment a header.
const WORD: &str = "windlass";

/// Where the header of a stage is.
pub(in crate::spec) enum Header {
    /// There is none; the whole text is the query.
    None,
    /// The bytes of its YAML, and the byte after the comment.
    Found { yaml: Range<usize>, body: usize },
    /// The comment that starts at this byte has no end.
    Unclosed { at: usize },
}

/// Finds the header: a block comment whose first word is `windlass`, with only white space before it.
pub(in crate::spec) fn split_header(text: &str) -> Header {
    let at = text.len() - text.trim_start().len();
    let Some(inside) = text[at..].strip_prefix("/*") else { return Header::None };
    let Some(skipped) = header_word(inside) else { return Header::None };
    let start = at + 2 + skipped;
    match text[start..].find("*/") {
        Some(length) => Header::Found { yaml: start..start + length, body: start + length + 2 },
        None => Header::Unclosed { at },
    }
}

/// The length in bytes of a comment's content up to the end of its first word, if that is `windlass`.
fn header_word(inside: &str) -> Option<usize> {
    let spaces = inside.len() - inside.trim_start().len();
    let rest = inside[spaces..].strip_prefix(WORD)?;
    let ends = rest.starts_with("*/") || rest.chars().next().is_none_or(char::is_whitespace);
    ends.then_some(spaces + WORD.len())
}

/// Where `word` stands in a stage's text: in its header, or else in its query; not as part of a longer word.
pub(crate) fn place_of_word(text: &str, word: &str) -> Option<Range<usize>> {
    let (header, body) = match split_header(text) {
        Header::Found { yaml, body } => (yaml, body..text.len()),
        _ => (0..0, 0..text.len()),
    };
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |at: usize| {
        let (before, behind) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        let (first, last) = (word.chars().next(), word.chars().next_back());
        let continues = before.is_some_and(is_name) && first.is_some_and(is_name);
        let goes_on = behind.is_some_and(is_name) && last.is_some_and(is_name);
        !continues && !goes_on
    };
    [header, body].into_iter().find_map(|part| {
        let start = part.start;
        let at = text[part].match_indices(word).map(|(at, _)| start + at).find(|at| alone(*at))?;
        Some(at..at + word.len())
    })
}

/// Reports headers that are not at the start of the file, which would be ignored.
pub(super) fn refuse_misplaced(tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    for (index, token) in tokens.iter().enumerate() {
        let Token::Whitespace(Whitespace::MultiLineComment(comment)) = token else { continue };
        if header_word(comment).is_some() {
            let problem = Problem::new(codes::HEADER, "this windlass comment is not at the start of the file")
                .at(&tokens.span(index))
                .help("move it before everything else; a file has one");
            problems.push(problem);
        }
    }
}
