//! Column lineage: on which columns of what a query reads each column of its result depends.
//!
//! ```text
//! LogicalPlan, as it follows from the SQL ─node by node (nodes), expression by expression (values)→ ColumnLineage
//! ```
//!
//! Values are made of direct origins. What only decides about values or rows is an indirect origin: a condition, a key, an order.

mod nodes;
mod values;

use std::collections::BTreeSet;

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::LogicalPlan;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{ColumnLineage, ColumnOrigin, ColumnOrigins, ColumnUse};

/// What the columns of `plan` depend on. `tables` are read by their scans; `views` are not seen through, those in neither set are.
///
/// # Errors
/// The engine's, for a plan that does not fit together.
pub fn column_lineage(
    plan: &LogicalPlan,
    tables: &BTreeSet<NodeName>,
    views: &BTreeSet<NodeName>,
) -> Result<ColumnLineage> {
    let traced = Tracer { tables, views, working: Vec::new() }.of(plan, None)?;
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    let columns = names.enumerate().map(|(index, name)| {
        let origins = traced.column(index).into_iter().flatten().cloned().collect();
        ColumnOrigins { name, origins }
    });
    Ok(ColumnLineage { columns: columns.collect(), rows: traced.rows.into_iter().collect() })
}

/// Columns and what was done with them.
type Origins = BTreeSet<ColumnOrigin>;

/// What the rows of a plan depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Traced {
    /// Of each column.
    columns: Vec<Origins>,
    /// Of which rows there are; only indirect uses.
    rows: Origins,
}

impl Traced {
    fn column(&self, index: usize) -> Option<&Origins> {
        self.columns.get(index)
    }

    /// Adds the columns and rows of a plan whose columns stand for the same.
    fn merge(&mut self, other: Self) {
        if self.columns.len() < other.columns.len() {
            self.columns.resize(other.columns.len(), Origins::new());
        }
        for (all, own) in self.columns.iter_mut().zip(other.columns) {
            all.extend(own);
        }
        self.rows.extend(other.rows);
    }
}

/// The columns that an expression can name.
struct Scope<'s> {
    schema: &'s DFSchema,
    traced: &'s Traced,
    /// Those of the query around a subquery.
    outer: Option<&'s Scope<'s>>,
}

/// Follows columns through a plan.
#[derive(Clone)]
struct Tracer<'t> {
    tables: &'t BTreeSet<NodeName>,
    views: &'t BTreeSet<NodeName>,
    /// What recursive queries have found so far, by their names; the innermost last.
    working: Vec<(&'t str, Traced)>,
}

/// Adds `origins` to `found` as what they are after something was done with them.
fn add_used(found: &mut Origins, origins: &Origins, how: ColumnUse) {
    found.extend(origins.iter().map(|origin| match origin.how.is_direct() {
        true => ColumnOrigin { how: origin.how.max(how), ..origin.clone() },
        false => origin.clone(),
    }));
}
