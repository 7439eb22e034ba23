//! Decodes one `.sql` or `.plan` file: the header comment and what the stage computes.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::ids::NodeName;

use super::fields::{Fields, Keys};
use super::manifest::{Defaults, MATERIALIZE, MAX_RETRIES, Manifest};
use super::plan;
use super::subdag::Scope;
use super::table::{self, Table};
use super::values::{check_name, choice, is_name, tag_places, tags, text, whole};
use super::{contract, expect, incremental};
use crate::contract::Contract;
use crate::spec::codes;
use crate::spec::files::STAGE_EXTENSIONS;
use crate::spec::pipeline::{RelationRef, RunSettings, StageQuery, StageSpec};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::sql::{self, Header};
use crate::spec::table::Materialize;
use crate::spec::yaml::{self, Node};
use crate::tag::Tags;

const KEYS: Keys = Keys {
    what: "the header of a stage",
    known: &["name", "description", "tags", "materialize", "io", "retries", "contract", "expect"],
};

/// The keys of a stage in a sub-DAG, whose name is that of its file.
pub(super) const KEYS_INSIDE: Keys = Keys {
    what: "the header of a stage in a sub-DAG",
    known: &["description", "tags", "materialize", "io", "retries", "contract", "expect"],
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
};

/// What a stage computes.
pub(super) struct Query {
    pub(super) query: StageQuery,
    pub(super) relations: Vec<RelationRef>,
    pub(super) params: Vec<Spanned<String>>,
}

/// The header's settings, with defaults filled in.
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

/// The input for decoding a stage.
pub(super) struct Parts<'a> {
    /// The file, for spans in its query.
    pub(super) file: &'a Arc<str>,
    pub(super) text: &'a str,
    /// Where the query begins.
    pub(super) body: usize,
    pub(super) header: Option<Node>,
    /// The allowed keys of the header.
    pub(super) keys: &'static Keys,
    /// For a stage of a sub-DAG: its outer name, and the meaning of local names.
    pub(super) scope: Option<(Spanned<String>, &'a Scope<'a>)>,
}

/// Decodes the file of a stage; the error is the name of a stage that could not be decoded.
pub(super) fn decode(
    file: &Arc<str>,
    text: &Arc<str>,
    manifest: Option<&Manifest>,
    contracts: &contract::Decoded,
    problems: &mut Vec<Problem>,
) -> Result<StageSpec, String> {
    let Some((header, body)) = header_of(file, text, problems) else { return Err(stem(file).to_owned()) };
    let is_plan = split_extension(file).is_some_and(|(_, extension)| extension == "plan");
    let keys = if is_plan { &PLAN_KEYS } else { &KEYS };
    decode_parts(Parts { file, text, body, header, keys, scope: None }, manifest, contracts, problems)
}

/// The header of a stage's file, and where its query begins; `None` if the header has no end.
pub(super) fn header_of(file: &Arc<str>, text: &str, problems: &mut Vec<Problem>) -> Option<(Option<Node>, usize)> {
    match sql::split_header(text) {
        Header::None => Some((None, 0)),
        Header::Found { yaml, body } => Some((yaml::parse(file, &text[yaml.clone()], yaml.start, problems), body)),
        Header::Unclosed { at } => {
            let problem = Problem::new(codes::HEADER, "the windlass comment is not closed")
                .at(&Span::new(file, at, at + 2))
                .help("end it with `*/` before the query");
            problems.push(problem);
            None
        }
    }
}

/// Decodes a stage; the error is the name of a stage that could not be decoded.
pub(super) fn decode_parts(
    parts: Parts<'_>,
    manifest: Option<&Manifest>,
    contracts: &contract::Decoded,
    problems: &mut Vec<Problem>,
) -> Result<StageSpec, String> {
    let fallback = Defaults::of(&RunSettings::default());
    let defaults = manifest.map_or(&fallback, |manifest| &manifest.defaults);
    let Parts { file, text, body, header, keys, scope } = parts;
    let before = problems.len();
    let is_plan = split_extension(file).is_some_and(|(_, extension)| extension == "plan");
    let fields = header.as_ref().and_then(|node| Fields::open(node, keys, problems));
    let name = scope
        .as_ref()
        .map_or_else(|| Spanned::new(stem(file).to_owned(), Span::new(file, 0, 0)), |(name, _)| name.clone());
    let mut settings = settings(name, fields.as_ref(), defaults, contracts, problems);
    let good_name = match &scope {
        Some((_, scope)) => {
            expect::rename(&mut settings.expected, scope, problems);
            check_name(&settings.name, "a stage", problems)
        }
        None => check_stage_name(file, &settings.name, header.is_some(), problems),
    };
    let query = if is_plan {
        // A header that is not a mapping was already reported.
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
            maintenance: settings.table.maintenance.settings,
            maintenance_places: settings.table.maintenance.places,
            export_spans: settings.table.export_spans,
            retries: settings.retries,
            contract: settings.contract,
            expectations: settings.expected.list,
            instance: None,
            query: query.query,
            relations: query.relations.into_iter().chain(settings.expected.relations).collect(),
            params: query.params,
        }),
        _ => Err(settings.name.value),
    }
}

/// The path of a stage's file and its extension; `None` for other files.
pub(super) fn split_extension(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once('.').filter(|(_, extension)| STAGE_EXTENSIONS.contains(extension))
}

/// The file's name without folder and extension.
pub(super) fn stem(file: &str) -> &str {
    let path = split_extension(file).map_or(file, |(path, _)| path);
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn settings(
    name: Spanned<String>,
    fields: Option<&Fields<'_>>,
    defaults: &Defaults,
    contracts: &contract::Decoded,
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut settings = Settings {
        name,
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
        let dataset = defaults.datasets.get(&settings.name.value);
        if let Some(table) = dataset.and_then(|dataset| table::decode(&dataset.node, &settings.table, problems)) {
            settings.table = table;
        }
        refuse_table(dataset.map(|dataset| &dataset.name), None, settings.materialize, problems);
        settings.contract = contracts.of_stage(&settings.name.value, None, defaults, problems);
        contract::supply(&mut settings.table, settings.contract.as_ref(), settings.materialize, problems);
        incremental::finalize(&mut settings.table, settings.materialize, &settings.name.span, problems);
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
    if let Some(value) = fields.get("retries").and_then(|node| whole(node, "`retries`", 0..=MAX_RETRIES, problems)) {
        settings.retries = value;
    }
    let dataset = defaults.datasets.get(&settings.name.value);
    for node in [dataset.map(|dataset| &dataset.node), fields.get("io")].into_iter().flatten() {
        if let Some(table) = table::decode(node, &settings.table, problems) {
            settings.table = table;
        }
    }
    if let (Some(dataset), Some(io)) = (dataset, fields.get("io")) {
        table::refuse_twice(&dataset.node, io, problems);
    }
    let why = fields.get("materialize").map(|node| &node.span);
    for place in [dataset.map(|dataset| &dataset.name), fields.key_span("io")] {
        refuse_table(place, why, settings.materialize, problems);
    }
    settings.contract = contracts.of_stage(&settings.name.value, fields.get("contract"), defaults, problems);
    contract::supply(&mut settings.table, settings.contract.as_ref(), settings.materialize, problems);
    let place = fields.key_span("io").unwrap_or(&settings.name.span);
    incremental::finalize(&mut settings.table, settings.materialize, place, problems);
    if let Some(node) = fields.get("expect") {
        settings.expected = expect::decode(node, problems);
        expect::check_applicable(
            &settings.expected,
            &settings.table.settings,
            settings.materialize,
            &node.span,
            problems,
        );
    }
    settings
}

/// Reports table settings of a stage without a table; `why` is where its materialization is written.
fn refuse_table(place: Option<&Span>, why: Option<&Span>, materialize: Materialize, problems: &mut Vec<Problem>) {
    let word = match materialize {
        Materialize::Table => return,
        Materialize::View => "view",
        Materialize::Cache => "cache",
    };
    let Some(place) = place else { return };
    let mut problem = Problem::new(codes::DOES_NOT_APPLY, format!("a stage that is a {word} has no table"))
        .label(place, "settings of a table");
    if let Some(why) = why {
        problem = problem.label(why, format!("this makes it a {word}"));
    }
    problems.push(problem.help("remove `io`, or set `materialize: table`"));
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
