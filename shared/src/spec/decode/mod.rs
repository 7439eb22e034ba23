//! Trees of YAML to the types of a project. A decoder that meets a problem notes it and reads on, so that every problem
//! of every file comes out in one go.

mod contract;
mod expect;
mod fields;
mod fixture;
mod incremental;
mod manifest;
mod param;
mod plan;
mod session;
mod source;
mod stage;
mod table;
mod tag_policy;
mod target;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codes;
use super::files::{MANIFEST, MAX_FILE_BYTES, MAX_STAGES, ProjectFiles, STAGES_DIR};
use super::pipeline::{PipelineSpec, StageSpec};
use super::problem::{Problem, Problems};
use super::span::Span;
pub use contract::parse_contract;
pub(crate) use fixture::draft_fixtures;
pub use values::is_name;

/// A project as far as it could be read, for checks that go on although something is wrong.
pub(crate) struct Draft {
    /// What was read; parts with a problem are left out.
    pub(crate) spec: Option<PipelineSpec>,
    /// Names of sources, stages and parameters that are declared but could not be read.
    pub(crate) broken: BTreeSet<String>,
}

/// Reads a project, or says everything that is wrong with its files one by one.
pub fn parse_project(files: &ProjectFiles) -> Result<PipelineSpec, Problems> {
    let mut problems = Vec::new();
    let draft = draft(files, &mut problems);
    Problems::check(problems, files)?;
    draft.spec.ok_or_else(|| Problems::one(no_manifest(), files))
}

/// Reads a project as far as possible and notes everything that is wrong with its files one by one.
pub(crate) fn draft(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Draft {
    let mut broken = BTreeSet::new();
    refuse_later_folders(files, problems);
    let manifest = match readable(files, MANIFEST, problems) {
        Some((path, text)) => manifest::decode(path, text, files, &mut broken, problems),
        None => {
            if files.get(MANIFEST).is_none() {
                problems.push(no_manifest());
            }
            None
        }
    };
    let contracts = contract::decode_all(files, problems);
    let stages = decode_stages(files, manifest.as_ref(), &contracts, &mut broken, problems);
    let spec = manifest.map(|manifest| manifest.into_spec(stages, contracts.found));
    Draft { spec, broken }
}

fn no_manifest() -> Problem {
    Problem::new(codes::NO_MANIFEST, format!("the project has no {MANIFEST}"))
        .help("write one with at least `name: my_pipeline`, or start with `windlass init`".to_string())
}

/// The path and text of a file that is not beyond the size limit.
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

/// Folders of the format that this version does not read must not be passed over in silence.
fn refuse_later_folders(files: &ProjectFiles, problems: &mut Vec<Problem>) {
    for (path, _) in files.iter().filter(|(path, _)| path.starts_with("subdags/")) {
        let problem = Problem::new(codes::NOT_AVAILABLE, "sub-DAGs are not available in this version of windlass")
            .at(&Span::new(path, 0, 0))
            .help("move the folder `subdags/` out of the project");
        problems.push(problem);
    }
}

fn decode_stages(
    files: &ProjectFiles,
    manifest: Option<&manifest::Manifest>,
    contracts: &contract::Decoded,
    broken: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Vec<StageSpec> {
    let prefix = format!("{STAGES_DIR}/");
    let is_stage = |path: &str| path.starts_with(&prefix) && stage::split_extension(path).is_some();
    let paths: Vec<&Arc<str>> = files.iter().map(|(path, _)| path).filter(|path| is_stage(path)).collect();
    if paths.is_empty() {
        let mut problem = Problem::new(codes::NO_STAGES, "the project has no stage")
            .help(format!("put one query a file into {prefix}, such as {prefix}orders.sql"));
        if let Some((path, _)) = files.iter().find(|(path, _)| &***path == MANIFEST) {
            problem = problem.at(&Span::new(path, 0, 0));
        }
        problems.push(problem);
    }
    if paths.len() > MAX_STAGES {
        let message = format!("the project has {} stages, it may have {MAX_STAGES}", paths.len());
        problems.push(Problem::new(codes::LIMIT, message).help("split it into several projects"));
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
