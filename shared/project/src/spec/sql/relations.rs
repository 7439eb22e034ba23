//! The tables that a query reads, without common table expressions.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectNamePart, Query, TableFactor, Visit, Visitor};

use super::tokens::Tokens;
use crate::spec::pipeline::RelationRef;

/// Every table name in a query that is not a common table expression in scope, in the order of the text.
pub(super) fn of(query: &Query, tokens: &Tokens<'_>, normalize: bool) -> Vec<RelationRef> {
    let mut finder = Finder { tokens, normalize, scopes: Vec::new(), found: Vec::new() };
    let ControlFlow::Continue(()) = query.visit(&mut finder);
    finder.found.sort_by_key(|relation| relation.span.start);
    finder.found
}

/// The expressions that a query's WITH names.
struct Scope {
    /// The names that are in scope so far.
    names: Vec<String>,
    /// The query of each common table expression, by address, with its name.
    queries: Vec<(*const Query, String)>,
    recursive: bool,
}

struct Finder<'a> {
    tokens: &'a Tokens<'a>,
    normalize: bool,
    scopes: Vec<Scope>,
    found: Vec<RelationRef>,
}

impl Finder<'_> {
    /// The name as the engine resolves it.
    fn resolved(&self, ident: &Ident) -> String {
        if self.normalize && ident.quote_style.is_none() {
            ident.value.to_ascii_lowercase()
        } else {
            ident.value.clone()
        }
    }

    /// The name of the common table expression whose query is `query`, if the enclosing WITH names it.
    fn name_of(&self, query: &Query) -> Option<String> {
        let scope = self.scopes.last()?;
        let own = |(other, _): &&(*const Query, String)| std::ptr::eq(*other, query);
        scope.queries.iter().find(own).map(|(_, name)| name.clone())
    }

    fn is_in_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.names.iter().any(|other| other == name))
    }
}

impl Visitor for Finder<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        // A recursive expression can refer to itself, any other only to earlier ones.
        if let Some(name) = self.name_of(query)
            && let Some(scope) = self.scopes.last_mut().filter(|scope| scope.recursive)
        {
            scope.names.push(name);
        }
        let with = query.with.as_ref();
        let queries = with.map(|with| {
            let named =
                |cte: &sqlparser::ast::Cte| (cte.query.as_ref() as *const Query, self.resolved(&cte.alias.name));
            with.cte_tables.iter().map(named).collect()
        });
        self.scopes.push(Scope {
            names: Vec::new(),
            queries: queries.unwrap_or_default(),
            recursive: with.is_some_and(|with| with.recursive),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        self.scopes.pop();
        if let Some(name) = self.name_of(query)
            && let Some(scope) = self.scopes.last_mut()
        {
            scope.names.push(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        // With arguments it is a table function.
        let TableFactor::Table { name, args: None, alias, .. } = factor else { return ControlFlow::Continue(()) };
        let idents: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let (Some(first), Some(last)) = (idents.first(), idents.last()) else { return ControlFlow::Continue(()) };
        let parts: Vec<String> = idents.iter().map(|ident| self.resolved(ident)).collect();
        if !matches!(parts.as_slice(), [only] if self.is_in_scope(only)) {
            let mut span = self.tokens.span_at(first.span.start);
            span.end = self.tokens.span_at(last.span.start).end.max(span.end);
            self.found.push(RelationRef { parts, written: name.to_string(), has_alias: alias.is_some(), span });
        }
        ControlFlow::Continue(())
    }
}
