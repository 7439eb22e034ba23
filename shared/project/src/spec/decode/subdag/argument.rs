//! The parameters of a sub-DAG: their kinds, and their values as text and as SQL.

use super::text::{Arguments, Reference, reference};
use crate::spec::codes;
use crate::spec::column_type::ColumnType;
use crate::spec::decode::fields::{Fields, Keys, entries};
use crate::spec::decode::param;
use crate::spec::decode::values::{check_name, filled_text, plain_names, text};
use crate::spec::param::{ParamSpec, ParamValue};
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::yaml::{Entry, Node, Value};

const NAME: Keys = Keys { what: "a parameter", known: &["type", "default", "description"] };

/// The name in `$instance`, which refers to the instance's name.
pub(super) const INSTANCE: &str = "instance";

/// A parameter of a sub-DAG.
pub(super) struct Param {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) default: Option<Argument>,
    pub(super) span: Span,
}

/// What a parameter stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value of a type.
    Value(ColumnType),
    /// The name of a column.
    Name,
    /// The names of columns.
    Names,
}

/// The value of a parameter in an instance.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Value(ParamValue),
    Name(String),
    Names(Vec<String>),
    /// A parameter of the project, whose value is known when a run begins.
    Runtime(String, ColumnType),
}

impl Argument {
    /// The argument as part of a text. The value of a project parameter is not known yet.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Value(value) => Some(value.to_string()),
            Self::Name(name) => Some(name.clone()),
            Self::Names(names) => Some(names.join(", ")),
            Self::Runtime(..) => None,
        }
    }

    /// The argument as SQL: a literal of its type, or names.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Value(value) => literal(value),
            Self::Name(name) => identifier(name),
            Self::Names(names) => names.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", "),
            Self::Runtime(name, _) => format!("${name}"),
        }
    }

    /// The argument converted to another kind of parameter, if possible.
    fn converted(&self, kind: Kind) -> Option<Self> {
        match (self, kind) {
            (Self::Value(value), Kind::Value(wanted)) if value.data_type() == wanted => Some(self.clone()),
            (Self::Value(value), Kind::Value(wanted)) => {
                ParamValue::parse(wanted, &value.to_string()).ok().map(Self::Value)
            }
            (Self::Value(ParamValue::String(text)), Kind::Name) => Some(Self::Name(text.clone())),
            (Self::Name(name), Kind::Value(ColumnType::String)) => Some(Self::Value(ParamValue::String(name.clone()))),
            (Self::Name(name), Kind::Names) => Some(Self::Names(vec![name.clone()])),
            (Self::Name(_), Kind::Name) | (Self::Names(_), Kind::Names) => Some(self.clone()),
            (Self::Runtime(_, data_type), Kind::Value(wanted)) if *data_type == wanted => Some(self.clone()),
            _ => None,
        }
    }
}

/// A SQL literal with the same value and type.
fn literal(value: &ParamValue) -> String {
    let quoted = |text: String| format!("'{}'", text.replace('\'', "''"));
    let cast = |as_type: &str| format!("CAST({} AS {as_type})", quoted(value.to_string()));
    match value {
        ParamValue::String(text) => quoted(text.clone()),
        ParamValue::Long(number) if *number >= 0 => number.to_string(),
        ParamValue::Boolean(value) => value.to_string(),
        ParamValue::Long(_) => cast("BIGINT"),
        ParamValue::Integer(_) => cast("INT"),
        ParamValue::Short(_) => cast("SMALLINT"),
        ParamValue::Byte(_) => cast("TINYINT"),
        ParamValue::Float(_) => cast("REAL"),
        ParamValue::Double(_) => cast("DOUBLE"),
        ParamValue::Date(_) => cast("DATE"),
        ParamValue::Timestamp(_) => {
            format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", quoted(value.to_string()))
        }
        ParamValue::TimestampNtz(_) => {
            format!("arrow_cast({}, 'Timestamp(Microsecond, None)')", quoted(value.to_string()))
        }
        ParamValue::Decimal { precision, scale, .. } => cast(&format!("DECIMAL({precision}, {scale})")),
    }
}

/// A SQL identifier for the name.
pub(super) fn identifier(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    // Keywords are identifiers only in quotes; which words are keywords depends on the context, so all of them are
    // quoted.
    let reserved = sqlparser::keywords::ALL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str()).is_ok();
    if bare && !reserved { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Reads the parameters of a sub-DAG.
pub(super) fn params(node: &Node, problems: &mut Vec<Problem>) -> Vec<Param> {
    let mut params = Vec::new();
    for entry in entries(node, "`params`", problems).unwrap_or_default() {
        check_name(&entry.key, "a parameter", problems);
        if entry.key.value == INSTANCE {
            let problem = Problem::new(codes::BAD_NAME, "`$instance` is the name of the instance").at(&entry.key.span);
            problems.push(problem.help("give the parameter another name"));
        }
        params.extend(param(entry, problems));
    }
    params
}

fn param(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Param> {
    let (name, span) = (entry.key.value.clone(), entry.key.span.clone());
    let Some(kind) = kind_of_names(&entry.value) else {
        let ParamSpec { name, data_type, default, span, .. } = param::decode(entry, problems)?;
        return Some(Param { name, kind: Kind::Value(data_type), default: default.map(Argument::Value), span });
    };
    let fields = Fields::open(&entry.value, &NAME, problems)?;
    fields.get("description").and_then(|node| text(node, "`description`", problems));
    let default = match fields.get("default") {
        Some(node) => Some(argument(node, &name, kind, problems)?),
        None => None,
    };
    Some(Param { name, kind, default, span })
}

/// The kind of a parameter for names.
fn kind_of_names(node: &Node) -> Option<Kind> {
    let Value::Map(entries) = &node.value else { return None };
    let kind = entries.iter().find(|entry| entry.key.value == "type")?;
    match &kind.value.value {
        Value::Scalar(scalar) if scalar.text == "name" => Some(Kind::Name),
        Value::Scalar(scalar) if scalar.text == "names" => Some(Kind::Names),
        _ => None,
    }
}

/// A literal argument.
fn argument(node: &Node, name: &str, kind: Kind, problems: &mut Vec<Problem>) -> Option<Argument> {
    match kind {
        Kind::Value(data_type) => param::value(node, name, data_type, problems).map(Argument::Value),
        Kind::Name => filled_text(node, &format!("the value of `{name}`"), problems).map(Argument::Name),
        Kind::Names => {
            let names = plain_names(node, &format!("the value of `{name}`"), problems)?;
            if names.is_empty() {
                let problem = Problem::new(codes::SUBDAG_PARAM, format!("`{name}` names nothing")).at(&node.span);
                problems.push(problem.help("name at least one column"));
                return None;
            }
            Some(Argument::Names(names))
        }
    }
}

/// Decodes the argument for a parameter: a literal, or a reference to an argument in scope.
pub(super) fn bind(node: &Node, param: &Param, here: &Arguments, problems: &mut Vec<Problem>) -> Option<Argument> {
    if let Value::Scalar(scalar) = &node.value
        && let Some(Reference { name, whole: true, .. }) = reference(&scalar.text)
    {
        let found = here.find(name, &node.span, problems)?;
        let converted = found.converted(param.kind);
        if converted.is_none() {
            let message = format!("`${name}` cannot be the value of `{}`", param.name);
            let problem = Problem::new(codes::SUBDAG_PARAM, message).at(&node.span);
            problems.push(problem.label(&param.span, format!("this takes {}", param.kind.describe())));
        }
        return converted;
    }
    argument(&here.fill(node, problems), &param.name, param.kind, problems)
}

impl Kind {
    fn describe(self) -> String {
        match self {
            Self::Value(data_type) => format!("a value of type {data_type}"),
            Self::Name => "the name of a column".to_owned(),
            Self::Names => "a list of names of columns".to_owned(),
        }
    }
}
