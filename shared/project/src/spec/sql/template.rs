//! Template expressions of other tools, such as `{{ ref('orders') }}`: they are not SQL, and windlass has other means.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use super::tokens::Tokens;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;

/// The problem of each template expression of a query.
pub(super) fn problems(tokens: &Tokens<'_>) -> Vec<Problem> {
    let list: Vec<&Token> = tokens.iter().collect();
    let mut problems = Vec::new();
    let mut from = 0;
    while let Some(start) = (from..list.len()).find(|index| opens(&list[*index..])) {
        let closing = match list[start + 1] {
            Token::LBrace => Token::RBrace,
            other => other.clone(),
        };
        let closes = |index: &usize| matches!(&list[*index..], [first, second, ..] if **first == closing && **second == Token::RBrace);
        let end = (start + 2..list.len()).find(closes).map_or(start + 1, |end| end + 1);
        let span = Span::new(tokens.file(), tokens.span(start).start, tokens.span(end).end);
        problems.push(problem(tokens.text(&span)).at(&span));
        from = end + 1;
    }
    problems
}

/// The first template expression of a text that cannot be split into tokens, with its problem.
pub(super) fn problem_in(text: &str) -> Option<(Problem, Range<usize>)> {
    let start = ["{{", "{%", "{#"].iter().filter_map(|opening| text.find(opening)).min()?;
    let line = text[start..].lines().next().unwrap_or_default();
    let end = ["}}", "%}", "#}"].iter().filter_map(|closing| Some(line.find(closing)? + 2)).min();
    let expression = &line[..end.unwrap_or(line.len())];
    Some((problem(expression), start..start + expression.len()))
}

fn opens(tokens: &[&Token]) -> bool {
    matches!(tokens, [Token::LBrace, Token::LBrace | Token::Mod | Token::Sharp, ..])
}

fn problem(expression: &str) -> Problem {
    let message = format!("`{expression}` is a template expression of another tool, not SQL");
    Problem::new(codes::SQL_SYNTAX, message).help(instead(expression))
}

/// What to write instead of a template expression.
fn instead(expression: &str) -> String {
    let inside = expression.trim_matches(['{', '}', '%', '#', '-', ' ']);
    let word = inside.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let quoted = inside.split(['\'', '"']).skip(1).step_by(2).last().unwrap_or("its_name");
    let parameter = |name: &str| format!("declare `{name}` under `params` in windlass.yaml, and write `${name}`");
    if expression.starts_with("{#") {
        return "write a comment as `-- …` or `/* … */`".to_owned();
    }
    if word == "this" || inside.contains("is_incremental") {
        return "write the query over all rows, and set `io: { incremental: auto }` in the header: windlass computes \
                only what has changed"
            .to_owned();
    }
    match word {
        "ref" => format!("write the name of the stage: `{quoted}`"),
        "source" => format!("declare it under `sources` in windlass.yaml, and write its name: `{quoted}`"),
        "var" | "env_var" => parameter(quoted),
        "config" => "put settings into the header, a comment at the start of the file: `/* windlass … */`".to_owned(),
        "if" | "elif" | "else" | "endif" => {
            "decide in SQL, with CASE or WHERE and a parameter (`$its_name`), or write several stages".to_owned()
        }
        "for" | "endfor" | "macro" | "endmacro" | "call" | "endcall" | "set" => {
            "write it out in SQL; stages that are used several times are a sub-DAG (docs/subdags.md)".to_owned()
        }
        name if name == inside && !name.is_empty() => parameter(name),
        _ => "write SQL: tables by their names, parameters as `$its_name`".to_owned(),
    }
}
