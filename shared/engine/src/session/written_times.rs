//! Time literals in SQL have microseconds, like times in tables.
//!
//! For the engine, `TIMESTAMP '9999-12-31'` is a time in nanoseconds, whose range ends in 2262. The arguments of table
//! functions are not changed: `generate_series` counts in nanoseconds.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use sqlparser::ast::{DataType, Expr, TableFactor, TimezoneInfo, TypedString, Value, VisitMut, VisitorMut};

/// The fractional digits of seconds in tables.
const STORED_DIGITS: u64 = 6;

/// The logical plan of a query.
///
/// # Errors
/// The engine's, if it does not understand the query or has no plan for it.
pub async fn sql_plan(state: &SessionState, sql: &str) -> Result<LogicalPlan> {
    let dialect = state.config().options().sql_parser.dialect;
    statement_plan(state, state.sql_to_statement(sql, &dialect)?).await
}

/// The logical plan of a query that has been parsed.
///
/// # Errors
/// The engine's, if it has no plan for it.
pub async fn statement_plan(state: &SessionState, mut statement: Statement) -> Result<LogicalPlan> {
    if let Statement::Statement(query) = &mut statement {
        // The visitor does not break.
        let _ = query.visit(&mut StoredTimes::default());
    }
    state.statement_to_plan(statement).await
}

#[derive(Default)]
struct StoredTimes {
    /// The number of enclosing table function calls.
    calls: usize,
}

impl VisitorMut for StoredTimes {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.calls += usize::from(is_call(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.calls -= usize::from(is_call(factor));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let written = match expr {
            Expr::TypedString(TypedString { data_type, .. }) => Some(data_type),
            Expr::Cast { expr, data_type, .. } if is_text(expr) => Some(data_type),
            _ => None,
        };
        if let Some(DataType::Timestamp(digits @ None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)) = written
            && self.calls == 0
        {
            *digits = Some(STORED_DIGITS);
        }
        ControlFlow::Continue(())
    }
}

fn is_call(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. })
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}
