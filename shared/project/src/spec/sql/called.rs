//! The functions that a query calls, and the clauses around their arguments.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Ident, ObjectNamePart, Statement, Visit, Visitor,
};

use super::tokens::Tokens;
use super::{SqlText, parser_of};
use crate::spec::span::Span;

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The name as the engine looks it up.
    pub name: String,
    /// Where the name is.
    pub span: Span,
    /// The clauses that it is called with.
    pub clauses: Vec<CallClause>,
}

/// A clause that not every function supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallClause {
    /// `DISTINCT` before the arguments.
    Distinct,
    /// `ORDER BY` after the arguments.
    OrderBy {
        /// Whether the first argument is what it sorts by.
        by_argument: bool,
    },
    /// `IGNORE NULLS` or `RESPECT NULLS`.
    Nulls,
    /// `WITHIN GROUP`.
    WithinGroup,
    /// `FILTER`.
    Filter,
    /// `OVER`.
    Over,
    /// `name => value`.
    ArgumentName,
}

impl CallClause {
    /// The clause as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Distinct => "DISTINCT",
            Self::OrderBy { .. } => "ORDER BY",
            Self::Nulls => "IGNORE NULLS",
            Self::WithinGroup => "WITHIN GROUP",
            Self::Filter => "FILTER",
            Self::Over => "OVER",
            Self::ArgumentName => "=>",
        }
    }
}

/// The calls of a query that have a clause; none if the text is not a query.
pub fn calls(sql: &SqlText) -> Vec<Call> {
    let file = Arc::clone(&sql.file);
    let Ok(tokens) = Tokens::read(&file, &sql.text, sql.offset) else { return Vec::new() };
    let query = match parser_of(&tokens).parse_statement() {
        Ok(Statement::Query(query)) => query,
        Ok(Statement::Explain { statement, .. }) => match *statement {
            Statement::Query(query) => query,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let mut finder = Finder { tokens: &tokens, found: Vec::new() };
    let ControlFlow::Continue(()) = query.visit(&mut finder);
    finder.found
}

struct Finder<'a> {
    tokens: &'a Tokens<'a>,
    found: Vec<Call>,
}

impl Visitor for Finder<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr {
            let clauses = clauses_of(function);
            if let (false, Some(first)) =
                (clauses.is_empty(), function.name.0.first().and_then(ObjectNamePart::as_ident))
            {
                let span = self.tokens.span_at(first.span.start);
                self.found.push(Call { name: resolved(function, first), span, clauses });
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name as the engine looks it up: lower-cased, unless it is quoted.
fn resolved(function: &Function, first: &Ident) -> String {
    match function.name.0.len() {
        1 if first.quote_style.is_none() => first.value.to_lowercase(),
        1 => first.value.clone(),
        _ => function.name.to_string(),
    }
}

fn clauses_of(function: &Function) -> Vec<CallClause> {
    let Function { name: _, uses_odbc_syntax: _, parameters: _, args, filter, null_treatment, over, within_group } =
        function;
    let mut clauses = match args {
        FunctionArguments::List(list) => clauses_of_arguments(list),
        FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
    };
    clauses.extend(null_treatment.map(|_| CallClause::Nulls));
    clauses.extend((!within_group.is_empty()).then_some(CallClause::WithinGroup));
    clauses.extend(filter.as_ref().map(|_| CallClause::Filter));
    clauses.extend(over.as_ref().map(|_| CallClause::Over));
    clauses
}

fn clauses_of_arguments(list: &FunctionArgumentList) -> Vec<CallClause> {
    let FunctionArgumentList { duplicate_treatment, args, clauses } = list;
    let distinct = (*duplicate_treatment == Some(DuplicateTreatment::Distinct)).then_some(CallClause::Distinct);
    let named = args.iter().any(|arg| !matches!(arg, FunctionArg::Unnamed(_))).then_some(CallClause::ArgumentName);
    let others = clauses.iter().filter_map(|clause| match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(_) => Some(CallClause::Nulls),
        FunctionArgumentClause::OrderBy(order) => {
            let sorted_by = order.first().map(|first| &first.expr);
            let first = args.first().and_then(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            });
            Some(CallClause::OrderBy { by_argument: order.len() == 1 && sorted_by == first })
        }
        // The grammar refuses these.
        FunctionArgumentClause::Limit(_)
        | FunctionArgumentClause::OnOverflow(_)
        | FunctionArgumentClause::Having(_)
        | FunctionArgumentClause::Separator(_)
        | FunctionArgumentClause::JsonNullClause(_)
        | FunctionArgumentClause::JsonReturningClause(_) => None,
    });
    distinct.into_iter().chain(named).chain(others).collect()
}
