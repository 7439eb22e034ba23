//! The `params` of a project, and values for them.

use std::collections::BTreeSet;

use super::fields::{Fields, Keys, entries};
use super::source::column_type;
use super::values::{check_name, text, wrong_type};
use crate::spec::codes;
use crate::spec::column_type::ColumnType;
use crate::spec::param::{ParamSpec, ParamValue};
use crate::spec::problem::Problem;
use crate::spec::yaml::{Entry, Node, Scalar, Value};

const KEYS: Keys = Keys { what: "a parameter", known: &["type", "default", "description"] };

pub(super) fn decode_all(node: &Node, broken: &mut BTreeSet<String>, problems: &mut Vec<Problem>) -> Vec<ParamSpec> {
    let mut params = Vec::new();
    for entry in entries(node, "`params`", problems).unwrap_or_default() {
        let good_name = check_name(&entry.key, "a parameter", problems);
        match decode(entry, problems) {
            Some(param) if good_name => params.push(param),
            _ => drop(broken.insert(entry.key.value.clone())),
        }
    }
    params
}

/// A parameter as a mapping, or only its default, whose type is then inferred.
pub(super) fn decode(entry: &Entry, problems: &mut Vec<Problem>) -> Option<ParamSpec> {
    let name = entry.key.value.clone();
    let span = entry.key.span.clone();
    if let Value::Scalar(scalar) = &entry.value.value {
        if scalar.is_null() {
            return wrong_type(&entry.value, &format!("`{name}`"), "a value or a mapping with `type`", problems);
        }
        let data_type = type_of(scalar);
        let default = Some(value(&entry.value, &name, data_type, problems)?);
        return Some(ParamSpec { name, data_type, default, description: None, span });
    }
    let fields = Fields::open(&entry.value, &KEYS, problems)?;
    let description = fields.get("description").and_then(|node| text(node, "`description`", problems));
    let type_node = fields.require("type", "type: string", problems)?;
    let data_type = column_type(type_node, &format!("the type of `{name}`"), problems)?;
    if data_type == ColumnType::Binary {
        let problem = Problem::new(codes::BAD_VALUE, "a parameter cannot be binary").at(&type_node.span);
        problems.push(problem.help("take it as text and decode it in SQL: `decode($x, 'base64')`"));
        return None;
    }
    let default = match fields.get("default") {
        Some(node) => Some(value(node, &name, data_type, problems)?),
        None => None,
    };
    Some(ParamSpec { name, data_type, default, description, span })
}

/// The type of a bare value: its YAML type, else text.
fn type_of(scalar: &Scalar) -> ColumnType {
    if scalar.as_bool().is_some() {
        ColumnType::Boolean
    } else if scalar.as_integer().is_some() {
        ColumnType::Long
    } else if scalar.as_float().is_some() {
        ColumnType::Double
    } else {
        ColumnType::String
    }
}

/// A value for the parameter `name`.
pub(super) fn value(node: &Node, name: &str, data_type: ColumnType, problems: &mut Vec<Problem>) -> Option<ParamValue> {
    let what = format!("the value of `{name}`");
    let Value::Scalar(scalar) = &node.value else {
        return wrong_type(node, &what, &format!("a single value of type {data_type}"), problems);
    };
    let is_text = scalar.as_bool().is_none() && scalar.as_float().is_none();
    let wants_text =
        matches!(data_type, ColumnType::String | ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampNtz);
    if scalar.is_null() || is_text != wants_text {
        let wanted = format!("of type {data_type}");
        let before = problems.len();
        wrong_type::<()>(node, &what, &wanted, problems);
        if let Some(problem) = problems.get_mut(before) {
            problem.help = match (scalar.is_null(), wants_text) {
                (true, _) => {
                    Some("without a default, leave `default` out: the parameter must then be given".to_owned())
                }
                (false, true) => Some(format!("quote it: \"{}\"", scalar.text)),
                (false, false) => None,
            };
        }
        return None;
    }
    let text = if wants_text { scalar.text.clone() } else { scalar.text.replace('_', "").to_lowercase() };
    match ParamValue::parse(data_type, &text) {
        Ok(value) => Some(value),
        Err(wanted) => {
            let message = format!("{what} must be {wanted}, not {}", node.describe());
            problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span));
            None
        }
    }
}
