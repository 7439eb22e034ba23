//! What a run settles before it starts: the target and the values of the parameters.

use std::collections::BTreeMap;

use super::PipelineGraph;
use crate::spec::source::SourceKind;
use crate::spec::suggest::did_you_mean;
use crate::spec::{ParamSpec, ParamValue, Problem, Problems, codes};

impl PipelineGraph {
    /// The pipeline against a target: its parameter defaults, session settings, source locations and home.
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
        for (source, location) in &target.sources {
            if let Some(source) = graph.sources.get_mut(source) {
                *location_of(&mut source.kind) = location.clone();
            }
        }
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
        *location_of(&mut source.kind) = location.to_owned();
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

    fn unknown_param(&self, name: &str) -> Problem {
        let mut problem = Problem::new(codes::UNKNOWN_PARAM, format!("the project has no parameter `{name}`"));
        problem.help = did_you_mean(name, "parameters are", self.params.iter().map(|param| param.name.as_str()))
            .or_else(|| Some("declare it under `params` in windlass.yaml".to_owned()));
        problem
    }
}

fn location_of(kind: &mut SourceKind) -> &mut String {
    match kind {
        SourceKind::Delta(source) => &mut source.location,
        SourceKind::Listing(source) => &mut source.location,
        SourceKind::TextFiles(source) => &mut source.location,
    }
}

fn wrong_value(param: &ParamSpec, text: &str, wanted: &str) -> Problem {
    Problem::new(codes::PARAM_VALUE, format!("the value of `{}` must be {wanted}, not `{text}`", param.name))
        .label(&param.span, format!("declared as {} here", param.data_type))
}

fn missing(param: &ParamSpec) -> Problem {
    Problem::new(codes::PARAM_MISSING, format!("the parameter `{}` has no value", param.name))
        .label(&param.span, "declared without a default")
        .help(format!("give `--param {}=…`, or add a default", param.name))
}
