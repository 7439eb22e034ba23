//! The `targets` of a project.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Fields, Keys, entries};
use super::session;
use super::values::{check_name, location};
use super::{manifest::Names, param};
use crate::ids::NodeName;
use crate::spec::codes;
use crate::spec::param::{ParamSpec, ParamValue};
use crate::spec::pipeline::TargetSpec;
use crate::spec::problem::Problem;
use crate::spec::suggest::did_you_mean;
use crate::spec::yaml::Node;

const KEYS: Keys = Keys { what: "a target", known: &["params", "session", "sources", "home"], later: &[] };
const SOURCE: Keys = Keys { what: "a target's source", known: &["location"], later: &[] };

pub(super) fn decode_all(
    node: &Node,
    params: &[ParamSpec],
    names: &Names<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, TargetSpec> {
    let mut targets = BTreeMap::new();
    for entry in entries(node, "`targets`", problems).unwrap_or_default() {
        check_name(&entry.key, "a target", problems);
        if let Some(target) = decode(&entry.value, params, names, problems) {
            targets.insert(entry.key.value.clone(), target);
        }
    }
    targets
}

fn decode(node: &Node, params: &[ParamSpec], names: &Names<'_>, problems: &mut Vec<Problem>) -> Option<TargetSpec> {
    let fields = Fields::open(node, &KEYS, problems)?;
    let session = fields.get("session").map(|node| session::decode(node, problems)).unwrap_or_default();
    if let (Some(_), Some(node)) = (session.normalize_identifiers, fields.get("session")) {
        let problem = Problem::new(codes::DOES_NOT_APPLY, "a target cannot change `normalize_identifiers`")
            .at(&node.span)
            .help("set it in the `session` of the project: it decides what the names in SQL mean");
        problems.push(problem);
    }
    Some(TargetSpec {
        params: fields.get("params").map(|node| param_values(node, params, names.broken, problems)).unwrap_or_default(),
        session,
        sources: fields.get("sources").map(|node| locations(node, names, problems)).unwrap_or_default(),
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

fn locations(node: &Node, names: &Names<'_>, problems: &mut Vec<Problem>) -> BTreeMap<NodeName, String> {
    let mut locations = BTreeMap::new();
    for entry in entries(node, "`sources` of a target", problems).unwrap_or_default() {
        let name = &entry.key.value;
        if !names.sources.contains(name.as_str()) {
            let mut problem =
                Problem::new(codes::UNKNOWN_SOURCE, format!("the project has no source `{name}`")).at(&entry.key.span);
            problem.help = did_you_mean(name, "sources are", names.sources.iter().copied());
            problems.push(problem);
        }
        let Some(fields) = Fields::open(&entry.value, &SOURCE, problems) else { continue };
        let place = fields.require("location", "location: path/or/url", problems);
        if let Some(place) = place.and_then(|node| location(node, "`location`", problems)) {
            locations.insert(NodeName::new(name.clone()), place);
        }
    }
    locations
}
