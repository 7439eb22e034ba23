//! An input's key that a row-wise query preserves in its result.
//!
//! Rows of the result can then be found by the key of the rows that they were made of, and what a changed row had become
//! need not be computed again. That is worth it where one row becomes many: parsing a file a second time, as it was, only
//! to know which rows it had.

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, col, lit, when};
use windlass_base::ids::NodeName;
use windlass_engine::function::exact::sum_of;

use super::columns::unnamed;
use super::inputs::{ChangedInputs, SIGN};
use super::strategy::rows_of_keys;

/// How many rows the changes made of a key, in the rows of [`PreservedKey::changed`].
const NEW: &str = "__wl_new";
const SURPLUS: &str = "__wl_surplus";

/// The key of the one input of a row-wise query with `unnest`, and the columns of the result that hold it.
#[derive(Debug, Clone)]
pub struct PreservedKey<'p> {
    node: &'p LogicalPlan,
    scan: &'p TableScan,
    /// A column of the scan, and its name in the result.
    columns: Vec<(Column, String)>,
}

impl<'p> PreservedKey<'p> {
    /// Looks for a key that `plan` preserves; `key_of` gives the columns of an input's key, or none.
    pub fn find(plan: &'p LogicalPlan, key_of: impl Fn(&NodeName) -> Vec<String>) -> Option<Self> {
        let (node, scan) = unnested_scan(plan, false)?;
        let key = key_of(&NodeName::new(scan.table_name.table()));
        let schema = plan.schema();
        let origins: Vec<Option<usize>> = (0..schema.fields().len()).map(|index| origin(plan, index)).collect();
        let columns = key
            .iter()
            .map(|name| {
                let from = scan.projected_schema.index_of_column_by_name(None, name)?;
                let to = origins.iter().position(|origin| *origin == Some(from))?;
                let column = Column::from(scan.projected_schema.qualified_field(from));
                Some((column, schema.field(to).name().clone()))
            })
            .collect::<Option<Vec<_>>>()?;
        (!columns.is_empty()).then_some(Self { node, scan, columns })
    }

    /// The columns of the result that hold the key.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(_, name)| name.clone()).collect()
    }

    /// The keys of all rows of the input that changed, each once, in columns of those names, and how many rows with it
    /// there are now that were not before; `None` if nothing has changed.
    ///
    /// # Errors
    /// The engine's, if it refuses a plan.
    pub fn changed(&self, changes: &ChangedInputs) -> Result<Option<LogicalPlan>> {
        let Some(net) = changes.net(self.scan)? else { return Ok(None) };
        let new = when(col(SIGN).gt(lit(0_i64)), col(SIGN)).otherwise(lit(0_i64))?;
        LogicalPlanBuilder::from(net)
            .project(self.named().chain([new.alias(NEW)]))?
            .aggregate(self.bare(), [sum_of(col(NEW)).alias(NEW)])?
            .build()
            .map(Some)
    }

    /// Those of the `changed` keys by which rows cannot be found: one that a row has which did not change, or with a null.
    ///
    /// # Errors
    /// The engine's, if it refuses a plan.
    pub fn ambiguous(&self, changed: &LogicalPlan) -> Result<LogicalPlan> {
        let now = LogicalPlanBuilder::from(self.node.clone()).project(self.named())?.build()?;
        let now = LogicalPlanBuilder::from(rows_of_keys(&now, &self.names(), changed)?)
            .project(self.renamed().chain([lit(-1_i64).alias(NEW)]))?
            .build()?;
        let has_null = self.bare().into_iter().map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(true));
        LogicalPlanBuilder::from(changed.clone())
            .project(self.renamed().chain([col(NEW).alias(NEW)]))?
            .union(now)?
            .aggregate(self.bare(), [sum_of(col(NEW)).alias(SURPLUS)])?
            .filter(col(SURPLUS).not_eq(lit(0_i64)).or(has_null))?
            .project(self.bare())?
            .limit(0, Some(1))?
            .build()
    }

    /// The columns of the scan under their names in the result.
    fn named(&self) -> impl Iterator<Item = Expr> + '_ {
        self.columns.iter().map(|(column, name)| Expr::Column(column.clone()).alias(name))
    }

    /// The columns of keys, of whatever relation, as columns of none.
    fn renamed(&self) -> impl Iterator<Item = Expr> + '_ {
        self.columns.iter().map(|(_, name)| Expr::Column(Column::new_unqualified(name)).alias(name))
    }

    /// The columns of keys by their names alone.
    fn bare(&self) -> Vec<Expr> {
        self.columns.iter().map(|(_, name)| Expr::Column(Column::new_unqualified(name))).collect()
    }
}

/// The scan that all rows of `plan` come from, one by one, if they are unnested on the way.
fn unnested_scan(plan: &LogicalPlan, unnested: bool) -> Option<(&LogicalPlan, &TableScan)> {
    match plan {
        LogicalPlan::TableScan(scan) => unnested.then_some((plan, scan)),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            unnested_scan(plan.inputs().first()?, unnested)
        }
        LogicalPlan::Unnest(unnest) => unnested_scan(&unnest.input, true),
        _ => None,
    }
}

/// The column of the scan below `plan` that its `index`-th column is, unaltered.
fn origin(plan: &LogicalPlan, index: usize) -> Option<usize> {
    match plan {
        LogicalPlan::TableScan(_) => Some(index),
        LogicalPlan::Filter(filter) => origin(&filter.input, index),
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, index),
        LogicalPlan::Projection(projection) => {
            let Expr::Column(column) = unnamed(projection.expr.get(index)?) else { return None };
            origin(&projection.input, projection.input.schema().maybe_index_of_column(&column)?)
        }
        LogicalPlan::Unnest(unnest) => {
            let from = *unnest.dependency_indices.get(index)?;
            let is_unnested = unnest.list_type_columns.iter().any(|(list, _)| *list == from)
                || unnest.struct_type_columns.contains(&from);
            if is_unnested { None } else { origin(&unnest.input, from) }
        }
        _ => None,
    }
}
