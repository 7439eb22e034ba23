//! Expands the query of a sub-DAG's stage: parameters become literals or identifiers, table names become the outer
//! names.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::suggest::{listed, nearest};

use super::argument::identifier;
use super::text::Arguments;
use crate::spec::codes;
use crate::spec::pipeline::RelationRef;
use crate::spec::problem::Problem;
use crate::spec::source_map::{SourceMap, replace};
use crate::spec::span::Span;
use crate::spec::sql;

/// The meaning of names inside an instance.
pub(in crate::spec::decode) struct Scope<'a> {
    /// The sub-DAG's name.
    pub(super) subdag: &'a str,
    pub(super) arguments: &'a Arguments,
    /// The outer node name of each local table name.
    pub(in crate::spec::decode) names: &'a BTreeMap<String, String>,
    /// Whether unquoted names fold to lower case.
    pub(super) normalize: bool,
}

/// Expands a text whose query starts at byte `body`. `places` is the source map of the text into `origin`.
pub(super) fn expand(
    origin: &Arc<str>,
    places: &SourceMap,
    text: &str,
    body: usize,
    scope: &Scope<'_>,
    problems: &mut Vec<Problem>,
) -> (String, SourceMap) {
    let mut edits = Vec::new();
    // A text without tokens is reported where the stage is decoded.
    for param in sql::placeholders_in(origin, text, body).unwrap_or_default() {
        let range = param.span.start..param.span.end;
        let place = places.original(range.clone());
        if let Some(argument) = scope.arguments.find(&param.value, &Span::new(origin, place.start, place.end), problems)
        {
            edits.push((range, argument.sql()));
        }
    }
    let (filled, first) = replace(text, edits);
    let first = places.compose(&first);
    let mut edits = Vec::new();
    for relation in sql::relations_in(origin, &filled, body, scope.normalize) {
        let [name] = relation.parts.as_slice() else { continue };
        match scope.names.get(name) {
            Some(outside) if outside == name => {}
            Some(outside) => edits.push((relation.span.start..relation.span.end, renamed(&relation, outside))),
            None => {
                let place = first.original(relation.span.start..relation.span.end);
                problems.push(scope.unknown(&relation.written, &Span::new(origin, place.start, place.end)));
            }
        }
    }
    let (made, second) = replace(&filled, edits);
    (made, first.compose(&second))
}

/// The table with its outer name. The local name is kept as an alias for references to its columns.
fn renamed(relation: &RelationRef, outside: &str) -> String {
    match relation.has_alias {
        true => identifier(outside),
        false => format!("{} AS {}", identifier(outside), relation.written),
    }
}

impl Scope<'_> {
    /// The problem of an unknown local table.
    pub(in crate::spec::decode) fn unknown(&self, name: &str, place: &Span) -> Problem {
        let message = format!("`{name}` is neither an input of the sub-DAG `{}` nor a stage of it", self.subdag);
        let mut problem = Problem::new(codes::SUBDAG_SCOPE, message).label(place, "not known inside");
        let known: Vec<&str> = self.names.keys().map(String::as_str).collect();
        problem.help = Some(match nearest(name, known.iter().copied()) {
            Some(other) => format!("did you mean `{other}`? external tables are declared under `inputs`"),
            None if known.is_empty() => "declare it under `inputs`".to_owned(),
            None => format!("declare it under `inputs`; it knows {}", listed(&known)),
        });
        problem
    }
}
