//! Decodes the dataset of a stage: its Delta table and its exports, from `datasets` of the project and from its `io`.

use std::collections::BTreeMap;

use super::fields::{Fields, Keys, entries};
use super::incremental;
use super::maintenance::{self, Written};
use super::manifest::Defaults;
use super::values::{check_name, choice, filled_text, list, location, plain_names, size, text_map};
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::sql;
use crate::spec::table::{Export, FILE_FORMATS, TableSettings, WriteMode};
use crate::spec::yaml::{Node, Value};

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
        "maintenance",
        "incremental",
        "merge",
        "on_definition_change",
        "exports",
    ],
};
const EXPORT: Keys = Keys { what: "an export", known: &["name", "format", "saver", "location", "options"] };
const MODES: [WriteMode; 4] =
    [WriteMode::Overwrite, WriteMode::Append, WriteMode::Upsert, WriteMode::ReplacePartitions];

/// Below this a table would have too many files.
pub(super) const MIN_FILE_BYTES: u64 = 64 * 1024;

pub(super) struct Table {
    pub(super) settings: TableSettings,
    pub(super) location_span: Option<Span>,
    /// Where each export is written.
    pub(super) export_spans: Vec<Span>,
    /// Where `incremental` is set: in `io` or in the defaults.
    pub(super) incremental_span: Option<Span>,
    /// Where `key` and `partition_by` are written, if they are.
    pub(super) key_span: Option<Span>,
    pub(super) partition_span: Option<Span>,
    /// Where `mode` is written, if it is.
    pub(super) mode_span: Option<Span>,
    /// How the table is maintained, and where that is written.
    pub(super) maintenance: Written,
    /// Whether there is no key, not even an invalid one.
    pub(super) lacks_key: bool,
}

impl Table {
    /// The table of a stage without `io`.
    pub(super) fn of(defaults: &Defaults) -> Self {
        let incremental_span = defaults.incremental_span.clone();
        Self {
            settings: defaults.table.clone(),
            location_span: None,
            export_spans: Vec::new(),
            incremental_span,
            key_span: None,
            partition_span: None,
            mode_span: None,
            maintenance: Written { places: defaults.property_places.clone(), ..Written::default() },
            lacks_key: true,
        }
    }
}

/// Decodes `io`, or an entry of `datasets`, on top of the other settings.
pub(super) fn decode(node: &Node, base: &Table, problems: &mut Vec<Problem>) -> Option<Table> {
    let fields = Fields::open(node, &KEYS, problems)?;
    let defaults = &base.settings;
    if let Some(kind) = fields.get("kind") {
        choice(kind, "`kind`", &[("delta", ())], problems);
    }
    let modes = MODES.map(|mode| (mode.as_str(), mode));
    let mode = fields.get("mode").and_then(|node| choice(node, "`mode`", &modes, problems));
    let mut list = |key: &str| fields.get(key).map(|node| plain_names(node, &format!("`{key}`"), problems));
    let (partition_by, key, not_null) = (list("partition_by"), list("key"), list("not_null"));
    let lacks_key = match &key {
        Some(names) => names.as_ref().is_some_and(Vec::is_empty),
        None => base.lacks_key,
    };
    let mut properties = defaults.properties.clone();
    properties
        .extend(fields.get("properties").and_then(|node| text_map(node, "`properties`", problems)).unwrap_or_default());
    let mut maintenance = base.maintenance.clone();
    if let Some(node) = fields.get("maintenance") {
        maintenance.set(maintenance::of_table(node, problems));
    }
    maintenance.places.extend(fields.get("properties").map(maintenance::property_places).unwrap_or_default());
    let (own_exports, export_spans) = match fields.get("exports") {
        Some(node) => exports(node, problems),
        None => (defaults.exports.clone(), base.export_spans.clone()),
    };
    let location_node = fields.get("location");
    let mut settings = TableSettings {
        location: location_node
            .and_then(|node| location(node, "`location`", problems))
            .or_else(|| defaults.location.clone()),
        mode: mode.unwrap_or(defaults.mode),
        partition_by: partition_by.flatten().unwrap_or_else(|| defaults.partition_by.clone()),
        not_null: not_null.flatten().unwrap_or_else(|| defaults.not_null.clone()),
        constraints: fields
            .get("constraints")
            .map_or_else(|| defaults.constraints.clone(), |node| constraints(node, problems)),
        properties,
        target_file_bytes: fields
            .get("target_file_size")
            .and_then(|node| size(node, "`target_file_size`", MIN_FILE_BYTES, problems))
            .or(defaults.target_file_bytes),
        key: key.flatten().unwrap_or_else(|| defaults.key.clone()),
        exports: own_exports,
        ..defaults.clone()
    };
    let said = incremental::read(&fields, &mut settings, problems);
    let span = |key: &str, elsewhere: &Option<Span>| {
        fields.get(key).map(|node| node.span.clone()).or_else(|| elsewhere.clone())
    };
    Some(Table {
        settings,
        location_span: span("location", &base.location_span),
        export_spans,
        incremental_span: said.or_else(|| base.incremental_span.clone()),
        key_span: span("key", &base.key_span),
        partition_span: span("partition_by", &base.partition_span),
        mode_span: span("mode", &base.mode_span),
        maintenance,
        lacks_key,
    })
}

/// Reports options that are set both in `datasets` and in the `io` of a stage.
pub(super) fn refuse_twice(dataset: &Node, io: &Node, problems: &mut Vec<Problem>) {
    let (Value::Map(dataset), Value::Map(io)) = (&dataset.value, &io.value) else { return };
    for entry in io.iter().filter(|entry| entry.key.value != "kind") {
        if let Some(other) = dataset.iter().find(|other| other.key.value == entry.key.value) {
            let message = format!("`{}` of the dataset is set twice", entry.key.value);
            let problem = Problem::new(codes::IO_TWICE, message).label(&entry.key.span, "here, in the stage's `io`");
            problems.push(problem.label(&other.key.span, "and here, in `datasets`").help("keep one of them"));
        }
    }
}

/// The exports, with their spans.
pub(super) fn exports(node: &Node, problems: &mut Vec<Problem>) -> (Vec<Export>, Vec<Span>) {
    let mut exports: Vec<Export> = Vec::new();
    let mut spans = Vec::new();
    for item in list(node, "`exports`", problems).unwrap_or_default() {
        let Some(export) = export(item, problems) else { continue };
        if exports.iter().any(|other| other.name == export.name || other.location == export.location) {
            let message = format!("two exports have the name `{}` or the same location", export.name);
            let problem = Problem::new(codes::DUPLICATE_ITEM, message).at(&item.span);
            problems.push(problem.help("give each a separate `name` and `location`"));
        }
        exports.push(export);
        spans.push(item.span.clone());
    }
    (exports, spans)
}

fn export(node: &Node, problems: &mut Vec<Problem>) -> Option<Export> {
    let fields = Fields::open(node, &EXPORT, problems)?;
    let formats = FILE_FORMATS.map(|format| (format, format));
    let saver = match (fields.get("format"), fields.get("saver")) {
        (Some(_), Some(saver)) => {
            let problem = Problem::new(codes::DOES_NOT_APPLY, "an export has a `format` or a `saver`, not both");
            problems.push(problem.at(&saver.span).help("keep one of them"));
            None
        }
        (None, Some(saver)) => filled_text(saver, "`saver`", problems),
        (format, None) => format
            .or_else(|| fields.require("format", "format: parquet", problems))
            .and_then(|node| choice(node, "`format`", &formats, problems))
            .map(str::to_owned),
    };
    let place = fields.require("location", "location: path/or/url", problems);
    let place = place.and_then(|node| location(node, "`location`", problems));
    let options = fields.get("options").and_then(|node| text_map(node, "`options`", problems)).unwrap_or_default();
    let name = fields.get("name").and_then(|node| filled_text(node, "`name`", problems));
    let saver = saver?;
    Some(Export { name: name.unwrap_or_else(|| saver.clone()), saver, location: place?, options })
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
                .help("write a condition that every row satisfies, such as `amount >= 0`");
            problems.push(problem);
        }
        conditions.insert(entry.key.value.clone(), condition);
    }
    conditions
}
