//! Rows in YAML: each a mapping, or a list of values; or in a CSV file.

use windlass_base::count::counted;

use super::fields::entries;
use super::readable;
use super::values::{filled_text, list, wrong_type};
use crate::contract::{ContractType, TYPE_HELP};
use crate::literal_rows::{Literal, LiteralValue, RowSpec, RowsSpec, parse_csv};
use crate::spec::codes;
use crate::spec::files::ProjectFiles;
use crate::spec::problem::Problem;
use crate::spec::span::Spanned;
use crate::spec::yaml::{Node, Scalar, Value};

/// Column names with their types.
pub(super) fn typed_columns(node: &Node, problems: &mut Vec<Problem>) -> Vec<(Spanned<String>, ContractType)> {
    let mut columns = Vec::new();
    for entry in entries(node, "`columns`", problems).unwrap_or_default() {
        let what = format!("the type of `{}`", entry.key.value);
        let Some(text) = filled_text(&entry.value, &what, problems) else { continue };
        match ContractType::parse(&text) {
            Some(found) => columns.push((entry.key.clone(), found)),
            None => {
                let problem = Problem::new(codes::BAD_VALUE, format!("`{text}` is not a type"));
                problems.push(problem.at(&entry.value.span).help(TYPE_HELP));
            }
        }
    }
    columns
}

/// Rows: each a mapping, or a list of values in the order of the columns.
pub(super) fn decode(node: &Node, order: Option<&[Spanned<String>]>, problems: &mut Vec<Problem>) -> Option<RowsSpec> {
    let mut rows = RowsSpec { span: node.span.clone(), columns: Vec::new(), rows: Vec::new() };
    for item in list(node, "rows", problems)? {
        let values = match &item.value {
            Value::Map(entries) => {
                entries.iter().filter_map(|entry| Some((entry.key.clone(), literal(&entry.value)?))).collect()
            }
            Value::List(items) => positional(item, items, order, problems)?,
            _ => {
                wrong_type(item, "a row", "a mapping of columns to values", problems)?;
                continue;
            }
        };
        rows.rows.push(RowSpec { span: item.span.clone(), values });
    }
    for (column, _) in rows.rows.iter().flat_map(|row| &row.values) {
        if !rows.columns.iter().any(|known| known.value == column.value) {
            rows.columns.push(column.clone());
        }
    }
    Some(rows)
}

fn positional(
    row: &Node,
    items: &[Node],
    order: Option<&[Spanned<String>]>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<(Spanned<String>, Literal)>> {
    let Some(order) = order else {
        let problem = Problem::new(codes::MISSING_KEY, "a row that is a list needs to know its columns");
        let help = "write `columns: [a, b]` and `rows: [[1, 2]]`, or rows such as `{ a: 1, b: 2 }`";
        problems.push(problem.at(&row.span).help(help));
        return None;
    };
    if items.len() != order.len() {
        let message = format!("the row has {} for {}", counted(items.len(), "value"), counted(order.len(), "column"));
        problems.push(Problem::new(codes::ROWS_VALUE, message).at(&row.span));
        return None;
    }
    order.iter().zip(items).map(|(name, item)| Some((name.clone(), literal(item)?))).collect()
}

/// The rows of the CSV file that `node` names, in `folder` of the project.
pub(super) fn file(node: &Node, folder: &str, files: &ProjectFiles, problems: &mut Vec<Problem>) -> Option<RowsSpec> {
    let name = filled_text(node, "`file`", problems)?;
    let path = format!("{folder}/{name}");
    if files.get(&path).is_none() {
        let problem = Problem::new(codes::ROWS_FILE, format!("there is no file {path}")).at(&node.span);
        problems.push(problem.help(format!("write the name of a .csv file in the folder {folder}")));
        return None;
    }
    let (file, text) = readable(files, &path, problems)?;
    Some(parse_csv(file, text, problems))
}

fn literal(node: &Node) -> Option<Literal> {
    let value = match &node.value {
        Value::Refused => return None,
        Value::Scalar(scalar) => literal_of(scalar),
        Value::List(items) => LiteralValue::List(items.iter().map(literal).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let pairs = entries.iter().map(|entry| Some((entry.key.clone(), literal(&entry.value)?)));
            LiteralValue::Map(pairs.collect::<Option<_>>()?)
        }
    };
    Some(Literal { span: node.span.clone(), value })
}

fn literal_of(scalar: &Scalar) -> LiteralValue {
    match scalar {
        scalar if scalar.is_null() => LiteralValue::Null,
        scalar if scalar.as_bool().is_some() => scalar.as_bool().map_or(LiteralValue::Null, LiteralValue::Boolean),
        scalar if scalar.as_integer().is_some() || scalar.as_float().is_some() => {
            LiteralValue::Number(scalar.text.clone())
        }
        scalar => LiteralValue::Text(scalar.text.clone()),
    }
}
