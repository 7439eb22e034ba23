//! A fixture as written in its file.

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
    /// Which stages run; by default those between the given and the expected ones.
    pub select: Vec<Spanned<String>>,
    /// Values of parameters.
    pub params: Vec<(Spanned<String>, String)>,
    /// The turns. At least one.
    pub turns: Vec<TurnSpec>,
}

/// A turn as written.
#[derive(Debug, Clone)]
pub struct TurnSpec {
    /// Its span.
    pub span: Span,
    /// What is given.
    pub given: Vec<GivenSpec>,
    /// What is expected.
    pub expect: Vec<ExpectSpec>,
    /// How tables are expected to be updated.
    pub strategies: Vec<(Spanned<String>, String)>,
    /// The error that is expected.
    pub error: Option<Spanned<String>>,
}

/// What is given for a source or a stage in one turn.
#[derive(Debug, Clone)]
pub struct GivenSpec {
    /// The source or stage.
    pub name: Spanned<String>,
    /// All columns with their types, if specified.
    pub columns: Option<Vec<(Spanned<String>, ContractType)>>,
    /// The columns that identify a row, if specified.
    pub key: Vec<Spanned<String>>,
    /// All rows.
    pub rows: Option<RowsSpec>,
    /// Rows to add.
    pub insert: Option<RowsSpec>,
    /// Rows to upsert.
    pub upsert: Option<RowsSpec>,
    /// Rows to delete.
    pub delete: Option<RowsSpec>,
}

impl GivenSpec {
    /// All rows that occur in it, whatever their purpose.
    pub fn all_rows(&self) -> impl Iterator<Item = &RowsSpec> {
        [&self.rows, &self.insert, &self.upsert, &self.delete].into_iter().flatten()
    }
}

/// The expected content of a stage's table.
#[derive(Debug, Clone)]
pub struct ExpectSpec {
    /// The stage.
    pub name: Spanned<String>,
    /// The columns to compare, if specified.
    pub columns: Option<Vec<Spanned<String>>>,
    /// The columns by which rows are matched, if specified.
    pub key: Vec<Spanned<String>>,
    /// How far floats may differ.
    pub tolerance: Option<f64>,
    /// The rows.
    pub rows: RowsSpec,
}
