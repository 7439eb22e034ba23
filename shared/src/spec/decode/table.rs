//! The `io` of a stage: its Delta table.

use std::collections::BTreeMap;

use super::fields::{Fields, Keys, entries};
use super::incremental;
use super::manifest::Defaults;
use super::values::{check_name, choice, filled_text, location, plain_names, size, text_map};
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::sql;
use crate::spec::table::{TableSettings, WriteMode};
use crate::spec::yaml::Node;

const KEYS: Keys = Keys {
    what: "`io`",
    known: &[
        "kind",
        "location",
        "mode",
        "partition_by",
        "key",
        "not_null",
        "constraints",
        "properties",
        "target_file_size",
        "incremental",
        "merge",
        "on_definition_change",
    ],
    later: &[],
};

/// Below this a table would drown in files.
pub(super) const LEAST_FILE_BYTES: u64 = 64 * 1024;

pub(super) struct Table {
    pub(super) settings: TableSettings,
    pub(super) location_span: Option<Span>,
    /// Where it is said whether the table is incremental: in `io` or in the defaults.
    pub(super) incremental_span: Option<Span>,
    /// Where `key` and `partition_by` are written, if they are.
    pub(super) key_span: Option<Span>,
    pub(super) partition_span: Option<Span>,
    /// Whether there is no key, not even one that could not be read.
    pub(super) lacks_key: bool,
}

impl Table {
    /// The table of a stage without `io`.
    pub(super) fn of(defaults: &Defaults) -> Self {
        let incremental_span = defaults.incremental_span.clone();
        Self {
            settings: defaults.table.clone(),
            location_span: None,
            incremental_span,
            key_span: None,
            partition_span: None,
            lacks_key: true,
        }
    }
}

/// Reads `io` over the defaults of the project.
pub(super) fn decode(node: &Node, project: &Defaults, problems: &mut Vec<Problem>) -> Option<Table> {
    let fields = Fields::open(node, &KEYS, problems)?;
    let defaults = &project.table;
    if let Some(kind) = fields.get("kind") {
        choice(kind, "`kind`", &[("delta", ())], problems);
    }
    let mode = fields.get("mode").and_then(|node| {
        choice(node, "`mode`", &[("overwrite", WriteMode::Overwrite), ("append", WriteMode::Append)], problems)
    });
    let mut list = |key: &str| fields.get(key).map(|node| plain_names(node, &format!("`{key}`"), problems));
    let (partition_by, key, not_null) = (list("partition_by"), list("key"), list("not_null"));
    let lacks_key = key.as_ref().is_none_or(|names| names.as_ref().is_some_and(Vec::is_empty));
    let mut properties = defaults.properties.clone();
    properties
        .extend(fields.get("properties").and_then(|node| text_map(node, "`properties`", problems)).unwrap_or_default());
    let location_node = fields.get("location");
    let mut settings = TableSettings {
        location: location_node.and_then(|node| location(node, "`location`", problems)),
        mode: mode.unwrap_or(defaults.mode),
        partition_by: partition_by.flatten().unwrap_or_default(),
        not_null: not_null.flatten().unwrap_or_default(),
        constraints: fields.get("constraints").map(|node| constraints(node, problems)).unwrap_or_default(),
        properties,
        target_file_bytes: fields
            .get("target_file_size")
            .and_then(|node| size(node, "`target_file_size`", LEAST_FILE_BYTES, problems))
            .or(defaults.target_file_bytes),
        key: key.flatten().unwrap_or_default(),
        ..defaults.clone()
    };
    let incremental_span =
        incremental::read(&fields, &mut settings, problems).or_else(|| project.incremental_span.clone());
    let location_span = location_node.map(|node| node.span.clone());
    let span = |key: &str| fields.get(key).map(|node| node.span.clone());
    let (key_span, partition_span) = (span("key"), span("partition_by"));
    Some(Table { settings, location_span, incremental_span, key_span, partition_span, lacks_key })
}

/// SQL conditions by name. Each must be an expression.
fn constraints(node: &Node, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut conditions = BTreeMap::new();
    for entry in entries(node, "`constraints`", problems).unwrap_or_default() {
        check_name(&entry.key, "a constraint", problems);
        let what = format!("the constraint `{}`", entry.key.value);
        let Some(condition) = filled_text(&entry.value, &what, problems) else { continue };
        if let Err(error) = sql::check_expression(&condition) {
            let problem = Problem::new(codes::SQL_SYNTAX, format!("{what} is not a SQL condition: {error}"))
                .at(&entry.value.span)
                .help("write a condition that every row meets, such as `amount >= 0`");
            problems.push(problem);
        }
        conditions.insert(entry.key.value.clone(), condition);
    }
    conditions
}
