//! What is bound before a run starts: the target and the values of the parameters.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::PipelineGraph;
use crate::spec::pipeline::{DatasetOverride, SourceOverride};
use crate::spec::table::TableSettings;
use crate::spec::{ParamSpec, ParamValue, Problem, Problems, ProjectFiles, SourceSpec, Span, codes};

impl PipelineGraph {
    /// The pipeline with a target applied: its parameter defaults, session settings, source locations and home.
    pub fn apply_target(&self, name: &str) -> Result<Self, Problems> {
        let Some(target) = self.targets.get(name) else {
            let mut problem = Problem::new(codes::UNKNOWN_TARGET, format!("the project has no target `{name}`"));
            problem.help = did_you_mean(name, "targets are", self.targets.keys().map(String::as_str))
                .or_else(|| Some("declare it under `targets` in windlass.yaml".to_owned()));
            return Err(Problems::one(problem, &self.files));
        };
        let mut graph = self.clone();
        target.session.apply(&mut graph.session);
        for param in &mut graph.params {
            if let Some(value) = target.params.get(&param.name) {
                param.default = Some(value.clone());
            }
        }
        for (name, change) in &target.sources {
            let Some(source) = graph.sources.get_mut(name) else { continue };
            match change {
                SourceOverride::Kind(kind) => source.kind = kind.clone(),
                SourceOverride::Location(location) => set_location(source, location, &self.files)?,
            }
        }
        for stage in &mut graph.stages {
            if let Some(change) = target.datasets.get(&stage.name) {
                change_dataset(&mut stage.table, change);
            }
        }
        let places = graph.stages.iter().filter_map(|stage| {
            let moved = target.datasets.get(&stage.name).and_then(|change| change.location.as_ref());
            let span = moved.map_or(&stage.span, |location| &location.span);
            Some((&stage.name, stage.table.location.as_deref()?, span))
        });
        Problems::check(same_locations(places), &self.files)?;
        graph.home = target.home.clone().or(graph.home);
        graph.target = Some(name.to_owned());
        Ok(graph)
    }

    /// The pipeline with one source at another location.
    pub fn with_source_at(&self, name: &str, location: &str) -> Result<Self, Problems> {
        let mut graph = self.clone();
        let Some(source) = graph.sources.get_mut(name) else {
            let mut problem = Problem::new(codes::UNKNOWN_SOURCE, format!("the project has no source `{name}`"));
            problem.help = did_you_mean(name, "sources are", self.sources.keys().map(|name| name.as_str()));
            return Err(Problems::one(problem, &self.files));
        };
        set_location(source, location, &self.files)?;
        Ok(graph)
    }

    /// A value for every declared parameter: of `given` (names without the `$`, and texts), else the default.
    pub fn bind_params<K: AsRef<str>, V: AsRef<str>>(
        &self,
        given: &[(K, V)],
    ) -> Result<BTreeMap<String, ParamValue>, Problems> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for (name, text) in given {
            let (name, text) = (name.as_ref(), text.as_ref());
            let Some(param) = self.params.iter().find(|param| param.name == name) else {
                problems.push(self.unknown_param(name));
                continue;
            };
            match ParamValue::parse(param.data_type, text) {
                Ok(value) if values.contains_key(name) => {
                    let message = format!("`{name}` is given twice: as `{}` and as `{value}`", values[name]);
                    problems.push(Problem::new(codes::PARAM_VALUE, message).help("give it once"));
                }
                Ok(value) => drop(values.insert(name.to_owned(), value)),
                Err(wanted) => problems.push(wrong_value(param, text, wanted)),
            }
        }
        for param in &self.params {
            if given.iter().any(|(name, _)| name.as_ref() == param.name) {
                continue;
            }
            match &param.default {
                Some(value) => drop(values.insert(param.name.clone(), value.clone())),
                None => problems.push(missing(param)),
            }
        }
        Problems::check(problems, &self.files)?;
        Ok(values)
    }

    /// The problem of a parameter that the project does not declare.
    pub fn unknown_param(&self, name: &str) -> Problem {
        let mut problem = Problem::new(codes::UNKNOWN_PARAM, format!("the project has no parameter `{name}`"));
        problem.help = did_you_mean(name, "parameters are", self.params.iter().map(|param| param.name.as_str()))
            .or_else(|| Some("declare it under `params` in windlass.yaml".to_owned()));
        problem
    }
}

fn set_location(source: &mut SourceSpec, location: &str, files: &ProjectFiles) -> Result<(), Problems> {
    match source.kind.location_mut() {
        Some(place) => location.clone_into(place),
        None => {
            let (name, kind) = (&source.name.value, source.kind.name());
            let message = format!("`{name}` is of kind `{kind}` and has no location to override");
            let problem = Problem::new(codes::DOES_NOT_APPLY, message).at(&source.name.span);
            return Err(Problems::one(
                problem.help("say `kind` in the target to replace it with another source"),
                files,
            ));
        }
    }
    Ok(())
}

fn change_dataset(table: &mut TableSettings, change: &DatasetOverride) {
    if let Some(location) = &change.location {
        table.location = Some(location.value.clone());
    }
    table.properties.extend(change.properties.clone());
    table.target_file_bytes = change.target_file_bytes.or(table.target_file_bytes);
    if let Some(exports) = &change.exports {
        table.exports.clone_from(exports);
    }
}

/// Reports stages that write to the same location; each given by its name, its location and the location's span.
pub(super) fn same_locations<'g>(stages: impl Iterator<Item = (&'g NodeName, &'g str, &'g Span)>) -> Vec<Problem> {
    let mut first: BTreeMap<&str, (&NodeName, &Span)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, location, span) in stages {
        let Some((other, other_span)) = first.insert(location.trim_end_matches('/'), (name, span)) else { continue };
        let message = format!("the stages `{other}` and `{name}` write to the same location");
        let problem = Problem::new(codes::SAME_LOCATION, message).label(span, format!("`{name}` writes here"));
        let problem = problem.label(other_span, format!("`{other}` writes here"));
        problems.push(problem.help("give each stage a separate location"));
    }
    problems
}

fn wrong_value(param: &ParamSpec, text: &str, wanted: &str) -> Problem {
    Problem::new(codes::PARAM_VALUE, format!("the value of `{}` must be {wanted}, not `{text}`", param.name))
        .label(&param.span, format!("declared as {} here", param.data_type))
        .help(format!("give `{}` such a value", param.name))
}

fn missing(param: &ParamSpec) -> Problem {
    Problem::new(codes::PARAM_MISSING, format!("the parameter `{}` has no value", param.name))
        .label(&param.span, "declared without a default")
        .help(format!("give `--param {}=…`, or add a default", param.name))
}
