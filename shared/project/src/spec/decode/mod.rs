//! Decodes YAML trees to the types of a project. A decoder that meets a problem reports it and continues, so that all
//! problems of all files are found at once.

mod contract;
mod expect;
mod fields;
mod fixture;
mod incremental;
mod maintenance;
mod manifest;
mod param;
mod plan;
mod rows;
mod session;
mod source;
mod stage;
mod subdag;
mod table;
mod tag_policy;
mod target;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codes;
use super::files::{MANIFEST, MAX_FILE_BYTES, MAX_STAGES, ProjectFiles, STAGES_DIR};
use super::pipeline::{PipelineSpec, StageSpec};
use super::problem::{Problem, Problems};
use super::source_map::Expanded;
use super::span::{Span, Spanned};
pub use contract::parse_contract;
pub(crate) use fixture::draft_fixtures;
pub use values::is_name;

/// A project as far as it could be read, for checks that continue in spite of problems.
pub(crate) struct Draft {
    /// The decoded project; parts with problems are omitted.
    pub(crate) spec: Option<PipelineSpec>,
    /// Names of sources, stages and parameters that are declared but could not be read.
    pub(crate) broken: BTreeSet<String>,
    /// The texts generated from sub-DAGs.
    pub(crate) expanded: BTreeMap<Arc<str>, Arc<Expanded>>,
    /// The bindings of sub-DAG inputs.
    pub(crate) bindings: Vec<Spanned<String>>,
}

/// Parses a project, or returns every problem within its individual files.
pub fn parse_project(files: &ProjectFiles) -> Result<PipelineSpec, Problems> {
    let mut problems = Vec::new();
    let draft = draft(files, &mut problems);
    let files = &files.with_expanded(draft.expanded);
    Problems::check(problems, files)?;
    draft.spec.ok_or_else(|| Problems::one(no_manifest(), files))
}

/// Parses a project as far as possible and reports every problem within its individual files.
pub(crate) fn draft(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Draft {
    let mut broken = BTreeSet::new();
    let contracts = contract::decode_all(files, problems);
    let manifest = match readable(files, MANIFEST, problems) {
        Some((path, text)) => manifest::decode(path, text, files, &contracts, &mut broken, problems),
        None => {
            if files.get(MANIFEST).is_none() {
                problems.push(no_manifest());
            }
            None
        }
    };
    let expansion = subdag::expand_all(files, manifest.as_ref(), &contracts, problems);
    broken.extend(expansion.broken);
    let mut stages = decode_stages(files, manifest.as_ref(), &contracts, &mut broken, problems);
    let has_instances = manifest.as_ref().is_some_and(|manifest| manifest.subdags.is_some());
    if !has_instances && !files.iter().any(|(path, _)| is_stage(path)) {
        problems.push(no_stages(files));
    }
    stages.extend(expansion.stages);
    check_number(stages.len(), problems);
    let spec = manifest.map(|manifest| manifest.into_spec(stages, contracts.found));
    Draft { spec, broken, expanded: expansion.files, bindings: expansion.bindings }
}

/// Whether a file contains a stage.
fn is_stage(path: &str) -> bool {
    let inside = path.strip_prefix(STAGES_DIR).is_some_and(|rest| rest.starts_with('/'));
    inside && stage::split_extension(path).is_some()
}

fn no_stages(files: &ProjectFiles) -> Problem {
    let problem = Problem::new(codes::NO_STAGES, "the project has no stage")
        .help(format!("put one query per file into {STAGES_DIR}/, such as {STAGES_DIR}/orders.sql"));
    match files.iter().find(|(path, _)| &***path == MANIFEST) {
        Some((path, _)) => problem.at(&Span::new(path, 0, 0)),
        None => problem,
    }
}

fn check_number(stages: usize, problems: &mut Vec<Problem>) -> bool {
    let few = stages <= MAX_STAGES;
    if !few {
        let message = format!("the project has {stages} stages, it may have {MAX_STAGES}");
        problems.push(Problem::new(codes::LIMIT, message).help("split it into several projects"));
    }
    few
}

fn no_manifest() -> Problem {
    Problem::new(codes::NO_MANIFEST, format!("the project has no {MANIFEST}"))
        .help("write one with at least `name: my_pipeline`, or start with `windlass init`".to_string())
}

/// The path and text of a file within the size limit.
fn readable<'f>(
    files: &'f ProjectFiles,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<(&'f Arc<str>, &'f Arc<str>)> {
    let (path, text) = files.iter().find(|(file, _)| &***file == path)?;
    if text.len() > MAX_FILE_BYTES {
        let message = format!("{path} has {} bytes, a project file may have {MAX_FILE_BYTES}", text.len());
        problems.push(Problem::new(codes::LIMIT, message).at(&Span::new(path, 0, 0)));
        return None;
    }
    Some((path, text))
}

fn decode_stages(
    files: &ProjectFiles,
    manifest: Option<&manifest::Manifest>,
    contracts: &contract::Decoded,
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Vec<StageSpec> {
    let paths: Vec<&Arc<str>> = files.iter().map(|(path, _)| path).filter(|path| is_stage(path)).collect();
    if !check_number(paths.len(), problems) {
        return Vec::new();
    }
    let mut stages = Vec::new();
    for path in paths {
        if let Some((path, text)) = readable(files, path, problems) {
            match stage::decode(path, text, manifest, contracts, problems) {
                Ok(stage) => stages.push(stage),
                Err(name) => drop(broken.insert(name)),
            }
        } else {
            broken.insert(stage::stem(path).to_owned());
        }
    }
    stages
}
