//! The canonical form of a bound plan: every node and every expression with all that decides its rows, and nothing that is
//! only shown to people.
//!
//! ```text
//! LogicalPlan ─settled→ its types settled, without columns that nobody reads ─canonical→ a hash, and what it is made of
//! ```
//!
//! The matches over nodes, expressions, types and values name every variant and every field, so that one that a later
//! version of the engine adds does not compile until it is written here. Equal forms mean equal rows, whatever process they
//! are of: nothing in them depends on an address or on the order of a hash map.

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
    /// Those of tables, of their columns, and of the columns that come out. Inside of a query, columns are told by their
    /// places: how it calls them makes no difference.
    Outside,
    /// All, and with them everything that is known of a column: what must be the same plan, not only have the same rows.
    All,
}

/// The canonical form of a plan or of an expression, as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    digest: String,
    dependencies: PlanDependencies,
}

/// What a plan is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanDependencies {
    /// The tables that it reads by name, each with the columns that it reads of it and a hash of each one's type.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// The functions that it calls.
    pub functions: BTreeSet<(FunctionKind, String)>,
    /// Parts that may give other rows though their forms are equal: nodes of extensions.
    pub opaque: BTreeSet<String>,
}

impl Canonical {
    /// 32 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it is made of.
    pub fn dependencies(&self) -> &PlanDependencies {
        &self.dependencies
    }
}

impl PlanDependencies {
    /// Takes in what something else is made of as well.
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

/// The canonical form of an expression over the columns of `input`, which are told by their names.
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
