//! `windlass.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_base::config::SessionSettings;
use windlass_base::ids::{NodeName, PipelineName};

use super::fields::{Fields, Keys, entries};
use super::table::MIN_FILE_BYTES;
use super::values::{boolean, check_name, choice, size, tag_places, tags, text, text_map, whole};
use super::{contract, incremental, maintenance, param, session, source, tag_policy, target};
use crate::contract::Contracts;
use crate::maintenance::KeyPlaces;
use crate::spec::codes;
use crate::spec::files::ProjectFiles;
use crate::spec::param::ParamSpec;
use crate::spec::pipeline::{PipelineSpec, RunSettings, SourceSpec, StageSpec, TargetSpec};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::table::{Materialize, TableSettings};
use crate::spec::yaml::{self, Entry, Node, Value};
use crate::tag::{TagPolicy, Tags};

const KEYS: Keys = Keys {
    what: "windlass.yaml",
    known: &[
        "name",
        "description",
        "sources",
        "params",
        "defaults",
        "session",
        "run",
        "targets",
        "tag_policy",
        "subdags",
        "datasets",
        "maintenance",
    ],
};
const RUN: Keys = Keys { what: "`run`", known: &["max_parallel_stages", "retries", "fail_fast"] };
const DEFAULTS: Keys = Keys {
    what: "`defaults`",
    known: &[
        "materialize",
        "tags",
        "retries",
        "properties",
        "target_file_size",
        "incremental",
        "merge",
        "on_definition_change",
        "contract",
    ],
};

pub(super) const MATERIALIZE: [(&str, Materialize); 3] =
    [("table", Materialize::Table), ("view", Materialize::View), ("cache", Materialize::Cache)];
pub(super) const MAX_RETRIES: u32 = 100;

/// The content of `windlass.yaml`.
pub(super) struct Manifest {
    name: PipelineName,
    description: Option<String>,
    sources: Vec<SourceSpec>,
    params: Vec<ParamSpec>,
    session: SessionSettings,
    run: RunSettings,
    targets: BTreeMap<String, TargetSpec>,
    target_spans: BTreeMap<String, Span>,
    tag_policy: Option<TagPolicy>,
    maintenance: maintenance::OfProject,
    /// The instances of sub-DAGs.
    pub(super) subdags: Option<Node>,
    pub(super) defaults: Defaults,
}

/// The defaults of all stages.
pub(super) struct Defaults {
    pub(super) materialize: Materialize,
    pub(super) tags: Tags,
    pub(super) tag_places: BTreeMap<String, Span>,
    pub(super) retries: u32,
    pub(super) table: TableSettings,
    /// Where the project says that every stage uses the contract with its name, if any.
    pub(super) contracts_by_name: Option<Span>,
    /// Where the project says whether tables are incremental.
    pub(super) incremental_span: Option<Span>,
    /// Where the project's properties of tables are written that `maintenance` has values for.
    pub(super) property_places: KeyPlaces,
    /// The options of datasets, by the names of the stages that write them.
    pub(super) datasets: BTreeMap<String, Dataset>,
}

/// An entry of `datasets`.
pub(super) struct Dataset {
    pub(super) name: Span,
    pub(super) node: Node,
}

/// The names that `windlass.yaml` declares, including those with problems.
pub(super) struct Names<'a> {
    pub(super) sources: BTreeSet<&'a str>,
    pub(super) broken: &'a BTreeSet<String>,
}

impl Manifest {
    pub(super) fn into_spec(self, stages: Vec<StageSpec>, contracts: Contracts) -> PipelineSpec {
        PipelineSpec {
            name: self.name,
            description: self.description,
            sources: self.sources,
            params: self.params,
            session: self.session,
            run: self.run,
            targets: self.targets,
            target_spans: self.target_spans,
            datasets: self.defaults.datasets.into_iter().map(|(name, of)| Spanned::new(name, of.name)).collect(),
            maintenance: self.maintenance.settings,
            maintenance_places: self.maintenance.places,
            contracts,
            tag_policy: self.tag_policy,
            stages,
        }
    }

    /// The declared parameters.
    pub(super) fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    pub(super) fn normalize_identifiers(&self) -> bool {
        self.session.normalize_identifiers
    }
}

/// Reads the file. `None` if it is not a mapping; names whose declaration has a problem go into `broken`.
pub(super) fn decode(
    file: &Arc<str>,
    text_of_file: &str,
    files: &ProjectFiles,
    contracts: &contract::Decoded,
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Option<Manifest> {
    let before = problems.len();
    let Some(root) = yaml::parse(file, text_of_file, 0, problems) else {
        if problems.len() == before {
            let problem = Problem::new(codes::MISSING_KEY, "windlass.yaml is empty").at(&Span::new(file, 0, 0));
            problems.push(problem.help("write at least `name: my_pipeline`"));
        }
        return None;
    };
    let fields = Fields::open(&root, &KEYS, problems)?;
    let name = fields.require("name", "name: my_pipeline", problems).and_then(|node| name_of(node, problems));
    let description = fields.get("description").and_then(|node| text(node, "`description`", problems));
    let sources =
        fields.get("sources").map(|node| sources(node, files, contracts, broken, problems)).unwrap_or_default();
    let params = fields.get("params").map(|node| param::decode_all(node, broken, problems)).unwrap_or_default();
    let mut session = SessionSettings::default();
    if let Some(node) = fields.get("session") {
        session::decode(node, problems).apply(&mut session);
    }
    let run = fields.get("run").map(|node| run(node, problems)).unwrap_or_default();
    let mut defaults = defaults(fields.get("defaults"), &run, problems);
    if let Some(node) = fields.get("datasets") {
        let listed = entries(node, "`datasets`", problems).unwrap_or_default();
        let dataset = |entry: &Entry| Dataset { name: entry.key.span.clone(), node: entry.value.clone() };
        defaults.datasets = listed.iter().map(|entry| (entry.key.value.clone(), dataset(entry))).collect();
    }
    let mut names: BTreeSet<&str> = sources.iter().map(|source| source.name.value.as_str()).collect();
    names.extend(broken.iter().map(String::as_str));
    let names = Names { sources: names, broken };
    let targets = fields
        .get("targets")
        .map(|node| {
            target::decode_all(
                node,
                &target::Project { files, contracts, params: &params, sources: &sources, names: &names },
                problems,
            )
        })
        .unwrap_or_default();
    let target_spans = fields.get("targets").and_then(|node| match &node.value {
        Value::Map(entries) => {
            Some(entries.iter().map(|entry| (entry.key.value.clone(), entry.key.span.clone())).collect())
        }
        _ => None,
    });
    let target_spans = target_spans.unwrap_or_default();
    let tag_policy = fields.get("tag_policy").map(|node| tag_policy::decode(node, files, problems));
    let maintenance = fields.get("maintenance").map(|node| maintenance::of_project(node, problems)).unwrap_or_default();
    let name = name.unwrap_or_else(|| PipelineName::new("unnamed"));
    let subdags = fields.get("subdags").cloned();
    Some(Manifest {
        name,
        description,
        sources,
        params,
        session,
        run,
        targets,
        target_spans,
        tag_policy,
        maintenance,
        subdags,
        defaults,
    })
}

fn name_of(node: &Node, problems: &mut Vec<Problem>) -> Option<PipelineName> {
    let name = Spanned::new(text(node, "`name`", problems)?, node.span.clone());
    check_name(&name, "a pipeline", problems).then(|| PipelineName::new(name.value))
}

fn sources(
    node: &Node,
    files: &ProjectFiles,
    contracts: &contract::Decoded,
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Vec<SourceSpec> {
    let mut sources = Vec::new();
    for entry in entries(node, "`sources`", problems).unwrap_or_default() {
        check_name(&entry.key, "a source", problems);
        let name = Spanned::new(NodeName::new(entry.key.value.clone()), entry.key.span.clone());
        match source::decode(name, &entry.value, files, contracts, problems) {
            Some(source) => sources.push(source),
            None => drop(broken.insert(entry.key.value.clone())),
        }
    }
    sources
}

fn run(node: &Node, problems: &mut Vec<Problem>) -> RunSettings {
    let defaults = RunSettings::default();
    let Some(fields) = Fields::open(node, &RUN, problems) else { return defaults };
    RunSettings {
        max_parallel_stages: fields
            .get("max_parallel_stages")
            .and_then(|node| whole(node, "`max_parallel_stages`", 1..=256, problems))
            .unwrap_or(defaults.max_parallel_stages),
        retries: fields
            .get("retries")
            .and_then(|node| whole(node, "`retries`", 0..=MAX_RETRIES, problems))
            .unwrap_or(defaults.retries),
        fail_fast: fields
            .get("fail_fast")
            .and_then(|node| boolean(node, "`fail_fast`", problems))
            .unwrap_or(defaults.fail_fast),
    }
}

fn defaults(node: Option<&Node>, run: &RunSettings, problems: &mut Vec<Problem>) -> Defaults {
    let mut defaults = Defaults::of(run);
    let Some(fields) = node.and_then(|node| Fields::open(node, &DEFAULTS, problems)) else { return defaults };
    if let Some(value) =
        fields.get("materialize").and_then(|node| choice(node, "`materialize`", &MATERIALIZE, problems))
    {
        defaults.materialize = value;
    }
    if let Some(node) = fields.get("tags")
        && let Some(value) = tags(node, problems)
    {
        defaults.tags = value;
        defaults.tag_places = tag_places(node);
    }
    if let Some(value) = fields.get("retries").and_then(|node| whole(node, "`retries`", 0..=MAX_RETRIES, problems)) {
        defaults.retries = value;
    }
    if let Some(node) = fields.get("properties")
        && let Some(value) = text_map(node, "`properties`", problems)
    {
        defaults.table.properties = value;
        defaults.property_places = maintenance::property_places(node);
    }
    defaults.table.target_file_bytes =
        fields.get("target_file_size").and_then(|node| size(node, "`target_file_size`", MIN_FILE_BYTES, problems));
    if let Some(node) = fields.get("contract")
        && choice(node, "`contract` of `defaults`", &[("by_name", ())], problems).is_some()
    {
        defaults.contracts_by_name = Some(node.span.clone());
    }
    defaults.incremental_span = incremental::read(&fields, &mut defaults.table, problems);
    defaults
}

impl Defaults {
    /// The defaults if the project sets none.
    pub(super) fn of(run: &RunSettings) -> Self {
        Self {
            materialize: Materialize::default(),
            tags: Tags::default(),
            tag_places: BTreeMap::new(),
            retries: run.retries,
            table: TableSettings::default(),
            contracts_by_name: None,
            incremental_span: None,
            property_places: KeyPlaces::new(),
            datasets: BTreeMap::new(),
        }
    }
}
