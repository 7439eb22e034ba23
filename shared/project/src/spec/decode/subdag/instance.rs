//! Decodes an entry of `subdags`: the sub-DAG, its arguments, and the instances.

use std::collections::BTreeMap;

use windlass_base::suggest::did_you_mean;

use super::argument::{Argument, INSTANCE, bind};
use super::library::{Library, Subdag};
use super::text::{Arguments, reference};
use crate::spec::codes;
use crate::spec::decode::fields::{Fields, Keys, entries};
use crate::spec::decode::values::{check_name, filled_text, list, tag_places, tags};
use crate::spec::param::ParamValue;
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{Entry, Node, Value};
use crate::tag::Tags;

const KEYS: Keys =
    Keys { what: "an instance of a sub-DAG", known: &["use", "over", "params", "inputs", "outputs", "tags"] };
/// The maximum number of instances per entry.
const MAX_INSTANCES: usize = 1_000;

/// An instance before it is expanded.
pub(super) struct Instance<'l> {
    pub(super) subdag: &'l Subdag,
    /// Its name in the scope where it is written, and its span.
    pub(super) name: Spanned<String>,
    pub(super) arguments: Arguments,
    /// For each input, the name in the surrounding scope that it is bound to.
    pub(super) inputs: BTreeMap<String, Spanned<String>>,
    /// For each output, its name in the surrounding scope.
    pub(super) outputs: BTreeMap<String, Spanned<String>>,
    /// Tags of all of its stages.
    pub(super) tags: Tags,
    pub(super) tag_places: BTreeMap<String, Span>,
}

/// Decodes the entries of `subdags`, with the arguments `here` in scope.
pub(super) fn read_all<'l>(
    node: &Node,
    library: &'l Library,
    here: &Arguments,
    problems: &mut Vec<Problem>,
) -> Vec<Instance<'l>> {
    let mut instances = Vec::new();
    for entry in entries(node, "`subdags`", problems).unwrap_or_default() {
        let Some(fields) = Fields::open(&entry.value, &KEYS, problems) else { continue };
        let Some(subdag) = subdag_of(entry, &fields, library, problems) else { continue };
        let Some(fixed) = fixed(&fields, subdag, here, problems) else { continue };
        let before = problems.len();
        for (own, label) in combinations(&fields, subdag, here, &fixed, problems) {
            instances.extend(one(entry, &fields, subdag, here, own, &label, problems));
            // The others in the list have the same problems.
            if problems.len() > before {
                break;
            }
        }
    }
    instances
}

/// The sub-DAG of an instance: the one that it names, or the one with the instance's name.
fn subdag_of<'l>(
    entry: &Entry,
    fields: &Fields<'_>,
    library: &'l Library,
    problems: &mut Vec<Problem>,
) -> Option<&'l Subdag> {
    let name = match fields.get("use") {
        Some(node) => Spanned::new(filled_text(node, "`use`", problems)?, node.span.clone()),
        None => entry.key.clone(),
    };
    let found = library.found.get(&name.value);
    if found.is_none() && !library.broken.contains(&name.value) {
        let message = format!("the project has no sub-DAG `{}`", name.value);
        let mut problem = Problem::new(codes::SUBDAG_UNKNOWN, message).at(&name.span);
        problem.help = did_you_mean(&name.value, "sub-DAGs are", library.found.keys().map(String::as_str))
            .or_else(|| Some(format!("write subdags/{}.yaml", name.value)));
        problems.push(problem);
    }
    found
}

/// The arguments that are the same for all instances of an entry.
fn fixed(
    fields: &Fields<'_>,
    subdag: &Subdag,
    here: &Arguments,
    problems: &mut Vec<Problem>,
) -> Option<BTreeMap<String, Argument>> {
    let mut found = BTreeMap::new();
    let before = problems.len();
    let given = fields.get("params").and_then(|node| entries(node, "`params`", problems)).unwrap_or_default();
    for entry in given {
        found.extend(argument(&entry.key, &entry.value, subdag, here, problems));
    }
    (problems.len() == before).then_some(found)
}

fn argument(
    name: &Spanned<String>,
    node: &Node,
    subdag: &Subdag,
    here: &Arguments,
    problems: &mut Vec<Problem>,
) -> Option<(String, Argument)> {
    let Some(param) = subdag.params.iter().find(|param| param.name == name.value) else {
        let message = format!("the sub-DAG `{}` has no parameter `{}`", subdag.name, name.value);
        let mut problem = Problem::new(codes::SUBDAG_PARAM, message).at(&name.span);
        problem.help =
            did_you_mean(&name.value, "its parameters are", subdag.params.iter().map(|param| param.name.as_str()))
                .or_else(|| Some(format!("declare it under `params` in {}", subdag.file)));
        problems.push(problem);
        return None;
    };
    bind(node, param, here, problems).map(|argument| (name.value.clone(), argument))
}

/// For each instance of an entry, its arguments and its distinguishing label. `over` is a list of mappings, one per
/// instance, or a mapping of lists, with one instance per combination.
fn combinations(
    fields: &Fields<'_>,
    subdag: &Subdag,
    here: &Arguments,
    fixed: &BTreeMap<String, Argument>,
    problems: &mut Vec<Problem>,
) -> Vec<(BTreeMap<String, Argument>, String)> {
    let Some(node) = fields.get("over") else { return vec![(fixed.clone(), String::new())] };
    let mut found = match &node.value {
        Value::List(items) => {
            let mut found = Vec::new();
            for item in items {
                let mut own = fixed.clone();
                let mut label = String::new();
                for entry in entries(item, "an item of `over`", problems).unwrap_or_default() {
                    let Some((name, value)) = argument(&entry.key, &entry.value, subdag, here, problems) else {
                        continue;
                    };
                    // The first value names the instance.
                    if label.is_empty() {
                        label = label_of(&value);
                    }
                    own.insert(name, value);
                }
                found.push((own, label));
            }
            found
        }
        _ => {
            let Some(listed) = entries(node, "`over`", problems) else { return Vec::new() };
            let mut found = vec![(fixed.clone(), String::new())];
            for entry in listed {
                let what = format!("`{}` of `over`", entry.key.value);
                let mut next = Vec::new();
                for item in list(&entry.value, &what, problems).unwrap_or_default() {
                    let Some((name, value)) = argument(&entry.key, item, subdag, here, problems) else { continue };
                    for (own, label) in &found {
                        let mut own = own.clone();
                        own.insert(name.clone(), value.clone());
                        next.push((own, format!("{label}{}", label_of(&value))));
                    }
                    if next.len() > MAX_INSTANCES {
                        break;
                    }
                }
                found = next;
            }
            found
        }
    };
    if found.is_empty() {
        let problem = Problem::new(codes::BAD_VALUE, "`over` makes no instance").at(&node.span);
        problems.push(problem.help("name at least one value of each parameter, or remove the instance"));
    }
    if found.len() > MAX_INSTANCES {
        let message = format!("`over` makes more than {MAX_INSTANCES} instances");
        problems.push(Problem::new(codes::LIMIT, message).at(&node.span));
        found.clear();
    }
    found
}

/// The part of an instance's name that comes from an argument.
fn label_of(argument: &Argument) -> String {
    let text = argument.text().unwrap_or_default();
    let named: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("_{named}")
}

fn one<'l>(
    entry: &Entry,
    fields: &Fields<'_>,
    subdag: &'l Subdag,
    here: &Arguments,
    mut own: BTreeMap<String, Argument>,
    label: &str,
    problems: &mut Vec<Problem>,
) -> Option<Instance<'l>> {
    let place = &entry.key.span;
    let before = problems.len();
    for param in &subdag.params {
        if own.contains_key(&param.name) {
            continue;
        }
        match &param.default {
            Some(value) => drop(own.insert(param.name.clone(), value.clone())),
            None => {
                let message = format!("the parameter `{}` of `{}` has no value", param.name, subdag.name);
                let problem = Problem::new(codes::SUBDAG_PARAM, message).at(place).label(&param.span, "declared here");
                problems.push(problem.help(format!("add `params: {{ {}: … }}`, or a default", param.name)));
            }
        }
    }
    // Values of the instance may use arguments in scope and its own, which take precedence.
    let mut both = here.clone();
    both.0.extend(own.clone());
    let name = match reference(&entry.key.value) {
        Some(_) => both.text(&entry.key.value, place, problems),
        None => format!("{}{label}", entry.key.value),
    };
    let name = Spanned::new(name, place.clone());
    check_name(&name, "an instance", problems);
    let itself = Argument::Value(ParamValue::String(name.value.clone()));
    both.0.insert(INSTANCE.to_owned(), itself.clone());
    own.insert(INSTANCE.to_owned(), itself);
    let arguments = Arguments(own);
    let inputs = inputs(fields, subdag, &both, place, problems);
    let outputs = outputs(fields, subdag, &arguments, &both, problems);
    let node = fields.get("tags").map(|node| both.fill(node, problems));
    let own_tags = node.as_ref().and_then(|node| tags(node, problems)).unwrap_or_default();
    let tag_places = node.as_ref().map(tag_places).unwrap_or_default();
    (problems.len() == before).then_some(Instance {
        subdag,
        name,
        arguments,
        inputs,
        outputs,
        tags: own_tags,
        tag_places,
    })
}

fn inputs(
    fields: &Fields<'_>,
    subdag: &Subdag,
    both: &Arguments,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Spanned<String>> {
    let mut bound = BTreeMap::new();
    let given = fields.get("inputs").and_then(|node| entries(node, "`inputs`", problems)).unwrap_or_default();
    for entry in given {
        let name = &entry.key.value;
        if !subdag.inputs.iter().any(|input| input.value == *name) {
            let message = format!("the sub-DAG `{}` has no input `{name}`", subdag.name);
            let mut problem = Problem::new(codes::SUBDAG_INPUT, message).at(&entry.key.span);
            let known = subdag.inputs.iter().map(|input| input.value.as_str());
            problem.help = did_you_mean(name, "its inputs are", known).or_else(|| Some("remove it".to_owned()));
            problems.push(problem);
            continue;
        }
        let filled = both.fill(&entry.value, problems);
        if let Some(to) = filled_text(&filled, &format!("`{name}` of `inputs`"), problems) {
            bound.insert(name.clone(), Spanned::new(to, filled.span));
        }
    }
    for input in &subdag.inputs {
        if !given.iter().any(|entry| entry.key.value == input.value) {
            let message = format!("the input `{}` of `{}` is not bound", input.value, subdag.name);
            let problem = Problem::new(codes::SUBDAG_INPUT, message).at(place).label(&input.span, "declared here");
            problems.push(problem.help(format!("add `inputs: {{ {}: name_of_a_source_or_stage }}`", input.value)));
        }
    }
    bound
}

/// The names of the outputs: those given by the instance, else those of the sub-DAG's patterns.
fn outputs(
    fields: &Fields<'_>,
    subdag: &Subdag,
    arguments: &Arguments,
    both: &Arguments,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Spanned<String>> {
    let given = fields.get("outputs").and_then(|node| entries(node, "`outputs`", problems)).unwrap_or_default();
    for entry in given {
        let known = || subdag.outputs.iter().map(|output| output.stage.value.as_str());
        if !known().any(|name| name == entry.key.value) {
            let message = format!("the sub-DAG `{}` has no output `{}`", subdag.name, entry.key.value);
            let mut problem = Problem::new(codes::SUBDAG_OUTPUT, message).at(&entry.key.span);
            problem.help = did_you_mean(&entry.key.value, "its outputs are", known());
            problems.push(problem);
        }
    }
    let mut named: BTreeMap<String, Spanned<String>> = BTreeMap::new();
    for output in &subdag.outputs {
        let name = match given.iter().find(|entry| entry.key.value == output.stage.value) {
            Some(entry) => {
                let filled = both.fill(&entry.value, problems);
                filled_text(&filled, "the name of an output", problems).map(|name| Spanned::new(name, filled.span))
            }
            None => Some(Spanned::new(arguments.text(&output.pattern, &output.place, problems), output.place.clone())),
        };
        let Some(name) = name else { continue };
        if let Some((other, _)) = named.iter().find(|(_, other)| other.value == name.value) {
            let message = format!("the outputs `{other}` and `{}` would both be `{}`", output.stage.value, name.value);
            problems.push(Problem::new(codes::SUBDAG_OUTPUT, message).at(&name.span).help("give each a unique name"));
        }
        named.insert(output.stage.value.clone(), name);
    }
    named
}
