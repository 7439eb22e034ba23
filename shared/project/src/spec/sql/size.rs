//! How deep and how large a query may be once it is parsed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectNamePart, Query, TableFactor, Visit, Visitor};
use sqlparser::tokenizer::Location;

use super::tokens::Tokens;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;

/// The maximum nesting depth of an expression: a chain such as `a + b + c` is as deep as it is long. The engine's
/// planning time grows with the cube of the depth.
const MAX_EXPRESSION_LEVELS: usize = 300;
/// The maximum number of tables that a query may read, counting common table expressions each time they are read.
const MAX_RELATIONS: u64 = 2_000;

/// Reports a query that is deeper or larger than allowed.
pub(super) fn check(query: &Query, tokens: &Tokens<'_>, normalize: bool, problems: &mut Vec<Problem>) {
    if let Some(span) = too_deep_at(query, tokens) {
        problems.push(too_deep().at(&span));
        return;
    }
    let mut counter = Counter { tokens, normalize, open: Vec::new(), known: HashMap::new() };
    if let ControlFlow::Break(span) = query.visit(&mut counter) {
        let message = format!(
            "the query reads more than {MAX_RELATIONS} tables, including those of its common table expressions"
        );
        let problem = Problem::new(codes::LIMIT, message).at(&span);
        problems.push(problem.help("split it: write expressions that are read several times as stages of their own"));
    }
}

/// The position of an expression that is too deep.
pub(super) fn too_deep_at<T: Visit>(tree: &T, tokens: &Tokens<'_>) -> Option<Span> {
    let mut levels = Levels { level: 0, is_beyond: false };
    match tree.visit(&mut levels) {
        ControlFlow::Break(Some(place)) => Some(tokens.span_at(place)),
        ControlFlow::Break(None) => Some(tokens.whole()),
        ControlFlow::Continue(()) if levels.is_beyond => Some(tokens.whole()),
        ControlFlow::Continue(()) => None,
    }
}

/// An expression that is too deep.
pub(super) fn too_deep() -> Problem {
    let message = format!("an expression has more than {MAX_EXPRESSION_LEVELS} levels of nesting");
    Problem::new(codes::LIMIT, message)
        .help("a chain of operators is as deep as it is long: use IN lists, VALUES, a join or several columns")
}

/// Finds the first column or value that is too deep and whose position is known.
struct Levels {
    level: usize,
    is_beyond: bool,
}

impl Visitor for Levels {
    type Break = Option<Location>;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        self.level += 1;
        if self.level <= MAX_EXPRESSION_LEVELS {
            return ControlFlow::Continue(());
        }
        self.is_beyond = true;
        let place = match expr {
            Expr::Identifier(ident) => ident.span.start,
            Expr::CompoundIdentifier(idents) => idents.first().map_or(Location::empty(), |ident| ident.span.start),
            Expr::Value(value) => value.span.start,
            // It is traversed only to its first leaf.
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break((place.line > 0).then_some(place))
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<Self::Break> {
        self.level -= 1;
        ControlFlow::Continue(())
    }
}

/// Counts the tables of every nested query.
struct Counter<'a> {
    tokens: &'a Tokens<'a>,
    normalize: bool,
    /// The enclosing queries of the current position, and how many tables each has read so far.
    open: Vec<Open>,
    /// How many tables each common table expression in scope reads, by name; the nearest with a name last.
    known: HashMap<String, Vec<u64>>,
}

struct Open {
    relations: u64,
    /// The common table expressions of the query, by the address of their own queries.
    named: Vec<(*const Query, String)>,
}

impl Counter<'_> {
    fn resolved(&self, ident: &Ident) -> String {
        if self.normalize && ident.quote_style.is_none() {
            ident.value.to_ascii_lowercase()
        } else {
            ident.value.clone()
        }
    }
}

impl Visitor for Counter<'_> {
    type Break = Span;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = named.map(|cte| (cte.query.as_ref() as *const Query, self.resolved(&cte.alias.name))).collect();
        self.open.push(Open { relations: 0, named });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let Some(done) = self.open.pop() else { return ControlFlow::Continue(()) };
        // Its names are out of scope.
        for (_, name) in &done.named {
            if let Some(relations) = self.known.get_mut(name) {
                relations.pop();
            }
        }
        let Some(outer) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        let name = outer.named.iter().find(|(own, _)| std::ptr::eq(*own, query)).map(|(_, name)| name.clone());
        match name {
            Some(name) => self.known.entry(name).or_default().push(done.relations),
            None => outer.relations = outer.relations.saturating_add(done.relations),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, .. } = factor else { return ControlFlow::Continue(()) };
        let ident = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => Some(ident),
            _ => None,
        };
        let known = ident.and_then(|ident| self.known.get(&self.resolved(ident))).and_then(|named| named.last());
        let reads = known.copied().unwrap_or(1).max(1);
        let Some(query) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        query.relations = query.relations.saturating_add(reads);
        if query.relations > MAX_RELATIONS {
            return ControlFlow::Break(
                ident.map_or_else(|| self.tokens.whole(), |ident| self.tokens.span_at(ident.span.start)),
            );
        }
        ControlFlow::Continue(())
    }
}
