//! Applies the tag policy of a project to its graph: fills in defaults, then reports violations.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;
use windlass_base::suggest::{did_you_mean, listed};

use super::{Node, PipelineGraph, Stage};
use crate::spec::{PipelineSpec, Problem, Span, codes};
use crate::tag::{TagDefault, TagPolicy, TagScope, Violation, keys};

/// Where a node and its tags are written.
pub(super) struct NodeSpans {
    /// The node's name.
    pub(super) name: Span,
    /// The value of each tag.
    pub(super) tags: BTreeMap<String, Span>,
}

impl NodeSpans {
    /// The span of a tag, or of the node if the tag is not written anywhere.
    pub(super) fn of(&self, key: &str) -> &Span {
        self.tags.get(key).unwrap_or(&self.name)
    }
}

/// The spans of every node of a project.
pub(super) fn node_spans(spec: &PipelineSpec) -> BTreeMap<NodeName, NodeSpans> {
    let sources = spec.sources.iter().map(|source| (&source.name, &source.tag_places));
    let stages = spec.stages.iter().map(|stage| (&stage.name, &stage.tag_places));
    let place = |(name, tags): (&crate::spec::Spanned<NodeName>, &BTreeMap<String, Span>)| {
        (name.value.clone(), NodeSpans { name: name.span.clone(), tags: tags.clone() })
    };
    sources.chain(stages).map(place).collect()
}

/// Fills in the defaults of a policy, and reports every violation of every node.
pub(super) fn apply(
    policy: &TagPolicy,
    graph: &mut PipelineGraph,
    places: &BTreeMap<NodeName, NodeSpans>,
    problems: &mut Vec<Problem>,
) {
    let mut places_of_defaults: BTreeMap<NodeName, BTreeMap<String, Span>> = BTreeMap::new();
    for default in &policy.defaults {
        for name in nodes_of(default, graph, problems) {
            if let Some(tags) = graph.tags_mut(&name) {
                let new = default.places.iter().filter(|(key, _)| tags.get(key).is_none());
                let new: Vec<(String, Span)> = new.map(|(key, span)| (key.clone(), span.clone())).collect();
                places_of_defaults.entry(name.clone()).or_default().extend(new);
                tags.fill(&default.tags);
            }
        }
    }
    let names: Vec<NodeName> = graph.nodes().map(|node| node.name().clone()).collect();
    for name in &names {
        if let Some(tags) = graph.tags_mut(name) {
            tags.0.entry(keys::ARTIFACT.to_owned()).or_insert_with(|| name.to_string());
        }
    }
    for node in graph.nodes() {
        let Some(places) = places.get(node.name()) else { continue };
        let of_defaults = places_of_defaults.get(node.name());
        for violation in policy.violations(node.tags()) {
            problems.push(problem(&violation, &described(node), places, of_defaults));
        }
        if let Node::Stage(stage) = node {
            check_expectations(policy, stage, problems);
        }
    }
}

/// Reports tags of expectations that violate the policy. The tags of their stage, which they inherit, were already
/// checked.
fn check_expectations(policy: &TagPolicy, stage: &Stage, problems: &mut Vec<Problem>) {
    for expectation in stage.expectations.iter().filter(|expectation| !expectation.tags.is_empty()) {
        let mut tags = expectation.tags.clone();
        tags.fill(&stage.tags);
        let places = NodeSpans { name: expectation.span.clone(), tags: expectation.tag_places.clone() };
        let what = format!("expectation `{}` of `{}`", expectation.name, stage.name);
        for violation in policy.violations(&tags) {
            let is_own = match &violation {
                Violation::Missing { .. } => false,
                Violation::Value { key, .. } | Violation::Unknown { key, .. } => expectation.tags.get(key).is_some(),
            };
            if is_own {
                problems.push(problem(&violation, &what, &places, None));
            }
        }
    }
}

/// A node in words: "stage `x`".
fn described(node: Node<'_>) -> String {
    match node {
        Node::Source(source) => format!("source `{}`", source.name.value),
        Node::Stage(stage) => format!("stage `{}`", stage.name),
    }
}

/// The nodes that a default is for.
fn nodes_of(default: &TagDefault, graph: &PipelineGraph, problems: &mut Vec<Problem>) -> BTreeSet<NodeName> {
    match &default.scope {
        TagScope::Folder(folder) => {
            let inside = |file: &str| file.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
            let stages = graph.stages.iter().filter(|stage| inside(stage.query.file()));
            stages.map(|stage| stage.name.clone()).collect()
        }
        TagScope::Select { text, span } => match graph.select(&[text], &[]) {
            Ok(nodes) => nodes,
            Err(found) => {
                problems.extend(found.iter().map(|problem| Problem { labels: Vec::new(), ..problem.clone() }.at(span)));
                BTreeSet::new()
            }
        },
    }
}

fn problem(
    violation: &Violation,
    what: &str,
    places: &NodeSpans,
    of_defaults: Option<&BTreeMap<String, Span>>,
) -> Problem {
    let of_layer = |layer: &Option<String>| layer.as_ref().map(|layer| format!(" of the layer `{layer}`"));
    let place = |key: &str| of_defaults.and_then(|places| places.get(key)).unwrap_or_else(|| places.of(key));
    match violation {
        Violation::Missing { key, layer, rule, values } => {
            let of_layer = of_layer(layer).unwrap_or_default();
            let message = format!("the {what}{of_layer} has no tag `{key}`");
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let help = match values.as_slice() {
                [] => format!("add `{key}: …` to the tags of the {what}"),
                values => format!("add `{key}` to the tags of the {what}, one of {}", listed(values)),
            };
            Problem::new(codes::TAG_MISSING, message).at(&places.name).label(rule, "required here").help(help)
        }
        Violation::Value { key, value, layer, rule } => {
            let of_layer = of_layer(layer).unwrap_or_default();
            let message = format!("the tag `{key}` of the {what}{of_layer} cannot be `{value}`");
            let mut problem =
                Problem::new(codes::TAG_VALUE, message).at(place(key)).label(&rule.span, "the rule is here");
            problem.help = match &rule.pattern {
                Some(pattern) if rule.values.is_empty() => {
                    Some(format!("write a value of the form `{}`", pattern.as_str()))
                }
                _ => did_you_mean(value, "it can be", rule.values.iter().map(String::as_str)),
            };
            problem
        }
        Violation::Unknown { key, known } => {
            let message = format!("the tag policy knows no key `{key}`, which the {what} has");
            let mut problem = Problem::new(codes::TAG_KEY, message).at(place(key));
            problem.help = did_you_mean(key, "keys are", known.iter().map(String::as_str));
            problem
        }
    }
}
