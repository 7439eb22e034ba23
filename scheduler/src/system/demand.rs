//! What a question can use of the system tables, by its optimized plan.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, Sort, TableScan};
use windlass_evidence::system::SystemTable;

use super::unread::Unread;

/// What one scan can use.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Demand {
    /// Of which table.
    pub(super) table: SystemTable,
    pub(super) rows: Wanted,
}

/// Which rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// Those for which all of this is true.
    Filtered(Vec<Expr>),
    /// So many of the newest runs.
    Newest(usize),
}

impl Demand {
    /// All rows of a table.
    pub(super) fn all(table: SystemTable) -> Self {
        Self { table, rows: Wanted::Filtered(Vec::new()) }
    }
}

/// What each scan of an [`Unread`] table in the plan can use.
pub(super) fn demands(plan: &LogicalPlan) -> Vec<Demand> {
    let mut demands = Vec::new();
    // The visitor does not fail.
    let _ = plan.apply_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::Sort(sort) => match newest(sort) {
                Some(count) => {
                    demands.push(Demand { table: SystemTable::Runs, rows: Wanted::Newest(count) });
                    // Between the sort and its scan there is nothing else.
                    TreeNodeRecursion::Jump
                }
                None => TreeNodeRecursion::Continue,
            },
            LogicalPlan::TableScan(scan) => {
                demands.extend(unread(scan).map(|table| of_scan(table, scan)));
                TreeNodeRecursion::Continue
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    demands
}

/// The system table that is scanned.
fn unread(scan: &TableScan) -> Option<SystemTable> {
    source_as_provider(&scan.source).ok()?.downcast_ref::<Unread>().map(|unread| unread.table)
}

fn of_scan(table: SystemTable, scan: &TableScan) -> Demand {
    let rows = match scan.fetch {
        // Every run has one row, so any of them will do.
        Some(count) if table == SystemTable::Runs && scan.filters.is_empty() => Wanted::Newest(count),
        _ => Wanted::Filtered(scan.filters.clone()),
    };
    Demand { table, rows }
}

/// How many of the newest runs a sort leaves, if it sorts all runs by their start, the newest first, and nothing else.
fn newest(sort: &Sort) -> Option<usize> {
    let count = sort.fetch?;
    let first = sort.expr.first().filter(|first| !first.asc)?;
    // Anything else could contain a subquery.
    sort.expr.iter().all(|key| matches!(key.expr, Expr::Column(_))).then_some(())?;
    let mut column = column_name(&first.expr)?;
    let mut plan = sort.input.as_ref();
    loop {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => plan = alias.input.as_ref(),
            LogicalPlan::Projection(projection) => {
                projection.expr.iter().all(|expr| column_name(expr).is_some()).then_some(())?;
                let place = projection.schema.fields().iter().position(|field| field.name() == column)?;
                column = column_name(projection.expr.get(place)?)?;
                plan = projection.input.as_ref();
            }
            LogicalPlan::TableScan(scan) => {
                let is_whole = scan.filters.is_empty() && scan.fetch.is_none();
                let table = unread(scan).filter(|table| *table == SystemTable::Runs && is_whole)?;
                return (column == table.start_column() || column == table.id_column()).then_some(count);
            }
            _ => return None,
        }
    }
}

/// The name of a column, if the expression is one, under whatever name.
fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Alias(alias) => column_name(&alias.expr),
        _ => None,
    }
}
