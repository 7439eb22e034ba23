//! Sub-DAGs: stages that are written once and instantiated with inputs, parameters and names.
//!
//! ```text
//! subdags/*.yaml ──library──→ Subdag ─┐
//! windlass.yaml: subdags ─────────────┴─instance─→ Instance ──expand──→ StageSpec, StageSpec, …
//!                                                     │ names: inputs to their bindings, outputs to their outer
//!                                                     │        names, the rest to `instance__name`
//!                                                     └ arguments: `$name` in YAML and SQL
//! ```
//!
//! An expanded stage is an ordinary stage. Its generated texts have separate names (`subdags/x/y.sql@instance`), which
//! [`super::super::source_map`] maps back to the source files.

mod argument;
mod instance;
mod library;
mod pipe;
mod query;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contract::Decoded;
use super::fields::Fields;
use super::manifest::Manifest;
use super::stage::{self, Parts};
use crate::spec::codes;
use crate::spec::files::{MAX_STAGES, ProjectFiles};
use crate::spec::pipeline::{StageSpec, SubdagInstance};
use crate::spec::problem::Problem;
use crate::spec::source_map::{Expanded, SourceMap};
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{self, Entry, Node, Value};
use argument::Argument;
use instance::Instance;
use library::Library;
pub(super) use query::Scope;
use text::Arguments;

/// The result of expanding the sub-DAGs of a project.
#[derive(Default)]
pub(super) struct Expansion {
    pub(super) stages: Vec<StageSpec>,
    /// The texts of the stages, by the file names in their spans.
    pub(super) files: BTreeMap<Arc<str>, Arc<Expanded>>,
    /// The names that inputs are bound to in `windlass.yaml`, to be resolved among all nodes.
    pub(super) bindings: Vec<Spanned<String>>,
    /// Names of stages that could not be read.
    pub(super) broken: Vec<String>,
}

/// Decodes the sub-DAGs, and expands every instance in the manifest.
pub(super) fn expand_all(
    files: &ProjectFiles,
    manifest: Option<&Manifest>,
    contracts: &Decoded,
    problems: &mut Vec<Problem>,
) -> Expansion {
    let library = Library::read(files, problems);
    let mut expander = Expander {
        files,
        manifest,
        contracts,
        library: &library,
        open: Vec::new(),
        made: Expansion::default(),
        problems,
    };
    if let Some(manifest) = manifest
        && let Some(node) = &manifest.subdags
    {
        let params = manifest.params().iter();
        let params = params.map(|param| (param.name.clone(), Argument::Runtime(param.name.clone(), param.data_type)));
        let instances = instance::read_all(node, &library, &Arguments(params.collect()), expander.problems);
        for instance in instances {
            let bound = instance.inputs.values().cloned();
            expander.made.bindings.extend(bound);
            expander.instance(&instance, None);
        }
    }
    expander.made
}

/// The surrounding instance, as seen by the instances inside it.
struct Outer<'a> {
    instance: &'a Arc<SubdagInstance>,
    /// The outer node name of each local table name.
    names: &'a BTreeMap<String, String>,
}

struct Expander<'a> {
    files: &'a ProjectFiles,
    manifest: Option<&'a Manifest>,
    contracts: &'a Decoded,
    library: &'a Library,
    /// The sub-DAGs that are being expanded, outermost first.
    open: Vec<String>,
    made: Expansion,
    problems: &'a mut Vec<Problem>,
}

/// What all stages of an instance have in common.
struct Context<'a> {
    instance: &'a Instance<'a>,
    itself: &'a Arc<SubdagInstance>,
    names: &'a BTreeMap<String, String>,
    /// The outer name of each local stage, and its span.
    outside: &'a BTreeMap<String, Spanned<String>>,
}

impl Expander<'_> {
    fn instance(&mut self, instance: &Instance<'_>, outer: Option<&Outer<'_>>) {
        let subdag = instance.subdag;
        if self.open.contains(&subdag.name) {
            let around = self.open.join("` uses `");
            let message = format!("`{around}` uses `{}`: sub-DAGs use each other in a cycle", subdag.name);
            self.problems
                .push(Problem::new(codes::SUBDAG_CYCLE, message).at(&instance.name.span).help("break the circle"));
            return;
        }
        if self.made.stages.len() > MAX_STAGES {
            return;
        }
        self.open.push(subdag.name.clone());
        let full_name = match outer {
            Some(outer) => format!("{}__{}", outer.instance.name, instance.name.value),
            None => instance.name.value.clone(),
        };
        let itself = Arc::new(SubdagInstance {
            name: full_name,
            subdag: subdag.name.clone(),
            parent: outer.map(|outer| Arc::clone(outer.instance)),
        });
        let file =
            self.text_of(&subdag.file, subdag.text.as_ref(), SourceMap::identity(subdag.text.len()), instance, &itself);
        // It was decoded before, without problems.
        let root = yaml::parse(&file, &subdag.text, 0, &mut Vec::new());
        let root = root.as_ref().and_then(|root| Fields::open(root, &library::KEYS, &mut Vec::new()));
        let nested = root.as_ref().and_then(|root| root.get("subdags"));
        let nested = nested.map(|node| instance::read_all(node, self.library, &instance.arguments, self.problems));
        let nested = nested.unwrap_or_default();
        let outside = self.outer_names(instance, &itself, &nested, &file, outer);
        let names = self.table_names(instance, &outside, outer);
        let context = Context { instance, itself: &itself, names: &names, outside: &outside };
        for (name, path) in &subdag.stages {
            self.stage(&context, name, path);
        }
        let pipes = root.as_ref().and_then(|root| root.get("pipes"));
        if let Some(Value::Map(pipes)) = pipes.map(|pipes| &pipes.value) {
            for pipe in pipes {
                self.pipe(&context, pipe);
            }
        }
        for inner in &nested {
            self.instance(inner, Some(&Outer { instance: &itself, names: &names }));
        }
        self.open.pop();
    }

    /// The outer names of local stages, including the outputs of nested instances.
    fn outer_names(
        &mut self,
        instance: &Instance<'_>,
        itself: &SubdagInstance,
        nested: &[Instance<'_>],
        file: &Arc<str>,
        outer: Option<&Outer<'_>>,
    ) -> BTreeMap<String, Spanned<String>> {
        let subdag = instance.subdag;
        let given = nested.iter().flat_map(|inner| inner.outputs.values());
        let mut inside: BTreeMap<&str, Span> = subdag.own_names().map(|name| (name, Span::new(file, 0, 0))).collect();
        for name in given {
            if inside.insert(&name.value, name.span.clone()).is_some() {
                let message = format!("the sub-DAG `{}` has two stages `{}`", subdag.name, name.value);
                let problem = Problem::new(codes::NAME_CLASH, message).at(&name.span);
                self.problems.push(problem.help("give the output of the inner instance another name"));
            }
        }
        if !nested.is_empty() {
            subdag.check_outputs(&inside.keys().copied().collect::<Vec<_>>(), self.problems);
        }
        let name_of = |(name, place): (&str, Span)| {
            let outside = match instance.outputs.get(name) {
                // The sub-DAG's default pattern is in the file that was decoded for this instance.
                Some(given) => {
                    let mut given = given.clone();
                    if given.span.file == subdag.file {
                        given.span.file = Arc::clone(file);
                    }
                    if let Some(outside) = outer.and_then(|outer| outer.names.get(&given.value)) {
                        given.value.clone_from(outside);
                    }
                    given
                }
                None => Spanned::new(format!("{}__{name}", itself.name), place),
            };
            (name.to_owned(), outside)
        };
        inside.into_iter().map(name_of).collect()
    }

    /// The meaning of every local table name: stages, and the bindings of inputs.
    fn table_names(
        &mut self,
        instance: &Instance<'_>,
        outside: &BTreeMap<String, Spanned<String>>,
        outer: Option<&Outer<'_>>,
    ) -> BTreeMap<String, String> {
        let mut names: BTreeMap<String, String> =
            outside.iter().map(|(inside, outside)| (inside.clone(), outside.value.clone())).collect();
        for (input, bound) in &instance.inputs {
            let node = match outer {
                None => Some(bound.value.clone()),
                Some(outer) => outer.names.get(&bound.value).cloned(),
            };
            if node.is_none() {
                let around = self.open.iter().rev().nth(1).map(String::as_str).unwrap_or_default();
                let message =
                    format!("`{}` is neither an input of the sub-DAG `{around}` nor a stage of it", bound.value);
                let problem = Problem::new(codes::SUBDAG_SCOPE, message).label(&bound.span, "not known inside");
                self.problems.push(problem.help("bind it to a stage of the sub-DAG, or declare it under its `inputs`"));
            }
            // Its readers are not at fault.
            names.insert(input.clone(), node.unwrap_or_else(|| bound.value.clone()));
        }
        names
    }

    /// Records the source map of a text, and gives it a name.
    fn text_of(
        &mut self,
        origin: &Arc<str>,
        text: &str,
        mappings: SourceMap,
        instance: &Instance<'_>,
        itself: &SubdagInstance,
    ) -> Arc<str> {
        let file: Arc<str> = format!("{origin}@{}", itself.name).into();
        self.note(Arc::clone(&file), origin, text, mappings, instance, itself);
        file
    }

    fn note(
        &mut self,
        file: Arc<str>,
        origin: &Arc<str>,
        text: &str,
        mappings: SourceMap,
        instance: &Instance<'_>,
        itself: &SubdagInstance,
    ) {
        let expanded = Expanded {
            text: text.into(),
            origin: Arc::clone(origin),
            mappings,
            instance: instance.name.span.clone(),
            note: format!("instantiated here as `{}`", itself.name),
        };
        self.made.files.insert(file, Arc::new(expanded));
    }

    fn scope<'c>(&self, context: &'c Context<'_>) -> Scope<'c> {
        Scope {
            subdag: &context.instance.subdag.name,
            arguments: &context.instance.arguments,
            names: context.names,
            normalize: self.manifest.is_none_or(Manifest::normalize_identifiers),
        }
    }

    /// A stage with its own file.
    fn stage(&mut self, context: &Context<'_>, name: &str, path: &Arc<str>) {
        let Some((origin, text)) = super::readable(self.files, path, self.problems) else { return };
        let file: Arc<str> = format!("{origin}@{}", context.itself.name).into();
        let header = stage::header_of(&file, text, self.problems);
        let body = header.as_ref().map_or(0, |(_, body)| *body);
        let scope = self.scope(context);
        let (made, mappings) =
            query::expand(origin, &SourceMap::identity(text.len()), text, body, &scope, self.problems);
        self.note(Arc::clone(&file), origin, &made, mappings, context.instance, context.itself);
        let Some((header, _)) = header else { return self.mark_broken(context, name) };
        let header = header.map(|header| scope.arguments.fill(&header, self.problems));
        self.decode(
            context,
            name,
            &file,
            Parts { file: &file, text: &made, body, header, keys: &stage::KEYS_INSIDE, scope: None },
        );
    }

    fn pipe(&mut self, context: &Context<'_>, pipe: &Entry) {
        let name = &pipe.key.value;
        let subdag = context.instance.subdag;
        let scope = self.scope(context);
        let header: Node = scope.arguments.fill(&without_steps(&pipe.value), self.problems);
        let made = pipe::query(&subdag.file, &subdag.text, &pipe.value, &scope, self.problems);
        let Some((text, mappings)) = made else { return self.mark_broken(context, name) };
        let file: Arc<str> = format!("{}@{}/{name}", subdag.file, context.itself.name).into();
        self.note(Arc::clone(&file), &subdag.file, &text, mappings, context.instance, context.itself);
        let parts = Parts { file: &file, text: &text, body: 0, header: Some(header), keys: &pipe::KEYS, scope: None };
        self.decode(context, name, &file, parts);
    }

    fn decode(&mut self, context: &Context<'_>, name: &str, file: &Arc<str>, parts: Parts<'_>) {
        let Some(outside) = context.outside.get(name) else { return };
        let mut outside = outside.clone();
        if !context.instance.outputs.contains_key(name) {
            outside.span = Span::new(file, 0, 0);
        }
        let scope = self.scope(context);
        let parts = Parts { scope: Some((outside, &scope)), ..parts };
        match stage::decode_parts(parts, self.manifest, self.contracts, self.problems) {
            Ok(mut stage) => {
                stage.instance = Some(Arc::clone(context.itself));
                stage.tags.0.extend(context.instance.tags.0.clone());
                stage.tag_places.extend(context.instance.tag_places.clone());
                self.made.stages.push(stage);
            }
            Err(name) => self.made.broken.push(name),
        }
    }

    fn mark_broken(&mut self, context: &Context<'_>, name: &str) {
        self.made.broken.extend(context.outside.get(name).map(|outside| outside.value.clone()));
    }
}

/// A pipe without its steps, which are SQL and use another kind of parameters.
fn without_steps(node: &Node) -> Node {
    let value = match &node.value {
        Value::Map(entries) => Value::Map(entries.iter().filter(|entry| entry.key.value != "steps").cloned().collect()),
        other => other.clone(),
    };
    Node { span: node.span.clone(), value }
}
