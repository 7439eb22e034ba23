//! Converts literal rows to the types of their columns.

use windlass_base::suggest::did_you_mean;

use super::cell::Cell;
use super::infer_types::{InferredType, TypeConflict};
use super::literal::Mismatch;
use super::spec::RowsSpec;
use super::{Columns, Row};
use crate::contract::TYPE_HELP;
use crate::spec::{Problem, Spanned, codes};

/// The columns of a table, with types inferred from all values, in order of first appearance.
pub(crate) fn columns_of(table: &Spanned<String>, all: &[&RowsSpec], problems: &mut Vec<Problem>) -> Option<Columns> {
    let mut names: Vec<&Spanned<String>> = Vec::new();
    for column in all.iter().flat_map(|rows| &rows.columns) {
        if !names.iter().any(|name| name.value == column.value) {
            names.push(column);
        }
    }
    let help = format!("declare the types: `columns: {{ name: type, … }}` next to `rows`; {TYPE_HELP}");
    if names.is_empty() {
        let message = format!("the columns of `{}` are not known: no row is given", table.value);
        problems.push(Problem::new(codes::ROWS_VALUE, message).at(&table.span).help(help));
        return None;
    }
    let mut columns = Vec::new();
    for name in &names {
        let values = all.iter().flat_map(|rows| &rows.rows).filter_map(|row| row.get(&name.value));
        let (reason, place) = match InferredType::of_all(values).map(InferredType::into_contract_type) {
            Ok(Some(found)) => {
                columns.push((name.value.clone(), found));
                continue;
            }
            Ok(None) => ("it has no value", None),
            Err(TypeConflict::Several) => ("its values are of several", None),
            Err(TypeConflict::Digits(place)) => {
                ("as numbers its values would lose digits; quote those that are text", place)
            }
        };
        let message = format!("the type of `{}` cannot be inferred: {reason}", name.value);
        let place = place.as_ref().unwrap_or(&name.span);
        problems.push(Problem::new(codes::ROWS_VALUE, message).at(place).help(help.clone()));
    }
    (columns.len() == names.len()).then_some(columns)
}

/// The rows in the types of the columns. Values that do not fit are reported and become null.
pub(crate) fn rows_of(columns: &Columns, rows: &RowsSpec, problems: &mut Vec<Problem>) -> Vec<Row> {
    let rows = rows.rows.iter().map(|row| {
        let cells = columns.iter().map(|(name, of)| match row.get(name) {
            None => Cell::Null,
            Some(literal) => literal.to_cell(of).unwrap_or_else(|error| {
                report_mismatch(error, problems);
                Cell::Null
            }),
        });
        cells.collect()
    });
    rows.collect()
}

/// Reports every required column that the header of a file lacks.
pub(crate) fn check_complete(table: &str, wanted: &[Spanned<String>], rows: &RowsSpec, problems: &mut Vec<Problem>) {
    // A missing header was already reported.
    for name in wanted.iter().filter(|_| !rows.columns.is_empty()) {
        if !rows.columns.iter().any(|column| column.value == name.value) {
            let message = format!("the file of `{table}`, {}, has no column `{}`", rows.span.file, name.value);
            let mut problem = Problem::new(codes::ROWS_COLUMN, message).at(&name.span);
            problem.help =
                did_you_mean(&name.value, "its columns are", rows.columns.iter().map(|column| column.value.as_str()));
            problems.push(problem);
        }
    }
}

/// Reports a value that does not have its column's type.
pub(crate) fn report_mismatch(error: Mismatch, problems: &mut Vec<Problem>) {
    let mut problem = Problem::new(codes::ROWS_VALUE, error.message).at(&error.span);
    problem.help = error.help;
    problems.push(problem);
}

/// Reports a column that the table does not have.
pub(crate) fn check_name(column: &Spanned<String>, table: &str, columns: &Columns, problems: &mut Vec<Problem>) {
    if !columns.iter().any(|(name, _)| *name == column.value) {
        let message = format!("`{table}` has no column `{}`", column.value);
        let mut problem = Problem::new(codes::ROWS_COLUMN, message).at(&column.span);
        problem.help = did_you_mean(&column.value, "its columns are", columns.iter().map(|(name, _)| name.as_str()));
        problems.push(problem);
    }
}
