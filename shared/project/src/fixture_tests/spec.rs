//! A fixture as its file says it.

use std::sync::Arc;

use crate::contract::ContractType;
use crate::literal_rows::RowsSpec;
use crate::spec::{Span, Spanned};

/// A fixture as written.
#[derive(Debug, Clone)]
pub struct FixtureSpec {
    /// The name, by default the file's.
    pub name: Spanned<String>,
    /// The file's path below the project folder.
    pub file: Arc<str>,
    /// What it shows.
    pub description: Option<String>,
    /// Which stages run; those between what is given and what is expected if nothing is said.
    pub select: Vec<Spanned<String>>,
    /// Values of parameters.
    pub params: Vec<(Spanned<String>, String)>,
    /// The turns. At least one.
    pub turns: Vec<TurnSpec>,
}

/// A turn as written.
#[derive(Debug, Clone)]
pub struct TurnSpec {
    /// The whole of it.
    pub span: Span,
    /// What is given.
    pub given: Vec<GivenSpec>,
    /// What is expected.
    pub expect: Vec<ExpectSpec>,
    /// How tables are expected to be brought up to date.
    pub strategies: Vec<(Spanned<String>, String)>,
    /// The error that is expected.
    pub error: Option<Spanned<String>>,
}

/// What is given for a source or a stage in one turn.
#[derive(Debug, Clone)]
pub struct GivenSpec {
    /// The source or stage.
    pub name: Spanned<String>,
    /// All columns with their types, if they are told.
    pub columns: Option<Vec<(Spanned<String>, ContractType)>>,
    /// The columns that identify a row, if they are told.
    pub key: Vec<Spanned<String>>,
    /// All rows.
    pub rows: Option<RowsSpec>,
    /// Rows to add.
    pub insert: Option<RowsSpec>,
    /// Rows to add or to put in place of others.
    pub upsert: Option<RowsSpec>,
    /// Rows to take away.
    pub delete: Option<RowsSpec>,
}

impl GivenSpec {
    /// All rows that are written, whatever happens to them.
    pub fn all_rows(&self) -> impl Iterator<Item = &RowsSpec> {
        [&self.rows, &self.insert, &self.upsert, &self.delete].into_iter().flatten()
    }
}

/// What a stage's table is expected to hold.
#[derive(Debug, Clone)]
pub struct ExpectSpec {
    /// The stage.
    pub name: Spanned<String>,
    /// The columns to look at, if they are told.
    pub columns: Option<Vec<Spanned<String>>>,
    /// The columns by which a row is known again, if they are told.
    pub key: Vec<Spanned<String>>,
    /// How far floats may be off.
    pub tolerance: Option<f64>,
    /// The rows.
    pub rows: RowsSpec,
}
