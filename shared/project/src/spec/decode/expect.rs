//! The `expect` of a stage: a list, each item with one rule.

use windlass_base::ids::NodeName;

use super::fields::{Fields, Keys};
use super::subdag::Scope;
use super::values::{choice, filled_text, list, plain_names, tag_places, tags, text, whole, wrong_type};
use crate::expect::{Expectation, Rule, Severity};
use crate::spec::codes;
use crate::spec::pipeline::RelationRef;
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::sql;
use crate::spec::table::{Incremental, Materialize, TableSettings};
use crate::spec::yaml::{Node, Value};

const RULES: [&str; 9] =
    ["not_null", "unique", "accepted_values", "range", "matches", "references", "sql", "row_count", "freshness"];
const ITEM: Keys = Keys {
    what: "an expectation",
    known: &[
        "name",
        "on_failure",
        "tags",
        "not_null",
        "unique",
        "accepted_values",
        "range",
        "matches",
        "references",
        "sql",
        "row_count",
        "freshness",
    ],
};
const ACCEPTED: Keys = Keys { what: "`accepted_values`", known: &["column", "values"] };
const RANGE: Keys = Keys { what: "`range`", known: &["column", "min", "max"] };
const MATCHES: Keys = Keys { what: "`matches`", known: &["column", "pattern"] };
const REFERENCES: Keys = Keys { what: "`references`", known: &["columns", "to", "key"] };
const ROW_COUNT: Keys = Keys { what: "`row_count`", known: &["min", "max"] };
const FRESHNESS: Keys = Keys { what: "`freshness`", known: &["column", "within"] };
const SEVERITY: [(&str, Severity); 3] =
    [("warn", Severity::Warn), ("fail", Severity::Fail), ("quarantine", Severity::Quarantine)];

/// The expectations of a stage.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) list: Vec<Expectation>,
    /// The referenced nodes, which the stage reads in addition to those of its query.
    pub(super) relations: Vec<RelationRef>,
}

/// Reads the list.
pub(super) fn decode(node: &Node, problems: &mut Vec<Problem>) -> Expected {
    let mut expected = Expected::default();
    for item in list(node, "`expect`", problems).unwrap_or_default() {
        let Some((expectation, relation)) = one(item, problems) else { continue };
        if let Some(first) = expected.list.iter().find(|other| other.name == expectation.name) {
            let problem =
                Problem::new(codes::DUPLICATE_ITEM, format!("two expectations have the name `{}`", expectation.name))
                    .label(&expectation.span, "again here")
                    .label(&first.span, "first here");
            problems.push(problem.help("give one of them another `name`"));
        }
        expected.list.push(expectation);
        expected.relations.extend(relation);
    }
    expected
}

/// Replaces local names of a sub-DAG by the outer names.
pub(super) fn rename(expected: &mut Expected, scope: &Scope<'_>, problems: &mut Vec<Problem>) {
    for expectation in &mut expected.list {
        let Rule::References { to, .. } = &mut expectation.rule else { continue };
        match scope.names.get(to.as_str()) {
            Some(outside) => *to = NodeName::new(outside.clone()),
            None => problems.push(scope.unknown(to.as_str(), &expectation.span)),
        }
    }
    for relation in &mut expected.relations {
        for part in &mut relation.parts {
            if let Some(outside) = scope.names.get(part) {
                part.clone_from(outside);
            }
        }
    }
}

/// Reports expectations that the stage's materialization does not support.
pub(super) fn check_applicable(
    expected: &Expected,
    settings: &TableSettings,
    materialize: Materialize,
    place: &Span,
    problems: &mut Vec<Problem>,
) {
    if materialize != Materialize::Table && !expected.list.is_empty() {
        let problem = Problem::new(codes::DOES_NOT_APPLY, "only a stage that is a table can have expectations");
        problems.push(problem.at(place).help("put `expect` into the stage that keeps the rows as a table"));
        return;
    }
    if settings.incremental == Incremental::Off {
        return;
    }
    for expectation in &expected.list {
        if let Rule::Unique { columns } = &expectation.rule
            && !settings.key.iter().all(|column| columns.contains(column))
        {
            let key = settings.key.join(", ");
            let message = format!("`unique` must name the whole key ({key}) of a stage that is incremental");
            let problem = Problem::new(codes::EXPECT_UNIQUE, message).at(&expectation.span);
            problems.push(problem.help(
                "other columns can be compared only where all rows are computed: set `incremental: off`, or leave it \
                 out",
            ));
        }
    }
}

fn one(node: &Node, problems: &mut Vec<Problem>) -> Option<(Expectation, Option<RelationRef>)> {
    let fields = Fields::open(node, &ITEM, problems)?;
    let severity = fields.get("on_failure").and_then(|node| choice(node, "`on_failure`", &SEVERITY, problems));
    let severity = severity.unwrap_or_default();
    let there: Vec<&str> = RULES.into_iter().filter(|rule| fields.get(rule).is_some()).collect();
    let [kind] = there.as_slice() else {
        let message = match there.len() {
            0 => "an expectation needs a rule".to_owned(),
            _ => format!("an expectation has one rule, not {}: `{}`", there.len(), there.join("`, `")),
        };
        let problem = Problem::new(codes::MISSING_KEY, message).at(&node.span);
        problems.push(problem.help(format!("rules are `{}`", RULES.join("`, `"))));
        return None;
    };
    let value = fields.get(kind)?;
    let (rule, relation) = rule(kind, value, problems)?;
    let name = match fields.get("name") {
        Some(node) => filled_text(node, "`name`", problems)?,
        None => default_name(&rule),
    };
    if severity == Severity::Quarantine && !rule.is_about_rows() {
        let message = format!("`{kind}` is about all rows together, so no single rows can go to quarantine");
        let problem = Problem::new(codes::DOES_NOT_APPLY, message).at(&value.span);
        problems.push(problem.help("write `on_failure: warn` or `on_failure: fail`"));
    }
    let own = fields.get("tags");
    let tag_places = own.map(tag_places).unwrap_or_default();
    let tags = own.and_then(|node| tags(node, problems)).unwrap_or_default();
    Some((Expectation { name, rule, severity, tags, tag_places, span: value.span.clone() }, relation))
}

fn default_name(rule: &Rule) -> String {
    let columns = rule.columns();
    let mut name = rule.kind().to_owned();
    for column in columns {
        name.push('_');
        name.push_str(column);
    }
    name
}

fn rule(kind: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<(Rule, Option<RelationRef>)> {
    let columns = |node: &Node, problems: &mut Vec<Problem>| {
        let columns = plain_names(node, &format!("`{kind}`"), problems)?;
        if columns.is_empty() {
            problems.push(Problem::new(codes::BAD_VALUE, format!("`{kind}` names no column")).at(&node.span));
            return None;
        }
        Some(columns)
    };
    let mut relation = None;
    let rule = match kind {
        "not_null" => Rule::NotNull { columns: columns(node, problems)? },
        "unique" => Rule::Unique { columns: columns(node, problems)? },
        "sql" => Rule::Sql { condition: condition(node, problems)? },
        "accepted_values" => {
            let fields = Fields::open(node, &ACCEPTED, problems)?;
            let column = column_of(&fields, problems);
            let values = fields.require("values", "values: [one, other]", problems)?;
            let values: Vec<String> =
                list(values, "`values`", problems)?.iter().filter_map(|value| literal(value, problems)).collect();
            if values.is_empty() {
                problems.push(Problem::new(codes::BAD_VALUE, "`values` must not be empty").at(&node.span));
                return None;
            }
            Rule::AcceptedValues { column: column?, values }
        }
        "range" => {
            let fields = Fields::open(node, &RANGE, problems)?;
            let column = column_of(&fields, problems);
            let mut bound = |key: &str| fields.get(key).and_then(|node| literal(node, problems));
            let (min, max) = (bound("min"), bound("max"));
            some_bound(min.is_some() || max.is_some(), kind, node, problems)?;
            Rule::Range { column: column?, min, max }
        }
        "matches" => {
            let fields = Fields::open(node, &MATCHES, problems)?;
            let column = column_of(&fields, problems);
            let place = fields.require("pattern", "pattern: '[a-z]+'", problems)?;
            let pattern = filled_text(place, "`pattern`", problems)?;
            if let Err(error) = regex::Regex::new(&pattern) {
                let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                let message = format!("`{pattern}` is not a regular expression: {why}");
                problems.push(Problem::new(codes::BAD_VALUE, message).at(&place.span));
                return None;
            }
            Rule::Matches { column: column?, pattern }
        }
        "references" => {
            let fields = Fields::open(node, &REFERENCES, problems)?;
            let own = fields.require("columns", "columns: [customer_id]", problems);
            let own = own.and_then(|node| columns(node, problems));
            let place = fields.require("to", "to: customers", problems)?;
            let to = filled_text(place, "`to`", problems)?;
            let own = own?;
            let key = match fields.get("key") {
                Some(node) => columns(node, problems)?,
                None => own.clone(),
            };
            if key.len() != own.len() {
                let message = format!("`columns` has {} and `key` has {}", own.len(), key.len());
                let problem = Problem::new(codes::BAD_VALUE, message).at(&node.span);
                problems.push(problem.help("name the same number of columns in both"));
                return None;
            }
            relation = Some(RelationRef {
                parts: vec![to.clone()],
                written: to.clone(),
                has_alias: false,
                span: place.span.clone(),
            });
            Rule::References { columns: own, to: NodeName::new(to), key }
        }
        "row_count" => {
            let fields = Fields::open(node, &ROW_COUNT, problems)?;
            let mut bound =
                |key: &str| fields.get(key).and_then(|node| whole(node, &format!("`{key}`"), 0..=u64::MAX, problems));
            let (min, max) = (bound("min"), bound("max"));
            some_bound(min.is_some() || max.is_some(), kind, node, problems)?;
            Rule::RowCount { min, max }
        }
        _ => {
            let fields = Fields::open(node, &FRESHNESS, problems)?;
            let column = column_of(&fields, problems);
            let within = fields.require("within", "within: 1d", problems)?;
            Rule::Freshness { column: column?, within_seconds: seconds(within, problems)? }
        }
    };
    Some((rule, relation))
}

fn column_of(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    fields.require("column", "column: amount", problems).and_then(|node| filled_text(node, "`column`", problems))
}

fn some_bound(is_there: bool, kind: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<()> {
    if !is_there {
        let problem = Problem::new(codes::MISSING_KEY, format!("`{kind}` needs `min` or `max`")).at(&node.span);
        problems.push(problem.help("write at least one of them"));
    }
    is_there.then_some(())
}

fn condition(node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    let condition = filled_text(node, "`sql`", problems)?;
    if let Err(error) = sql::check_expression(&condition) {
        let problem = Problem::new(codes::SQL_SYNTAX, format!("`sql` is not a SQL condition: {error}")).at(&node.span);
        problems.push(problem.help("write a condition that every row satisfies, such as `amount >= 0`"));
        return None;
    }
    Some(condition)
}

/// A value as a SQL literal: numbers and booleans bare, anything else as text, which the engine casts to the column's
/// type.
fn literal(node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    match &node.value {
        Value::Scalar(scalar) if scalar.as_bool().is_some() || scalar.as_float().is_some() => Some(scalar.text.clone()),
        Value::Scalar(_) => Some(format!("'{}'", text(node, "a value", problems)?.replace('\'', "''"))),
        _ => wrong_type(node, "a value", "a number, a boolean or a text", problems),
    }
}

/// A time such as `90s`, `15m`, `6h`, `1d`.
fn seconds(node: &Node, problems: &mut Vec<Problem>) -> Option<u64> {
    let text = filled_text(node, "`within`", problems)?;
    let parsed = text.char_indices().last().and_then(|(at, unit)| {
        let each = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        text[..at].trim().parse::<u64>().ok()?.checked_mul(each)
    });
    if parsed.is_none() {
        let problem = Problem::new(codes::BAD_VALUE, format!("`within` cannot be `{text}`")).at(&node.span);
        problems.push(problem.help("write a number and a unit: `90s`, `15m`, `6h`, `1d`"));
    }
    parsed
}
