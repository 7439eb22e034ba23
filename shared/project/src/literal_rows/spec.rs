//! Rows as written in a file.

use super::literal::Literal;
use crate::spec::{Span, Spanned};

/// Rows as written.
#[derive(Debug, Clone)]
pub struct RowsSpec {
    /// Their span.
    pub span: Span,
    /// Every column that a row names, in the order in which they first appear.
    pub columns: Vec<Spanned<String>>,
    /// The rows.
    pub rows: Vec<RowSpec>,
}

/// A row as written. Columns that it omits are null.
#[derive(Debug, Clone)]
pub struct RowSpec {
    /// Its span.
    pub span: Span,
    /// Its values by column.
    pub values: Vec<(Spanned<String>, Literal)>,
}

impl RowSpec {
    /// The value of a column, if the row has it.
    pub fn get(&self, column: &str) -> Option<&Literal> {
        self.values.iter().find(|(name, _)| name.value == column).map(|(_, literal)| literal)
    }
}
