//! Resolves a project to a graph: names to nodes, order, and problems across files.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;
use windlass_base::suggest::{did_you_mean, listed, nearest};

use super::bind::same_locations;
use super::{PipelineGraph, Stage, cycle, exports, maintenance, order, policy, semantics};
use crate::spec::files::TESTS_DIR;
use crate::spec::pipeline::{RelationRef, StageSpec};
use crate::spec::{Draft, PipelineSpec, Problem, Problems, ProjectFiles, Span, Spanned, codes, draft};

/// The schema of the project's metadata, which queries can read and stages cannot.
const INFORMATION_SCHEMA: &str = "information_schema";
/// The schema of the tables over all runs, of which the same is true.
const SYSTEM_SCHEMA: &str = "windlass";

/// Reads and resolves a project, or returns every problem in its files and between them.
pub fn check(files: &ProjectFiles) -> Result<PipelineGraph, Problems> {
    let mut problems = Vec::new();
    let Draft { spec, mut broken, expanded, bindings } = draft(files, &mut problems);
    let files = &files.with_expanded(expanded);
    let Some(spec) = spec else {
        Problems::check(problems, files)?;
        return Err(Problems::one(Problem::new(codes::NO_MANIFEST, "the project has no windlass.yaml"), files));
    };
    check_bindings(&spec, &bindings, &mut broken, &mut problems);
    let edges = Resolver { spec: &spec, broken: &broken, problems: &mut problems }.run();
    Problems::check(problems, files)?;
    let tag_policy = spec.tag_policy.clone();
    let places = policy::node_spans(&spec);
    let maintenance_places = maintenance::places(&spec);
    let mut graph = build(spec, edges, files);
    let mut problems = Vec::new();
    if let Some(tag_policy) = &tag_policy {
        policy::apply(tag_policy, &mut graph, &places, &mut problems);
    }
    semantics::check(&graph, &places, &mut problems);
    // Layers can be defaults of the tag policy.
    maintenance::check(&graph, &maintenance_places, &mut problems);
    Problems::check(problems, files)?;
    Ok(graph)
}

/// Reports inputs of sub-DAGs that are bound to nothing. Stages that read them are not reported again.
fn check_bindings(
    spec: &PipelineSpec,
    bindings: &[Spanned<String>],
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let sources = spec.sources.iter().map(|source| source.name.value.as_str());
    let known: BTreeSet<&str> = sources.chain(spec.stages.iter().map(|stage| stage.name.value.as_str())).collect();
    for bound in bindings {
        if known.contains(bound.value.as_str()) || broken.contains(&bound.value) {
            continue;
        }
        let message = format!("`{}` is neither a source nor a stage", bound.value);
        let problem = Problem::new(codes::UNKNOWN_TABLE, message).label(&bound.span, "unknown table");
        problems.push(problem.help(unknown_help(&bound.value, known.iter().copied())));
        broken.insert(bound.value.clone());
    }
}

/// Per stage, the nodes that it reads, by name.
type Reads = Vec<BTreeSet<NodeName>>;

struct Resolver<'a> {
    spec: &'a PipelineSpec,
    broken: &'a BTreeSet<String>,
    problems: &'a mut Vec<Problem>,
}

impl Resolver<'_> {
    fn run(mut self) -> Reads {
        self.check_clashes();
        self.check_params();
        self.check_locations();
        self.check_datasets();
        self.problems.extend(exports::check(self.spec));
        let by_name: BTreeMap<&str, usize> =
            self.spec.stages.iter().enumerate().map(|(index, stage)| (stage.name.value.as_str(), index)).collect();
        let known = self.known();
        let mut reads = Vec::new();
        let mut edges: Vec<BTreeMap<usize, Span>> = Vec::new();
        for stage in &self.spec.stages {
            let mut names = BTreeSet::new();
            let mut to_stages = BTreeMap::new();
            for relation in &stage.relations {
                let Some(name) = self.resolve(stage, relation, &known) else { continue };
                if let Some(index) = by_name.get(name.as_str()) {
                    to_stages.entry(*index).or_insert_with(|| relation.span.clone());
                }
                names.insert(name);
            }
            reads.push(names);
            edges.push(to_stages);
        }
        self.problems.extend(cycle::problems(&self.spec.stages, &edges));
        reads
    }

    /// All names that SQL can refer to.
    fn known(&self) -> BTreeSet<String> {
        let sources = self.spec.sources.iter().map(|source| &source.name.value);
        let stages = self.spec.stages.iter().map(|stage| &stage.name.value);
        sources.chain(stages).map(ToString::to_string).chain(self.broken.iter().cloned()).collect()
    }

    /// The node that a table name refers to. Unknown names are reported.
    fn resolve(&mut self, stage: &StageSpec, relation: &RelationRef, known: &BTreeSet<String>) -> Option<NodeName> {
        let name = match relation.parts.as_slice() {
            [name] => name,
            _ => {
                self.problems.push(qualified(relation));
                return None;
            }
        };
        if known.contains(name) {
            return Some(NodeName::new(name.clone()));
        }
        let message = format!("`{}` is neither a source nor a stage", relation.written);
        let mut problem = Problem::new(codes::UNKNOWN_TABLE, message).label(&relation.span, "unknown table");
        problem.help = match known.iter().find(|other| other.eq_ignore_ascii_case(name)) {
            Some(other) if self.spec.session.normalize_identifiers => {
                Some(format!("unquoted names fold to lower case: write `\"{other}\"`, or rename it to `{name}`"))
            }
            Some(other) => Some(format!("names are taken as written: did you mean `{other}`?")),
            None => Some(unknown_help(
                name,
                known.iter().map(String::as_str).filter(|name| *name != stage.name.value.as_str()),
            )),
        };
        self.problems.push(problem);
        None
    }

    /// Reports sources and stages with the same name. Case is ignored, because their folders would be the same on some
    /// systems.
    fn check_clashes(&mut self) {
        let mut first: BTreeMap<String, (&str, &Span)> = BTreeMap::new();
        let sources = self.spec.sources.iter().map(|source| ("source", &source.name));
        let stages = self.spec.stages.iter().map(|stage| ("stage", &stage.name));
        for (what, name) in sources.chain(stages) {
            let folded = name.value.as_str().to_ascii_lowercase();
            match first.get(&folded) {
                None => drop(first.insert(folded, (what, &name.span))),
                Some((other, span)) => {
                    let message = format!("a {other} has the name `{}` already", name.value);
                    let problem = Problem::new(codes::NAME_CLASH, message)
                        .label(&name.span, format!("this {what} is `{}`", name.value))
                        .label(span, format!("this {other} has the name too"))
                        .help("rename one of them; upper and lower case make no difference");
                    self.problems.push(problem);
                }
            }
        }
    }

    fn check_params(&mut self) {
        let declared: BTreeSet<&str> = self.spec.params.iter().map(|param| param.name.as_str()).collect();
        for stage in &self.spec.stages {
            for param in &stage.params {
                let name = param.value.as_str();
                if declared.contains(name) || self.broken.contains(name) {
                    continue;
                }
                let mut problem =
                    Problem::new(codes::UNKNOWN_PARAM, format!("the parameter `${name}` is not declared"))
                        .label(&param.span, "unknown parameter");
                problem.help = Some(match did_you_mean(name, "parameters are", declared.iter().copied()) {
                    Some(help) => help,
                    None => format!("declare it in windlass.yaml: `params: {{ {name}: {{ type: string }} }}`"),
                });
                self.problems.push(problem);
            }
        }
    }

    /// Reports datasets of unknown stages.
    fn check_datasets(&mut self) {
        let stages: BTreeMap<&str, &StageSpec> =
            self.spec.stages.iter().map(|stage| (stage.name.value.as_str(), stage)).collect();
        let of_project = self.spec.datasets.iter().map(|name| (name.value.as_str(), &name.span));
        let targets = self.spec.targets.values().flat_map(|target| &target.datasets);
        let all = of_project.chain(targets.map(|(name, change)| (name.as_str(), &change.span)));
        for (name, span) in all {
            if self.broken.contains(name) || stages.contains_key(name) {
                continue;
            }
            let message = format!("no stage writes the dataset `{name}`");
            let mut problem = Problem::new(codes::DATASET_UNKNOWN, message).at(span);
            problem.help = did_you_mean(name, "stages are", stages.keys().copied())
                .or_else(|| Some(format!("write stages/{name}.sql, or remove the dataset")));
            self.problems.push(problem);
        }
    }

    /// Reports stages that write to the same location.
    fn check_locations(&mut self) {
        let places = self.spec.stages.iter().filter_map(|stage| {
            Some((&stage.name.value, stage.table.location.as_deref()?, stage.location_span.as_ref()?))
        });
        self.problems.extend(same_locations(places));
    }
}

/// The help text for an unknown table; `others` are the existing ones.
fn unknown_help<'n>(name: &str, others: impl Iterator<Item = &'n str>) -> String {
    let others: Vec<&str> = others.collect();
    if let Some(other) = nearest(name, others.iter().copied()) {
        return format!("did you mean `{other}`?");
    }
    let mut help = format!("declare it under `sources` in windlass.yaml, or write stages/{name}.sql");
    if !others.is_empty() {
        help.push_str(&format!("; there are: {}", listed(&others)));
    }
    help
}

fn qualified(relation: &RelationRef) -> Problem {
    let last = relation.parts.last().map(String::as_str).unwrap_or_default();
    let what = match relation.parts.iter().rev().nth(1).map(String::as_str) {
        Some(INFORMATION_SCHEMA) => Some("the project's metadata"),
        Some(SYSTEM_SCHEMA) => Some("what its runs have recorded"),
        _ => None,
    };
    if let Some(what) = what {
        let message = format!("`{}` is not a table of the project: it is {what}", relation.written);
        let problem = Problem::new(codes::QUALIFIED_NAME, message).at(&relation.span);
        return problem.help(format!("ask for it with `windlass query 'SELECT * FROM {}'`", relation.written));
    }
    Problem::new(codes::QUALIFIED_NAME, format!("`{}` names a schema; tables of a project have none", relation.written))
        .at(&relation.span)
        .help(format!("write `{last}`, and declare it as a source if it is not a stage"))
}

/// The graph of a project without problems.
fn build(spec: PipelineSpec, reads: Reads, files: &ProjectFiles) -> PipelineGraph {
    let stages = spec.stages.into_iter().zip(reads).map(|(stage, reads)| {
        let params: BTreeSet<String> = stage.params.into_iter().map(|param| param.value).collect();
        Stage {
            name: stage.name.value,
            description: stage.description,
            tags: stage.tags,
            materialize: stage.materialize,
            table: stage.table,
            maintenance: stage.maintenance,
            retries: stage.retries,
            contract: stage.contract,
            expectations: stage.expectations,
            instance: stage.instance,
            query: stage.query,
            reads: reads.into_iter().collect(),
            params: params.into_iter().collect(),
            span: stage.name.span,
        }
    });
    let stages: Vec<Stage> = stages.collect();
    let readers = order::readers_of(&stages);
    let stages = order::sort(stages, &readers);
    let weights = order::weights(&stages, &readers);
    let index = stages.iter().enumerate().map(|(index, stage)| (stage.name.clone(), index)).collect();
    PipelineGraph {
        name: spec.name,
        description: spec.description,
        sources: spec.sources.into_iter().map(|source| (source.name.value.clone(), source)).collect(),
        stages,
        params: spec.params,
        session: spec.session,
        run: spec.run,
        maintenance: spec.maintenance,
        contracts: spec.contracts,
        targets: spec.targets,
        target: None,
        home: None,
        files: files.without(TESTS_DIR),
        index,
        readers,
        weights,
    }
}
