//! Checks the nodes of a plan, and reduces its scans to a name and columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, FetchType, LogicalPlan, LogicalPlanBuilder, SkipType, TableScan, TableSource, UNNAMED_TABLE,
};

use super::PlanWireError;
use super::wire::NamedTable;

const AS_JOIN: &str = "write it as a join (`LeftSemi`, `LeftAnti`), or write this stage in SQL";
const AS_QUERY: &str = "a stage is one query; windlass writes its rows";

/// Checks that `plan` is a query of parts that can be sent.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), PlanWireError> {
    let mut refused: Option<(String, &'static str)> = None;
    let walked = plan.apply_with_subqueries(|node| {
        refused = refused_node(node);
        if refused.is_some() {
            return Ok(TreeNodeRecursion::Stop);
        }
        node.apply_expressions(|root| {
            root.apply(|expr| {
                refused = refused_expression(expr).map(|what| (what.to_owned(), AS_JOIN));
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    walked.map_err(PlanWireError::Engine)?;
    match refused {
        Some((what, help)) => Err(PlanWireError::Refused { what, help }),
        None => Ok(()),
    }
}

fn refused_node(node: &LogicalPlan) -> Option<(String, &'static str)> {
    let (what, help) = match node {
        LogicalPlan::Limit(limit) => {
            let literal = matches!(limit.get_skip_type(), Ok(SkipType::Literal(_)))
                && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(_)));
            return (!literal)
                .then(|| ("a limit or offset that is not a number".to_owned(), "write the number, or write SQL"));
        }
        LogicalPlan::EmptyRelation(empty) if !empty.schema.fields().is_empty() => {
            ("an empty relation with columns", "read a table and filter all of its rows away")
        }
        LogicalPlan::Statement(_) => ("a statement", AS_QUERY),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => ("an EXPLAIN", "send the query that it explains"),
        LogicalPlan::Dml(_) => ("a change of a table", AS_QUERY),
        LogicalPlan::Ddl(_) => ("the creation or removal of something", AS_QUERY),
        LogicalPlan::Copy(_) => ("a COPY", AS_QUERY),
        LogicalPlan::DescribeTable(_) => ("a DESCRIBE", AS_QUERY),
        LogicalPlan::Extension(extension) => {
            let what = format!("the node `{}` of an extension", extension.node.name());
            return Some((what, "write this stage with the engine's own operators"));
        }
        _ => return None,
    };
    Some((what.to_owned(), help))
}

fn refused_expression(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::InSubquery(_) => Some("an `IN` over a subquery"),
        Expr::Exists(_) => Some("an `EXISTS`"),
        Expr::SetComparison(_) => Some("an `ANY` or `ALL` over a subquery"),
        Expr::OuterReferenceColumn(_, _) => Some("a subquery that refers to the query around it"),
        Expr::ScalarVariable(_, _) => Some("a variable of a session"),
        _ => None,
    }
}

/// `plan` with scans that are a name and columns. Filters, projections and limits of a scan become nodes above it.
pub(super) fn with_named_scans(plan: &LogicalPlan) -> Result<LogicalPlan, PlanWireError> {
    let unnamed = std::cell::Cell::new(false);
    let series = std::cell::RefCell::new(None);
    let transformed = plan.clone().transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) if is_work_table(&scan.source) => {
            Ok(Transformed::no(LogicalPlan::TableScan(scan)))
        }
        LogicalPlan::TableScan(scan) => {
            if scan.table_name.table() == UNNAMED_TABLE {
                unnamed.set(true);
            }
            if is_series(&scan.source) {
                series.replace(Some(scan.table_name.table().to_owned()));
            }
            named_scan(scan).map(Transformed::yes)
        }
        // Parent nodes know a table's keys from its provider.
        other => other.recompute_schema().map(Transformed::yes),
    });
    if unnamed.get() {
        return Err(PlanWireError::Refused {
            what: "in-memory rows, or files that are not a source of the project".to_owned(),
            help: "make them a source of the project, and read that by its name",
        });
    }
    if let Some(function) = series.take() {
        // A scan is encoded as a name and columns, and so without the arguments.
        let what = format!("a scan of the table function `{function}`");
        return Err(PlanWireError::Refused { what, help: "write this stage in SQL" });
    }
    Ok(transformed.map_err(PlanWireError::Engine)?.data)
}

fn named_scan(scan: TableScan) -> Result<LogicalPlan> {
    let TableScan { table_name, source, projection, filters, fetch, .. } = scan;
    let table = Arc::new(NamedTable { schema: source.schema() });
    let name = TableReference::bare(table_name.table());
    let mut builder = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?;
    if !matches!(table_name, TableReference::Bare { .. }) {
        // The columns of the plan have the full name.
        builder = builder.alias(table_name)?;
    }
    if let Some(condition) = conjunction(filters) {
        builder = builder.filter(condition)?;
    }
    if let Some(indices) = projection {
        let schema = Arc::clone(builder.schema());
        let column = |index| Expr::Column(Column::from(schema.qualified_field(index)));
        builder = builder.project(indices.into_iter().map(column))?;
    }
    match fetch {
        Some(rows) => builder.limit(0, Some(rows))?.build(),
        None => builder.build(),
    }
}

/// Whether a scan reads the result of a table function.
fn is_series(source: &Arc<dyn TableSource>) -> bool {
    source_as_provider(source).is_ok_and(|provider| provider.downcast_ref::<GenerateSeriesTable>().is_some())
}

/// Whether a scan reads the work table of a recursive query.
fn is_work_table(source: &Arc<dyn TableSource>) -> bool {
    source_as_provider(source).is_ok_and(|provider| provider.downcast_ref::<CteWorkTable>().is_some())
}

/// The columns that a plan reads, by table name. A table that is read twice may have different ones.
pub(super) type Scans = BTreeMap<String, Vec<SchemaRef>>;

/// The scans of a plan as it was sent.
pub(super) fn scans(plan: &LogicalPlan) -> Result<Scans, PlanWireError> {
    let mut scans = Scans::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && !is_work_table(&scan.source)
        {
            let provider = source_as_provider(&scan.source)?;
            let Some(table) = provider.downcast_ref::<NamedTable>() else {
                return Err(DataFusionError::Plan(format!("`{}` is not a table of a project", scan.table_name)));
            };
            scans.entry(scan.table_name.table().to_owned()).or_default().push(Arc::clone(&table.schema));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(PlanWireError::Engine)?;
    Ok(scans)
}

/// The names of the tables that a plan reads.
pub(super) fn tables(plan: &LogicalPlan) -> Result<BTreeSet<String>, PlanWireError> {
    Ok(scans(plan)?.into_keys().collect())
}
