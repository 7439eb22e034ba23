//! One `.sql` or `.plan` file: the header comment and what the stage computes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fields::{Fields, Keys};
use super::manifest::{Defaults, MATERIALIZE, MOST_RETRIES, Manifest};
use super::plan;
use super::table::{self, Table};
use super::values::{check_name, choice, is_name, tag_places, tags, text, whole};
use super::{contract, expect, incremental};
use crate::contract::Contract;
use crate::ids::NodeName;
use crate::spec::codes;
use crate::spec::files::STAGE_EXTENSIONS;
use crate::spec::pipeline::{RelationRef, RunSettings, StageQuery, StageSpec};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::sql::{self, Header};
use crate::spec::table::Materialize;
use crate::spec::yaml;
use crate::tag::Tags;

const KEYS: Keys = Keys {
    what: "the header of a stage",
    known: &["name", "description", "tags", "materialize", "io", "retries", "contract", "expect"],
    later: &["subdag"],
};

const PLAN_KEYS: Keys = Keys {
    what: "the header of a plan",
    known: &[
        "name",
        "description",
        "tags",
        "materialize",
        "io",
        "retries",
        "contract",
        "expect",
        "reads",
        "params",
        "engine",
    ],
    later: KEYS.later,
};

/// What a stage's file was found to compute.
pub(super) struct Query {
    pub(super) query: StageQuery,
    pub(super) relations: Vec<RelationRef>,
    pub(super) params: Vec<Spanned<String>>,
}

/// What the header says, defaults filled in.
struct Settings {
    name: Spanned<String>,
    description: Option<String>,
    tags: Tags,
    tag_places: BTreeMap<String, Span>,
    materialize: Materialize,
    table: Table,
    retries: u32,
    contract: Option<Spanned<Arc<Contract>>>,
    expected: expect::Expected,
}

/// Reads a stage; an error is the name of one that could not be read.
pub(super) fn decode(
    file: &Arc<str>,
    text: &Arc<str>,
    manifest: Option<&Manifest>,
    contracts: &contract::Decoded,
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
    let is_plan = split_extension(file).is_some_and(|(_, extension)| extension == "plan");
    let keys = if is_plan { &PLAN_KEYS } else { &KEYS };
    let fields = header.as_ref().and_then(|node| Fields::open(node, keys, problems));
    let settings = settings(file, fields.as_ref(), defaults, contracts, problems);
    let good_name = check_stage_name(file, &settings.name, header.is_some(), problems);
    let query = if is_plan {
        // A header that is no mapping was complained of already.
        if problems.len() == before || fields.is_some() {
            plan::read(file, text, body, fields.as_ref(), problems)
        } else {
            None
        }
    } else {
        let normalize = manifest.is_none_or(Manifest::normalize_identifiers);
        sql::read(file, text, body, normalize, problems).map(|query| Query {
            query: StageQuery::Sql(query.sql),
            relations: query.relations,
            params: query.params,
        })
    };
    match query {
        Some(query) if good_name && problems.len() == before => Ok(StageSpec {
            name: Spanned::new(NodeName::new(settings.name.value), settings.name.span),
            description: settings.description,
            tags: settings.tags,
            tag_places: settings.tag_places,
            materialize: settings.materialize,
            table: settings.table.settings,
            location_span: settings.table.location_span,
            retries: settings.retries,
            contract: settings.contract,
            expectations: settings.expected.list,
            query: query.query,
            relations: query.relations.into_iter().chain(settings.expected.relations).collect(),
            params: query.params,
        }),
        _ => Err(settings.name.value),
    }
}

/// The path of a stage's file and its extension; `None` if it is no stage's.
pub(super) fn split_extension(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once('.').filter(|(_, extension)| STAGE_EXTENSIONS.contains(extension))
}

/// The file's name without folder and extension.
pub(super) fn stem(file: &str) -> &str {
    let path = split_extension(file).map_or(file, |(path, _)| path);
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn settings(
    file: &Arc<str>,
    fields: Option<&Fields<'_>>,
    defaults: &Defaults,
    contracts: &contract::Decoded,
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut settings = Settings {
        name: Spanned::new(stem(file).to_owned(), Span::new(file, 0, 0)),
        description: None,
        tags: defaults.tags.clone(),
        tag_places: defaults.tag_places.clone(),
        materialize: defaults.materialize,
        table: Table::of(defaults),
        retries: defaults.retries,
        contract: None,
        expected: expect::Expected::default(),
    };
    let Some(fields) = fields else {
        settings.contract = contracts.of_stage(&settings.name.value, None, defaults, problems);
        contract::supply(&mut settings.table, settings.contract.as_ref(), settings.materialize, problems);
        incremental::settle(&mut settings.table, settings.materialize, &settings.name.span, problems);
        return settings;
    };
    if let Some(node) = fields.get("name")
        && let Some(name) = text(node, "`name`", problems)
    {
        settings.name = Spanned::new(name, node.span.clone());
    }
    settings.description = fields.get("description").and_then(|node| text(node, "`description`", problems));
    if let Some(node) = fields.get("tags")
        && let Some(own) = tags(node, problems)
    {
        settings.tags.0.extend(own.0);
        settings.tag_places.extend(tag_places(node));
    }
    if let Some(value) =
        fields.get("materialize").and_then(|node| choice(node, "`materialize`", &MATERIALIZE, problems))
    {
        settings.materialize = value;
    }
    if let Some(value) = fields.get("retries").and_then(|node| whole(node, "`retries`", 0..=MOST_RETRIES, problems)) {
        settings.retries = value;
    }
    if let Some(table) = fields.get("io").and_then(|node| table::decode(node, defaults, problems)) {
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
    settings.contract = contracts.of_stage(&settings.name.value, fields.get("contract"), defaults, problems);
    contract::supply(&mut settings.table, settings.contract.as_ref(), settings.materialize, problems);
    let place = fields.key_span("io").unwrap_or(&settings.name.span);
    incremental::settle(&mut settings.table, settings.materialize, place, problems);
    if let Some(node) = fields.get("expect") {
        settings.expected = expect::decode(node, problems);
        expect::settle(&settings.expected, &settings.table.settings, settings.materialize, &node.span, problems);
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
