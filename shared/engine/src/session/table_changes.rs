//! The SQL function `table_changes('name', from[, to])`: a table's change feed in one query.
//!
//! A range is planned before the query, because that requires reading the table's log: the calls are extracted from the
//! parsed statement, and the session of the query gets a function with the planned results.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, ObjectNamePart, TableFactor, Visit, Visitor,
};
use windlass_base::ids::{NodeName, TableVersion};

/// The function's name.
pub const TABLE_CHANGES: &str = "table_changes";

/// The engine looks up table functions case-sensitively.
const SPELLINGS: [&str; 2] = [TABLE_CHANGES, "TABLE_CHANGES"];

const USAGE: &str =
    "it takes the name of a source or a stage and one or two versions, all written out: table_changes('orders', 3, 7)";

/// A call of `table_changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesCall {
    /// The source or stage whose changes are read.
    pub table: NodeName,
    /// The first version whose changes are read.
    pub from: TableVersion,
    /// The last version whose changes are read; `None` for the newest, or the one that the query reads the table at.
    pub to: Option<TableVersion>,
}

impl ChangesCall {
    fn of(arguments: &[Argument]) -> Result<Self> {
        let (table, from, to) = match arguments {
            [Argument::Text(table), Argument::Version(from)] => (table, *from, None),
            [Argument::Text(table), Argument::Version(from), Argument::Version(to)] => (table, *from, Some(*to)),
            _ => return plan_err!("`{TABLE_CHANGES}` cannot be called like this: {USAGE}"),
        };
        if let Some(to) = to.filter(|to| *to < from) {
            return plan_err!(
                "`{TABLE_CHANGES}` is called for the changes of `{table}` from version {from} to version {to}, which is earlier"
            );
        }
        Ok(Self { table: NodeName::new(table.as_str()), from: TableVersion(from), to: to.map(TableVersion) })
    }
}

enum Argument {
    Text(String),
    Version(u64),
    Other,
}

/// Every call of `table_changes` in `statement`, each once.
///
/// # Errors
/// The engine's, if the arguments are not a name and one or two literal versions.
pub fn changes_calls(statement: &Statement) -> Result<Vec<ChangesCall>> {
    struct Finder(Vec<ChangesCall>);

    impl Visitor for Finder {
        type Break = DataFusionError;

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
            let TableFactor::Table { name, args: Some(args), .. } = factor else { return ControlFlow::Continue(()) };
            let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return ControlFlow::Continue(()) };
            if !SPELLINGS.contains(&name.value.as_str()) {
                return ControlFlow::Continue(());
            }
            let arguments: Vec<Argument> = args.args.iter().map(written).collect();
            match ChangesCall::of(&arguments) {
                Ok(call) if self.0.contains(&call) => ControlFlow::Continue(()),
                Ok(call) => {
                    self.0.push(call);
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        }
    }

    let mut finder = Finder(Vec::new());
    let queried = match statement {
        Statement::Statement(statement) => Some(statement.as_ref()),
        Statement::Explain(explain) => return changes_calls(&explain.statement),
        _ => None,
    };
    match queried.map(|statement| statement.visit(&mut finder)) {
        Some(ControlFlow::Break(error)) => Err(error),
        _ => Ok(finder.0),
    }
}

/// An argument in the text of a query.
fn written(argument: &FunctionArg) -> Argument {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(value))) = argument else { return Argument::Other };
    match &value.value {
        ast::Value::SingleQuotedString(text) => Argument::Text(text.clone()),
        ast::Value::Number(number, _) => number.to_string().parse().map_or(Argument::Other, Argument::Version),
        _ => Argument::Other,
    }
}

/// An argument in a plan.
fn planned(argument: &Expr) -> Argument {
    let Expr::Literal(value, _) = argument else { return Argument::Other };
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            Argument::Text(text.clone())
        }
        ScalarValue::Int64(Some(version)) => u64::try_from(*version).map_or(Argument::Other, Argument::Version),
        ScalarValue::UInt64(Some(version)) => Argument::Version(*version),
        _ => Argument::Other,
    }
}

/// Registers the function `table_changes` in the session of `context`, with the results of the given calls.
pub fn register_table_changes(context: &SessionContext, answers: Vec<(ChangesCall, Arc<dyn TableProvider>)>) {
    let function = Arc::new(TableChangesFunction { answers });
    for name in SPELLINGS {
        context.register_udtf(name, Arc::clone(&function) as Arc<dyn TableFunctionImpl>);
    }
}

#[derive(Debug)]
struct TableChangesFunction {
    answers: Vec<(ChangesCall, Arc<dyn TableProvider>)>,
}

impl TableFunctionImpl for TableChangesFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let arguments: Vec<Argument> = args.exprs().iter().map(planned).collect();
        let call = ChangesCall::of(&arguments)?;
        match self.answers.iter().find(|(known, _)| *known == call) {
            Some((_, provider)) => Ok(Arc::clone(provider)),
            None => plan_err!("`{TABLE_CHANGES}` cannot be called from here: write the call into the query itself"),
        }
    }
}
