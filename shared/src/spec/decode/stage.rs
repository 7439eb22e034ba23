//! One `.sql` file: the header comment and the query.

use std::sync::Arc;

use super::fields::{Fields, Keys};
use super::manifest::{Defaults, MATERIALIZE, MOST_RETRIES, Manifest};
use super::table::{self, Table};
use super::values::{check_name, choice, is_name, tags, text, whole};
use crate::ids::NodeName;
use crate::spec::codes;
use crate::spec::pipeline::{RunSettings, StageSpec};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::sql::{self, Header};
use crate::spec::table::Materialize;
use crate::spec::yaml::{self, Node};
use crate::tag::Tags;

const KEYS: Keys = Keys {
    what: "the header of a stage",
    known: &["name", "description", "tags", "materialize", "io", "retries"],
    later: &["contract", "incremental", "subdag", "expect"],
};

/// What the header says, defaults filled in.
struct Settings {
    name: Spanned<String>,
    description: Option<String>,
    tags: Tags,
    materialize: Materialize,
    table: Table,
    retries: u32,
}

/// Reads a stage; an error is the name of one that could not be read.
pub(super) fn decode(
    file: &Arc<str>,
    text: &Arc<str>,
    manifest: Option<&Manifest>,
    problems: &mut Vec<Problem>,
) -> Result<StageSpec, String> {
    let fallback = Defaults::of(&RunSettings::default());
    let defaults = manifest.map_or(&fallback, |manifest| &manifest.defaults);
    let (header, body) = match sql::split_header(text) {
        Header::None => (None, 0),
        Header::Found { yaml, body } => (yaml::parse(file, &text[yaml.clone()], yaml.start, problems), body),
        Header::Unclosed { at } => {
            let problem = Problem::new(codes::HEADER, "the windlass comment is not closed")
                .at(&Span::new(file, at, at + 2))
                .help("end it with `*/` before the query");
            problems.push(problem);
            return Err(stem(file).to_owned());
        }
    };
    let before = problems.len();
    let settings = settings(file, header.as_ref(), defaults, problems);
    let good_name = check_stage_name(file, &settings.name, header.is_some(), problems);
    let normalize = manifest.is_none_or(Manifest::normalize_identifiers);
    let query = sql::read(file, text, body, normalize, problems);
    match query {
        Some(query) if good_name && problems.len() == before => Ok(StageSpec {
            name: Spanned::new(NodeName::new(settings.name.value), settings.name.span),
            description: settings.description,
            tags: settings.tags,
            materialize: settings.materialize,
            table: settings.table.settings,
            location_span: settings.table.location_span,
            retries: settings.retries,
            sql: query.sql,
            relations: query.relations,
            params: query.params,
        }),
        _ => Err(settings.name.value),
    }
}

/// The file's name without folder and extension.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    name.strip_suffix(".sql").unwrap_or(name)
}

fn settings(file: &Arc<str>, header: Option<&Node>, defaults: &Defaults, problems: &mut Vec<Problem>) -> Settings {
    let mut settings = Settings {
        name: Spanned::new(stem(file).to_owned(), Span::new(file, 0, 0)),
        description: None,
        tags: defaults.tags.clone(),
        materialize: defaults.materialize,
        table: Table { settings: defaults.table.clone(), location_span: None },
        retries: defaults.retries,
    };
    let Some(fields) = header.and_then(|node| Fields::open(node, &KEYS, problems)) else { return settings };
    if let Some(node) = fields.get("name")
        && let Some(name) = text(node, "`name`", problems)
    {
        settings.name = Spanned::new(name, node.span.clone());
    }
    settings.description = fields.get("description").and_then(|node| text(node, "`description`", problems));
    if let Some(own) = fields.get("tags").and_then(|node| tags(node, problems)) {
        settings.tags.0.extend(own.0);
    }
    if let Some(value) =
        fields.get("materialize").and_then(|node| choice(node, "`materialize`", &MATERIALIZE, problems))
    {
        settings.materialize = value;
    }
    if let Some(value) = fields.get("retries").and_then(|node| whole(node, "`retries`", 0..=MOST_RETRIES, problems)) {
        settings.retries = value;
    }
    if let Some(table) = fields.get("io").and_then(|node| table::decode(node, &defaults.table, problems)) {
        settings.table = table;
    }
    if let (Some(span), Materialize::View | Materialize::Cache) = (fields.key_span("io"), settings.materialize) {
        let word = if settings.materialize == Materialize::View { "view" } else { "cache" };
        let mut problem =
            Problem::new(codes::DOES_NOT_APPLY, format!("a stage that is a {word} has no table of its own"))
                .label(span, "settings of a table");
        if let Some(why) = fields.get("materialize") {
            problem = problem.label(&why.span, format!("this makes it a {word}"));
        }
        problems.push(problem.help("take `io` out, or set `materialize: table`"));
    }
    settings
}

fn check_stage_name(file: &Arc<str>, name: &Spanned<String>, has_header: bool, problems: &mut Vec<Problem>) -> bool {
    if name.span.end > 0 || is_name(&name.value) {
        return check_name(name, "a stage", problems);
    }
    let problem = Problem::new(codes::BAD_NAME, format!("`{}` cannot be the name of a stage", name.value))
        .label(&Span::new(file, 0, 0), "the file's name is the stage's name")
        .help(if has_header {
            "rename the file, or add `name: other_name` to its header"
        } else {
            "rename the file, or begin it with `/* windlass` and `name: other_name */`"
        });
    problems.push(problem);
    false
}
