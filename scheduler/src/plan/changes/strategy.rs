//! The strategy that fits the changes of a stage's inputs, and the rows of changed files.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use windlass_base::ids::NodeName;
use windlass_engine::session::{ListingChange, PATH_COLUMN};
use windlass_project::expect::{Rule, Severity};
use windlass_project::graph::Stage;
use windlass_project::spec::table::WriteMode;
use windlass_project::strategy::Strategy;

use super::feeds::ChangeFeeds;
use crate::plan::incremental::{Blocker, Choice, StrategyRequest, TraceError, choose, is_row_wise};

/// The strategy by which `stage`, whose optimized query is `plan`, applies `feeds`; or what stands against all but
/// computing everything. `again` if changes that are applied already are applied once more.
///
/// # Errors
/// The engine's, if it refuses a plan.
pub fn strategy_for(
    stage: &Stage,
    plan: &LogicalPlan,
    feeds: &ChangeFeeds,
    again: bool,
) -> Result<std::result::Result<Choice, Blocker>> {
    if let Some(name) = feeds.opaque.first() {
        let operator = format!("the source `{name}`");
        return Ok(Err(Blocker { operator, reason: "its files have no change feed".to_owned() }));
    }
    if let Some(name) = feeds.files.keys().next() {
        return Ok(by_files(stage, plan, feeds, name));
    }
    let request = StrategyRequest {
        plan,
        key: &stage.table.key,
        partition_by: &stage.table.partition_by,
        append_only: stage.table.mode == WriteMode::Append,
        again,
        among_rows: judges_among_rows(stage),
    };
    match choose(request, &feeds.tables) {
        Ok(choice) => Ok(Ok(choice)),
        Err(TraceError::Blocked(blocker)) => Ok(Err(blocker)),
        Err(TraceError::Engine(error)) => Err(error),
    }
}

/// Whether other rows decide if a row of the stage goes to quarantine: those with its key, or those that it refers to.
fn judges_among_rows(stage: &Stage) -> bool {
    stage.expectations.iter().any(|expectation| {
        let is_among_rows = matches!(expectation.rule, Rule::Unique { .. } | Rule::References { .. });
        is_among_rows && expectation.severity == Severity::Quarantine
    })
}

/// Changes of files can be applied where each row is made of one file, and says of which.
fn by_files(
    stage: &Stage,
    plan: &LogicalPlan,
    feeds: &ChangeFeeds,
    source: &NodeName,
) -> std::result::Result<Choice, Blocker> {
    let blocked = |reason: &str| Err(Blocker { operator: format!("the source `{source}`"), reason: reason.to_owned() });
    let mut scans = Vec::new();
    let looked = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            scans.push(scan.table_name.table().to_owned());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    if stage.table.mode == WriteMode::Append {
        return blocked("rows of changed files cannot be replaced with `mode: append`");
    }
    if judges_among_rows(stage) {
        return blocked("which of its rows go to quarantine is decided by other rows too");
    }
    if looked.is_err() || scans != [source.as_str()] || feeds.files.len() != 1 || !is_row_wise(plan) {
        return blocked("its changes can be followed only where each row is made of one file and nothing else");
    }
    match path_column(plan) {
        Some(column) => Ok(Choice { strategy: Strategy::ChangedFiles, replace_by: vec![column] }),
        None => blocked("its changes can be followed only where the result keeps the column `path`"),
    }
}

/// The column of a plan over text files that holds each row's path as it is.
fn path_column(plan: &LogicalPlan) -> Option<String> {
    (0..plan.schema().fields().len())
        .find(|index| is_path(plan, *index))
        .map(|index| plan.schema().field(index).name().clone())
}

/// Whether a column of a row-wise plan is the path of the file that the row is made of.
fn is_path(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => scan.projected_schema.field(index).name() == PATH_COLUMN,
        LogicalPlan::Projection(projection) => {
            let mut expr = &projection.expr[index];
            while let Expr::Alias(alias) = expr {
                expr = &alias.expr;
            }
            let Expr::Column(column) = expr else { return false };
            let below = projection.input.schema().maybe_index_of_column(column);
            below.is_some_and(|index| is_path(&projection.input, index))
        }
        LogicalPlan::Filter(filter) => is_path(&filter.input, index),
        LogicalPlan::SubqueryAlias(alias) => is_path(&alias.input, index),
        LogicalPlan::Sort(sort) => is_path(&sort.input, index),
        LogicalPlan::Repartition(repartition) => is_path(&repartition.input, index),
        LogicalPlan::Unnest(unnest) => {
            let below = unnest.dependency_indices.get(index).copied().unwrap_or(usize::MAX);
            let unnested = unnest.list_type_columns.iter().map(|(index, _)| *index);
            let unnested = unnested.chain(unnest.struct_type_columns.iter().copied()).any(|column| column == below);
            !unnested && below < unnest.input.schema().fields().len() && is_path(&unnest.input, below)
        }
        _ => false,
    }
}

/// `plan` over those files of its source alone that are among `paths`.
///
/// # Errors
/// The engine's, if it refuses the plan.
pub fn over_files(plan: &LogicalPlan, paths: &ListingChange) -> Result<LogicalPlan> {
    let wanted: Vec<Expr> = paths.paths.iter().map(lit).collect();
    let narrowed = plan.clone().transform_down(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let mut scan = scan.clone();
        let path = Expr::Column(datafusion::common::Column::new(Some(scan.table_name.clone()), PATH_COLUMN));
        // The listing decides about it exactly, whether or not the column is read.
        scan.filters.push(path.in_list(wanted.clone(), false));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(narrowed.data)
}

/// The rows of `plan` whose `column` is among `paths`.
///
/// # Errors
/// The engine's, if it refuses the plan.
pub fn rows_of_files(plan: LogicalPlan, column: &str, paths: &ListingChange) -> Result<LogicalPlan> {
    let wanted: Vec<Expr> = paths.paths.iter().map(lit).collect();
    let index = plan.schema().index_of_column_by_name(None, column);
    let expr = index.map_or_else(|| col(column), |index| Expr::Column(plan.schema().qualified_field(index).into()));
    LogicalPlanBuilder::from(plan).filter(expr.in_list(wanted, false))?.build()
}
