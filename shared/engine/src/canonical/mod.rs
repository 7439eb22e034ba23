//! The canonical form of a bound plan: every node and every expression with everything that determines its rows, and
//! nothing that is only displayed.
//!
//! ```text
//! LogicalPlan ─normalize→ analysed, without columns that are not read ─canonical→ a hash, and its dependencies
//! ```
//!
//! The matches over nodes, expressions, types and values name every variant and every field, so that additions in later
//! versions of the engine do not compile until they are handled here. Equal forms mean equal rows, in every process:
//! nothing in them depends on an address or on the order of a hash map.

mod data_type;
mod expr;
mod form;
mod node;
mod normalize;
mod scalar;
mod scan;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::function::FunctionKind;
use form::{Form, Scope};

pub use normalize::normalize;

/// Which names are part of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Those of tables, of their columns, and of the result columns. Inside a query, columns are identified by
    /// position: their names make no difference.
    Outside,
    /// All names, with everything that is known about a column: for plans that must be identical, not only have the
    /// same rows.
    All,
}

/// The canonical form of a plan or of an expression, as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    digest: String,
    dependencies: PlanDependencies,
}

/// The dependencies of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanDependencies {
    /// The tables that it reads, by name, each with the columns that it reads and a hash of their types.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// The functions that it calls.
    pub functions: BTreeSet<(FunctionKind, String)>,
    /// Parts that may return different rows although their forms are equal: extension nodes.
    pub opaque: BTreeSet<String>,
}

impl Canonical {
    /// 32 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its dependencies.
    pub fn dependencies(&self) -> &PlanDependencies {
        &self.dependencies
    }
}

impl PlanDependencies {
    /// Adds the dependencies of another form.
    pub fn extend(&mut self, other: Option<&Canonical>) {
        let Some(Canonical { dependencies: Self { tables, functions, opaque }, .. }) = other else { return };
        for (table, columns) in tables {
            self.tables.entry(table.clone()).or_default().extend(columns.clone());
        }
        self.functions.extend(functions.iter().cloned());
        self.opaque.extend(opaque.iter().cloned());
    }
}

/// The canonical form of a query's plan.
///
/// # Errors
/// The engine's, if the plan is not a query, or if a value in it cannot be read.
pub fn canonical(plan: &LogicalPlan, names: Names) -> Result<Canonical> {
    canonical_form(names, |form| form.query(plan))
}

/// The canonical form of an expression over the columns of `input`, which are identified by name.
///
/// # Errors
/// The engine's, if a value in it cannot be read.
pub fn canonical_expr(expr: &Expr, input: &DFSchemaRef) -> Result<Canonical> {
    canonical_form(Names::Outside, |form| form.expr(expr, Scope::table(&[input])))
}

fn canonical_form(names: Names, write: impl Fn(&mut Form) -> Result<()>) -> Result<Canonical> {
    let mut form = Form::new(names);
    write(&mut form)?;
    if form.needs_all_names() {
        form = Form::new(Names::All);
        write(&mut form)?;
    }
    let (digest, dependencies) = form.finish();
    Ok(Canonical { digest, dependencies })
}
