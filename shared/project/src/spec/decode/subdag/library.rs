//! Decodes the files below `subdags/`: the inputs, stages and outputs of each sub-DAG.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_base::suggest::did_you_mean;

use super::argument::{Param, params};
use crate::spec::codes;
use crate::spec::decode::fields::{Fields, Keys, entries};
use crate::spec::decode::readable;
use crate::spec::decode::values::{check_name, filled_text, names, text};
use crate::spec::files::{ProjectFiles, SUBDAGS_DIR};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{self, Node, Value};

pub(super) const KEYS: Keys =
    Keys { what: "a sub-DAG", known: &["description", "params", "inputs", "outputs", "pipes", "subdags"] };

/// A sub-DAG.
pub(super) struct Subdag {
    pub(super) name: String,
    /// Its file and text, which is decoded again for each instance.
    pub(super) file: Arc<str>,
    pub(super) text: Arc<str>,
    pub(super) params: Vec<Param>,
    /// Its input tables.
    pub(super) inputs: Vec<Spanned<String>>,
    /// The stages that can be read from outside.
    pub(super) outputs: Vec<Output>,
    /// The stages with their own file, by name.
    pub(super) stages: BTreeMap<String, Arc<str>>,
    /// The pipes.
    pub(super) pipes: Vec<Spanned<String>>,
}

/// An output of a sub-DAG.
pub(super) struct Output {
    /// The stage.
    pub(super) stage: Spanned<String>,
    /// Its name outside, with `$name` for arguments.
    pub(super) pattern: String,
    /// Where the pattern is written.
    pub(super) place: Span,
}

/// The sub-DAGs of a project.
#[derive(Default)]
pub(super) struct Library {
    pub(super) found: BTreeMap<String, Subdag>,
    /// Names of sub-DAGs that could not be read.
    pub(super) broken: BTreeSet<String>,
}

impl Library {
    /// Reads every sub-DAG, and reports every file that belongs to none.
    pub(super) fn read(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Self {
        let mut library = Self::default();
        let mut queries: BTreeMap<&str, Vec<(&Arc<str>, &str)>> = BTreeMap::new();
        let prefix = format!("{SUBDAGS_DIR}/");
        let mut definitions = Vec::new();
        for (path, _) in files.iter() {
            let Some(inside) = path.strip_prefix(&prefix) else { continue };
            match (inside.split_once('/'), inside.rsplit_once('.')) {
                (None, Some((name, "yaml" | "yml"))) => definitions.push((path, name)),
                (Some((folder, rest)), Some((_, "sql"))) => queries.entry(folder).or_default().push((path, rest)),
                (None, _) => problems.push(unmatched_file(path, "put a query into the folder of its sub-DAG")),
                (Some(_), _) => {
                    problems.push(unmatched_file(path, "put the file of a sub-DAG directly into `subdags/`"))
                }
            }
        }
        for (path, name) in definitions {
            let queries = queries.remove(name).unwrap_or_default();
            let before = problems.len();
            let subdag = readable(files, path, problems)
                .and_then(|(file, text)| read(name, file, text, &queries, problems))
                .filter(|_| problems.len() == before);
            match subdag {
                Some(subdag) if !library.found.contains_key(name) => {
                    drop(library.found.insert(name.to_owned(), subdag))
                }
                Some(subdag) => {
                    let problem = Problem::new(codes::NAME_CLASH, format!("there are two sub-DAGs `{name}`"));
                    problems.push(problem.at(&Span::new(&subdag.file, 0, 0)).help("keep one of the files"));
                }
                None => drop(library.broken.insert(name.to_owned())),
            }
        }
        for (folder, paths) in queries {
            for (path, _) in paths {
                problems.push(unmatched_file(path, &format!("write {SUBDAGS_DIR}/{folder}.yaml")));
            }
        }
        library
    }
}

fn unmatched_file(path: &Arc<str>, help: &str) -> Problem {
    Problem::new(codes::SUBDAG_FILE, format!("{path} belongs to no sub-DAG")).at(&Span::new(path, 0, 0)).help(help)
}

fn read(
    name: &str,
    file: &Arc<str>,
    text_of_file: &Arc<str>,
    queries: &[(&Arc<str>, &str)],
    problems: &mut Vec<Problem>,
) -> Option<Subdag> {
    let start = Span::new(file, 0, 0);
    check_name(&Spanned::new(name.to_owned(), start.clone()), "a sub-DAG", problems);
    let before = problems.len();
    let Some(root) = yaml::parse(file, text_of_file, 0, problems) else {
        if problems.len() == before {
            let problem = Problem::new(codes::MISSING_KEY, format!("{file} is empty")).at(&start);
            problems.push(problem.help("write at least `outputs: [name_of_a_stage]`"));
        }
        return None;
    };
    let fields = Fields::open(&root, &KEYS, problems)?;
    fields.get("description").and_then(|node| text(node, "`description`", problems));
    let params = fields.get("params").map(|node| params(node, problems)).unwrap_or_default();
    let inputs = fields.get("inputs").and_then(|node| inputs(node, problems)).unwrap_or_default();
    let mut stages = BTreeMap::new();
    for (path, rest) in queries {
        let stem = rest.strip_suffix(".sql").unwrap_or(rest);
        let stem = stem.rsplit_once('/').map_or(stem, |(_, stem)| stem);
        check_name(&Spanned::new(stem.to_owned(), Span::new(path, 0, 0)), "a stage", problems);
        if let Some(other) = stages.insert(stem.to_owned(), Arc::clone(path)) {
            let problem = Problem::new(codes::NAME_CLASH, format!("the sub-DAG has two stages `{stem}`"));
            problems.push(problem.at(&Span::new(path, 0, 0)).label(&Span::new(&other, 0, 0), "the other one"));
        }
    }
    let pipes = fields.get("pipes").and_then(|node| entries(node, "`pipes`", problems)).unwrap_or_default();
    let pipes: Vec<Spanned<String>> = pipes.iter().map(|entry| entry.key.clone()).collect();
    let subdag = Subdag {
        name: name.to_owned(),
        file: Arc::clone(file),
        text: Arc::clone(text_of_file),
        outputs: outputs(&fields, problems),
        params,
        inputs,
        stages,
        pipes,
    };
    subdag.check_names(problems);
    if fields.get("subdags").is_none() {
        let known: Vec<&str> = subdag.own_names().collect();
        subdag.check_outputs(&known, problems);
    }
    Some(subdag)
}

/// A list of names, or a mapping of names to descriptions.
fn inputs(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<String>>> {
    let found = match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                text(&entry.value, &format!("what `{}` is about", entry.key.value), problems);
            }
            entries.iter().map(|entry| entry.key.clone()).collect()
        }
        _ => names(node, "`inputs`", problems)?,
    };
    for name in &found {
        check_name(name, "an input", problems);
    }
    Some(found)
}

/// A list of stages, or a mapping of stages to their names outside.
fn outputs(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Vec<Output> {
    let Some(node) = fields.require("outputs", "outputs: [name_of_a_stage]", problems) else { return Vec::new() };
    let output = |stage: &Spanned<String>, pattern: String, place: &Span| Output {
        stage: stage.clone(),
        pattern,
        place: place.clone(),
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter_map(|entry| {
                let pattern = filled_text(&entry.value, &format!("the name of `{}`", entry.key.value), problems)?;
                Some(output(&entry.key, pattern, &entry.value.span))
            })
            .collect(),
        _ => {
            let found = names(node, "`outputs`", problems).unwrap_or_default();
            // The only output has the instance's name.
            let alone = found.len() == 1;
            let pattern = |name: &str| if alone { "$instance".to_owned() } else { format!("${{instance}}_{name}") };
            found.iter().map(|name| output(name, pattern(&name.value), &name.span)).collect()
        }
    }
}

impl Subdag {
    /// The names of its own stages.
    pub(super) fn own_names(&self) -> impl Iterator<Item = &str> {
        self.stages.keys().map(String::as_str).chain(self.pipes.iter().map(|pipe| pipe.value.as_str()))
    }

    /// Reports inputs, pipes and stages with the same name.
    fn check_names(&self, problems: &mut Vec<Problem>) {
        let mut known: BTreeMap<String, Span> =
            self.stages.iter().map(|(name, path)| (name.clone(), Span::new(path, 0, 0))).collect();
        for name in self.inputs.iter().chain(&self.pipes) {
            if let Some(other) = known.insert(name.value.clone(), name.span.clone()) {
                let message = format!("two inputs or stages of the sub-DAG have the name `{}`", name.value);
                let problem = Problem::new(codes::NAME_CLASH, message).label(&name.span, "again here");
                problems.push(problem.label(&other, "first here").help("rename one of them"));
            }
        }
        for pipe in &self.pipes {
            check_name(pipe, "a stage", problems);
        }
    }

    /// Reports outputs that are not among the names.
    pub(super) fn check_outputs(&self, known: &[&str], problems: &mut Vec<Problem>) {
        for output in self.outputs.iter().filter(|output| !known.contains(&output.stage.value.as_str())) {
            let message = format!("the sub-DAG `{}` has no stage `{}`", self.name, output.stage.value);
            let mut problem = Problem::new(codes::SUBDAG_OUTPUT, message).at(&output.stage.span);
            problem.help = did_you_mean(&output.stage.value, "its stages are", known.iter().copied()).or_else(|| {
                Some(format!("write {SUBDAGS_DIR}/{}/{}.sql, or a pipe of that name", self.name, output.stage.value))
            });
            problems.push(problem);
        }
    }
}
