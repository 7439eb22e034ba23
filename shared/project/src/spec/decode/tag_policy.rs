//! `tag_policy` of `windlass.yaml`, and the file of an organisation that it includes.

use windlass_base::suggest::did_you_mean;

use super::fields::{Fields, Keys, entries};
use super::readable;
use super::values::{choice, filled_text, list, names, plain_names, tag_places, tags};
use crate::spec::codes;
use crate::spec::files::{POLICIES_DIR, ProjectFiles};
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::yaml::{self, Node, Value};
use crate::tag::{KeyRule, TagDefault, TagPattern, TagPolicy, TagRules, TagScope, keys};

const POLICY: Keys =
    Keys { what: "`tag_policy`", known: &["include", "required", "keys", "layers", "defaults", "other_keys"] };
const FILE: Keys =
    Keys { what: "a file of a tag policy", known: &["required", "keys", "layers", "defaults", "other_keys"] };
const LAYER: Keys = Keys { what: "the rules of a layer", known: &["required", "keys"] };
const RULE: Keys = Keys { what: "the rule of a key", known: &["values", "pattern"] };
const DEFAULT: Keys = Keys { what: "a default of tags", known: &["folder", "select", "tags"] };

/// Reads the policy. The included file comes first, so that the project's rules are added to those of the organisation.
pub(super) fn decode(node: &Node, files: &ProjectFiles, problems: &mut Vec<Problem>) -> TagPolicy {
    let mut policy = TagPolicy::default();
    let Some(fields) = Fields::open(node, &POLICY, problems) else { return policy };
    if let Some(node) = fields.get("include")
        && let Some(path) = filled_text(node, "`include`", problems)
    {
        include(&path, &node.span, files, &mut policy, problems);
    }
    // The first matching default wins: the project's come before those of the organisation.
    let of_organisation = std::mem::take(&mut policy.defaults);
    read(&fields, &mut policy, problems);
    policy.defaults.extend(of_organisation);
    check_layers(&policy, &fields, problems);
    policy
}

/// Decodes the included file.
fn include(path: &str, span: &Span, files: &ProjectFiles, policy: &mut TagPolicy, problems: &mut Vec<Problem>) {
    if files.get(path).is_none() {
        let mut problem = Problem::new(codes::POLICY_FILE, format!("the project has no file `{path}`")).at(span);
        let prefix = format!("{POLICIES_DIR}/");
        let there: Vec<&str> = files.iter().map(|(path, _)| &**path).filter(|path| path.starts_with(&prefix)).collect();
        problem.help =
            Some(did_you_mean(path, "there are", there).unwrap_or_else(|| {
                format!("put the file into `{prefix}`, such as `include: {prefix}organisation.yaml`")
            }));
        problems.push(problem);
        return;
    }
    let Some((file, text)) = readable(files, path, problems) else { return };
    let Some(root) = yaml::parse(file, text, 0, problems) else { return };
    if let Some(fields) = Fields::open(&root, &FILE, problems) {
        read(&fields, policy, problems);
    }
}

fn read(fields: &Fields<'_>, policy: &mut TagPolicy, problems: &mut Vec<Problem>) {
    rules(fields, &mut policy.rules, problems);
    for entry in fields.get("layers").and_then(|node| entries(node, "`layers`", problems)).unwrap_or_default() {
        let layer = policy.layers.entry(entry.key.value.clone()).or_default();
        if let Some(fields) = Fields::open(&entry.value, &LAYER, problems) {
            rules(&fields, layer, problems);
        }
    }
    for item in fields.get("defaults").and_then(|node| list(node, "`defaults`", problems)).unwrap_or_default() {
        policy.defaults.extend(default(item, problems));
    }
    if let Some(node) = fields.get("other_keys") {
        const WORDS: [(&str, bool); 2] = [("allow", false), ("refuse", true)];
        // A refusal by the organisation cannot be overruled.
        policy.closed |= choice(node, "`other_keys`", &WORDS, problems).unwrap_or_default();
    }
}

fn rules(fields: &Fields<'_>, to: &mut TagRules, problems: &mut Vec<Problem>) {
    let required = fields.get("required").and_then(|node| names(node, "`required`", problems)).unwrap_or_default();
    for key in required {
        to.required.entry(key.value).or_insert(key.span);
    }
    for entry in fields.get("keys").and_then(|node| entries(node, "`keys`", problems)).unwrap_or_default() {
        if let Some(rule) = rule(&entry.key.value, &entry.key.span, &entry.value, problems) {
            to.keys.push((entry.key.value.clone(), rule));
        }
    }
}

/// A list of values, or a mapping.
fn rule(key: &str, span: &Span, node: &Node, problems: &mut Vec<Problem>) -> Option<KeyRule> {
    let mut rule = KeyRule { values: Vec::new(), pattern: None, span: span.clone() };
    if matches!(node.value, Value::List(_)) {
        rule.values = plain_names(node, &format!("the values of `{key}`"), problems)?;
    } else {
        let fields = Fields::open(node, &RULE, problems)?;
        if let Some(node) = fields.get("values") {
            rule.values = plain_names(node, "`values`", problems)?;
        }
        if let Some(node) = fields.get("pattern") {
            let text = filled_text(node, "`pattern`", problems)?;
            match TagPattern::new(&text) {
                Ok(pattern) => rule.pattern = Some(pattern),
                Err(why) => {
                    let message = format!("`{text}` is not a regular expression: {why}");
                    problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span));
                    return None;
                }
            }
        }
    }
    if rule.values.is_empty() && rule.pattern.is_none() {
        let problem = Problem::new(codes::MISSING_KEY, format!("the rule of `{key}` allows nothing"))
            .at(&node.span)
            .help(format!("write `{key}: [one, other]` or `{key}: {{ pattern: 'v[0-9]+' }}`"));
        problems.push(problem);
        return None;
    }
    Some(rule)
}

fn default(node: &Node, problems: &mut Vec<Problem>) -> Option<TagDefault> {
    let fields = Fields::open(node, &DEFAULT, problems)?;
    let of_tags = fields.require("tags", "tags: { layer: semantic }", problems);
    let found = of_tags.and_then(|node| tags(node, problems));
    let places = of_tags.map(tag_places).unwrap_or_default();
    let scope = match (fields.get("folder"), fields.get("select")) {
        (Some(node), None) => {
            let folder = filled_text(node, "`folder`", problems)?;
            TagScope::Folder(folder.trim_end_matches('/').to_owned())
        }
        (None, Some(node)) => {
            TagScope::Select { text: filled_text(node, "`select`", problems)?, span: node.span.clone() }
        }
        (folder, _) => {
            let both = if folder.is_some() { "both `folder` and `select`" } else { "neither `folder` nor `select`" };
            let problem = Problem::new(codes::BAD_VALUE, format!("a default of tags has {both}")).at(&node.span);
            problems.push(problem.help("name the nodes it applies to: `folder: stages/graph`, or `select: 'cpg_*'`"));
            return None;
        }
    };
    Some(TagDefault { scope, tags: found?, places })
}

/// Reports rules for layers that are not allowed values.
fn check_layers(policy: &TagPolicy, fields: &Fields<'_>, problems: &mut Vec<Problem>) {
    let allowed = policy.values_of(keys::LAYER);
    if allowed.is_empty() {
        return;
    }
    let layers = fields.get("layers").and_then(|node| entries(node, "`layers`", &mut Vec::new())).unwrap_or_default();
    for entry in layers.iter().filter(|entry| !allowed.contains(&entry.key.value)) {
        let name = &entry.key.value;
        let mut problem =
            Problem::new(codes::BAD_VALUE, format!("no node can be in the layer `{name}`")).at(&entry.key.span);
        problem.help = did_you_mean(name, "layers are", allowed.iter().map(String::as_str));
        problems.push(problem);
    }
}
