//! The `targets` of a project.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::contract;
use super::fields::{Fields, Keys, entries};
use super::session;
use super::table::{self, MIN_FILE_BYTES};
use super::values::{check_name, location, size, text_map};
use super::{manifest::Names, param, source};
use crate::spec::codes;
use crate::spec::files::ProjectFiles;
use crate::spec::param::{ParamSpec, ParamValue};
use crate::spec::pipeline::{DatasetOverride, SourceOverride, SourceSpec, TargetSpec};
use crate::spec::problem::Problem;
use crate::spec::span::Spanned;
use crate::spec::yaml::{Node, Value};

const KEYS: Keys = Keys { what: "a target", known: &["params", "session", "sources", "datasets", "home"] };
const SOURCE: Keys = Keys { what: "a target's source", known: &["location"] };
const DATASET: Keys =
    Keys { what: "a target's dataset", known: &["location", "properties", "target_file_size", "exports"] };

pub(super) fn decode_all(
    node: &Node,
    project: &Project<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, TargetSpec> {
    let mut targets = BTreeMap::new();
    for entry in entries(node, "`targets`", problems).unwrap_or_default() {
        check_name(&entry.key, "a target", problems);
        if let Some(target) = decode(&entry.value, project, problems) {
            targets.insert(entry.key.value.clone(), target);
        }
    }
    targets
}

/// What targets can refer to.
pub(super) struct Project<'a> {
    pub(super) files: &'a ProjectFiles,
    pub(super) contracts: &'a contract::Decoded,
    pub(super) params: &'a [ParamSpec],
    pub(super) sources: &'a [SourceSpec],
    pub(super) names: &'a Names<'a>,
}

fn decode(node: &Node, project: &Project<'_>, problems: &mut Vec<Problem>) -> Option<TargetSpec> {
    let fields = Fields::open(node, &KEYS, problems)?;
    let session = fields.get("session").map(|node| session::decode(node, problems)).unwrap_or_default();
    if let (Some(_), Some(node)) = (session.normalize_identifiers, fields.get("session")) {
        let problem = Problem::new(codes::DOES_NOT_APPLY, "a target cannot change `normalize_identifiers`")
            .at(&node.span)
            .help("set it in the `session` of the project: it decides what the names in SQL mean");
        problems.push(problem);
    }
    Some(TargetSpec {
        params: fields
            .get("params")
            .map(|node| param_values(node, project.params, project.names.broken, problems))
            .unwrap_or_default(),
        session,
        sources: fields.get("sources").map(|node| sources(node, project, problems)).unwrap_or_default(),
        datasets: fields.get("datasets").map(|node| datasets(node, problems)).unwrap_or_default(),
        home: fields.get("home").and_then(|node| location(node, "`home`", problems)),
    })
}

fn param_values(
    node: &Node,
    params: &[ParamSpec],
    broken: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, ParamValue> {
    let mut values = BTreeMap::new();
    for entry in entries(node, "`params` of a target", problems).unwrap_or_default() {
        let name = &entry.key.value;
        if let Some(param) = params.iter().find(|param| param.name == *name) {
            if let Some(value) = param::value(&entry.value, name, param.data_type, problems) {
                values.insert(name.clone(), value);
            }
        } else if !broken.contains(name) {
            let mut problem = Problem::new(codes::UNKNOWN_PARAM, format!("the project has no parameter `{name}`"))
                .at(&entry.key.span);
            problem.help = did_you_mean(name, "parameters are", params.iter().map(|param| param.name.as_str()));
            problems.push(problem);
        }
    }
    values
}

/// Sources at another location or, with a `kind`, replaced by other sources.
fn sources(node: &Node, project: &Project<'_>, problems: &mut Vec<Problem>) -> BTreeMap<NodeName, SourceOverride> {
    let names = project.names;
    let mut sources = BTreeMap::new();
    for entry in entries(node, "`sources` of a target", problems).unwrap_or_default() {
        let name = &entry.key.value;
        if !names.sources.contains(name.as_str()) {
            let mut problem =
                Problem::new(codes::UNKNOWN_SOURCE, format!("the project has no source `{name}`")).at(&entry.key.span);
            problem.help = did_you_mean(name, "sources are", names.sources.iter().copied());
            problems.push(problem);
        }
        let is_whole = matches!(&entry.value.value, Value::Map(keys) if keys.iter().any(|key| key.key.value == "kind"));
        let name = NodeName::new(name.clone());
        if is_whole {
            let spanned = Spanned::new(name.clone(), entry.key.span.clone());
            if let Some(source) = source::decode(spanned, &entry.value, project.files, project.contracts, problems) {
                sources.insert(name, SourceOverride::Kind(source.kind));
            }
            continue;
        }
        let Some(fields) = Fields::open(&entry.value, &SOURCE, problems) else { continue };
        let place = fields.require("location", "location: path/or/url", problems);
        let Some(location) = place.and_then(|node| location(node, "`location`", problems)) else { continue };
        let of_project = project.sources.iter().find(|source| source.name.value == name);
        if let Some(kind) = of_project.filter(|source| !source.kind.has_location()).map(|source| source.kind.name()) {
            let message = format!("`{name}` is of kind `{kind}` and has no location to override");
            let problem = Problem::new(codes::DOES_NOT_APPLY, message).at(&entry.key.span);
            problems.push(problem.help("say `kind` to replace it with another source"));
        }
        sources.insert(name, SourceOverride::Location(location));
    }
    sources
}

fn datasets(node: &Node, problems: &mut Vec<Problem>) -> BTreeMap<NodeName, DatasetOverride> {
    let mut datasets = BTreeMap::new();
    for entry in entries(node, "`datasets` of a target", problems).unwrap_or_default() {
        let Some(fields) = Fields::open(&entry.value, &DATASET, problems) else { continue };
        let place = fields.get("location");
        let location =
            place.and_then(|node| Some(Spanned::new(location(node, "`location`", problems)?, node.span.clone())));
        let properties = fields.get("properties").and_then(|node| text_map(node, "`properties`", problems));
        let bytes = fields.get("target_file_size");
        let target_file_bytes = bytes.and_then(|node| size(node, "`target_file_size`", MIN_FILE_BYTES, problems));
        let (exports, export_spans) = fields.get("exports").map(|node| table::exports(node, problems)).unzip();
        let properties = properties.unwrap_or_default();
        let span = entry.key.span.clone();
        let export_spans = export_spans.unwrap_or_default();
        let dataset = DatasetOverride { span, location, properties, target_file_bytes, exports, export_spans };
        datasets.insert(NodeName::new(entry.key.value.clone()), dataset);
    }
    datasets
}
